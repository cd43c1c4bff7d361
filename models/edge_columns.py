"""The edges of a graph as columns: chosen, joined and put back in order, all at once.

target  source  kind  lag        one row an edge; a graph keeps them by target, then source
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .graph import Bytes, ExecutionGraph, Int64s

KINDS = 16  # more than there are kinds of edges: for keys that join (target, source, kind)


@dataclass(frozen=True, slots=True, eq=False)
class Edges:
    """Edges in any order, each column of shape (edges,)."""

    target: Int64s
    source: Int64s
    kind: Bytes
    lag_ns: Int64s

    @classmethod
    def of(cls, graph: ExecutionGraph) -> "Edges":
        """Give a graph's edges."""
        source = graph.edge_source.astype(np.int64)
        return cls(graph.edge_target(), source, graph.edge_kind, graph.edge_lag_ns)

    @classmethod
    def to(cls, target: Int64s, source: Int64s, kind: object, lag_ns: object = 0) -> "Edges":
        """Give edges between rows; kind and lag may be one for all."""
        return cls(
            np.asarray(target, dtype=np.int64),
            np.asarray(source, dtype=np.int64),
            _filled(kind, len(target), np.uint8),
            _filled(lag_ns, len(target), np.int64),
        )

    def __len__(self) -> int:
        return len(self.target)

    def take(self, which: NDArray[Any]) -> "Edges":
        """Give those that a mask or indices choose."""
        return Edges(self.target[which], self.source[which], self.kind[which], self.lag_ns[which])

    def followed_by(self, *others: "Edges") -> "Edges":
        """Give these and then the others."""
        parts = (self, *others)
        return Edges(
            np.concatenate([part.target for part in parts]),
            np.concatenate([part.source for part in parts]),
            np.concatenate([part.kind for part in parts]),
            np.concatenate([part.lag_ns for part in parts]),
        )

    def sorted(self, rows: int) -> "Edges":
        """Give them by target, then source; equal ones keep their order."""
        key = self.target * rows + self.source
        if np.all(key[1:] >= key[:-1]):
            return self
        return self.take(np.argsort(key, kind="stable"))

    def longest(self, rows: int) -> "Edges":
        """Give one edge for each (target, source, kind), in that order: the one of longest lag."""
        key = (self.target * rows + self.source) * KINDS + self.kind
        if np.all(key[1:] > key[:-1]):
            return self
        order = np.argsort(key, kind="stable")
        key = key[order]
        first = np.flatnonzero(np.append(True, key[1:] != key[:-1]))
        lag = np.maximum.reduceat(self.lag_ns[order], first)
        return replace(self.take(order[first]), lag_ns=lag)

    def into(self, graph: ExecutionGraph) -> ExecutionGraph:
        """Give a graph these edges, sorted, in place of its own."""
        counts = np.bincount(self.target, minlength=len(graph))
        return replace(
            graph,
            edge_start=np.concatenate(([0], np.cumsum(counts))).astype(np.int64),
            edge_source=self.source.astype(np.int32),
            edge_kind=self.kind,
            edge_lag_ns=self.lag_ns,
        )


def _filled(value: object, count: int, dtype: type) -> NDArray[Any]:
    """Give a column: the values themselves, or one value for all."""
    column: NDArray[Any] = np.asarray(value, dtype=dtype)
    return column if column.ndim else np.full(count, column, dtype=dtype)
