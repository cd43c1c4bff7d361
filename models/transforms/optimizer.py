"""Fused optimizer: one call over all parameters instead of several for each.

|step| mul lerp mul addcmul sqrt ... |      becomes      |step| _fused_adamw_ |
"""

from collections.abc import Mapping
from math import ceil, prod

import numpy as np

from ..errors import UsageError
from ..graph import NONE, ExecutionGraph, Int64s, Operator
from .edit import Mask
from .memory_training import FUSED_STEP
from .recost import has_device
from .registry import Parameter, Transform, Value, register
from .scenario import Scenario
from .splice import without_time
from .training import Gradients, Iteration, fixed, iterations
from .worker import Work, Worker

# lists of tensors that a fused step takes: parameters, gradients, states
FUSED = {"adamw": ("_fused_adamw_", 4), "adam": ("_fused_adam_", 4), "sgd": ("_fused_sgd_", 3)}
# PyTorch's multi-tensor kernels: so many tensors a launch for four lists, so many elements a
# block's chunk and blocks a launch (ATen/native/cuda/MultiTensorApply.cuh)
TENSORS_A_LAUNCH, CHUNK, BLOCKS = 36, 65536, 320
FUSED_CALLS = 3  # grouping, step counts, the call itself


def _fused(scenario: Scenario, values: Mapping[str, Value]) -> Scenario:
    kind = str(values["kind"])
    if kind and kind not in FUSED:
        raise UsageError(f"fused-optimizer: no {kind!r}", remedy=f"one of {', '.join(FUSED)}")
    graph = scenario.graph
    fused = np.array(["_fused_" in name for name in graph.names], dtype=bool)
    steps = [
        iteration
        for iteration in iterations(graph, "fused-optimizer")
        if len(iteration.optimizer) > 1 and not fused[graph.nodes.name[iteration.optimizer]].any()
    ]
    step_of = np.full(len(graph), NONE, dtype=np.int64)
    for number, iteration in enumerate(steps):
        step_of[iteration.optimizer[1:]] = number
    gone = _replaced(graph, step_of != NONE)
    if not gone.any():
        return scenario
    worker = Worker(scenario)
    for iteration, took_ns in zip(steps, _work_ns(graph, gone, step_of), strict=True):
        mark = graph.name_of(int(iteration.optimizer[0]))
        _insert(worker, iteration, kind or _kind(mark), took_ns or None)
    kept = worker.scenario.graph
    removed = np.zeros(len(kept), dtype=bool)
    removed[worker.insertion.places()[: len(graph)][gone]] = True
    return scenario.with_graph(without_time(kept, removed))


def _kind(mark: str) -> str:
    """`Optimizer.step#AdamW.step` names its class; what is unknown counts as Adam."""
    lowered = mark.lower()
    return next((kind for kind in FUSED if kind in lowered), "adam")


def _replaced(graph: ExecutionGraph, issued: Mask) -> Mask:
    """Tell which rows go: what steps issued, and the kernels of those launches."""
    launched = graph.on_device() & (graph.nodes.parent >= 0)
    launched[launched] = issued[graph.nodes.parent[launched]]
    host = ~graph.on_device()
    return ((issued & host) | launched) & ~fixed(graph)


def _work_ns(graph: ExecutionGraph, gone: Mask, step_of: Int64s) -> list[int]:
    """Give what the replaced operators of each step took; 0 where nobody measured it.

    The fused step moves no byte that they did not move, so it takes no longer.
    """
    on_device = graph.on_device()
    working = np.flatnonzero(gone & (on_device if has_device(graph) else True))
    issuer = np.where(on_device[working], graph.nodes.parent[working], working)
    took = np.zeros(int(step_of.max()) + 1, dtype=np.int64)
    np.add.at(took, step_of[issuer], graph.nodes.duration_ns[working])
    result: list[int] = took.tolist()
    return result


def _insert(worker: Worker, iteration: Iteration, kind: str, took_ns: int | None) -> None:
    """Insert as many kernels as the multi-tensor launcher needs, on a host one call."""
    name, lists = FUSED[kind]
    gradients = iteration.gradients
    sizes = np.array([prod(kind.shape) for kind in gradients.kinds], dtype=np.int64)
    elements = int(sizes[gradients.kind].sum())
    pieces = 1
    if worker.on_device:
        by_tensors = ceil(len(gradients) / TENSORS_A_LAUNCH)
        pieces = max(by_tensors, ceil(elements / (CHUNK * BLOCKS)))
    graph = worker.base.graph
    mark, first = int(iteration.optimizer[0]), int(iteration.optimizer[1])
    lag = next((lag for p, _, lag in graph.predecessors(first) if p == mark), 0)
    parts = [gradients[piece::pieces] for piece in range(min(pieces, len(gradients)))]
    operators = [_step_over(part, name, lists) for part in parts]
    count = len(parts)
    first_of_all = np.arange(count) == 0
    work = Work(
        np.full(count, mark), f"aten::{name}", np.full(count, graph.nodes.lane[mark]),
        np.where(first_of_all, FUSED_CALLS, 1), np.where(first_of_all, lag, 0),
        None if took_ns is None else took_ns // count,
    )  # fmt: skip
    numbers = worker.insertion.reserve(count * worker.rows_of_work)
    worker.works(numbers, work, np.arange(count), operators)


def _step_over(gradients: Gradients, name: str, lists: int) -> Operator:
    """Give one call over some parameters, their gradients and states."""
    kinds = [gradients.kinds[kind] for kind in gradients.kind.tolist()]
    types = ",".join(kind.dtype for kind in kinds)
    return Operator(
        f"aten::{name}",
        input_shapes=(tuple(kind.shape for kind in kinds),) * lists,
        input_types=(f"GenericList[{types}]",) * lists,
    )


register(
    Transform(
        name="fused-optimizer",
        about="One fused optimizer step over all parameters.",
        edit="Removes what Optimizer.step issued, with its kernels and the time between, and "
        "inserts one call that reads parameters, gradients and states and writes them back.",
        assumes="grouping the tensors takes what the step took before its first operator",
        needs="AccumulateGrad with shapes and Optimizer.step",
        parameters=(Parameter("kind", "adam, adamw or sgd; as recorded", "", is_text=True),),
        apply=_fused,
        memory=FUSED_STEP,
    )
)
