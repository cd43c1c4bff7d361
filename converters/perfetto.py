"""Write timelines as Chrome's JSON, which Perfetto, chrome://tracing and MindStudio Insight open.

    pid rank * 10      "rank 0 measured"     tid 0 "steps", then the rank's lanes, threads first
    pid rank * 10 + 1  "rank 0 predicted"    the same rows on the same lanes

Launches, waits, hand-overs and meetings of ranks are flow arrows with ids that no other arrow of
the file has. Times are µs with three digits, so nanoseconds survive.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..models.graph import (
    NONE,
    Bytes,
    Category,
    EdgeKind,
    ExecutionGraph,
    Int64s,
    LaneKind,
    Provenance,
)
from ..models.timeline import Timeline
from .chrome_json import (
    Finish,
    Meta,
    MetaArgs,
    Record,
    Slice,
    SliceArgs,
    Start,
    microseconds,
    write_records,
)
from .lane_names import lane_title
from .spans import Spans, find_spans

TRACKS_PER_RANK = 10
STEPS_TID = 0
_MARKS = (Category.ORIGIN, Category.JOIN)
_FLOWS = {
    EdgeKind.LAUNCH: "launch",
    EdgeKind.SYNC: "wait for the device",
    EdgeKind.STREAM_WAIT: "stream waits for stream",
    EdgeKind.HANDOVER: "hand-over",
}


@dataclass(frozen=True, slots=True)
class Track:
    """A timeline and what it is: `measured`, `predicted on A100`.

    `provenance` says where its durations come from, shape (nodes,); the graph's own if left out.
    """

    title: str
    timeline: Timeline
    provenance: Bytes | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """How much was written, and how many slices had to be cut so that slices nest."""

    slices: int
    flows: int
    cut: int


@dataclass(slots=True)
class _Count:
    """Counts while records pass by."""

    slices: int = 0
    flows: int = 0
    cut: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class _Places:
    """Which process and thread each row is shown on, shape (nodes,); a mark's is of no meaning."""

    pid: Int64s
    tid: Int64s
    shown: Int64s  # the rows shown, by process, thread, start and falling end


def write_timelines(path: Path, tracks: Sequence[Track]) -> Written:
    """Write tracks side by side, gzipped where the name ends in .gz.

    Args:
        path: where to.
        tracks: at most ten; their ranks stand together.

    Raises:
        UsageError: the place cannot be written to.
    """
    assert len(tracks) <= TRACKS_PER_RANK
    count = _Count()
    write_records(path, _records(tracks, count), _base_ns(tracks))
    return Written(count.slices, count.flows, count.cut)


def _base_ns(tracks: Sequence[Track]) -> int:
    return tracks[0].timeline.graph.meta.clock_base_ns if tracks else 0


def _records(tracks: Sequence[Track], count: _Count) -> Iterator[Record]:
    flow_ids = itertools.count(1)
    for index, track in enumerate(tracks):
        spans = find_spans(track.timeline)
        places = _places(track.timeline.graph, spans, index)
        yield from _names(track, places)
        yield from _steps(track.timeline, places)
        yield from _slices(track, spans, places, count)
        for record in _flows(track.timeline, spans, places, flow_ids):
            count.flows += isinstance(record, Start)
            yield record


def _places(graph: ExecutionGraph, spans: Spans, track: int) -> _Places:
    """Give each rank a process of this track, and each of its lanes a thread of that."""
    nodes = graph.nodes
    shown = np.flatnonzero(~np.isin(nodes.category, _MARKS))
    lane_kind = np.array([lane.kind for lane in graph.lanes], dtype=np.int64)
    cell = nodes.rank.astype(np.int64) * len(graph.lanes) + nodes.lane
    cells, first = np.unique(cell[shown], return_index=True)
    ranks = cells // max(1, len(graph.lanes))
    kind = np.where(lane_kind[cells % max(1, len(graph.lanes))] == LaneKind.DEVICE, 1, 0)
    order = np.lexsort((first, kind, ranks))
    tid_of_cell = np.zeros(len(cells), dtype=np.int64)
    in_order = ranks[order]
    tid_of_cell[order] = np.arange(len(order)) - np.searchsorted(in_order, in_order) + 1
    tid = np.zeros(len(graph), dtype=np.int64)
    tid[shown] = tid_of_cell[np.searchsorted(cells, cell[shown])]
    pid = nodes.rank.astype(np.int64) * TRACKS_PER_RANK + track
    keys = (-spans.end_ns[shown], spans.start_ns[shown], tid[shown], pid[shown])
    return _Places(pid, tid, shown[np.lexsort(keys)])


def _names(track: Track, places: _Places) -> Iterator[Record]:
    """Name processes and threads, and say in which order they stand."""
    graph = track.timeline.graph
    seen: set[tuple[int, int]] = set()
    for row in places.shown.tolist():
        pid, tid = int(places.pid[row]), int(places.tid[row])
        if (pid, STEPS_TID) not in seen:
            seen.add((pid, STEPS_TID))
            rank = pid // TRACKS_PER_RANK
            yield Meta("process_name", pid, STEPS_TID, MetaArgs(name=f"rank {rank} {track.title}"))
            yield Meta("process_sort_index", pid, STEPS_TID, MetaArgs(sort_index=pid))
            yield from _thread_names(pid, STEPS_TID, "steps")
        if (pid, tid) not in seen:
            seen.add((pid, tid))
            yield from _thread_names(pid, tid, lane_title(graph.lane_of(row)))


def _thread_names(pid: int, tid: int, title: str) -> Iterator[Record]:
    yield Meta("thread_name", pid, tid, MetaArgs(name=title))
    yield Meta("thread_sort_index", pid, tid, MetaArgs(sort_index=tid))


def _steps(timeline: Timeline, places: _Places) -> Iterator[Record]:
    graph = timeline.graph
    starts, ends = timeline.start_ns, timeline.end_ns
    for step in graph.steps:
        start, end = int(starts[step.begin_row]), int(ends[step.end_row])
        pid = int(places.pid[step.begin_row])
        args = SliceArgs(step.begin_row, "step")
        yield Slice(
            step.name, "step", pid, STEPS_TID, microseconds(start), microseconds(end - start), args
        )


def _slices(track: Track, spans: Spans, places: _Places, count: _Count) -> Iterator[Record]:
    """Give the slices thread by thread; one that would overlap another without nesting is cut."""
    graph = track.timeline.graph
    starts, ends = spans.start_ns.tolist(), spans.end_ns.tolist()
    own = track.timeline.duration_ns.tolist()
    provenance = graph.nodes.provenance if track.provenance is None else track.provenance
    origins = [Provenance(value).name.lower() for value in provenance.tolist()]
    pids, tids = places.pid.tolist(), places.tid.tolist()
    open_ends: list[int] = []
    thread = (NONE, NONE)
    for row in places.shown.tolist():
        if (pids[row], tids[row]) != thread:
            thread, open_ends = (pids[row], tids[row]), []
        start, end = starts[row], ends[row]
        while open_ends and open_ends[-1] <= start:
            open_ends.pop()
        if open_ends and end > open_ends[-1]:
            end = open_ends[-1]
            count.cut += 1
        open_ends.append(end)
        count.slices += 1
        args = SliceArgs.of(graph, row)
        args.provenance = origins[row]
        if spans.encloses[row]:
            args.own_us = microseconds(own[row])
        yield Slice(
            graph.name_of(row), args.category, *thread, microseconds(start),
            microseconds(end - start), args,
        )  # fmt: skip


def _flows(
    timeline: Timeline, spans: Spans, places: _Places, ids: "itertools.count[int]"
) -> Iterator[Record]:
    """Give an arrow for each launch, wait and hand-over, and from the last rank to arrive."""
    graph = timeline.graph
    shown = ~np.isin(graph.nodes.category, _MARKS)
    target = graph.edge_target()
    drawn = np.isin(graph.edge_kind, list(_FLOWS)) & shown[graph.edge_source] & shown[target]
    for edge in np.flatnonzero(drawn).tolist():
        kind = _FLOWS[EdgeKind(graph.edge_kind[edge])]
        ends = int(graph.edge_source[edge]), int(target[edge])
        yield from _arrow(kind, ends, timeline, places, next(ids))
    for last, waiting in _meetings(timeline):
        yield from _arrow("last rank to arrive", (last, waiting), timeline, places, next(ids))


def _arrow(
    kind: str, ends: tuple[int, int], timeline: Timeline, places: _Places, number: int
) -> Iterator[Record]:
    first, second = (
        (int(places.pid[row]), int(places.tid[row]), microseconds(int(timeline.start_ns[row])))
        for row in ends
    )
    yield Start(kind, kind, number, *first)
    yield Finish(kind, kind, number, *second)


def _meetings(timeline: Timeline) -> Iterator[tuple[int, int]]:
    """Give for each join the row that arrived last, and the rows of other ranks it let go on."""
    graph = timeline.graph
    meets = graph.edge_kind == EdgeKind.RENDEZVOUS
    target = graph.edge_target()
    is_join = graph.nodes.category == Category.JOIN
    last: dict[int, tuple[int, int]] = {}
    for edge in np.flatnonzero(meets & is_join[target]).tolist():
        join, row = int(target[edge]), int(graph.edge_source[edge])
        arrival = (int(timeline.end_ns[row]) + int(graph.edge_lag_ns[edge]), row)
        last[join] = max(arrival, last.get(join, arrival))
    ranks = graph.nodes.rank
    for edge in np.flatnonzero(meets & is_join[graph.edge_source]).tolist():
        join, row = int(graph.edge_source[edge]), int(target[edge])
        if join in last and ranks[last[join][1]] != ranks[row]:
            yield last[join][1], row
