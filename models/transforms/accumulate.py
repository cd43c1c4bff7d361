"""Gradient accumulation: forward and backward several times before one optimizer step.

    | fwd bwd | step        becomes        | fwd bwd | fwd bwd+add | ... | step

Only the last micro-batch sends gradients (`no_sync`); from the second on they are added up.
"""

from collections.abc import Mapping

import numpy as np

from ..graph import Category, ExecutionGraph, Operator
from .edit import Mask
from .registry import Parameter, Transform, Value, register, whole
from .scenario import Scenario
from .splice import Placed, spliced
from .training import BACKWARD, Gradient, Iteration, in_phase, iterations
from .worker import Worker

COMMUNICATION = (Category.COLLECTIVE, Category.JOIN, Category.SEND, Category.RECV)


def _accumulate(scenario: Scenario, values: Mapping[str, Value]) -> Scenario:
    steps = whole(values, "steps", "accumulate", least=1)
    if steps == 1:
        return scenario
    graph = scenario.graph
    found = iterations(graph, "accumulate", with_shapes=False)
    silent = _without_sending(graph)
    copies: dict[int, list[Placed]] = {}
    for iteration in found:
        rows = iteration.forward_backward(graph)
        kept = rows[~silent[rows]].tolist()
        copies[iteration.first] = [
            (row, copy) for copy in range(1, steps) for row in kept
        ]  # before the recorded one, which sends
    order: list[Placed] = []
    for row in range(len(graph)):
        order += copies.get(row, [])
        order.append((row, 0))
    repeated = scenario.with_graph(spliced(graph, order))
    return _with_additions(repeated, found, order)


def _without_sending(graph: ExecutionGraph) -> Mask:
    """Tell which rows `no_sync` leaves out: collectives of backward, their issue and copies."""
    rows: Mask = np.isin(graph.nodes.category, COMMUNICATION)
    sends = np.array([_sends(name) for name in graph.names], dtype=bool)
    rows |= sends[graph.nodes.name]
    above = graph.nodes.parent.astype(np.int64)
    under = np.array([_is_copy(name) for name in graph.names], dtype=bool)
    inside = (above >= 0) & under[graph.nodes.name[above]]
    forward = ~in_phase(graph, BACKWARD) & ~np.isin(graph.nodes.category, COMMUNICATION)
    silent: Mask = (rows | inside) & ~(forward & ~sends[graph.nodes.name] & ~inside)
    return silent


def _sends(name: str) -> bool:
    return name.startswith("c10d::") or _is_copy(name)


def _is_copy(name: str) -> bool:
    return "reducer::mul_out" in name or "copy_bucket_to_grad" in name


def _with_additions(scenario: Scenario, found: list[Iteration], order: list[Placed]) -> Scenario:
    """From the second micro-batch on a gradient is added to the one that is there."""
    place = {placed: row for row, placed in enumerate(order)}
    worker = Worker(scenario)
    copies = {copy for _, copy in order}
    for iteration in found:
        for gradient in iteration.gradients:
            for copy in sorted(copies - {min(copies - {0})}):  # all but the first micro-batch
                _add(worker, gradient, place[gradient.accumulate_row, copy])
    return worker.scenario


def _add(worker: Worker, gradient: Gradient, row: int) -> None:
    shape, dtype = gradient.shape, gradient.dtype
    operator = Operator(
        "aten::add_", input_shapes=(shape, shape, ()), input_types=(dtype, dtype, "Scalar")
    )
    lane = int(worker.base.graph.nodes.lane[row])
    worker.work(row, "aten::add_", lane, operator, 1)


register(
    Transform(
        name="accumulate",
        about="Accumulate gradients over several micro-batches before each optimizer step.",
        edit="Repeats forward and backward in front of the recorded ones, without collectives "
        "(`no_sync`), and adds up gradients from the second on.",
        assumes="every micro-batch is as large as the recorded batch; combine with `batch` to "
        "split one",
        needs="Optimizer.step; without AccumulateGrad and its shapes adding up costs nothing",
        parameters=(Parameter("steps", "micro-batches an optimizer step"),),
        apply=_accumulate,
    )
)
