"""Build a graph row by row: for tests, examples and small edits; readers build columns at once.

>>> builder = GraphBuilder()
>>> main = builder.lane(LaneKind.HOST, group=1, number=1)
>>> a = builder.add("a", main, duration_ns=2)
>>> b = builder.add("b", main, duration_ns=3, after=[(a, EdgeKind.HOST_ORDER, 1)])
>>> len(builder.build())
2
"""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .graph import (
    COLUMN_DEFAULTS,
    COLUMN_TYPES,
    Category,
    Collective,
    Columns,
    EdgeKind,
    ExecutionGraph,
    GraphMeta,
    Lane,
    LaneKind,
    LaunchConfig,
    NodeKind,
    Operator,
    Step,
)

Edge = tuple[int, EdgeKind, int]
T = TypeVar("T", bound=Hashable)

KIND_OF_CATEGORY: dict[Category, NodeKind] = {
    Category.COLLECTIVE: NodeKind.COMM_COLL,
    Category.SEND: NodeKind.COMM_SEND,
    Category.RECV: NodeKind.COMM_RECV,
    Category.ORIGIN: NodeKind.METADATA,
    Category.JOIN: NodeKind.METADATA,
}


class Interner(dict[T, int]):
    """Gives each distinct value its index in order of first sight: `pool[value]`."""

    def __missing__(self, value: T) -> int:
        index = self[value] = len(self)
        return index


@dataclass(slots=True)
class GraphBuilder:
    """Collects rows and edges; `build` checks them."""

    meta: GraphMeta = field(default_factory=GraphMeta)
    _rows: list[dict[str, int]] = field(default_factory=list)
    _edges: list[list[Edge]] = field(default_factory=list)
    _names: Interner[str] = field(default_factory=Interner)
    _lanes: Interner[Lane] = field(default_factory=Interner)
    _operators: Interner[Operator] = field(default_factory=Interner)
    _configs: Interner[LaunchConfig] = field(default_factory=Interner)
    _collectives: Interner[Collective] = field(default_factory=Interner)
    _steps: list[Step] = field(default_factory=list)

    def lane(self, kind: LaneKind, group: int, number: int, name: str = "") -> int:
        """Give the index of a lane, made on first use."""
        return self._lanes[Lane(kind, group, number, name)]

    def add(
        self,
        name: str,
        lane: int,
        *,
        duration_ns: int = 0,
        category: Category = Category.HOST,
        after: Iterable[Edge] = (),
        **columns: int | Operator | Collective | LaunchConfig | str,
    ) -> int:
        """Add a row after its predecessors; gives its index.

        `operator`, `collective`, `launch_config` take the values themselves, `module` and `phase`
        take strings, other columns integers.
        """
        row: dict[str, int] = {
            "name": self._names[name],
            "lane": lane,
            "duration_ns": duration_ns,
            "category": int(category),
            "kind": int(KIND_OF_CATEGORY.get(category, NodeKind.COMP)),
        }
        for key, value in columns.items():
            row[key] = self._index(value)
        self._rows.append(row)
        self._edges.append(list(after))
        return len(self._rows) - 1

    def _index(self, value: int | Operator | Collective | LaunchConfig | str) -> int:
        match value:
            case Operator():
                return self._operators[value]
            case Collective():
                return self._collectives[value]
            case LaunchConfig():
                return self._configs[value]
            case str():
                return self._names[value]
            case _:
                return value

    def step(self, name: str, begin_row: int, end_row: int) -> int:
        """Declare a step by its marks; gives its index for the `step` column."""
        self._steps.append(Step(name, begin_row, end_row))
        return len(self._steps) - 1

    def build(self) -> ExecutionGraph:
        """Give the checked graph.

        Raises:
            InputError: a predecessor that does not stand before its row.
        """
        edges = [edge for row in self._edges for edge in row]
        counts = [len(row) for row in self._edges]
        return ExecutionGraph(
            nodes=self._columns(),
            edge_start=np.concatenate(([0], np.cumsum(counts, dtype=np.int64))).astype(np.int64),
            edge_source=np.array([e[0] for e in edges], dtype=np.int32),
            edge_kind=np.array([int(e[1]) for e in edges], dtype=np.uint8),
            edge_lag_ns=np.array([e[2] for e in edges], dtype=np.int64),
            names=tuple(self._names),
            lanes=tuple(self._lanes),
            operators=tuple(self._operators),
            launch_configs=tuple(self._configs),
            collectives=tuple(self._collectives),
            steps=tuple(self._steps),
            meta=self.meta,
        ).checked()

    def _columns(self) -> Columns:
        columns: dict[str, NDArray[Any]] = {
            key: np.array(
                [row.get(key, COLUMN_DEFAULTS.get(key, 0)) for row in self._rows], dtype=dtype
            )
            for key, dtype in COLUMN_TYPES.items()
        }
        return Columns(**columns)
