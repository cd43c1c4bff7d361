"""The strips of a picture: one for each lane of each rank, as far as there is room for them."""

from dataclasses import dataclass

import numpy as np

from ...models.graph import ExecutionGraph, Int64s, Lane, LaneKind
from ..lane_names import lane_title
from .picture import Strip
from .select import Selection

_ORDER = {LaneKind.VIRTUAL: 0, LaneKind.HOST: 1, LaneKind.DEVICE: 2}
_PLURAL = {
    LaneKind.VIRTUAL: "starts and meeting points",
    LaneKind.HOST: "host threads",
    LaneKind.DEVICE: "device streams",
}


@dataclass(frozen=True, slots=True, eq=False)
class Strips:
    """The strips, and each row's strip, shape (nodes,); rows that are not drawn have any.

    Attributes:
        ranks: how many ranks each strip stands for; more than 1 where ranks are drawn as one.
    """

    strips: tuple[Strip, ...]
    of_row: Int64s
    ranks: int = 1

    def by_kind(self) -> "Strips":
        """Give one strip for each kind of lane."""
        kinds = sorted({strip.kind for strip in self.strips}, key=_ORDER.__getitem__)
        count = {kind: sum(strip.kind == kind for strip in self.strips) for kind in kinds}
        merged = tuple(Strip(f"all {count[kind]:,} {_PLURAL[kind]}", kind) for kind in kinds)
        place = np.array([kinds.index(strip.kind) for strip in self.strips], dtype=np.int64)
        return Strips(merged, place[self.of_row], self.ranks)


def find_strips(graph: ExecutionGraph, chosen: Selection, *, fold_ranks: bool) -> Strips:
    """Find the strips: ranks one after the other, a rank's threads before its streams.

    Lanes of one kind and rank stand in the order in which they first run. With `fold_ranks` the
    first thread of each rank is one strip, the second another, and so on.
    """
    kind_of_lane = np.array([lane.kind for lane in graph.lanes], dtype=np.int64)
    lane = graph.nodes.lane.astype(np.int64)
    shared = kind_of_lane[lane] == LaneKind.VIRTUAL  # starts and joins belong to no rank
    rank = np.where(shared, -1, graph.nodes.rank)
    cell = (rank + 1) * len(graph.lanes) + np.where(shared, 0, lane)
    rows = np.flatnonzero(chosen.rows)
    _, first = np.unique(cell[rows], return_index=True)
    leaders = rows[np.sort(first)].tolist()
    leaders.sort(key=lambda row: (rank[row], _ORDER[graph.lane_of(row).kind]))
    place = np.zeros(int(cell.max(initial=0)) + 1, dtype=np.int64)
    place[cell[leaders]] = np.arange(len(leaders))
    ranks = len({int(rank[row]) for row in leaders if rank[row] >= 0})
    joined = ranks > 1
    if fold_ranks:
        place, leaders = _folded(graph, place, cell[leaders], leaders)
    strips = tuple(
        _strip(graph.lane_of(row), f"{ranks} ranks" if fold_ranks else f"rank {rank[row]}", joined)
        for row in leaders
    )
    return Strips(strips, place[cell], ranks if fold_ranks else 1)


def _folded(
    graph: ExecutionGraph, place: Int64s, cells: Int64s, leaders: list[int]
) -> tuple[Int64s, list[int]]:
    """Put the n-th lane of a kind of every rank into one strip, led by the first rank's."""
    seen: dict[tuple[int, LaneKind], int] = {}
    strip_of: dict[tuple[LaneKind, int], int] = {}
    kept: list[int] = []
    place = place.copy()
    for row, cell in zip(leaders, cells.tolist(), strict=True):
        kind = graph.lane_of(row).kind
        counter = (int(graph.nodes.rank[row]), kind)
        nth = seen[counter] = seen.get(counter, -1) + 1
        if (kind, nth) not in strip_of:
            strip_of[kind, nth] = len(kept)
            kept.append(row)
        place[cell] = strip_of[kind, nth]
    return place, kept


def _strip(lane: Lane, whose: str, several_ranks: bool) -> Strip:
    if lane.kind == LaneKind.VIRTUAL:
        return Strip("start, and where ranks meet" if several_ranks else "start", lane.kind)
    return Strip(f"{whose} · {lane_title(lane)}" if several_ranks else lane_title(lane), lane.kind)
