"""From recorded files to graphs: one rank's pair, and the report of what became of it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..models.errors import NeedsRecordingError
from ..models.graph import NONE, Category, ExecutionGraph
from ..models.work_columns import with_work
from .blocks import file_blocks
from .collector import collector_paused
from .et_only import graph_without_times
from .execution_trace import ExecutionTrace, read_execution_trace
from .join import Join, join
from .kineto import KinetoTrace, read_kineto
from .link.described import Joined
from .link.linker import link
from .memory_plan import with_memory
from .ranks import by_rank, expand, paired, rank_in_name
from .recording import Overhead, overhead_of


@dataclass(frozen=True, slots=True)
class RankReport:
    """What became of one rank's files.

    Attributes:
        joined_by: key of the join, "" where only one file was given.
        et_nodes, et_matched: nodes that ran, and those found in the profile.
        kineto_events, kineto_matched: operators and annotations of the profile, and those joined.
        time_covered: share of the outermost operators' time that was joined.
        device_events, device_kept: kernels, copies and memsets in the trace, and rows of the graph.
    """

    rank: int
    joined_by: str
    et_nodes: int
    et_matched: int
    kineto_events: int
    kineto_matched: int
    name_mismatches: int
    time_covered: float
    device_events: int
    device_kept: int
    rows: int
    edges: int
    steps: int
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Converted:
    """A rank's graph, its report, and the profiler's own work as the trace tells it."""

    graph: ExecutionGraph
    report: RankReport
    overhead: Overhead = field(default_factory=Overhead)


@dataclass(frozen=True, slots=True)
class Sources:
    """One rank's files; at least one is there. A rank of NONE is told by the trace itself."""

    rank: int
    et: Path | None
    trace: Path | None


def find_sources(et: Sequence[str], trace: Sequence[str]) -> list[Sources]:
    """Expand patterns and pair the files by rank.

    Raises:
        InputError: a pattern that matches nothing.
        RankError: ranks that collide or have only one of the two files.
    """
    et_paths, trace_paths = expand(et, "--et"), expand(trace, "--trace")
    if len(trace_paths) == 1 and len(et_paths) <= 1:  # its rank is read with it
        return [Sources(NONE, next(iter(et_paths), None), trace_paths[0])]
    et_of = by_rank(et_paths, [rank_in_name(p) for p in et_paths], "--et")
    trace_of = by_rank(trace_paths, [rank_of_trace(p) for p in trace_paths], "--trace")
    if not trace_paths:
        return [Sources(rank, path, None) for rank, path in sorted(et_of.items())]
    if not et_paths:
        return [Sources(rank, None, path) for rank, path in sorted(trace_of.items())]
    return [Sources(rank, a, b) for rank, a, b in paired(et_of, trace_of)]


_LONGEST_INFO = 1 << 16
_DISTRIBUTED = re.compile(
    rb'"distributedInfo"\s*:\s*\{[^{}]*?"rank"\s*:\s*"?(\d+)"?[^{}]*?"world_size"\s*:\s*"?(\d+)'
)


def rank_of_trace(path: Path, data: bytes | None = None) -> int:
    """Give the rank that recorded a Kineto trace, NONE where neither it nor its name tells.

    The trace's own word counts where it knows of other ranks; a lone process says rank 0 of 1.
    """
    found = _distributed_info(path, data)
    return _rank(int(found[1]), int(found[2]), path) if found else rank_in_name(path)


def _rank(told: int, world_size: int, path: Path) -> int:
    if told != NONE and world_size > 1:
        return told
    named = rank_in_name(path)
    return told if named == NONE else named


def _distributed_info(path: Path, data: bytes | None) -> re.Match[bytes] | None:
    """Search a trace for its own word on ranks, no further than needed."""
    seen = b""
    for block in file_blocks(path) if data is None else (data,):
        seen = seen[-_LONGEST_INFO:] + block
        if found := _DISTRIBUTED.search(seen):
            return found
    return None


@collector_paused()
def convert(sources: Sources, *, allow_partial: bool = False, salvage: bool = False) -> Converted:
    """Convert one rank's files.

    Args:
        sources: the files.
        allow_partial: convert although little was joined.
        salvage: read what stands before the cut of a trace that is cut.

    Raises:
        InputError, TraceFormatError: a file that cannot be read.
        JoinError: the two do not belong together.
    """
    if sources.trace is None:
        assert sources.et is not None
        return _from_et(read_execution_trace(sources.et, salvage=salvage), sources.rank)
    if sources.et is None:
        return _from_trace(_read_trace(sources.trace, sources.rank, salvage=salvage), None)
    et = read_execution_trace(sources.et, salvage=salvage)
    trace = _read_trace(sources.trace, sources.rank, salvage=salvage)
    return _from_trace(trace, (et, join(et, trace, allow_partial=allow_partial)))


@collector_paused()
def convert_kineto(path: Path, data: bytes | None = None, *, salvage: bool = False) -> Converted:
    """Convert a Kineto trace alone; arguments as `kineto.read_kineto`."""
    return convert_trace(read_kineto(path, data, salvage=salvage))


def convert_trace(trace: KinetoTrace) -> Converted:
    """Convert a Kineto trace that has been read already."""
    return _from_trace(_with_rank(trace, NONE), None)


def _read_trace(path: Path, rank: int, *, salvage: bool) -> KinetoTrace:
    return _with_rank(read_kineto(path, salvage=salvage), rank)


def _with_rank(trace: KinetoTrace, rank: int) -> KinetoTrace:
    """The rank given, else what the trace or its name tells."""
    told = rank if rank != NONE else max(0, _rank(trace.rank, trace.world_size, trace.path))
    return replace(trace, rank=told)


def _from_et(et: ExecutionTrace, rank: int) -> Converted:
    graph = with_memory(graph_without_times(et, rank), et)
    rows = len(graph)
    report = RankReport(
        rank=rank,
        joined_by="",
        et_nodes=rows - 1,
        et_matched=0,
        kineto_events=0,
        kineto_matched=0,
        name_mismatches=0,
        time_covered=0.0,
        device_events=0,
        device_kept=0,
        rows=rows,
        edges=graph.edge_count,
        steps=0,
        notes=graph.meta.notes,
    )
    return Converted(graph, report)


def _from_trace(trace: KinetoTrace, pair: tuple[ExecutionTrace, Join] | None) -> Converted:
    if not len(trace.host) and not len(trace.device):
        raise NeedsRecordingError(
            "the trace holds no operator, runtime call or kernel",
            where=trace.path,
            remedy="record with activities CPU and CUDA",
        )
    linked = link(trace, Joined(pair[0], pair[1].node_of_event) if pair else None)
    found = pair[1] if pair else None
    graph = with_work(linked.graph)
    if pair and pair[0].notes:
        notes = (*graph.meta.notes, *pair[0].notes)
        graph = replace(graph, meta=replace(graph.meta, notes=notes))
    graph = with_memory(graph, pair[0]) if pair else graph
    on_device = graph.on_device() & (graph.nodes.category != Category.ORIGIN)
    report = RankReport(
        rank=graph.meta.rank,
        joined_by=str(found.key) if found else "",
        et_nodes=found.et_nodes if found else 0,
        et_matched=found.matched if found else 0,
        kineto_events=found.kineto_events if found else len(trace.host),
        kineto_matched=int((found.node_of_event >= 0).sum()) if found else 0,
        name_mismatches=found.name_mismatches if found else 0,
        time_covered=found.covered_ns / found.total_ns if found and found.total_ns else 0.0,
        device_events=len(trace.device),
        device_kept=int(on_device.sum()),
        rows=len(graph),
        edges=graph.edge_count,
        steps=len(graph.steps),
        notes=graph.meta.notes,
    )
    return Converted(graph, report, overhead_of(trace.overhead))
