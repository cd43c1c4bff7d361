"""Change a few costs of a large replay and compute again only what moves, exactly.

    segment 0      segment 1      segment 2      segment 3       rows, cut into equal segments
    |..............|....x.........|..............|.............  x: a changed cost
                   evaluated ---->|  all live ends moved by c: the rest moves by c, unseen

A replay is shift-invariant: when every end that later rows still read (the live ends at a cut)
has moved by the same c, all later ends move by c. Two things do not shift: time 0 and the
origins' ends. A segment therefore knows its room: by how much the rows' other predecessors
outlast those two. A shift passes a segment only where its room allows, else it is evaluated.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from ..models.graph import Category, ExecutionGraph, Int64s
from .kernels import longest_ends
from .live_slots import last_readers
from .replay import replay
from .scaling import Mask

SEGMENT = 1024  # rows between two cuts
UNBOUND = 2**62
ANCHORED = -(2**62)


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoints:
    """A replay kept with what is needed to change it; made once per graph and costs.

    Attributes:
        fixed: (nodes,) rows whose end no shift moves: origins.
        live: rows read beyond each cut, `live[live_start[k]:live_start[k + 1]]` at cut k, the
            beginning of segment k.
        room_ns: (segments,) see above.
        latest_ns: (segments,) the latest end of rows that shift; a long time ago if there is none.
    """

    graph: ExecutionGraph
    duration_ns: Int64s
    lag_ns: Int64s
    end_ns: Int64s
    fixed: Mask
    live_start: Int64s
    live: Int64s
    room_ns: Int64s
    latest_ns: Int64s
    segment: int

    @property
    def segments(self) -> int:
        """Give the number of segments."""
        return len(self.room_ns)


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Rows that were evaluated (`end_ns` of each) or only shifted."""

    first_row: int
    after_row: int
    shift_ns: int
    end_ns: Int64s | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Reevaluated:
    """The answer: equal to a full replay's to the bit; `rows_evaluated` is what it took."""

    base: Checkpoints
    makespan_ns: int
    rows_evaluated: int
    pieces: tuple[Piece, ...]

    def end_ns(self) -> Int64s:
        """Give all ends, shape (nodes,); this touches every row."""
        ends = self.base.end_ns.copy()
        for piece in self.pieces:
            rows = slice(piece.first_row, piece.after_row)
            shifted = np.where(self.base.fixed[rows], ends[rows], ends[rows] + piece.shift_ns)
            ends[rows] = shifted if piece.end_ns is None else piece.end_ns
        return ends


def checkpoints(
    graph: ExecutionGraph,
    duration_ns: Int64s | None = None,
    lag_ns: Int64s | None = None,
    *,
    segment: int = SEGMENT,
) -> Checkpoints:
    """Replay once and keep what later changes need; costs as for `replay`."""
    durations = graph.nodes.duration_ns if duration_ns is None else duration_ns
    lags = graph.edge_lag_ns if lag_ns is None else lag_ns
    ends = replay(graph, durations, lags).end_ns
    fixed = _fixed(graph)
    live_start, live = _live(graph, fixed, segment)
    count = -(-len(graph) // segment)
    cuts = np.arange(count, dtype=np.int64) * segment
    moving = np.where(fixed, ANCHORED, ends)
    room = _room(graph, lags, ends, fixed)
    return Checkpoints(
        graph, durations, lags, ends, fixed, live_start, live,
        room_ns=np.minimum.reduceat(room, cuts) if count else room,
        latest_ns=np.maximum.reduceat(moving, cuts) if count else moving,
        segment=segment,
    )  # fmt: skip


def _fixed(graph: ExecutionGraph) -> Mask:
    """Find the origins that wait for nothing but origins."""
    fixed = np.zeros(len(graph), dtype=bool)
    for row in np.flatnonzero(graph.nodes.category == Category.ORIGIN).tolist():
        edges = slice(int(graph.edge_start[row]), int(graph.edge_start[row + 1]))
        fixed[row] = bool(np.all(fixed[graph.edge_source[edges]]))
    return fixed


def _live(graph: ExecutionGraph, fixed: Mask, segment: int) -> tuple[Int64s, Int64s]:
    """Give the rows that stand before each cut and are read at or behind it."""
    rows = np.arange(len(graph), dtype=np.int64)
    first, last = rows // segment + 1, last_readers(graph) // segment
    times = np.where(fixed, 0, np.maximum(0, last - first + 1))
    live = np.repeat(rows, times)
    place = np.arange(len(live)) - np.repeat(np.cumsum(times) - times, times)
    cut = np.repeat(first, times) + place
    order = np.argsort(cut, kind="stable")
    count = -(-len(graph) // segment)
    return np.searchsorted(cut[order], np.arange(count + 1)), live[order]


def _room(graph: ExecutionGraph, lag_ns: Int64s, end_ns: Int64s, fixed: Mask) -> Int64s:
    """Give by how much each row's shifting predecessors outlast time 0 and the origins."""
    ready, target = end_ns[graph.edge_source] + lag_ns, graph.edge_target()
    from_fixed = fixed[graph.edge_source]
    anchor = np.zeros(len(graph), dtype=np.int64)
    np.maximum.at(anchor, target[from_fixed], ready[from_fixed])
    moving = np.full(len(graph), ANCHORED, dtype=np.int64)
    np.maximum.at(moving, target[~from_fixed], ready[~from_fixed])
    room = np.where(moving == ANCHORED, ANCHORED, moving - anchor)
    return np.where(fixed, UNBOUND, room)


def reevaluate(
    base: Checkpoints,
    durations_ns: Mapping[int, int] | None = None,
    lags_ns: Mapping[int, int] | None = None,
) -> Reevaluated:
    """Replay with some costs changed.

    Args:
        base: of the unchanged costs.
        durations_ns: row -> new duration.
        lags_ns: edge -> new lag.
    """
    run = _Run(base, dict(durations_ns or {}), dict(lags_ns or {}))
    segment = 0
    while segment < base.segments:
        stop = run.next_stop(segment)
        run.skip(segment, stop)
        segment = run.evaluate(stop) if stop < base.segments else stop
    return Reevaluated(base, run.makespan_ns, run.rows_evaluated, tuple(run.pieces))


@dataclass(slots=True)
class _Run:
    """What is known on the way: everything before the current segment has moved by `shift_ns`."""

    base: Checkpoints
    durations: dict[int, int]
    lags: dict[int, int]
    shift_ns: int = 0
    makespan_ns: int = 0
    rows_evaluated: int = 0
    pieces: list[Piece] = field(default_factory=list)
    dirty: Mask = field(init=False)
    all_moves: bool = field(init=False)

    def __post_init__(self) -> None:
        edges = np.array(sorted(self.lags), dtype=np.int64)
        targets = np.searchsorted(self.base.graph.edge_start, edges, side="right") - 1
        rows = np.array([*self.durations, *targets.tolist()], dtype=np.int64)
        self.dirty = np.zeros(self.base.segments, dtype=bool)
        self.dirty[rows // self.base.segment] = True
        fixed_ends = self.base.end_ns[self.base.fixed]
        self.makespan_ns = int(np.max(fixed_ends, initial=0))
        # a changed origin moves what everything else is measured from
        self.all_moves = bool(np.any(self.base.fixed[rows]))
        if self.all_moves:
            self.dirty[:] = True
            self.makespan_ns = 0

    def next_stop(self, segment: int) -> int:
        """Give the first segment from here that must be evaluated."""
        stops = self.dirty[segment:]
        if self.shift_ns:
            stops = stops | (self.base.room_ns[segment:] < max(0, -self.shift_ns))
        found = np.flatnonzero(stops)
        return segment + int(found[0]) if len(found) else self.base.segments

    def skip(self, segment: int, stop: int) -> None:
        """Shift the segments up to a stop without looking at their rows."""
        if segment == stop:
            return
        latest = int(self.base.latest_ns[segment:stop].max()) + self.shift_ns
        self.makespan_ns = max(self.makespan_ns, latest)
        if self.shift_ns:
            size = self.base.segment
            after = min(stop * size, len(self.base.graph))
            self.pieces.append(Piece(segment * size, after, self.shift_ns))

    def evaluate(self, segment: int) -> int:
        """Evaluate segments from here until all live ends have moved alike; give the next one."""
        base, first = self.base, segment * self.base.segment
        ends = np.empty(0, dtype=np.int64)
        while True:
            ends = np.concatenate((ends, self._segment_ends(segment, first, ends)))
            segment += 1
            shift = 0 if segment == base.segments else self._common_shift(segment, first, ends)
            if shift is not None:
                break
        self.pieces.append(Piece(first, first + len(ends), 0, ends))
        self.makespan_ns = max(self.makespan_ns, int(ends.max()))
        self.rows_evaluated += len(ends)
        self.shift_ns = shift
        return segment

    def _ends_of(self, rows: Int64s, first: int, ends: Int64s) -> Int64s:
        """Give present ends of rows before the current segment; `ends` are those from `first`."""
        base = self.base
        shifted = base.end_ns[rows] + np.where(base.fixed[rows], 0, self.shift_ns)
        if not len(ends):
            return shifted
        inside = np.clip(rows - first, 0, len(ends) - 1)
        return np.where(rows >= first, ends[inside], shifted)

    def _segment_ends(self, segment: int, first: int, ends: Int64s) -> Int64s:
        base, graph = self.base, self.base.graph
        begin = segment * base.segment
        after = min(begin + base.segment, len(graph))
        starts = graph.edge_start[begin : after + 1]
        low, high = int(starts[0]), int(starts[-1])
        source = graph.edge_source[low:high].astype(np.int64)
        lag = _changed(base.lag_ns, self.lags, low, high)
        known = source < begin
        # a known end is put into the lag of an edge from the last place, which holds 0
        lag[known] += self._ends_of(source[known], first, ends)
        source = np.where(known, -1, source - begin)
        found = [0] * (after - begin + 1)
        duration = _changed(base.duration_ns, self.durations, begin, after)
        edges = (starts - low).tolist(), source.tolist(), lag.tolist()
        longest_ends(*edges, duration.tolist(), found)
        return np.array(found[:-1], dtype=np.int64)

    def _common_shift(self, cut: int, first: int, ends: Int64s) -> int | None:
        """Give by how much all live ends at a cut have moved, None where they differ."""
        if self.all_moves:
            return None
        base = self.base
        live = base.live[base.live_start[cut] : base.live_start[cut + 1]]
        moved = self._ends_of(live, first, ends) - base.end_ns[live]
        if not len(live):
            return 0
        return int(moved[0]) if bool(np.all(moved == moved[0])) else None


def _changed(costs: Int64s, changes: Mapping[int, int], first: int, after: int) -> Int64s:
    """Give a range of costs with the changes that fall into it."""
    costs = costs[first:after].copy()
    for place, cost in _within(changes, first, after):
        costs[place - first] = cost
    return costs


def _within(changes: Mapping[int, int], first: int, after: int) -> Iterable[tuple[int, int]]:
    return ((place, cost) for place, cost in changes.items() if first <= place < after)
