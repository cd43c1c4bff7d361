"""A column whose values repeat: each distinct value once, and which of them every row has.

    table  aten::mm  aten::t        rows    aten::mm  aten::t  aten::mm
    code                                       0         1        0

What is worked out of a value is worked out once a distinct value: `work(table)[code]`.
"""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar, overload

import numpy as np

from ..models.graph import Int32s, Int64s
from ..models.graph_builder import Interner

Value = TypeVar("Value")
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True, eq=False)
class Coded(Sequence[Value]):
    """Values by row, read as a sequence; `code` points into `table`, shape (rows,)."""

    table: Sequence[Value]
    code: Int32s

    def __len__(self) -> int:
        return len(self.code)

    def __iter__(self) -> Iterator[Value]:
        return map(self.table.__getitem__, self.code.tolist())

    @overload
    def __getitem__(self, row: int) -> Value: ...

    @overload
    def __getitem__(self, row: slice) -> "Coded[Value]": ...

    def __getitem__(self, row: int | slice) -> "Value | Coded[Value]":
        if isinstance(row, slice):
            return Coded(self.table, self.code[row])
        return self.table[int(self.code[row])]

    def sorted_by(self, order: Int64s) -> "Coded[Value]":
        """Give the rows in an order, the distinct values in order of first sight there."""
        code = self.code[order]
        first = np.full(len(self.table), len(code), dtype=np.int64)
        first[code[::-1]] = np.arange(len(code))[::-1]
        by_sight = np.argsort(first, kind="stable")
        place = np.empty(len(by_sight), dtype=np.int32)
        place[by_sight] = np.arange(len(by_sight))
        return Coded([self.table[index] for index in by_sight.tolist()], place[code])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]


def coded(values: Iterable[Key]) -> Coded[Key]:
    """Keep each distinct value once, in order of first sight."""
    pool: Interner[Key] = Interner()
    code = np.fromiter(map(pool.__getitem__, values), dtype=np.int32)
    return Coded(list(pool), code)
