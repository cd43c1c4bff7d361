"""Gradient accumulation: forward and backward several times before one optimizer step.

    | fwd bwd | step        becomes        | fwd bwd | fwd bwd+add | ... | step

Only the last micro-batch sends gradients (`no_sync`); from the second on they are added up.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from ..graph import NONE, Category, ExecutionGraph, Int64s, Operator
from .edit import Mask
from .gradients import Kind
from .memory_training import ACCUMULATE
from .registry import Parameter, Transform, Value, register, whole
from .scenario import Scenario
from .splice import copied, spliced, with_copies
from .training import BACKWARD, Iteration, in_phase, iterations
from .worker import Work, Worker

COMMUNICATION = (Category.COLLECTIVE, Category.JOIN, Category.SEND, Category.RECV)


def _accumulate(scenario: Scenario, values: Mapping[str, Value]) -> Scenario:
    steps = whole(values, "steps", "accumulate", least=1)
    if steps == 1:
        return scenario
    graph = scenario.graph
    found = iterations(graph, "accumulate", with_shapes=False)
    order = _order(graph, found, ~_without_sending(graph), steps)
    repeated = scenario.with_graph(spliced(graph, order))
    return _with_additions(repeated, found, order)


def _order(graph: ExecutionGraph, found: Sequence[Iteration], kept: Mask, steps: int) -> Int64s:
    """Put the silent micro-batches before the recorded one, which sends."""
    orders, anchors = [], []
    for iteration in found:
        rows = iteration.forward_backward(graph)
        rows = rows[kept[rows]]
        orders += [copied(rows, copy) for copy in range(1, steps)]
        anchors.append(np.full(len(rows) * (steps - 1), iteration.first))
    everything = np.arange(len(graph))
    return with_copies(everything, np.concatenate(orders), np.concatenate(anchors), in_front=True)


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


def _with_additions(scenario: Scenario, found: list[Iteration], order: Int64s) -> Scenario:
    """From the second micro-batch on a gradient is added to the one that is there."""
    worker = Worker(scenario)
    copies = [copy for copy in np.unique(order[:, 1]).tolist() if copy != 1]  # not the first
    places = [_places(order, copy) for copy in copies]
    lanes = scenario.graph.nodes.lane
    for iteration in found:
        gradients = iteration.gradients
        rows = np.stack([place[gradients.accumulate_rows] for place in places], axis=1).reshape(-1)
        work = Work(rows, "aten::add_", lanes[rows].astype(np.int64), 1)
        numbers = worker.insertion.reserve(worker.rows_of_work * len(rows))
        kind, kinds = gradients.by_kind()
        operators = [_addition(k) for k in kinds]
        worker.works(numbers, work, np.repeat(kind, len(places)), operators)
    return worker.scenario


def _places(order: Int64s, copy: int) -> Int64s:
    """Give the new places of one copy's rows by their old ones; others have none."""
    place = np.full(int(order[:, 0].max()) + 1, NONE, dtype=np.int64)
    at = np.flatnonzero(order[:, 1] == copy)
    place[order[at, 0]] = at
    return place


def _addition(gradient: Kind) -> Operator:
    shape, dtype = gradient.shape, gradient.dtype
    return Operator(
        "aten::add_", input_shapes=(shape, shape, ()), input_types=(dtype, dtype, "Scalar")
    )


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
        memory=ACCUMULATE,
    )
)
