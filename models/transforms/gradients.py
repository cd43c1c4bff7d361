"""The gradients of parameters in a run: where each is ready, its shape and its dtype, by columns.

evaluate_function: AccumulateGrad
AccumulateGrad (shape)     the row of the gradient
aten::add_               ready here: the last row of the call
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import overload

import numpy as np

from ..costs.tensors import ITEM_BYTES, dtype_of
from ..graph import NONE, ExecutionGraph, Int64s, Operator
from .pool import by_first_use

ACCUMULATE = "AccumulateGrad"


@dataclass(frozen=True, slots=True)
class Gradient:
    """A parameter's gradient at the place where it is ready; `row` is the last of its rows."""

    row: int
    accumulate_row: int
    shape: tuple[int, ...]
    dtype: str

    @property
    def bytes(self) -> int:
        """Give its size."""
        return prod(self.shape) * ITEM_BYTES[self.dtype]


@dataclass(frozen=True, slots=True)
class Kind:
    """What gradients of one kind of parameter share."""

    shape: tuple[int, ...]
    dtype: str

    @property
    def bytes(self) -> int:
        """Give the size of each."""
        return prod(self.shape) * ITEM_BYTES[self.dtype]


@dataclass(frozen=True, slots=True, eq=False)
class Gradients(Sequence[Gradient]):
    """Gradients in the order in which they are ready: values for people, columns for numpy.

    Attributes:
        rows: where each is ready, shape (gradients,).
        accumulate_rows: the row of each.
        kind: of each, into `kinds`.
    """

    rows: Int64s
    accumulate_rows: Int64s
    kind: Int64s
    kinds: tuple[Kind, ...]

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, which: int) -> Gradient: ...
    @overload
    def __getitem__(self, which: slice) -> "Gradients": ...
    def __getitem__(self, which: int | slice) -> "Gradient | Gradients":
        if isinstance(which, slice):
            return self.take(np.arange(len(self))[which])
        kind = self.kinds[int(self.kind[which])]
        at = int(self.rows[which]), int(self.accumulate_rows[which])
        return Gradient(*at, kind.shape, kind.dtype)

    def __iter__(self) -> Iterator[Gradient]:
        columns = (column.tolist() for column in (self.rows, self.accumulate_rows, self.kind))
        for row, accumulate_row, kind in zip(*columns, strict=True):
            yield Gradient(row, accumulate_row, self.kinds[kind].shape, self.kinds[kind].dtype)

    def take(self, which: Int64s | np.ndarray[tuple[int], np.dtype[np.bool_]]) -> "Gradients":
        """Give those that indices or a mask choose."""
        return Gradients(
            self.rows[which], self.accumulate_rows[which], self.kind[which], self.kinds
        )

    def of_rank(self, graph: ExecutionGraph, rank: int) -> "Gradients":
        """Give those of a rank."""
        return self.take(graph.nodes.rank[self.accumulate_rows] == rank)

    @property
    def bytes(self) -> Int64s:
        """Give the size of each, shape (gradients,)."""
        return np.array([kind.bytes for kind in self.kinds], dtype=np.int64)[self.kind]

    def by_kind(self) -> tuple[Int64s, list[Kind]]:
        """Give each one's place among the kinds in the order of first use, and those kinds."""
        place, used = by_first_use(self.kind)
        return place, [self.kinds[kind] for kind in used]

    @classmethod
    def of(cls, gradients: Sequence[Gradient]) -> "Gradients":
        """Give single gradients as columns."""
        if isinstance(gradients, Gradients):
            return gradients
        kinds = tuple(Kind(gradient.shape, gradient.dtype) for gradient in gradients)
        rows = np.array([gradient.row for gradient in gradients], dtype=np.int64)
        at = np.array([gradient.accumulate_row for gradient in gradients], dtype=np.int64)
        return cls(rows, at, np.arange(len(kinds)), kinds)


def no_gradients() -> Gradients:
    """Give none."""
    nothing = np.empty(0, dtype=np.int64)
    return Gradients(nothing, nothing, nothing, ())


def named_rows(graph: ExecutionGraph, part: str) -> Int64s:
    """Give the rows whose name holds a text."""
    holds = np.array([part in name for name in graph.names], dtype=bool)
    return np.flatnonzero(holds[graph.nodes.name])


def find_gradients(graph: ExecutionGraph) -> Gradients:
    """Give all gradients with shapes, in the order in which they are ready."""
    rows = named_rows(graph, ACCUMULATE)
    kind_of = np.full(len(graph.operators) + 1, NONE, dtype=np.int64)
    kinds: list[Kind] = []
    for operator in np.unique(graph.nodes.operator[rows]).tolist():
        kind = _kind(graph.operators[operator]) if operator != NONE else None
        if kind is not None:
            kind_of[operator] = len(kinds)
            kinds.append(kind)
    kind_of_row = kind_of[graph.nodes.operator[rows]]
    known = kind_of_row != NONE
    ready = _last_rows(graph, rows)[known]
    order = np.argsort(ready, kind="stable")
    return Gradients(ready[order], rows[known][order], kind_of_row[known][order], tuple(kinds))


def _kind(operator: Operator) -> Kind | None:
    """Give what AccumulateGrad adds up, None where its shape is not known."""
    shape = operator.input_shapes[0] if operator.input_shapes else None
    if not isinstance(shape, tuple) or not all(isinstance(size, int) for size in shape):
        return None
    dtype = (dtype_of(operator.input_types[0]) if operator.input_types else "") or "fp32"
    return Kind(tuple(size for size in shape if isinstance(size, int)), dtype)


def _last_rows(graph: ExecutionGraph, rows: Int64s) -> Int64s:
    """Give for each AccumulateGrad the last row of its call: itself, its caller, its children."""
    parent = graph.nodes.parent.astype(np.int64)
    is_one = np.zeros(len(graph) + 1, dtype=bool)  # the last is for no row
    is_one[rows] = True
    inner = rows[is_one[parent[rows]]]
    last = np.arange(len(graph))
    last[inner] = np.maximum(inner, parent[inner])
    owner = _owners(parent, inner)
    inside = np.flatnonzero(owner[parent] != NONE)
    inside = inside[_reached(parent, inner)[inside]]
    np.maximum.at(last, owner[parent[inside]], inside)
    return last[rows]


def _owners(parent: Int64s, inner: Int64s) -> Int64s:
    """Give for every row the AccumulateGrad whose call it is in, NONE for others, (nodes + 1,)."""
    owner = np.full(len(parent) + 1, NONE, dtype=np.int64)
    owner[parent[inner]] = inner
    owner[inner] = inner
    reached = _reached(parent, inner)
    while True:
        new = np.flatnonzero((owner[:-1] == NONE) & (owner[parent] != NONE) & reached)
        if not len(new):
            return owner
        owner[new] = owner[parent[new]]


def _reached(parent: Int64s, inner: Int64s) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Tell which rows count to their parent's call: those that do not stand in front of it."""
    named = np.zeros(len(parent) + 1, dtype=bool)
    named[inner] = named[parent[inner]] = True
    reached: np.ndarray[tuple[int], np.dtype[np.bool_]] = named[parent]
    return reached | (parent < np.arange(len(parent)))
