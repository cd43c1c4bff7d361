"""Scale costs by what they are: the plainest what-if (`etsim predict --scale kernel=0.5`).

    kernel       all device work but collectives: kernels, memory copies and fills
    memcpy       memory copies and fills alone
    collective   transfers between ranks: collectives, sends, receives; never the waiting
    host         rows of host threads and the host time between them; not what follows a wait
    launch       the calls that put work on a stream, alone
    name:GLOB    rows called so, and device rows launched by an operator called so

Scales multiply where they meet. Waiting is never scaled: the replay computes it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

import numpy as np
from numpy.typing import NDArray

from ..models.errors import UsageError
from ..models.graph import HOST_TIME_EDGES, NONE, Category, ExecutionGraph, Int64s

Mask = NDArray[np.bool_]


class ScaleTarget(StrEnum):
    """What a scale changes."""

    KERNEL = "kernel"
    MEMCPY = "memcpy"
    COLLECTIVE = "collective"
    HOST = "host"
    LAUNCH = "launch"
    NAME = "name"


_CATEGORIES: dict[ScaleTarget, tuple[Category, ...]] = {
    ScaleTarget.KERNEL: (Category.KERNEL, Category.MEMCPY, Category.MEMSET),
    ScaleTarget.MEMCPY: (Category.MEMCPY, Category.MEMSET),
    ScaleTarget.COLLECTIVE: (Category.COLLECTIVE, Category.SEND, Category.RECV),
    ScaleTarget.HOST: (Category.HOST, Category.LAUNCH, Category.ANNOTATION),
    ScaleTarget.LAUNCH: (Category.LAUNCH,),
}
_PLAIN = ", ".join(f"{target}=F" for target in _CATEGORIES)
REMEDY = f"one of {_PLAIN}, 'name:GLOB=F' with a factor F of 0 or more"


@dataclass(frozen=True, slots=True)
class Scale:
    """Multiply the cost of what `target` (and for NAME, `pattern`) selects by `factor`."""

    target: ScaleTarget
    factor: float
    pattern: str = ""

    def __str__(self) -> str:
        what = f"name:{self.pattern}" if self.target is ScaleTarget.NAME else str(self.target)
        return f"{what}={self.factor:g}"


def parse_scale(text: str) -> Scale:
    """Read a scale as the command line takes it.

    >>> str(parse_scale("name:aten::mm*=0.8"))
    'name:aten::mm*=0.8'

    Raises:
        UsageError: not of the form, an unknown name, or no factor.
    """
    what, equals, value = text.rpartition("=")
    if not equals or not what:
        raise UsageError(f"--scale {text!r} is not NAME=FACTOR", remedy=REMEDY)
    factor = _factor(text, value)
    name, colon, pattern = what.partition(":")
    if name == ScaleTarget.NAME and pattern:
        return Scale(ScaleTarget.NAME, factor, pattern)
    if colon or what not in _CATEGORIES:
        raise UsageError(f"--scale {text!r}: unknown name {what!r}", remedy=REMEDY)
    return Scale(ScaleTarget(what), factor)


def _factor(text: str, value: str) -> float:
    try:
        factor = float(value)
    except ValueError:
        factor = math.nan
    if not math.isfinite(factor) or factor < 0:
        raise UsageError(f"--scale {text!r}: {value!r} is no factor", remedy=REMEDY)
    return factor


def apply_scales(
    graph: ExecutionGraph, duration_ns: Int64s, lag_ns: Int64s, scales: Sequence[Scale]
) -> tuple[Int64s, Int64s]:
    """Give scaled durations (nodes,) and lags (edges,), rounded once to whole nanoseconds.

    Raises:
        UsageError: no row has the name that a scale asks for.
    """
    row_factor, edge_factor = np.ones(len(graph)), np.ones(graph.edge_count)
    for scale in scales:
        rows = rows_scaled(graph, scale)
        if scale.target is ScaleTarget.NAME and not rows.any():
            raise UsageError(
                f"--scale {str(scale)!r}: no row and no operator is called {scale.pattern!r}",
                remedy="case counts; * and ? stand for any letters",
            )
        row_factor[rows] *= scale.factor
        if scale.target is ScaleTarget.HOST:
            edge_factor[np.isin(graph.edge_kind, HOST_TIME_EDGES)] *= scale.factor
    return scaled(duration_ns, row_factor), scaled(lag_ns, edge_factor)


def scaled(cost_ns: Int64s | NDArray[np.float64], factor: NDArray[np.float64]) -> Int64s:
    """Give costs times factors, to the nearest ns (half to even); untouched where factor is 1."""
    product = np.rint(cost_ns * factor).astype(np.int64)
    if cost_ns.dtype != np.int64:
        return product
    return np.where(factor == 1.0, cost_ns.astype(np.int64), product)


def rows_scaled(graph: ExecutionGraph, scale: Scale) -> Mask:
    """Tell which rows a scale changes, shape (nodes,)."""
    if scale.target is not ScaleTarget.NAME:
        return np.isin(graph.nodes.category, _CATEGORIES[scale.target])
    return _rows_named(graph, scale.pattern)


def _rows_named(graph: ExecutionGraph, pattern: str) -> Mask:
    """Find rows by name. Of an operator that ran on a device only the device's part is meant.

    host   [aten::mm]--launch-.                name:aten::mm  ->  sgemm alone; its host part is
    stream                    `-> [sgemm]      dispatch, which a faster kernel leaves as it is
    """
    nodes = graph.nodes
    by_name = _matches(graph.names, pattern)[nodes.name]
    operator_names = tuple(operator.name for operator in graph.operators)
    known = nodes.operator != NONE
    by_operator = np.zeros(len(graph), dtype=bool)
    by_operator[known] = _matches(operator_names, pattern)[nodes.operator[known]]
    on_device = graph.on_device()
    launching = {operator_names[i] for i in np.unique(nodes.operator[on_device & known]).tolist()}
    dispatch = np.array([name in launching for name in graph.names], dtype=bool)[nodes.name]
    named: Mask = np.where(on_device, by_name | by_operator, by_name & ~dispatch)
    return named


def _matches(names: tuple[str, ...], pattern: str) -> Mask:
    return np.array([fnmatchcase(name, pattern) for name in names], dtype=bool)
