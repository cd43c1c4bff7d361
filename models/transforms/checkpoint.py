"""Activation checkpointing: forward keeps only the inputs of layers; backward computes them again.

fwd  A B    bwd  B' A'        becomes        fwd  A B    bwd  B B' A A'
"""

from collections.abc import Mapping
from dataclasses import replace

from ..errors import UsageError
from .registry import Parameter, Transform, Value, register, whole
from .repeats import find_layers
from .scenario import Scenario
from .splice import Placed, spliced
from .training import BACKWARD, iterations


def _checkpoint(scenario: Scenario, values: Mapping[str, Value]) -> Scenario:
    every = whole(values, "every", "checkpoint", least=0)
    if every == 0:
        return scenario
    graph = scenario.graph
    found = iterations(graph, "checkpoint", with_shapes=False)
    layers = find_layers(graph, str(values["module"]), "checkpoint")
    in_front: dict[int, list[Placed]] = {}
    lanes: dict[Placed, int] = {}
    on_device = graph.on_device()
    for iteration in found:
        for layer in range(0, len(layers.paths), every):
            forward = layers.rows(layer, iteration, backward=False).tolist()
            backward = layers.rows(layer, iteration, backward=True)
            backward = backward[~on_device[backward]]
            if not forward or not len(backward):
                continue
            first = int(backward[0])
            in_front[first] = [(row, 1) for row in forward]
            thread = int(graph.nodes.lane[first])
            lanes.update({(row, 1): thread for row in forward if not on_device[row]})
    if not in_front:
        raise UsageError(f"checkpoint: {layers.paths[0]} has no backward of its own")
    order: list[Placed] = []
    for row in range(len(graph)):
        order += in_front.get(row, [])
        order.append((row, 0))
    again = spliced(graph, order, lanes)
    phase = again.nodes.phase.copy()
    phase[[copy == 1 for _, copy in order]] = graph.names.index(BACKWARD)
    return scenario.with_graph(replace(again, nodes=replace(again.nodes, phase=phase)))


register(
    Transform(
        name="checkpoint",
        about="Keep no activations inside layers: compute them again in backward.",
        edit="Inserts a copy of each layer's forward rows in front of its backward, on the "
        "thread of the backward.",
        assumes="the second forward takes as long as the first",
        needs="modules (stacks or record_function) and Optimizer.step",
        parameters=(
            Parameter("every", "1: all layers, 2: every second; 0: none", 1.0),
            Parameter("module", "pattern such as Block_*; the largest repeated", "", is_text=True),
        ),
        apply=_checkpoint,
    )
)
