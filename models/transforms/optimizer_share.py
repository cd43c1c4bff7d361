"""The optimizer of another set of parameters: per-parameter loops by count, lists by elements.

loop    |p0: mul lerp ...|p1: ...|      each parameter the same calls: rows scale with count
list    |_foreach_mul_ [p0, p1, ...]|   dispatch stays, work scales with the elements
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..graph import NONE, Category, Dims, EdgeKind, Operator
from .edit import scaled
from .recost import recosted_parts
from .scenario import Scenario
from .training import Gradient, Iteration


def resized_optimizer(
    scenario: Scenario,
    found: Sequence[Iteration],
    changed: Mapping[int, Sequence[Gradient]],
    times: int,
) -> Scenario:
    """Add the given gradients' parameters `times` over to the optimizer (-1: take them out).

    Args:
        scenario: its rows keep their places.
        found: the iterations.
        changed: parameters by the first row of the iteration.
        times: how often they are added.
    """
    graph = scenario.graph
    lists = np.array([*(_is_list(operator) for operator in graph.operators), False])
    part = np.full(len(graph), NONE, dtype=np.int64)
    ratio = np.ones(len(graph))
    for number, iteration in enumerate(found):
        rows = iteration.optimizer
        by_list = lists[graph.nodes.operator[rows]]
        part[rows[by_list]] = number
        if not by_list.any():
            ratio[rows] = 1 + times * len(changed[iteration.first]) / len(iteration.gradients)
    longer = [_Lengthened(changed[iteration.first], times) for iteration in found]
    return _stretched(recosted_parts(scenario, part, longer), ratio)


def _is_list(operator: Operator) -> bool:
    return "_foreach_" in operator.name or "_fused_" in operator.name


class _Lengthened:
    """Adds shapes to every list of an operator, or takes them out."""

    def __init__(self, part: Sequence[Gradient], times: int) -> None:
        self.shapes = [gradient.shape for gradient in part]
        self.dtypes = [gradient.dtype for gradient in part]
        self.times = times

    def __call__(self, operator: Operator) -> Operator:
        shapes, types = [], []
        for place, dims in enumerate(operator.input_shapes):
            kind = operator.input_types[place] if place < len(operator.input_types) else ""
            longer = self._list(dims, kind) if _lists_tensors(dims) else (dims, kind)
            shapes.append(longer[0])
            types.append(longer[1])
        return replace(operator, input_shapes=tuple(shapes), input_types=tuple(types))

    def _list(self, dims: Dims, kind: str) -> tuple[Dims, str]:
        assert isinstance(dims, tuple)
        inner = kind.removeprefix("GenericList[").removesuffix("]").split(",") if kind else []
        scalars = all(part == () for part in dims)  # step counts
        added: list[Dims] = [() if scalars else shape for shape in self.shapes]
        if self.times > 0:
            names = inner + ([inner[0]] * (len(added) * self.times) if inner else [])
            longer = (*dims, *added * self.times)
            return longer, f"GenericList[{','.join(names)}]" if inner else kind
        left = list(dims)
        for shape in added:
            if shape in left:
                left.remove(shape)
        names = inner[: len(left)]
        return tuple(left), f"GenericList[{','.join(names)}]" if inner else kind


def _lists_tensors(dims: Dims) -> bool:
    return isinstance(dims, tuple) and bool(dims) and all(isinstance(d, tuple) for d in dims)


def _stretched(scenario: Scenario, ratio: NDArray[np.float64]) -> Scenario:
    """Loops over parameters: their rows and the host time between them by their number."""
    graph = scenario.graph
    ratio = np.where(graph.nodes.category == Category.ANNOTATION, 1.0, ratio)
    into = ratio[graph.edge_target()]
    counts = (graph.edge_kind == EdgeKind.HOST_ORDER) & (into != 1.0)
    lag = np.where(counts, np.rint(graph.edge_lag_ns * into), graph.edge_lag_ns)
    graph = replace(graph, edge_lag_ns=lag.astype(np.int64))
    return scenario.with_graph(scaled(graph, ratio != 1.0, ratio))
