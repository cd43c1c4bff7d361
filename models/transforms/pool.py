"""A table of a graph that only grows: old indices stay, also where a reader left equal values."""

from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

import numpy as np

from ..graph import Int64s

T = TypeVar("T", bound=Hashable)


class Pool(Generic[T]):
    """Gives each value its index, a new one at the end: `pool[value]`."""

    def __init__(self, values: Iterable[T]) -> None:
        self._values = list(values)
        self._index: dict[T, int] = {}
        for index, value in enumerate(self._values):
            self._index.setdefault(value, index)

    def __getitem__(self, value: T) -> int:
        if value not in self._index:
            self._index[value] = len(self._values)
            self._values.append(value)
        return self._index[value]

    @property
    def values(self) -> tuple[T, ...]:
        """Give the whole table."""
        return tuple(self._values)


def by_first_use(values: Int64s) -> tuple[Int64s, list[int]]:
    """Give each value's place among the distinct ones in the order of first use, and those.

    >>> by_first_use(np.array([7, 3, 7]))
    (array([0, 1, 0]), [7, 3])
    """
    distinct, first, which = np.unique(values, return_index=True, return_inverse=True)
    in_order = np.argsort(first)
    return np.argsort(in_order)[which], distinct[in_order].tolist()
