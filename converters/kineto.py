"""A Kineto trace as columns: host events per thread, device events per stream, sync records.

Times are int ns from the trace's own zero (`clock_base_ns` is that zero's absolute time).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np

from ..models.graph_builder import Interner
from .begin_end import BEGIN, COMPLETE, END, BeginEnd
from .blocks import file_blocks
from .event_chunks import CHUNK_BYTES, Chunks
from .event_columns import (
    NO_ARGS,
    ColumnParts,
    device_keys,
    host_keys,
    nothing,
    streams_of,
    threads_of,
)
from .event_table import EventTable, Source, Thread, whole
from .files import FileKind, expect_kind, kind_of, sniff
from .kineto_events import (
    AnyEvent,
    Args,
    DeviceProperties,
    EventDecoder,
    Header,
    Number,
    read_header,
)

__all__ = [
    "DEVICE_SOURCES", "HOST_SOURCES", "EventTable", "KinetoTrace", "ProcessGroup", "Source",
    "Thread", "ranks_of", "read_kineto", "whole",
]  # fmt: skip

LARGEST_WORLD = 10_000_000  # ranks; more is damage
HOST_SOURCES = (Source.OPERATOR, Source.ANNOTATION, Source.RUNTIME)
DEVICE_SOURCES = (Source.KERNEL, Source.MEMCPY, Source.MEMSET)
SOURCE_OF_CATEGORY: dict[str, Source] = {
    "cpu_op": Source.OPERATOR,
    "user_annotation": Source.ANNOTATION,
    "kernel": Source.KERNEL,
    "gpu_memcpy": Source.MEMCPY,
    "gpu_memset": Source.MEMSET,
    "cuda_sync": Source.SYNC_RECORD,
    "python_function": Source.PYTHON,
    "overhead": Source.OVERHEAD,
    # the host side of CUDA and HIP, of XPU, of MTIA, Glow and Gaudi, of devices outside PyTorch
    "cuda_runtime": Source.RUNTIME,
    "cuda_driver": Source.RUNTIME,
    "mtia_ccp_events": Source.KERNEL,
    "xpu_runtime": Source.RUNTIME,
    "xpu_driver": Source.RUNTIME,
    "mtia_runtime": Source.RUNTIME,
    "glow_runtime": Source.RUNTIME,
    "hpu_op": Source.RUNTIME,
    "privateuse1_runtime": Source.RUNTIME,
    "privateuse1_driver": Source.RUNTIME,
    # before 2022
    "Operator": Source.OPERATOR,
    "Runtime": Source.RUNTIME,
    "Kernel": Source.KERNEL,
    "Memcpy": Source.MEMCPY,
    "Memset": Source.MEMSET,
}
# Shadows of host marks on the device, and the profiler's own: nothing is lost without them.
IGNORED_CATEGORIES = frozenset(
    ("", "Trace", "gpu_user_annotation", "external_correlation", "cuda_event", "xpu_sync",
     "cuda_profiler_range", "fwdbwd", "ac2g")
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ProcessGroup:
    """A process group as the trace's `distributedInfo` lists it."""

    name: str
    ranks: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class KinetoTrace:
    """A trace: host events by thread and start, device events by stream and start.

    Attributes:
        names: the strings that the tables' `name` columns point into.
        python: `python_function` events (modules and source lines), as host events.
        sync_records: `cuda_sync` events by the correlation of their runtime call.
        overhead: `overhead` events (profiler's own work).
        rank: NONE where the trace does not say.
        notes: what was left out, repaired or cut, one sentence each.
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
    notes: tuple[str, ...] = ()


def read_kineto(path: Path, data: bytes | None = None, *, salvage: bool = False) -> KinetoTrace:
    """Read a Kineto trace, gzipped or plain, in chunks.

    Args:
        path: the file; named in errors.
        data: its unpacked content, where the caller has read it already.
        salvage: read the whole events of a file that is cut, and say so in the notes.

    Raises:
        InputError: missing or empty.
        TraceFormatError: not JSON, cut, or another kind of file.
    """
    kind = kind_of(path) if data is None else sniff(data)
    expect_kind(kind, FileKind.KINETO, path, "--trace")
    decoder = EventDecoder()
    blocks = file_blocks(path, CHUNK_BYTES) if data is None else iter((data,))
    chunks = Chunks[AnyEvent](blocks, decoder, path, salvage)
    collected = _Collected()
    for events in chunks:
        collected.add(events)
    collected.close()
    notes = (*_reading_notes(chunks, decoder), *collected.notes())
    return collected.trace(read_header(chunks.around, path), path, notes)


def _reading_notes(chunks: Chunks[AnyEvent], decoder: EventDecoder) -> Iterator[str]:
    if chunks.cut:
        yield "the file ends in the middle: only what stands before the cut was read (--salvage)"
    counted = [
        (chunks.mends, "places were no valid JSON and were mended"),
        (decoder.no_events, "items among the events are no events and were left out"),
        (decoder.odd_events, "events have fields of an unknown type, which were left out"),
    ]
    yield from (f"{count:,} {what}" for count, what in counted if count)


@dataclass(slots=True)
class _Collected:
    """What a trace's chunks gave so far."""

    names: Interner[str] = field(default_factory=Interner)
    tables: dict[Source, ColumnParts] = field(default_factory=dict)
    sync_records: dict[int, Args] = field(default_factory=dict)
    thread_names: dict[tuple[int, int], str] = field(default_factory=dict)
    unknown: Counter[str] = field(default_factory=Counter)
    halves: BeginEnd = field(default_factory=BeginEnd)

    def __post_init__(self) -> None:
        host = ColumnParts(self.names, threads_of, host_keys)
        device = ColumnParts(self.names, streams_of, device_keys)
        self.tables.update(dict.fromkeys(HOST_SOURCES, host))
        self.tables.update(dict.fromkeys(DEVICE_SOURCES, device))
        for source in (Source.PYTHON, Source.OVERHEAD):
            self.tables[source] = ColumnParts(self.names, threads_of, nothing)

    def add(self, events: Sequence[AnyEvent]) -> None:
        """Sort a chunk's complete events by what they are."""
        by_category: dict[str, list[AnyEvent]] = defaultdict(list)
        for event in events:
            if event.ph == COMPLETE:
                by_category[event.cat].append(event)
            elif event.ph in (BEGIN, END):
                self.halves.add(event)
            elif event.ph == "M" and event.name == "thread_name" and event.args:
                key = whole(event.pid), whole(event.tid)
                self.thread_names[key] = str(event.args.name or "")
        for category, chosen in by_category.items():
            source = SOURCE_OF_CATEGORY.get(category)
            if source is None:
                self.unknown[category] += len(chosen)
            elif source is Source.SYNC_RECORD:
                self._add_records(chosen)
            else:
                self.tables[source].add(source, chosen)

    def close(self) -> None:
        """Take the events whose beginning and end stand apart, when all have been seen."""
        self.add(self.halves.complete())

    def _add_records(self, events: Iterable[AnyEvent]) -> None:
        for event in events:
            if event.args is not None:
                kept = msgspec.structs.replace(NO_ARGS, **_told_of_wait(event.args))
                self.sync_records[whole(event.args.correlation)] = kept

    def notes(self) -> Iterator[str]:
        """Say which categories were left out."""
        unknown = {c: n for c, n in self.unknown.items() if c not in IGNORED_CATEGORIES}
        if unknown:
            named = ", ".join(sorted(unknown)[:5])
            yield f"{sum(unknown.values()):,} events of unknown categories were left out ({named})"
        if self.halves.unmatched:
            yield f"{self.halves.unmatched:,} events have no beginning or no end and were left out"

    def trace(self, header: Header, path: Path, notes: tuple[str, ...]) -> KinetoTrace:
        """Put the columns together."""
        parts = list({id(part): part for part in self.tables.values()}.values())
        starts = [start for part in parts if (start := part.earliest_ns()) is not None]
        zero_ns = min(starts, default=0) // 1000 * 1000
        host, device, python, overhead = (
            part.table(zero_ns, {} if part is parts[1] else self.thread_names) for part in parts
        )  # streams are numbers: a thread of the same number may have a name
        seen = _seen_device(header, device)
        return KinetoTrace(
            path=path,
            names=tuple(self.names),
            host=host,
            device=device,
            python=python,
            overhead=overhead,
            sync_records=self.sync_records,
            clock_base_ns=header.base_ns + zero_ns,
            rank=whole(header.distributed.rank),
            world_size=_world_size(header),
            backend=header.distributed.backend,
            device_name=seen.name if seen else "",
            device_memory_bytes=seen.total_memory if seen else 0,
            host_name=header.host_name,
            is_hip=header.hip_runtime_version is not None or _calls_hip(self.names),
            skipped_events=sum(part.skipped for part in parts),
            groups=_groups(bytes(header.distributed.pg_config)),
            notes=notes,
        )


def _told_of_wait(args: Args) -> dict[str, Number]:
    fields = ("sync_kind", "stream", "correlation", "wait_on_stream", "wait_on_record")
    return {name: getattr(args, name) for name in fields}


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


def _world_size(header: Header) -> int:
    told = whole(header.distributed.world_size)
    return told if 0 < told <= LARGEST_WORLD else 1


def _seen_device(header: Header, device: EventTable) -> DeviceProperties | None:
    """Give the properties of the device that ran most; None where the trace has no device work."""
    if not len(device) or not header.devices:
        return None
    busiest = int(np.bincount(device.thread).argmax())
    number = device.threads[busiest].process
    # ROCm numbers agents in its events and devices in its list: the first is then as good as any.
    return next((d for d in header.devices if d.id == number), header.devices[0])


def _calls_hip(names: Iterable[str]) -> bool:
    return any(name.startswith(("hipLaunch", "hipMemcpy", "hipModule")) for name in names)
