"""Insert rows into a graph: beside its lanes, or in line on one of them.

    host   a -----> b     in line behind a:    a --> new --> b      the gap before b stays
    comm   (a lane of its own)                 [all_reduce]         with the edges one gives

A row in line follows what stands before it on its lane, and what stood after it follows it.
Rows are kept in blocks, one for each call, and laid out by columns when all are there.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..edge_columns import Edges
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
from ..merge_order import merged_order, renumbered
from .pool import Pool
from .queueing import Queue, queued

INHERITED = ("rank", "step", "module", "phase", "start_ns")
Value: TypeAlias = "int | NDArray[np.integer] | Operator | Collective | str"


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """Rows put in together: their numbers, what they stand behind, and the columns given."""

    numbers: Int64s | int
    after: Int64s | int
    lag_ns: Int64s | int | None
    columns: dict[str, NDArray[np.integer] | int]


@dataclass(slots=True)
class Insertion:
    """Rows and edges to add to a graph; `done` gives the new graph.

    A new row is named by its number, which `row` returns; edges may name old rows and new ones.
    Rows behind the same row stand in the order of their numbers. Many at once: `reserve` numbers,
    then `put` rows under them.
    """

    graph: ExecutionGraph
    _names: Pool[str] = field(init=False)
    _operators: Pool[Operator] = field(init=False)
    _collectives: Pool[Collective] = field(init=False)
    _lanes: list[Lane] = field(init=False)
    _count: int = 0
    _blocks: list[_Block] = field(default_factory=list)
    _edges: list[Edges] = field(default_factory=list)
    _single_edges: list[tuple[int, int, int, int]] = field(default_factory=list)
    _placed: tuple[ExecutionGraph, Int64s] | None = None

    def __post_init__(self) -> None:
        self._names = Pool(self.graph.names)
        self._operators = Pool(self.graph.operators)
        self._collectives = Pool(self.graph.collectives)
        self._lanes = list(self.graph.lanes)

    def lane(self, kind: LaneKind, group: int, number: int, name: str = "") -> int:
        """Give the index of a new lane."""
        self._lanes.append(Lane(kind, group, number, name))
        return len(self._lanes) - 1

    def operator(self, operator: Operator) -> int:
        """Give the index of an operator, for the column of that name."""
        return self._operators[operator]

    def reserve(self, count: int) -> Int64s:
        """Give the next numbers, for rows that `put` will fill."""
        first = len(self.graph) + self._count
        self._count += count
        return np.arange(first, first + count)

    def put(
        self,
        numbers: Int64s | int,
        after: Int64s | int,
        lag_ns: Int64s | int | None = None,
        **columns: Value,
    ) -> None:
        """Add rows behind old ones, under numbers that were reserved.

        Args:
            numbers: of the new rows.
            after: the old row that each stands behind.
            lag_ns: time after the row before it on its lane; None puts it beside the line.
            columns: `name`, `lane`, `category` and `duration_ns`, and others if they shall not be
                those of `after` (rank, step, module, phase) or the default; one value for all, or
                one for each. An operator, collective or phase may be given as it is.
        """
        known = {key: self._index(value) for key, value in columns.items()}
        self._blocks.append(_Block(numbers, after, lag_ns, known))
        self._placed = None

    def row(
        self,
        after: int,
        name: str,
        lane: int,
        category: Category,
        duration_ns: int,
        **columns: int | Operator | Collective | str,
    ) -> int:
        """Add a row that stands behind the old row `after`; gives its number."""
        number = len(self.graph) + self._count
        self._count += 1
        self.put(
            number, after, None, name=name, lane=lane, category=int(category),
            duration_ns=duration_ns, **columns,
        )  # fmt: skip
        return number

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
        number = len(self.graph) + self._count
        self._count += 1
        self.put(
            number, after, lag_ns, name=name, lane=lane, category=int(category),
            duration_ns=duration_ns, **columns,
        )  # fmt: skip
        return number

    def _index(self, value: Value) -> NDArray[np.integer] | int:
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
        self._single_edges.append((target, source, kind, lag_ns))
        self._placed = None

    def edges(self, source: Int64s, target: Int64s, kind: EdgeKind, lag_ns: int = 0) -> None:
        """Add edges between old or new rows."""
        self._edges.append(Edges.to(target, source, kind, lag_ns))
        self._placed = None

    def done(self) -> ExecutionGraph:
        """Give the graph with all additions, in order, checked."""
        if not self._blocks and not self._edges and not self._single_edges:
            return self.graph
        return self._laid_out()[0].checked()

    def places(self) -> Int64s:
        """Give for every old and new row its row in the graph that `done` gives."""
        return self._laid_out()[1]

    def _laid_out(self) -> tuple[ExecutionGraph, Int64s]:
        """Give the graph and the places, worked out once."""
        if self._placed is None:
            self._placed = self._in_order()
        return self._placed

    def _in_order(self) -> tuple[ExecutionGraph, Int64s]:
        after = self._filled(lambda block: block.after, np.int64)
        order = np.argsort(np.concatenate((np.arange(len(self.graph)), after)), kind="stable")
        nodes = self.graph.nodes.followed_by(self._columns(after))
        edges = queued(self._all_edges(), self._queue(nodes, order))
        graph = replace(
            self.graph,
            names=self._names.values,
            operators=self._operators.values,
            collectives=self._collectives.values,
            lanes=tuple(self._lanes),
        )
        graph, place = renumbered(graph, nodes, edges, order)
        if np.all(graph.edge_source < graph.edge_target()):
            return graph, place
        return _sorted_anew(graph, place)

    def _filled(
        self,
        value: Callable[[_Block], NDArray[np.integer] | int | None],
        dtype: type,
        default: int | NDArray[Any] = 0,
    ) -> NDArray[Any]:
        """Give a column of the new rows, by number: what each block says, else the default."""
        column: NDArray[Any] = np.empty(self._count, dtype=dtype)
        column[:] = default
        for block in self._blocks:
            given = value(block)
            if given is not None:
                column[block.numbers - len(self.graph)] = given
        return column

    def _columns(self, after: Int64s) -> Columns:
        """Give the new rows, by number."""
        columns = {
            key: np.array(getattr(self.graph.nodes, key)[after])
            if key in INHERITED
            else np.full(self._count, COLUMN_DEFAULTS.get(key, 0), dtype=dtype)
            for key, dtype in COLUMN_TYPES.items()
        }
        columns["provenance"][:] = Provenance.MEASURED
        for block in self._blocks:
            at = block.numbers - len(self.graph)
            for key, value in block.columns.items():
                columns[key][at] = value
        kind_of = np.full(len(Category), COLUMN_DEFAULTS["kind"], dtype=np.uint8)
        kind_of[list(KIND_OF_CATEGORY)] = list(KIND_OF_CATEGORY.values())
        columns["kind"] = kind_of[columns["category"]]
        return Columns(**columns)

    def _all_edges(self) -> Edges:
        """Give the old edges and then the new ones."""
        single = np.array(self._single_edges, dtype=np.int64).reshape(-1, 4).T
        return Edges.of(self.graph).followed_by(Edges.to(*single), *self._edges)

    def _queue(self, nodes: Columns, order: Int64s) -> Queue:
        """Tell who takes a turn on which lane, in the order of rows."""
        old = np.zeros(len(self.graph), dtype=np.int64)
        lag = np.concatenate((old, self._filled(lambda block: block.lag_ns, np.int64)))
        beside = self._filled(lambda block: int(block.lag_ns is None), bool)
        in_line = np.concatenate((old.astype(bool), ~beside))
        device = np.array([lane.kind is LaneKind.DEVICE for lane in self._lanes], dtype=bool)
        return Queue(nodes.lane, order, in_line, lag, device)


def _sorted_anew(graph: ExecutionGraph, place: Int64s) -> tuple[ExecutionGraph, Int64s]:
    """Sort rows of which new edges lead against the order (ranks that meet elsewhere)."""
    tagged = replace(graph, nodes=replace(graph.nodes, rf_id=np.arange(len(graph))))
    ordered, cut = merged_order(tagged, np.array([0, len(graph)]))
    if cut:
        raise AnalysisError(f"{cut} rows put in wait for each other")
    moved = np.empty(len(graph), dtype=np.int64)
    moved[ordered.nodes.rf_id] = np.arange(len(graph))
    nodes = replace(ordered.nodes, rf_id=graph.nodes.rf_id[ordered.nodes.rf_id])
    return replace(ordered, nodes=nodes), moved[place]
