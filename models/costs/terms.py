"""Costs as terms: what is done, held apart from the machine that does it.

    duration[v] = work[v] · price[line of v] + fixed[line of v]

Work and lines come from the graph and its source; a target only fills the lines. So a graph is
read once for any number of targets.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..graph import Int64s
from ..hardware import Hardware

Float64s = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """What a target asks, shape (lines,) each: for one unit of work, and besides in ns."""

    price: Float64s
    fixed_ns: Float64s

    @classmethod
    def rates(cls, price: Float64s) -> "Lines":
        """Give lines without a fixed part."""
        return cls(price, np.zeros(len(price)))


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """Rows that are priced alike.

    Attributes:
        rows, work, line: shape (rows,); `work` is never negative, `line` points into the lines.
        lines: gives a target's lines.
    """

    rows: Int64s
    work: Float64s
    line: Int64s
    lines: Callable[[Hardware], Lines]

    def cost_ns(self, lines: Lines) -> Float64s:
        """Give the rows' times, not yet rounded."""
        cost: Float64s = self.work * lines.price[self.line] + lines.fixed_ns[self.line]
        return cost


def stacked(parts: list[Lines]) -> Lines:
    """Give the lines of several terms below each other."""
    return Lines(
        np.concatenate([part.price for part in parts]),
        np.concatenate([part.fixed_ns for part in parts]),
    )
