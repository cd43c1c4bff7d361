"""Lay the rows of a graph out anew: some left out, some repeated, in any sound order.

    rows        a  b  c  d          repeat b c          a  b  c  b' c' d

The order of each lane goes through the new neighbours; other edges stay within their copy, else
they lead to the latest copy that stands before. What waited for a row that is gone waits for what
stood before it on its lane.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..graph import NONE, Category, EdgeKind, ExecutionGraph, LaneKind, Step
from .edit import ORDER_KINDS

Placed = tuple[int, int]  # an old row, and which copy of it: 0 is the row itself


def spliced(
    graph: ExecutionGraph, order: Sequence[Placed], lanes: Mapping[Placed, int] | None = None
) -> ExecutionGraph:
    """Give the graph whose rows are the given ones, in this order.

    Args:
        graph: the graph; its origin and the marks of its steps must stay.
        order: rows with their copy's number, every (row, copy) once.
        lanes: where some of them run now, if not on their own lane.
    """
    if len(order) == len(graph) and all(placed == (k, 0) for k, placed in enumerate(order)):
        return graph
    return _Splicer(graph, order, lanes or {}).run()


def without_time(
    graph: ExecutionGraph, gone: np.ndarray[tuple[int], np.dtype[np.bool_]]
) -> ExecutionGraph:
    """Remove rows together with the host time before them (`edit.without` keeps that)."""
    return spliced(graph, [(row, 0) for row in np.flatnonzero(~gone).tolist()])


@dataclass(slots=True)
class _Splicer:
    graph: ExecutionGraph
    order: Sequence[Placed]
    moved: Mapping[Placed, int]
    place: dict[Placed, int] = field(default_factory=dict)
    latest: dict[int, int] = field(default_factory=dict)
    last_on_lane: dict[int, int] = field(default_factory=dict)
    edges: list[dict[tuple[int, int], int]] = field(default_factory=list)

    def run(self) -> ExecutionGraph:
        lanes = self.graph.nodes.lane.tolist()
        before_on_lane = _before_on_lane(lanes)
        order_kind = [
            EdgeKind.STREAM_ORDER if lane.kind is LaneKind.DEVICE else EdgeKind.HOST_ORDER
            for lane in self.graph.lanes
        ]
        for new, (row, copy) in enumerate(self.order):
            lane = self.moved.get((row, copy), lanes[row])
            before = self.last_on_lane.get(lane, NONE)
            same = before != NONE and self.order[before] == (before_on_lane[row], copy)
            found = self._edges_of(row, copy, NONE if same else before, lanes)
            ordered = any(kind in ORDER_KINDS for _, kind in found)
            if copy and before != NONE and not ordered and self._is_lane(lane):
                found[before, order_kind[lane]] = 0
            if not found and self.graph.nodes.category[row] != Category.ORIGIN:
                found[0, EdgeKind.EXTERNAL] = self._own_lag(row)
            self.edges.append(found)
            self.place[row, copy] = self.latest[row] = self.last_on_lane[lane] = new
        return self._build()

    def _is_lane(self, lane: int) -> bool:
        return self.graph.lanes[lane].kind is not LaneKind.VIRTUAL

    def _edges_of(
        self, row: int, copy: int, before: int, lanes: list[int]
    ) -> dict[tuple[int, int], int]:
        """Give (source, kind) -> lag of a row; `before`: its new neighbour, NONE where the old."""
        found: dict[tuple[int, int], int] = {}
        for source, kind, lag in self.graph.predecessors(row):
            at = self.place.get((source, copy), self.latest.get(source, NONE))
            if kind in ORDER_KINDS and before != NONE:
                at = before
            elif at == NONE or (copy and kind is EdgeKind.RENDEZVOUS and not self._own(at, copy)):
                at = self.last_on_lane.get(lanes[source], NONE)
                if self.graph.nodes.category[source] == Category.JOIN:
                    at = NONE  # ranks that meet no more
            if at != NONE:
                found[at, int(kind)] = max(lag, found.get((at, int(kind)), lag))
        return found

    def _own_lag(self, row: int) -> int:
        """Give the host time in front of a row that is now the first of its lane."""
        lags = [lag for _, kind, lag in self.graph.predecessors(row) if kind in ORDER_KINDS]
        return max([0, *lags])

    def _own(self, at: int, copy: int) -> bool:
        return self.order[at][1] == copy

    def _build(self) -> ExecutionGraph:
        rows = np.array([row for row, _ in self.order], dtype=np.int64)
        flat = [(*key, lag) for found in self.edges for key, lag in sorted(found.items())]
        counts = [len(found) for found in self.edges]
        nodes = self.graph.nodes.take(rows)
        lane = [self.moved.get(placed, NONE) for placed in self.order]
        return replace(
            self.graph,
            nodes=replace(
                nodes,
                lane=np.where(np.array(lane) == NONE, nodes.lane, lane).astype(np.int32),
                parent=self._followed("parent"),
                fw_parent=self._followed("fw_parent"),
            ),
            edge_start=np.concatenate(([0], np.cumsum(counts))).astype(np.int64),
            edge_source=np.array([edge[0] for edge in flat], dtype=np.int32),
            edge_kind=np.array([edge[1] for edge in flat], dtype=np.uint8),
            edge_lag_ns=np.array([edge[2] for edge in flat], dtype=np.int64),
            steps=tuple(
                Step(s.name, self.place[s.begin_row, 0], self.place[s.end_row, 0])
                for s in self.graph.steps
            ),
        ).checked()

    def _followed(self, column: str) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
        """Let a column of rows point to the same copy, else to the row itself."""
        old = getattr(self.graph.nodes, column).tolist()
        place = self.place
        return np.array(
            [
                place.get((old[row], copy), place.get((old[row], 0), NONE))
                for row, copy in self.order
            ],
            dtype=np.int32,
        )


def _before_on_lane(lanes: list[int]) -> list[int]:
    """Give for each row the row before it on its lane, NONE for the first."""
    last: dict[int, int] = {}
    before = []
    for row, lane in enumerate(lanes):
        before.append(last.get(lane, NONE))
        last[lane] = row
    return before
