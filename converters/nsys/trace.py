"""Sort an export's tables into the columns that the linker reads, one trace a process.

Correlation numbers are unique within a process only, so that everything is parted by process first.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from ...models.graph_builder import Interner
from ..event_rows import EventRow, EventRows
from ..kineto import KinetoTrace, Source, Thread
from ..kineto_events import Args
from .database import Database, number

PREFIX = "CUPTI_ACTIVITY_KIND_"
VERSION_SUFFIX = re.compile(r"_v\d+$")  # cudaLaunchKernel_v7000
# What torch's emit_nvtx appends: "aten::mm, seq = 12, op_id = 5, sizes = [[2, 3], [3, 4]]"
NVTX_DETAIL = re.compile(r", (?:seq|op_id|sizes|stashed seq|input_op_ids) = ")
NVTX_SEQUENCE = re.compile(r", seq = (\d+)")
NVTX_SIZES = re.compile(r", sizes = (\[.*?\])(?:, [a-z_]+ = |$)")
OPERATOR = re.compile(r"(?!FSDP::|DDP::)\w+(::\w+)+(:|$)")
PUSH_POP = 59
COPY_NAMES = {1: "HtoD", 2: "DtoH", 8: "DtoD", 10: "PtoP"}
MEMORY_NAMES = {0: "Pageable", 1: "Pinned", 2: "Device", 3: "Array", 4: "Managed"}
SYNC_NAMES = {3: "Stream Sync", 4: "Context Sync"}
TID_BITS = 24
LOW = (1 << TID_BITS) - 1


def process_of(global_id: int) -> int:
    """Give the process of a global thread or process id."""
    return global_id >> TID_BITS & LOW


@dataclass(slots=True)
class ProcessTables:
    """One process' events, before they become columns."""

    names: Interner[str] = field(default_factory=Interner)
    host: EventRows = field(init=False)
    device: EventRows = field(init=False)
    overhead: EventRows = field(init=False)
    syncs: dict[int, Args] = field(default_factory=dict)
    devices: set[int] = field(default_factory=set)
    graph_replays: int = 0
    skipped: int = 0

    def __post_init__(self) -> None:
        self.host, self.device, self.overhead = (EventRows(self.names) for _ in range(3))


def sort_tables(database: Database) -> dict[int, ProcessTables]:
    """Give each process' events by its number; processes without any are left out."""
    sorter = _Sorter(database, database.strings())
    sorter.calls()
    sorter.ranges()
    sorter.kernels()
    sorter.copies()
    sorter.graphs()
    sorter.syncs()
    sorter.overheads()
    return {p: t for p, t in sorted(sorter.processes.items()) if len(t.host) or len(t.device)}


@dataclass(slots=True)
class _Sorter:
    database: Database
    strings: dict[int, str]
    processes: dict[int, ProcessTables] = field(default_factory=lambda: defaultdict(ProcessTables))
    thread_names: dict[int, str] = field(init=False)

    def __post_init__(self) -> None:
        rows = self.database.rows("ThreadNames", ("globalTid", "nameId"))
        self.thread_names = {number(t): self.strings.get(number(n), "") for t, n in rows}

    def _rows(self, table: str, *columns: str) -> Iterator[tuple[int, ...]]:
        for row in self.database.rows(PREFIX + table, columns):
            yield tuple(number(cell, -1) for cell in row)

    def _thread(self, global_tid: int) -> Thread:
        name = self.thread_names.get(global_tid, "")
        return Thread(process_of(global_tid), global_tid & LOW, name)

    def calls(self) -> None:
        columns = ("start", "end", "globalTid", "correlationId", "nameId")
        for start, end, tid, correlation, name in self._rows("RUNTIME", *columns):
            text = VERSION_SUFFIX.sub("", self.strings.get(name, "unknown"))
            row = EventRow(Source.RUNTIME, text, self._thread(tid), start, end - start, correlation)
            self.processes[process_of(tid)].host.add(row)

    def ranges(self) -> None:
        columns = ("start", "end", "eventType", "globalTid", "text", "textId")
        for start, end, kind, tid, text, text_id in self.database.rows("NVTX_EVENTS", columns):
            process = self.processes[process_of(number(tid))]
            if number(kind) != PUSH_POP or end is None:
                process.skipped += 1
                continue
            told = str(text) if text is not None else self.strings.get(number(text_id, -1), "")
            name, args = _range(told)
            source = Source.OPERATOR if OPERATOR.match(name) else Source.ANNOTATION
            thread, begin = self._thread(number(tid)), number(start)
            duration = number(end) - begin
            process.host.add(EventRow(source, name, thread, begin, duration, args=args))

    def kernels(self) -> None:
        columns = ("start", "end", "globalPid", "deviceId", "streamId", "correlationId",
                   "demangledName", "gridX", "gridY", "gridZ", "blockX", "blockY", "blockZ",
                   "registersPerThread", "staticSharedMemory", "dynamicSharedMemory")  # fmt: skip
        for row in self._rows("KERNEL", *columns):
            start, end, pid, device, stream, correlation, name = row[:7]
            args = Args(
                grid=list(row[7:10]),
                block=list(row[10:13]),
                registers=max(row[13], 0),
                shared_memory=max(row[14], 0) + max(row[15], 0),
            )
            text = self.strings.get(name, "unknown")
            lane = Thread(device, stream)
            self._add(
                pid, EventRow(Source.KERNEL, text, lane, start, end - start, correlation, args)
            )

    def copies(self) -> None:
        columns = ("start", "end", "globalPid", "deviceId", "streamId", "correlationId", "bytes",
                   "copyKind", "srcKind", "dstKind")  # fmt: skip
        for start, end, pid, device, stream, correlation, size, *kinds in self._rows(
            "MEMCPY", *columns
        ):
            how, source, target = kinds
            text = (
                f"Memcpy {COPY_NAMES.get(how, 'unknown')} "
                f"({MEMORY_NAMES.get(source, '?')} -> {MEMORY_NAMES.get(target, '?')})"
            )
            lane, args = Thread(device, stream), Args(bytes=size)
            self._add(
                pid, EventRow(Source.MEMCPY, text, lane, start, end - start, correlation, args)
            )
        for start, end, pid, device, stream, correlation, size in self._rows(
            "MEMSET", *columns[:7]
        ):
            lane, args = Thread(device, stream), Args(bytes=size)
            row = EventRow(
                Source.MEMSET, "Memset (Device)", lane, start, end - start, correlation, args
            )
            self._add(pid, row)

    def graphs(self) -> None:
        """Replays recorded as a whole: one row each, so that the device does not look idle."""
        columns = ("start", "end", "globalPid", "deviceId", "streamId", "correlationId", "graphId")
        for start, end, pid, device, stream, correlation, graph in self._rows(
            "GRAPH_TRACE", *columns
        ):
            row = EventRow(
                Source.KERNEL, f"CUDA graph {graph}", Thread(device, stream), start, end - start,
                correlation,
            )  # fmt: skip
            self._add(pid, row)
            self.processes[process_of(pid)].graph_replays += 1

    def _add(self, global_pid: int, row: EventRow) -> None:
        process = self.processes[process_of(global_pid)]
        process.device.add(row)
        process.devices.add(row.thread.process)

    def syncs(self) -> None:
        columns = ("globalPid", "correlationId", "syncType", "streamId")
        for pid, correlation, kind, stream in self._rows("SYNCHRONIZATION", *columns):
            if kind in SYNC_NAMES:
                args = Args(sync_kind=SYNC_NAMES[kind], stream=stream, correlation=correlation)
                self.processes[process_of(pid)].syncs[correlation] = args

    def overheads(self) -> None:
        columns = ("start", "end", "globalTid", "nameId")
        for start, end, tid, name in self._rows("OVERHEAD", *columns):
            text = self.strings.get(name, "overhead")
            row = EventRow(Source.OVERHEAD, text, self._thread(tid), start, end - start)
            self.processes[process_of(tid)].overhead.add(row)


def _range(text: str) -> tuple[str, Args]:
    """Part a range's text into its name and what torch appended to it."""
    detail = NVTX_DETAIL.search(text)
    if detail is None:
        return text, Args()
    sequence, sizes = NVTX_SEQUENCE.search(text), NVTX_SIZES.search(text)
    dims = msgspec.Raw(b"")
    if sizes is not None:
        try:
            dims = msgspec.Raw(msgspec.json.encode(msgspec.json.decode(sizes[1])))
        except msgspec.DecodeError:  # a text that only looks like torch's
            dims = msgspec.Raw(b"")
    args = Args(sequence_number=sequence[1] if sequence else None, input_dims=dims)
    return text[: detail.start()], args


def to_trace(
    database: Database, tables: ProcessTables, *, rank: int, clock_base_ns: int
) -> KinetoTrace:
    """Give one process' columns; times from its first event."""
    starts = [t.earliest_ns() for t in (tables.host, tables.device)]
    zero = min(start for start in starts if start is not None)
    host, device = tables.host.table(zero), tables.device.table(zero)
    overhead = tables.overhead.table(zero)
    name, memory = _device_told(database, tables.devices)
    return KinetoTrace(
        path=database.path,
        names=tuple(tables.names),
        host=host,
        device=device,
        python=EventRows(tables.names).table(zero),
        overhead=overhead,
        sync_records=tables.syncs,
        clock_base_ns=clock_base_ns + zero,
        rank=rank,
        world_size=1,
        backend="",
        device_name=name,
        device_memory_bytes=memory,
        host_name="",
        is_hip=False,
        skipped_events=0,
    )


def _device_told(database: Database, devices: set[int]) -> tuple[str, int]:
    """Give name and memory of the process' device, where the export has them."""
    rows = [
        (number(key), str(name or ""), number(memory))
        for key, name, memory in database.rows("TARGET_INFO_GPU", ("id", "name", "totalMemory"))
    ]
    mine = [row for row in rows if row[0] in devices] or rows
    return (mine[0][1], mine[0][2]) if mine else ("", 0)
