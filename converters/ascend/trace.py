"""Sort Ascend's events into the columns that the linker reads.

Python          operators, annotations, Enqueue             host threads
CANN            runtime calls, Dequeue, Node@launch         the same host threads
Ascend Hardware kernels and copies                          streams of the device
HCCL            `Group N Communication`                     one lane a group
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from ...models.graph import NONE
from ...models.graph_builder import Interner
from ..event_rows import EventRow, EventRows
from ..kineto import KinetoTrace, Source, Thread, whole
from ..kineto_events import Args
from .events import AscendArgs, AscendEvent
from .folders import AscendRun

PYTHON, CANN, HARDWARE = "Python", "CANN", "Ascend Hardware"
COMMUNICATION = ("HCCL", "Communication")
GROUP = re.compile(r"Group (\d+)")
GROUP_LANE_BASE = 100_000  # lanes of collectives stand beside the streams, which count from 0
KERNEL_TASKS = re.compile(r"AI_CORE|AI_VECTOR|MIX_AI|AI_?CPU|DSA|DVPP|KERNEL")
COPY_NAME = re.compile(r"MEMCPY|MEMSET", re.IGNORECASE)
ENQUEUE, DEQUEUE = "enqueue", "dequeue"
# Ranges that the profiler writes as operators; elsewhere they are `user_annotation`.
ANNOTATION = re.compile(
    r"ProfilerStep#|Optimizer\.(step|zero_grad)|enumerate\(DataLoader\)|DistributedDataParallel\."
)
CANN_PREFIX = re.compile(r"(AscendCL|Node|Hccl|Runtime|Model)@")
# hcom_allReduce__586_0_1: what, the group's last digits, the sequence within the group
HCOM = re.compile(r"hcom_(\w+?)__(\d+)_(\d+)_\d+")
DTYPES = {
    "FP32": "float", "FP16": "half", "BFP16": "bfloat16", "BF16": "bfloat16", "FP64": "double",
    "INT8": "int8", "INT16": "int16", "INT32": "int32", "INT64": "int64", "UINT8": "uint8",
}  # fmt: skip

_Place = tuple[int | str, int | str]


@dataclass(slots=True)
class _Sorter:
    """Sorts events; knows processes and threads by their names."""

    kernels: frozenset[tuple[str, int]]
    processes: dict[int | str, str] = field(default_factory=dict)
    threads: dict[_Place, str] = field(default_factory=dict)
    python: int | str = 0
    host: EventRows = field(init=False)
    device: EventRows = field(init=False)
    frames: EventRows = field(init=False)
    names: Interner[str] = field(default_factory=Interner)
    other_tasks: int = 0

    def __post_init__(self) -> None:
        self.host, self.device, self.frames = (EventRows(self.names) for _ in range(3))

    def learn(self, event: AscendEvent) -> None:
        """Take a metadata event."""
        told = str(event.args.name) if event.args else ""
        if event.name == "process_name":
            self.processes[event.pid] = told
            if told == PYTHON:
                self.python = event.pid
        elif event.name == "thread_name":
            self.threads[event.pid, event.tid] = told

    def sort(self, event: AscendEvent) -> None:
        """Take a complete event."""
        process = self.processes.get(event.pid, "")
        args = event.args or AscendArgs()
        if process == PYTHON:
            self._python(event, args)
        elif process == CANN:
            self._call(event, args)
        elif process == HARDWARE:
            self._task(event, args)
        elif process in COMMUNICATION:
            self._collective(event, args)

    def _thread(self, event: AscendEvent) -> Thread:
        """CANN's threads are Python's: one process, two names for it."""
        name = self.threads.get((self.python, event.tid), "")
        return Thread(
            whole(self.python),
            whole(event.tid),
            name or self.threads.get((event.pid, event.tid), ""),
        )

    def _python(self, event: AscendEvent, args: AscendArgs) -> None:
        name = event.name or ""
        if event.cat == "python_function":
            self.frames.add(_row(Source.PYTHON, name, self._thread(event), event))
        elif event.cat in (ENQUEUE, DEQUEUE):
            self.host.add(_row(Source.RUNTIME, name, self._thread(event), event))
        elif event.cat == "cpu_op":
            source = Source.ANNOTATION if ANNOTATION.match(name) else Source.OPERATOR
            self.host.add(_row(source, name, self._thread(event), event, args=_operator(args)))

    def _call(self, event: AscendEvent, args: AscendArgs) -> None:
        name = CANN_PREFIX.sub("", event.name or "", count=1)
        thread, connection = self._thread(event), whole(args.connection)
        self.host.add(_row(Source.RUNTIME, name, thread, event, connection=connection))

    def _task(self, event: AscendEvent, args: AscendArgs) -> None:
        name = event.name or ""
        if KERNEL_TASKS.search(args.task_type) or (name, event.start_ns()) in self.kernels:
            source = Source.KERNEL  # `MemSet` among them: it runs on the vector cores
        elif COPY_NAME.search(name):
            source = Source.MEMSET if "MEMSET" in name.upper() else Source.MEMCPY
        else:  # events, notifies, the collectives' own transfers
            self.other_tasks += 1
            return
        connection = whole(args.connection)
        told = Args(correlation=connection, bytes=args.data_bytes)
        lane = Thread(self._device(), whole(event.tid))
        self.device.add(_row(source, name, lane, event, connection=connection, args=told))

    def _collective(self, event: AscendEvent, args: AscendArgs) -> None:
        lane_name = self.threads.get((event.pid, event.tid), "")
        group = GROUP.match(lane_name)
        if group is None:  # planes: the pieces of the group's collectives
            self.other_tasks += 1
            return
        lane = Thread(self._device(), GROUP_LANE_BASE + int(group[1]), lane_name)
        self.device.add(
            _row(
                Source.KERNEL,
                event.name or "",
                lane,
                event,
                connection=whole(args.connection),
                args=_message(event.name or "", args),
            )
        )

    def _device(self) -> int:
        """All hardware events of a file are one device's; its number is not written."""
        return 0


def _row(
    source: Source,
    name: str,
    thread: Thread,
    event: AscendEvent,
    *,
    connection: int = NONE,
    args: Args | None = None,
) -> EventRow:
    return EventRow(
        source, name, thread, event.start_ns(), event.duration_ns(), connection, args or Args()
    )


def _operator(args: AscendArgs) -> Args:
    r"""Shapes and types are texts joined by `;\r\n`: `2,3;\r\n` is a matrix and no tensor."""
    shapes = [
        [int(size) for size in text.split(",") if size.strip().isdigit()]
        for text in _listed(args.input_dims)
    ]
    return Args(
        sequence_number=args.sequence_number,
        forward_thread=args.forward_thread,
        input_dims=msgspec.Raw(msgspec.json.encode(shapes)) if shapes else msgspec.Raw(b""),
        input_type=msgspec.Raw(msgspec.json.encode(_listed(args.input_types))),
    )


def _listed(text: str | None) -> list[str]:
    return [part.strip() for part in text.split(";")] if text is not None else []


def _message(name: str, args: AscendArgs) -> Args:
    match = HCOM.match(name)
    return Args(
        correlation=args.connection,
        collective_name=match[1] if match else name,
        dtype=DTYPES.get(args.data_type.upper(), args.data_type.lower()),
        in_elements=args.count,
        out_elements=args.count,
        group_name=match[2] if match else "",
        collective_sequence=int(match[3]) if match else None,
    )


def to_trace(
    events: Sequence[AscendEvent], run: AscendRun, kernels: frozenset[tuple[str, int]]
) -> tuple[KinetoTrace, int]:
    """Give the columns of one rank, and how many device tasks are neither kernel nor copy."""
    sorter = _Sorter(kernels)
    for event in events:
        if event.ph == "M":
            sorter.learn(event)
    skipped = 0
    for event in events:
        if event.ph != "X":
            continue
        if event.ts is None:
            skipped += 1
        else:
            sorter.sort(event)
    tables = (sorter.host, sorter.device, sorter.frames)
    starts = [first for table in tables if (first := table.earliest_ns()) is not None]
    zero = min(starts, default=0)
    host, device, frames = (table.table(zero) for table in tables)
    trace = KinetoTrace(
        path=run.trace_view,
        names=tuple(sorter.names),
        host=host,
        device=device,
        python=frames,
        overhead=EventRows(sorter.names).table(zero),
        sync_records={},
        clock_base_ns=zero,
        rank=run.rank,
        world_size=1,
        backend="hccl",
        device_name="",
        device_memory_bytes=0,
        host_name="",
        is_hip=False,
        skipped_events=skipped,
    )
    return trace, sorter.other_tasks
