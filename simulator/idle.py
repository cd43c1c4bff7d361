"""Why the device was idle: every gap before an operation is laid to a cause, to the nanosecond.

host      ... |launch k|          the host came late: host-bound launch (or what held the
device  [p]   .    .   [k]        host up: a wait for the device, a data loader), then the
        | host |latency|          launch's own latency

host    |launch k|                k was queued already: it waited for other work
device  [p]   .        [k]
        | dependency   |
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from ..models.graph import NONE, Category, EdgeKind, Int32s, Int64s
from ..models.timeline import Timeline
from .breakdown.activity import COMMUNICATION, DEEPEST_NESTING, Activity, Part
from .breakdown.intervals import NO_INTERVALS, Flags, Intervals, overlap_ns, together
from .breakdown.selection import Window

# Between kernels that follow each other on a stream; the profilers' own gaps reach 1.4 us (H100).
BACK_TO_BACK_NS = 1_500
# Launches reach their kernel in 6-38 us; ten times that is the device's or the driver's own stall.
LONGEST_LATENCY_NS = 100_000
WAITING_OPERATORS = ("aten::item", "aten::_local_scalar_dense")
DATALOADER_PREFIX = "enumerate(DataLoader)"


class IdleCause(StrEnum):
    """Why nothing ran."""

    HOST = "host-bound launch"
    SYNC = "sync wait"
    OVERHEAD = "profiler overhead"
    DATALOADER = "dataloader"
    LATENCY = "launch latency"
    STALL = "device or driver stall"
    DEPENDENCY = "dependency wait"
    COLLECTIVE = "collective wait"
    BACK_TO_BACK = "back-to-back gap"
    UNLINKED = "unlinked"
    CPU = "no operator running"


@dataclass(frozen=True, slots=True, eq=False)
class _Gaps:
    """Idle gaps and the operation after each, columns of shape (gaps,)."""

    start_ns: Int64s
    end_ns: Int64s
    next_row: Int64s
    launch: Int64s

    def __len__(self) -> int:
        return len(self.start_ns)


def idle_by_cause(
    activity: Activity, window: Window, overhead: Intervals = NO_INTERVALS
) -> dict[IdleCause, int]:
    """Lay the idle time of a window to its causes; the values add up to the window's idle time.

    Args:
        activity: the rank's counted operations.
        window: of the rank.
        overhead: when the profiler itself held the process up, where that is known.
    """
    gaps = activity.intervals().gaps(window.first_ns, window.last_ns)
    if activity.cpu_only:
        return _without_zeros({IdleCause.CPU: gaps.length_ns()})
    found = _with_next(activity, gaps)
    causes = _split_gaps(activity, found, overhead)
    return _without_zeros({cause: int(part.sum()) for cause, part in causes.items()})


def _without_zeros(causes: Mapping[IdleCause, int]) -> dict[IdleCause, int]:
    return {cause: causes[cause] for cause in IdleCause if causes.get(cause)}


def _with_next(activity: Activity, gaps: Intervals) -> _Gaps:
    """Find the first operation that starts where each gap ends."""
    order = np.lexsort((activity.row, activity.start_ns))
    place = np.searchsorted(activity.start_ns[order], gaps.end_ns, side="left")
    there = place < len(order)
    following = order[np.minimum(place, len(order) - 1)] if len(order) else place
    row = np.where(there, activity.row[following], NONE) if len(order) else place - 1
    launch = np.where(there, activity.launch[following], NONE) if len(order) else place - 1
    return _Gaps(gaps.start_ns, gaps.end_ns, row, launch)


def _split_gaps(activity: Activity, gaps: _Gaps, overhead: Intervals) -> dict[IdleCause, Int64s]:
    """Give each gap's time by cause; for every gap the causes add up to its length."""
    timeline = activity.timeline
    length = gaps.end_ns - gaps.start_ns
    launched_at = timeline.start_ns[gaps.launch]
    unlinked = gaps.launch == NONE
    short = ~unlinked & (length <= BACK_TO_BACK_NS)
    late = ~unlinked & ~short & (launched_at > gaps.start_ns)
    queued = ~unlinked & ~short & ~late
    after_collective = queued & _waits_for_collective(activity, gaps)
    host_end = np.where(late, np.minimum(launched_at, gaps.end_ns), gaps.start_ns)
    host = Intervals(gaps.start_ns, host_end)
    reasons = _host_reasons(timeline, gaps, host, overhead)
    explained = sum(reasons.values(), start=np.zeros(len(gaps), dtype=np.int64))
    rest = np.where(late, gaps.end_ns - host_end, 0)
    stalled = rest > LONGEST_LATENCY_NS
    return {
        IdleCause.UNLINKED: np.where(unlinked, length, 0),
        IdleCause.BACK_TO_BACK: np.where(short, length, 0),
        **reasons,
        IdleCause.HOST: host_end - gaps.start_ns - explained,
        IdleCause.LATENCY: np.where(stalled, 0, rest),
        IdleCause.STALL: np.where(stalled, rest, 0),
        IdleCause.COLLECTIVE: np.where(after_collective, length, 0),
        IdleCause.DEPENDENCY: np.where(queued & ~after_collective, length, 0),
    }


def _waits_for_collective(activity: Activity, gaps: _Gaps) -> Flags:
    """Tell whether the next operation waits for a collective: on its stream or by an event."""
    graph = activity.graph
    communicates = np.isin(graph.nodes.category, COMMUNICATION)
    communicates[activity.row] = activity.part == Part.COMMUNICATION
    orders = np.isin(graph.edge_kind, (EdgeKind.STREAM_ORDER, EdgeKind.STREAM_WAIT))
    from_collective = orders & communicates[graph.edge_source]
    waits = np.zeros(len(graph) + 1, dtype=bool)  # the last place serves row -1
    waits[graph.edge_target()[from_collective]] = True
    flags: Flags = waits[gaps.next_row]
    return flags


def _host_reasons(
    timeline: Timeline, gaps: _Gaps, host: Intervals, overhead: Intervals
) -> dict[IdleCause, Int64s]:
    """How much of each gap's host part the launching thread waited, was profiled, loaded data.

    A moment with two reasons goes to the first of them.
    """
    found = {
        cause: np.zeros(len(gaps), dtype=np.int64)
        for cause in (IdleCause.SYNC, IdleCause.OVERHEAD, IdleCause.DATALOADER)
    }
    waits = host_waits(timeline)
    lane = np.where(gaps.launch >= 0, timeline.graph.nodes.lane[gaps.launch], NONE)
    for thread in np.unique(lane[lane >= 0]).tolist():
        mine = lane == thread
        part, reasons = host.where(mine), [NO_INTERVALS]
        explained = np.zeros(int(mine.sum()), dtype=np.int64)
        spans = (waits.of(thread), overhead, _loader_spans(timeline, thread))
        for values, own in zip(found.values(), spans, strict=True):
            reasons.append(own)
            so_far = overlap_ns(part, together(reasons))
            values[mine] = so_far - explained
            explained = so_far
    return found


@dataclass(frozen=True, slots=True, eq=False)
class HostWaits:
    """When host threads were blocked by the device, shape (waits,) each."""

    lane: Int32s
    spans: Intervals

    def of(self, lane: int) -> Intervals:
        """Give one thread's."""
        return self.spans.where(self.lane == lane)


def host_waits(timeline: Timeline) -> HostWaits:
    """Give all blocking calls, each from its begin to its end.

    A waiting row starts where its wait ends; it began when the row before it let it.
    """
    graph = timeline.graph
    names = np.array([name in WAITING_OPERATORS for name in graph.names], dtype=bool)
    waits = (graph.nodes.category == Category.SYNC) | names[graph.nodes.name]
    rows = np.flatnonzero(waits)
    begins = np.full(len(graph), np.iinfo(np.int64).min)
    target = graph.edge_target()
    order = np.flatnonzero((graph.edge_kind == EdgeKind.HOST_ORDER) & waits[target])
    source = graph.edge_source[order]
    ready = timeline.start_ns[source] + timeline.duration_ns[source] + graph.edge_lag_ns[order]
    np.maximum.at(begins, target[order], ready)
    known = begins[rows] > np.iinfo(np.int64).min
    start = timeline.start_ns[rows]
    begin = np.where(known, np.minimum(begins[rows], start), start)
    spans = Intervals(begin, start + timeline.duration_ns[rows])
    return HostWaits(graph.nodes.lane[rows], spans)


def _loader_spans(timeline: Timeline, lane: int) -> Intervals:
    """Give when a thread fetched data: from the loader's mark to the next row outside it."""
    graph = timeline.graph
    loads = [name.startswith(DATALOADER_PREFIX) for name in graph.names]
    if not any(loads):
        return NO_INTERVALS
    rows = np.flatnonzero(graph.nodes.lane == lane)
    marks = np.flatnonzero(np.array(loads)[graph.nodes.name[rows]])
    spans = [_span_of_mark(timeline, rows, int(mark)) for mark in marks]
    return Intervals(
        np.array([span[0] for span in spans], dtype=np.int64),
        np.array([span[1] for span in spans], dtype=np.int64),
    )


def _span_of_mark(timeline: Timeline, rows: Int64s, mark: int) -> tuple[int, int]:
    first = int(rows[mark])
    parents = timeline.graph.nodes.parent
    end = int(timeline.end_ns[rows[-1]])
    for row in rows[mark + 1 :].tolist():
        if not _is_inside(parents, row, first):
            end = int(timeline.start_ns[row])
            break
    return int(timeline.start_ns[first]), end


def _is_inside(parents: Int32s, row: int, ancestor: int) -> bool:
    for _ in range(DEEPEST_NESTING):
        if row == ancestor or row < 0:
            break
        row = int(parents[row])
    return row == ancestor
