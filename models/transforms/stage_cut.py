"""Cut the layers of a model into parts of like duration, for the stages of a pipeline."""

from collections.abc import Sequence

import numpy as np

from ..errors import UsageError
from ..graph import NONE, ExecutionGraph
from .recost import has_device
from .repeats import Layers


def first_layers(graph: ExecutionGraph, layers: Layers, parts: int) -> list[int]:
    """Give each part's first layer; a layer takes what its rows took, on the device if any.

    Raises:
        UsageError: more parts than layers.
    """
    if len(layers.paths) < parts:
        raise UsageError(f"pipeline: {len(layers.paths)} layers cannot be cut into {parts} parts")
    counted = graph.on_device() if has_device(graph) else np.ones(len(graph), dtype=bool)
    counted = counted & (layers.of_row != NONE)
    times = np.bincount(
        layers.of_row[counted],
        weights=graph.nodes.duration_ns[counted] + 1.0,
        minlength=len(layers.paths),
    )
    return balanced(times.tolist(), parts)


def balanced(times: Sequence[float], parts: int) -> list[int]:
    """Cut a row of layers so that the longest part is shortest; gives each part's first layer.

    >>> balanced([1, 1, 1, 3], 2)
    [0, 3]
    """
    count = len(times)
    sums = np.concatenate(([0.0], np.cumsum(times)))
    best = [[float("inf")] * (count + 1) for _ in range(parts + 1)]
    cut = [[0] * (count + 1) for _ in range(parts + 1)]
    best[0][0] = 0.0
    for part in range(1, parts + 1):
        for end in range(part, count + 1):
            for begin in range(part - 1, end):
                longest = max(best[part - 1][begin], float(sums[end] - sums[begin]))
                if longest < best[part][end]:
                    best[part][end], cut[part][end] = longest, begin
    firsts, end = [], count
    for part in range(parts, 0, -1):
        end = cut[part][end]
        firsts.append(end)
    return firsts[::-1]
