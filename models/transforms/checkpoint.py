"""Activation checkpointing: forward keeps only the inputs of layers; backward computes them again.

fwd  A B    bwd  B' A'        becomes        fwd  A B    bwd  B B' A A'
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ..errors import UsageError
from ..graph import NONE, ExecutionGraph, Int64s
from .edit import Mask
from .memory_checkpoint import CHECKPOINT
from .registry import Parameter, Transform, Value, register, whole
from .repeats import Layers, find_layers
from .scenario import Scenario
from .splice import copied, spliced, with_copies
from .training import BACKWARD, Iteration, iterations


def _checkpoint(scenario: Scenario, values: Mapping[str, Value]) -> Scenario:
    every = whole(values, "every", "checkpoint", least=0)
    if every == 0:
        return scenario
    graph = scenario.graph
    found = iterations(graph, "checkpoint", with_shapes=False)
    layers = find_layers(graph, str(values["module"]), "checkpoint")
    again: dict[int, Int64s] = {}
    host = ~graph.on_device()
    for iteration in found:
        again |= _again(layers, iteration, every, host)
    if not again:
        raise UsageError(f"checkpoint: {layers.paths[0]} has no backward of its own")
    return scenario.with_graph(_laid_out(graph, again))


def _again(layers: Layers, iteration: Iteration, every: int, host: Mask) -> dict[int, Int64s]:
    """Give what an iteration computes again by the row in front of which it does."""
    found = {}
    for layer in range(0, len(layers.paths), every):
        forward = layers.rows(layer, iteration, backward=False)
        backward = layers.rows(layer, iteration, backward=True)
        backward = backward[host[backward]]
        if len(forward) and len(backward):
            found[int(backward[0])] = forward
    return found


def _laid_out(graph: ExecutionGraph, again: Mapping[int, Int64s]) -> ExecutionGraph:
    """Put the second forwards in, on the threads of the backwards, and call them backward."""
    rows = np.concatenate(list(again.values()))
    before = np.repeat(list(again), [len(forward) for forward in again.values()])
    order = with_copies(np.arange(len(graph)), copied(rows, 1), before, in_front=True)
    thread = np.full(len(graph), NONE, dtype=np.int64)
    thread[rows] = np.where(graph.on_device()[rows], NONE, graph.nodes.lane[before])
    copies = order[:, 1] == 1
    laid_out = spliced(graph, order, np.where(copies, thread[order[:, 0]], NONE))
    phase = laid_out.nodes.phase.copy()
    phase[copies] = graph.names.index(BACKWARD)
    return replace(laid_out, nodes=replace(laid_out.nodes, phase=phase))


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
        memory=CHECKPOINT,
    )
)
