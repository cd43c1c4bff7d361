"""A Kineto trace as columns: host events per thread, device events per stream, sync records.

Times are int ns from the trace's own zero (`clock_base_ns` is that zero's absolute time).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum
from pathlib import Path

import msgspec
import numpy as np

from ..models.graph import NONE, Bytes, Int32s, Int64s
from ..models.graph_builder import Interner
from .files import FileKind, expect_kind, read_bytes, sniff
from .kineto_events import Args, DeviceProperties, Document, Event, Number, decode


class Source(IntEnum):
    """Kineto's categories that matter here, under one spelling."""

    OPERATOR = 0
    ANNOTATION = 1
    RUNTIME = 2
    KERNEL = 3
    MEMCPY = 4
    MEMSET = 5
    SYNC_RECORD = 6
    PYTHON = 7
    OVERHEAD = 8


LATEST_US = 4e15  # the year 2096
LARGEST_WORLD = 10_000_000  # ranks; more is damage
HOST_SOURCES = (Source.OPERATOR, Source.ANNOTATION, Source.RUNTIME)
DEVICE_SOURCES = (Source.KERNEL, Source.MEMCPY, Source.MEMSET)
SOURCE_OF_CATEGORY: dict[str, Source] = {
    "cpu_op": Source.OPERATOR,
    "user_annotation": Source.ANNOTATION,
    "cuda_runtime": Source.RUNTIME,
    "cuda_driver": Source.RUNTIME,
    "kernel": Source.KERNEL,
    "gpu_memcpy": Source.MEMCPY,
    "gpu_memset": Source.MEMSET,
    "cuda_sync": Source.SYNC_RECORD,
    "python_function": Source.PYTHON,
    "overhead": Source.OVERHEAD,
    # before 2022
    "Operator": Source.OPERATOR,
    "Runtime": Source.RUNTIME,
    "Kernel": Source.KERNEL,
    "Memcpy": Source.MEMCPY,
    "Memset": Source.MEMSET,
}


@dataclass(frozen=True, slots=True)
class Thread:
    """A host thread, or a device stream with the device as `process`."""

    process: int
    number: int
    name: str = ""


@dataclass(frozen=True, slots=True)
class ProcessGroup:
    """A process group as the trace's `distributedInfo` lists it."""

    name: str
    ranks: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class EventTable:
    """Events as columns of shape (events,); `thread` points into `threads`, `name` into names."""

    source: Bytes
    name: Int32s
    thread: Int32s
    start_ns: Int64s
    duration_ns: Int64s
    external_id: Int64s
    rf_id: Int64s
    correlation: Int64s
    args: list[Args]
    threads: tuple[Thread, ...]

    def __len__(self) -> int:
        return len(self.source)

    @property
    def end_ns(self) -> Int64s:
        """Give each event's end, shape (events,)."""
        return self.start_ns + self.duration_ns

    def take(self, rows: Int64s) -> "EventTable":
        """Give the same table with the given rows, in that order."""
        return EventTable(
            self.source[rows], self.name[rows], self.thread[rows], self.start_ns[rows],
            self.duration_ns[rows], self.external_id[rows], self.rf_id[rows],
            self.correlation[rows], [self.args[row] for row in rows.tolist()], self.threads,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class KinetoTrace:
    """A trace: host events by thread and start, device events by stream and start.

    Attributes:
        names: the strings that the tables' `name` columns point into.
        python: `python_function` events (modules and source lines), as host events.
        sync_records: `cuda_sync` events by the correlation of their runtime call.
        overhead: `overhead` events (profiler's own work).
        rank: NONE where the trace does not say.
    """

    path: Path
    names: tuple[str, ...]
    host: EventTable
    device: EventTable
    python: EventTable
    overhead: EventTable
    sync_records: dict[int, Args]
    clock_base_ns: int
    rank: int
    world_size: int
    backend: str
    device_name: str
    device_memory_bytes: int
    host_name: str
    is_hip: bool
    skipped_events: int
    groups: tuple[ProcessGroup, ...] = ()


def read_kineto(path: Path, data: bytes | None = None) -> KinetoTrace:
    """Read a Kineto trace, gzipped or plain.

    Args:
        path: the file; named in errors.
        data: its unpacked content, where the caller has read it already.

    Raises:
        InputError: missing or empty.
        TraceFormatError: not JSON, cut, or another kind of file.
    """
    content = read_bytes(path) if data is None else data
    kind = sniff(content)
    expect_kind(kind, FileKind.KINETO, path, "--trace")
    return _to_columns(decode(content, path), path)


def _to_columns(document: Document, path: Path) -> KinetoTrace:
    chosen, skipped = _by_source(document.events)
    timed = [event for events in chosen.values() for event in events]
    zero_us = int(min((event.ts for event in timed if event.ts is not None), default=0))
    names: Interner[str] = Interner()
    thread_names = _thread_names(document.events)

    def table(sources: Sequence[Source], *, on_device: bool = False) -> EventTable:
        pairs = [(source, event) for source in sources for event in chosen[source]]
        return _table(pairs, names, thread_names, zero_us, on_device=on_device)

    host = table(HOST_SOURCES)
    device = table(DEVICE_SOURCES, on_device=True)
    python = table((Source.PYTHON,))
    overhead = table((Source.OVERHEAD,))
    seen = _seen_device(document, device)
    return KinetoTrace(
        path=path,
        names=tuple(names),
        host=host,
        device=device,
        python=python,
        overhead=overhead,
        sync_records=_sync_records(chosen[Source.SYNC_RECORD]),
        clock_base_ns=document.base_ns + zero_us * 1000,
        rank=whole(document.distributed.rank),
        world_size=_world_size(document),
        backend=document.distributed.backend,
        device_name=seen.name if seen else "",
        device_memory_bytes=seen.total_memory if seen else 0,
        host_name=document.host_name,
        is_hip=document.hip_runtime_version is not None or _calls_hip(names),
        skipped_events=skipped,
        groups=_groups(bytes(document.distributed.pg_config)),
    )


def _groups(raw: bytes) -> tuple[ProcessGroup, ...]:
    """Read the list of groups; on-demand traces write the ranks as text, "[0, 1]"."""
    config = msgspec.json.decode(raw)
    items = config if isinstance(config, list) else []
    return tuple(
        ProcessGroup(str(item.get("pg_name", "")), ranks_of(item.get("ranks")))
        for item in items
        if isinstance(item, dict)
    )


def ranks_of(value: object) -> tuple[int, ...]:
    """Give a list of ranks that may be text; empty where it is shortened ("[0, 1, ...]")."""
    items = value.strip("[] ").split(",") if isinstance(value, str) else value
    try:
        return tuple(int(item) for item in items or ())  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        return ()


def _world_size(document: Document) -> int:
    told = whole(document.distributed.world_size)
    return told if 0 < told <= LARGEST_WORLD else 1


AnyEvent = Event[float] | Event[Decimal]


def _by_source(
    events: Sequence[AnyEvent],
) -> tuple[dict[Source, list[AnyEvent]], int]:
    """Sort complete events by what they are; count those of a known kind without a usable time."""
    chosen: dict[Source, list[AnyEvent]] = {source: [] for source in Source}
    skipped = 0
    for event in events:
        source = SOURCE_OF_CATEGORY.get(event.cat)
        if source is None or event.ph != "X":
            continue
        if event.ts is None or not _plausible(event.ts, event.dur):
            skipped += 1
        else:
            chosen[source].append(event)
    return chosen, skipped


def _plausible(start_us: float | Decimal, duration_us: float | Decimal | None) -> bool:
    """Tell whether times fit 64 bits of ns with room to add them up; damage may not."""
    return -LATEST_US < start_us < LATEST_US and -LATEST_US < (duration_us or 0) < LATEST_US


def _table(
    pairs: list[tuple[Source, AnyEvent]],
    names: Interner[str],
    thread_names: dict[tuple[int, int], str],
    zero_us: int,
    *,
    on_device: bool,
) -> EventTable:
    threads: Interner[tuple[int, int]] = Interner()
    place: Callable[[AnyEvent], tuple[int, int]] = _stream_of if on_device else _thread_of
    events = [event for _, event in pairs]
    no_args = Args()
    args = [event.args or no_args for event in events]
    table = EventTable(
        source=np.array([source for source, _ in pairs], dtype=np.uint8),
        name=np.array([names[event.name] for event in events], dtype=np.int32),
        thread=np.array([threads[place(event)] for event in events], dtype=np.int32),
        start_ns=_nanoseconds([event.ts for event in events], zero_us),
        duration_ns=np.maximum(_nanoseconds([event.dur for event in events], 0), 0),
        external_id=_column([a.external_id for a in args]),
        rf_id=_column([a.record_function_id for a in args], missing=0),
        correlation=_column([a.correlation for a in args]),
        args=args,
        threads=tuple(
            Thread(process, number, "" if on_device else thread_names.get((process, number), ""))
            for process, number in threads
        ),
    )
    order = np.lexsort((-table.duration_ns, table.start_ns, table.thread))
    return table.take(order)


def _nanoseconds(values: Sequence[float | Decimal | None], zero_us: int) -> Int64s:
    """Microseconds to ns, the base taken off before scaling so that no double loses a ns."""
    if isinstance(next((v for v in values if v is not None), None), Decimal):
        exact = [int((Decimal(v or 0) - zero_us) * 1000) for v in values]
        return np.array(exact, dtype=np.int64)
    floats = np.array([v or 0.0 for v in values], dtype=np.float64)
    return np.rint((floats - zero_us) * 1000).astype(np.int64)


def _column(values: list[Number], *, missing: int = NONE) -> Int64s:
    return np.array([whole(v, missing) for v in values], dtype=np.int64)


def whole(value: Number, missing: int = NONE) -> int:
    """Give a JSON number that may be a string or absent as an int of 64 bits."""
    if value is None:
        return missing
    if not isinstance(value, int):
        try:
            value = int(value)
        except ValueError:
            return missing
    if -(2**63) <= value < 2**63:
        return value
    # unsigned fields carry "none" as 2**64 - 1; what is larger still is damage
    return value - 2**64 if 0 < value < 2**64 else missing


def _thread_of(event: AnyEvent) -> tuple[int, int]:
    return whole(event.pid), whole(event.tid)


def _stream_of(event: AnyEvent) -> tuple[int, int]:
    """Prefer the event's own words: pid and tid are for display and sometimes shifted."""
    args = event.args
    device = whole(args.device) if args else NONE
    stream = whole(args.stream) if args else NONE
    return (
        device if device != NONE else whole(event.pid),
        stream if stream != NONE else whole(event.tid),
    )


def _thread_names(events: Sequence[AnyEvent]) -> dict[tuple[int, int], str]:
    return {
        _thread_of(event): str(event.args.name)
        for event in events
        if event.ph == "M" and event.name == "thread_name" and event.args
    }


def _sync_records(events: list[AnyEvent]) -> dict[int, Args]:
    return {whole(e.args.correlation): e.args for e in events if e.args is not None}


def _seen_device(document: Document, device: EventTable) -> DeviceProperties | None:
    """Give the properties of the device that ran most; None where the trace has no device work."""
    if not len(device) or not document.devices:
        return None
    busiest = int(np.bincount(device.thread).argmax())
    number = device.threads[busiest].process
    # ROCm numbers agents in its events and devices in its list: the first is then as good as any.
    return next((d for d in document.devices if d.id == number), document.devices[0])


def _calls_hip(names: Interner[str]) -> bool:
    return any(name.startswith(("hipLaunch", "hipMemcpy", "hipModule")) for name in names)
