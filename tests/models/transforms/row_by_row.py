"""Removal and laying out told row by row: slow and plain, what the columns are held to."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from etsim.models.graph import NONE, Category, EdgeKind, ExecutionGraph, LaneKind
from etsim.models.transforms.edit import ORDER_KINDS

Edge = tuple[int, int, int, int]  # target, source, kind, lag
Placed = tuple[int, int]


def edges_of(graph: ExecutionGraph) -> list[Edge]:
    """All edges as the graph holds them."""
    return [
        (row, source, int(kind), lag)
        for row in range(len(graph))
        for source, kind, lag in graph.predecessors(row)
    ]


def edges_without(graph: ExecutionGraph, gone: Sequence[bool]) -> list[Edge]:
    """The edges between rows that stay, in the numbers of the rows that are left."""
    place = {row: k for k, row in enumerate(r for r in range(len(graph)) if not gone[r])}
    bridged: dict[int, dict[tuple[int, int], int]] = {}
    edges: list[Edge] = []
    for row in range(len(graph)):
        found: dict[tuple[int, int], int] = {}
        for source, kind, lag in graph.predecessors(row):
            ways = {(source, int(kind)): lag}
            if source in bridged:
                ways = {
                    (before, int(kind) if above in ORDER_KINDS else above): max(0, lag)
                    + max(0, lag_above)
                    for (before, above), lag_above in sorted(
                        bridged[source].items(), key=lambda way: max(0, way[1])
                    )
                }
            for key, length in ways.items():
                found[key] = max(found.get(key, length), length)
        if gone[row]:
            bridged[row] = found
        else:
            edges += [
                (place[row], place[source], kind, lag)
                for (source, kind), lag in sorted(found.items())
            ]
    return edges


@dataclass
class Layout:
    """Lays rows out one after the other; `edges` are those of the new rows."""

    graph: ExecutionGraph
    order: Sequence[Placed]
    lanes: Sequence[int]
    place: dict[Placed, int] = field(default_factory=dict)
    latest: dict[int, int] = field(default_factory=dict)
    last: dict[int, int] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)

    def run(self) -> list[Edge]:
        """Lay all rows out."""
        for new, (row, copy) in enumerate(self.order):
            found = self.found(new, row, copy)
            self.edges += [(new, at, kind, lag) for (at, kind), lag in sorted(found.items())]
            self.place[row, copy] = self.latest[row] = self.last[self.lanes[new]] = new
        return self.edges

    def found(self, new: int, row: int, copy: int) -> dict[tuple[int, int], int]:
        """What a new row waits for."""
        lane = self.lanes[new]
        before = self.last.get(lane, NONE)
        old_before = self.old_before(row)
        same = before != NONE and self.order[before] == (old_before, copy)
        found: dict[tuple[int, int], int] = {}
        for source, kind, lag in self.graph.predecessors(row):
            at = self.source(source, kind, copy)
            if kind in ORDER_KINDS and before != NONE and not same:
                at = before
            if at == NONE:
                continue
            crosses = kind in ORDER_KINDS and self.lanes[at] != lane
            key = at, int(EdgeKind.HANDOVER if crosses else kind)
            found[key] = max(lag, found.get(key, lag))
        copied = before != NONE and (copy or self.order[before][1])
        if copied and not any(kind in ORDER_KINDS for _, kind in found):
            kind_of_lane = self.graph.lanes[lane].kind
            if kind_of_lane is not LaneKind.VIRTUAL:
                device = kind_of_lane is LaneKind.DEVICE
                found[before, EdgeKind.STREAM_ORDER if device else EdgeKind.HOST_ORDER] = 0
        if not found and self.graph.nodes.category[row] != Category.ORIGIN:
            lags = [lag for _, kind, lag in self.graph.predecessors(row) if kind in ORDER_KINDS]
            found[0, EdgeKind.EXTERNAL] = max([0, *lags])
        return found

    def source(self, source: int, kind: EdgeKind, copy: int) -> int:
        """Where an old source stands now, for a copy; else who stands last on its lane."""
        at = self.place.get((source, copy), self.latest.get(source, NONE))
        foreign = copy and kind is EdgeKind.RENDEZVOUS and at != NONE and self.order[at][1] != copy
        if at != NONE and not foreign:
            return at
        if self.graph.nodes.category[source] == Category.JOIN:
            return NONE
        return self.last.get(int(self.graph.nodes.lane[source]), NONE)

    def old_before(self, row: int) -> int:
        """Who stood before an old row on its lane."""
        lanes = self.graph.nodes.lane.tolist()
        return max((r for r in range(row) if lanes[r] == lanes[row]), default=NONE)
