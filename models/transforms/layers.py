"""More or fewer layers: a repeated module is laid out again, or left out, forward and backward.

fwd  A B C   bwd  C' B' A'    one more:    fwd  A B C C   bwd  C' C' B' A'
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..graph import NONE, ExecutionGraph, Int64s
from .edit import Mask
from .memory_layers import LAYERS
from .optimizer_share import resized_optimizer
from .pool import Pool
from .registry import Parameter, Transform, Value, register, whole
from .repeats import Layers, counted, find_layers
from .scenario import Scenario
from .splice import copied, spliced, with_copies
from .training import Gradients, Iteration, passes


def _layers(scenario: Scenario, values: Mapping[str, Value]) -> Scenario:
    wanted = whole(values, "to", "layers", least=1)
    graph = scenario.graph
    found = passes(graph, "layers")
    layers = find_layers(graph, str(values["module"]), "layers")
    recorded = len(layers.paths)
    if wanted == recorded:
        return scenario
    middle = recorded // 2  # neither the first nor the last, which may have neighbours of their own
    if wanted > recorded:
        repeated, gone = [middle] * (wanted - recorded), []
    else:
        repeated, gone = [], _middle(recorded, recorded - wanted)
    changed = {middle} if repeated else set(gone)
    gradients = {it.first: _gradients_of(layers, it, changed) for it in found}
    if any(gradients.values()):
        times = len(repeated) if repeated else -1
        scenario = resized_optimizer(scenario, found, gradients, times)
    order = _order(graph, layers, found, (repeated, gone))
    laid_out = spliced(scenario.graph, order)
    return scenario.with_graph(_renamed(laid_out, order, layers.paths, middle))


def _renamed(
    graph: ExecutionGraph, order: Int64s, paths: Sequence[str], middle: int
) -> ExecutionGraph:
    """Give copies of a layer module paths of their own: the next free numbers."""
    copies = order[:, 1]
    names = Pool(graph.names)
    base, last, sign = counted(paths[-1])
    module = graph.nodes.module.copy()
    for copy in range(1, int(copies.max(initial=0)) + 1):
        rows = np.flatnonzero((copies == copy) & (module != NONE))
        for index in np.unique(module[rows]).tolist():
            old = graph.names[index]
            if old.startswith(paths[middle]):
                new = names[f"{base}{last + copy}{sign}{old.removeprefix(paths[middle])}"]
                module[rows[module[rows] == index]] = new
    return replace(graph, nodes=replace(graph.nodes, module=module), names=names.values).checked()


def _middle(count: int, removed: int) -> list[int]:
    first = (count - removed) // 2
    return list(range(first, first + removed))


def _gradients_of(layers: Layers, iteration: Iteration, chosen: set[int]) -> Gradients:
    gradients = iteration.gradients
    return gradients.take(np.isin(layers.of_row[gradients.accumulate_rows], sorted(chosen)))


def _order(
    graph: ExecutionGraph,
    layers: Layers,
    found: list[Iteration],
    change: tuple[list[int], list[int]],
) -> Int64s:
    """Lay out the rows: copies stand behind the last row of what they repeat."""
    repeated, gone = change
    kept: Mask = np.ones(len(graph), dtype=bool)
    orders = [np.empty((0, 2), dtype=np.int64)]
    anchors = [np.empty(0, dtype=np.int64)]
    for iteration in found:
        for backward in (False, True):
            for layer in gone:
                kept[layers.rows(layer, iteration, backward=backward)] = False
            for copy, layer in enumerate(repeated, start=1):
                rows = layers.rows(layer, iteration, backward=backward)
                orders.append(copied(rows, copy))
                anchors.append(np.repeat(rows[-1:], len(rows)))
    return with_copies(
        np.flatnonzero(kept), np.concatenate(orders), np.concatenate(anchors), in_front=False
    )


register(
    Transform(
        name="layers",
        about="A model of more or fewer layers.",
        edit="Repeats or removes the rows of one repeated module, forward and backward, with its "
        "kernels and collectives, and its parameters' share of the optimizer.",
        assumes="layers are alike, and their gradients' buckets are filled as recorded",
        needs="modules (stacks or record_function); gradients with shapes for the optimizer",
        parameters=(
            Parameter("to", "number of layers wanted"),
            Parameter("module", "pattern such as Block_*; the largest repeated", "", is_text=True),
        ),
        apply=_layers,
        memory=LAYERS,
    )
)
