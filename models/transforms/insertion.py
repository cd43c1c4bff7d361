"""Insert rows into a graph: beside its lanes, or in line on one of them.

    host   a -----> b     in line behind a:    a --> new --> b      the gap before b stays
    comm   (a lane of its own)                 [all_reduce]         with the edges one gives

A row in line follows what stands before it on its lane, and what stood after it follows it.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import AnalysisError
from ..graph import (
    COLUMN_DEFAULTS,
    COLUMN_TYPES,
    Category,
    Collective,
    Columns,
    EdgeKind,
    ExecutionGraph,
    Int64s,
    Lane,
    LaneKind,
    Operator,
    Provenance,
)
from ..graph_builder import KIND_OF_CATEGORY
from ..merge_order import merged_order, reordered
from .pool import Pool

Edge = tuple[int, int, int, int]  # target, source, kind, lag
INHERITED = ("rank", "step", "module", "phase", "start_ns")


@dataclass(slots=True)
class Insertion:
    """Rows and edges to add to a graph; `done` gives the new graph.

    A new row is named by the number that `row` returns; edges may name old rows and new ones.
    """

    graph: ExecutionGraph
    _names: Pool[str] = field(init=False)
    _operators: Pool[Operator] = field(init=False)
    _collectives: Pool[Collective] = field(init=False)
    _lanes: list[Lane] = field(init=False)
    _rows: list[dict[str, int]] = field(default_factory=list)
    _anchors: list[int] = field(default_factory=list)
    _edges: list[Edge] = field(default_factory=list)
    _lag_in_line: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._names = Pool(self.graph.names)
        self._operators = Pool(self.graph.operators)
        self._collectives = Pool(self.graph.collectives)
        self._lanes = list(self.graph.lanes)

    def lane(self, kind: LaneKind, group: int, number: int, name: str = "") -> int:
        """Give the index of a new lane."""
        self._lanes.append(Lane(kind, group, number, name))
        return len(self._lanes) - 1

    def row(
        self,
        after: int,
        name: str,
        lane: int,
        category: Category,
        duration_ns: int,
        **columns: int | Operator | Collective | str,
    ) -> int:
        """Add a row that stands behind the old row `after`; gives its number.

        Rank, step, module and phase are those of `after` unless given. An operator, collective or
        phase may be given as it is.
        """
        inherited = {key: int(getattr(self.graph.nodes, key)[after]) for key in INHERITED}
        self._rows.append(
            {
                **inherited,
                "name": self._names[name],
                "lane": lane,
                "category": int(category),
                "kind": int(KIND_OF_CATEGORY.get(category, COLUMN_DEFAULTS["kind"])),
                "duration_ns": duration_ns,
                "provenance": int(Provenance.MEASURED),
                **{key: self._index(value) for key, value in columns.items()},
            }
        )
        self._anchors.append(after)
        return len(self.graph) + len(self._rows) - 1

    def in_line(
        self,
        after: int,
        name: str,
        lane: int,
        category: Category,
        duration_ns: int,
        lag_ns: int = 0,
        **columns: int | Operator | Collective | str,
    ) -> int:
        """Add a row that takes its turn on its lane, `lag_ns` after the one before it."""
        row = self.row(after, name, lane, category, duration_ns, **columns)
        self._lag_in_line[row] = lag_ns
        return row

    def _index(self, value: int | Operator | Collective | str) -> int:
        match value:
            case Operator():
                return self._operators[value]
            case Collective():
                return self._collectives[value]
            case str():
                return self._names[value]
            case _:
                return value

    def edge(self, source: int, target: int, kind: EdgeKind, lag_ns: int = 0) -> None:
        """Add an edge between old or new rows."""
        self._edges.append((target, source, kind, lag_ns))

    def done(self) -> ExecutionGraph:
        """Give the graph with all additions, in order, checked."""
        if not self._rows and not self._edges:
            return self.graph
        return self._placed()[0].checked()

    def places(self) -> Int64s:
        """Give for every old and new row its row in the graph that `done` gives."""
        return self._placed()[1]

    def _placed(self) -> tuple[ExecutionGraph, Int64s]:
        order = self._order()
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(len(order))
        graph = reordered(self._stacked(self._edges_in_line(order)), order)
        if np.all(graph.edge_source < graph.edge_target()):
            return graph, place
        # new edges lead against the order of rows (ranks that meet elsewhere): sort anew
        tagged = replace(graph, nodes=replace(graph.nodes, rf_id=np.arange(len(graph))))
        ordered, cut = merged_order(tagged, np.array([0, len(graph)]))
        if cut:
            raise AnalysisError(f"{cut} rows put in wait for each other")
        moved = np.empty(len(graph), dtype=np.int64)
        moved[ordered.nodes.rf_id] = np.arange(len(graph))
        nodes = replace(ordered.nodes, rf_id=graph.nodes.rf_id[ordered.nodes.rf_id])
        return replace(ordered, nodes=nodes), moved[place]

    def _order(self) -> Int64s:
        count = len(self.graph) + len(self._rows)
        anchor = np.concatenate((np.arange(len(self.graph)), np.array(self._anchors, np.int64)))
        return np.lexsort((np.arange(count), anchor))

    def _edges_in_line(self, order: Int64s) -> list[Edge]:
        """Give all edges, the order of lanes going through the rows in line."""
        old = self.graph
        edges: list[Edge] = list(
            zip(
                old.edge_target().tolist(), old.edge_source.tolist(),
                old.edge_kind.tolist(), old.edge_lag_ns.tolist(), strict=True,
            )
        )  # fmt: skip
        edges += self._edges
        if not self._lag_in_line:
            return edges
        before, kind_of_lane = self._neighbours(order)
        follows = {row: b for row, b in before.items() if b in self._lag_in_line}
        moved: set[int] = set()
        result: list[Edge] = []
        for target, source, kind, lag in edges:
            if target in follows and kind == kind_of_lane[target]:
                moved.add(target)
                result.append((target, follows[target], kind, lag))
            else:
                result.append((target, source, kind, lag))
        for row, lag in self._lag_in_line.items():
            if row in before:
                result.append((row, before[row], kind_of_lane[row], lag))
        result += [
            (row, b, kind_of_lane[row], 0)
            for row, b in follows.items()
            if row not in moved and row not in self._lag_in_line
        ]
        return result

    def _neighbours(self, order: Int64s) -> tuple[dict[int, int], dict[int, int]]:
        """Give what stands before each row on the lanes with rows in line, and the order's kind."""
        lane_of = [*self.graph.nodes.lane.tolist(), *(row["lane"] for row in self._rows)]
        wanted = {lane_of[row] for row in self._lag_in_line}
        last: dict[int, int] = {}
        before: dict[int, int] = {}
        kind: dict[int, int] = {}
        for row in order.tolist():
            lane = lane_of[row]
            if lane not in wanted:
                continue
            on_device = self._lanes[lane].kind is LaneKind.DEVICE
            kind[row] = EdgeKind.STREAM_ORDER if on_device else EdgeKind.HOST_ORDER
            if lane in last:
                before[row] = last[lane]
            last[lane] = row
        return before, kind

    def _stacked(self, edges: list[Edge]) -> ExecutionGraph:
        """Give the graph with the new rows at its end."""
        graph, count = self.graph, len(self.graph) + len(self._rows)
        columns: dict[str, NDArray[Any]] = {
            key: np.array(
                [row.get(key, COLUMN_DEFAULTS.get(key, 0)) for row in self._rows], dtype=dtype
            )
            for key, dtype in COLUMN_TYPES.items()
        }
        table = np.array(sorted(edges, key=lambda e: (e[0], e[1])), np.int64).reshape(-1, 4)
        counts = np.bincount(table[:, 0], minlength=count)
        return replace(
            graph,
            nodes=graph.nodes.followed_by(Columns(**columns)),
            edge_start=np.concatenate(([0], np.cumsum(counts))).astype(np.int64),
            edge_source=table[:, 1].astype(np.int32),
            edge_kind=table[:, 2].astype(np.uint8),
            edge_lag_ns=table[:, 3],
            names=self._names.values,
            operators=self._operators.values,
            collectives=self._collectives.values,
            lanes=tuple(self._lanes),
        )
