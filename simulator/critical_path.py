"""The critical path: what the end waited for, and what that waited for, back to the beginning.

    host    [a 2][launch 1]                        [sync]
    stream             `--5-->[k 30]--2-->[m 20]----^

    path    a 2, launch 1, launch latency 5, k 30, gap 2, m 20, sync tail: their sum is the total

At each row the walk goes to a predecessor whose end plus lag is the row's start. A negative lag
lets a row start before its predecessor has ended; the path then leaves the predecessor early,
so that stretches never overlap and add up to the time from begin to end, to the nanosecond.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from ..models.graph import NONE, Category, EdgeKind, ExecutionGraph, Int64s
from ..models.timeline import Timeline
from .path_kinds import PathKind, PathKinds


@dataclass(frozen=True, slots=True)
class Stretch:
    """A piece of a path: a row's own time, or (`is_lag`) the time before row `row` began."""

    row: int
    kind: PathKind
    begin_ns: int
    end_ns: int
    is_lag: bool

    @property
    def duration_ns(self) -> int:
        """Give its length."""
        return self.end_ns - self.begin_ns


@dataclass(frozen=True, slots=True)
class Contributor:
    """All stretches of one name and kind on a path."""

    name: str
    kind: PathKind
    count: int
    duration_ns: int


def critical_path(
    timeline: Timeline,
    lag_ns: Int64s,
    kinds: PathKinds,
    last_row: int,
    *,
    begin_ns: int = 0,
    rank: int | None = None,
) -> list[Stretch]:
    """Walk back from the end of a row.

    Args:
        timeline: a replay.
        lag_ns: the lags it was made with, shape (edges,).
        kinds: what rows and lags are.
        last_row: where the path ends.
        begin_ns: where it begins; what lies before is cut off.
        rank: stay on this rank: what other ranks did is `RANK_WAIT`. None follows every rank.

    Returns:
        Stretches in order of time, of total length end of `last_row` - `begin_ns`.
    """
    walk = _Walk(timeline, lag_ns, kinds, int(timeline.end_ns[last_row]), begin_ns, rank)
    row: int | None = last_row
    while row is not None and walk.time_ns > begin_ns:
        row = walk.step(row)
    walk.cover(last_row if row is None else row, PathKind.EXTERNAL, begin_ns, is_lag=True)
    return walk.stretches[::-1]


class _Walk:
    """The time reached, going backwards, and the stretches passed."""

    def __init__(
        self,
        timeline: Timeline,
        lag_ns: Int64s,
        kinds: PathKinds,
        time_ns: int,
        begin_ns: int,
        rank: int | None,
    ) -> None:  # fmt: skip
        self.graph = timeline.graph
        self.start, self.end, self.lag = timeline.start_ns, timeline.end_ns, lag_ns
        self.kinds, self.rank = kinds, rank
        self.begin_ns, self.time_ns = begin_ns, time_ns
        self.stretches: list[Stretch] = []

    def step(self, row: int) -> int | None:
        """Pass a row and the lag before it; give the predecessor, None at the beginning."""
        start = int(self.start[row])
        self.cover(row, self.kinds.of_row(row), start, is_lag=False)
        edge = self._binding(row)
        if edge == NONE:
            return None
        source = int(self.graph.edge_source[edge])
        ready = int(self.end[source] + self.lag[edge])
        if ready < start:  # only where the walk stays on a rank that was not the last to come
            self.cover(row, PathKind.RANK_WAIT, ready, is_lag=True)
        self.cover(row, self.kinds.of_lag(edge), int(self.end[source]), is_lag=True)
        return source

    def cover(self, row: int, kind: PathKind, since_ns: int, *, is_lag: bool) -> None:
        """Go back to a time; nothing is passed where the walk is there already."""
        since_ns = max(since_ns, self.begin_ns)
        if since_ns < self.time_ns:
            self.stretches.append(Stretch(row, kind, since_ns, self.time_ns, is_lag))
            self.time_ns = since_ns

    def _binding(self, row: int) -> int:
        """Give the edge that held the row up, -1 where none did.

        Of several, work inside the window before work outside it, then the latest row.
        """
        edges = range(int(self.graph.edge_start[row]), int(self.graph.edge_start[row + 1]))
        held = [edge for edge in edges if self._stays(row, edge)]
        if not held:
            return NONE
        readies = [int(self.end[self.graph.edge_source[e]] + self.lag[e]) for e in held]
        latest = max(readies)
        if latest < int(self.start[row]) and len(held) == len(edges):
            return NONE  # the window's start held it
        binding = [edge for edge, ready in zip(held, readies, strict=True) if ready == latest]
        return max(binding, key=self._preference)

    def _stays(self, row: int, edge: int) -> bool:
        is_join = self.graph.nodes.category[row] == Category.JOIN
        source_rank = int(self.graph.nodes.rank[self.graph.edge_source[edge]])
        return self.rank is None or not is_join or source_rank == self.rank

    def _preference(self, edge: int) -> tuple[bool, int]:
        inside = self.graph.edge_kind[edge] != EdgeKind.EXTERNAL
        return bool(inside), int(self.graph.edge_source[edge])


def by_kind(path: Iterable[Stretch]) -> dict[PathKind, int]:
    """Give ns by kind, the largest first."""
    total: dict[PathKind, int] = defaultdict(int)
    for stretch in path:
        total[stretch.kind] += stretch.duration_ns
    return dict(sorted(total.items(), key=lambda item: (-item[1], item[0])))


def contributors(graph: ExecutionGraph, path: Iterable[Stretch]) -> list[Contributor]:
    """Sum a path up by name and kind, the largest first."""
    count: dict[tuple[str, PathKind], int] = defaultdict(int)
    length: dict[tuple[str, PathKind], int] = defaultdict(int)
    for stretch in path:
        name = graph.name_of(stretch.row)
        key = (f"before {name}" if stretch.is_lag else name, stretch.kind)
        count[key] += 1
        length[key] += stretch.duration_ns
    ordered = sorted(length, key=lambda key: (-length[key], key))
    return [Contributor(*key, count[key], length[key]) for key in ordered]
