"""Re-cost operators: give rows other shapes or dtypes, and scale what they measured by the model.

    new duration = dispatch + (duration - dispatch) · model(new work) / model(old work)

`dispatch` is what any operator of this run costs on a host thread, whatever it computes; it is 0
for device rows. Rows that were never measured keep duration 0: their new operator prices them.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..costs.device_model import estimate, floor_ns
from ..costs.work import is_known, work_of
from ..costs.work_values import Work, WorkClass
from ..errors import NeedsRecordingError
from ..graph import NONE, Category, ExecutionGraph, Operator
from ..hardware import DeviceKind, Hardware
from ..work_columns import with_work
from .edit import Mask
from .pool import Pool
from .scenario import Scenario

Float64s = NDArray[np.float64]
IDLE_CLASSES = (WorkClass.FREE, WorkClass.COLLECTIVE)
DEFAULT_DISPATCH_NS = 5000  # eager PyTorch: 3 to 10 us an operator


def has_device(graph: ExecutionGraph) -> bool:
    """Tell whether a graph has device work."""
    return bool(graph.on_device().any())


def doers(graph: ExecutionGraph) -> Mask:
    """Tell which rows' own time is an operator's work, shape (nodes,).

    Kernels with a known operator; in a run without a device the host rows of operators that work
    themselves: one whose children do at least half of its work only calls them.
    """
    nodes = graph.nodes
    amounts = np.array([*(_amount(operator) for operator in graph.operators), 0.0])
    amount = amounts[nodes.operator]
    if has_device(graph):
        kernels: Mask = (nodes.category == Category.KERNEL) & (amount > 0)
        return kernels
    amount[nodes.category != Category.HOST] = 0.0
    inner = np.zeros(len(graph) + 1)
    np.add.at(inner, nodes.parent.astype(np.int64), amount)
    working: Mask = (amount > 0) & (inner[:-1] < amount / 2)
    return working


def need_shapes(graph: ExecutionGraph, what: str) -> None:
    """Refuse a graph whose operators have no shapes.

    Raises:
        NeedsRecordingError: no operator has shapes.
    """
    if not doers(graph).any():
        raise NeedsRecordingError(
            f"{what}: no operator has shapes, so its work is unknown",
            remedy="record with record_shapes=True; `etsim capture` does",
        )


def _amount(operator: Operator) -> float:
    if not operator.input_shapes or not is_known(operator):
        return 0.0
    work = work_of(operator)
    if work.work_class in IDLE_CLASSES:
        return 0.0
    return float(work.flops + work.bytes_read + work.bytes_written)


def dispatch_ns(graph: ExecutionGraph) -> int:
    """Give what an operator costs on a host thread that computes nothing: the run's median."""
    nodes = graph.nodes
    idle = (nodes.category == Category.HOST) & (nodes.operator != NONE) & (nodes.duration_ns > 0)
    if not has_device(graph):
        idle &= ~doers(graph)
    if not idle.any():
        return DEFAULT_DISPATCH_NS
    return int(np.median(nodes.duration_ns[idle]))


def recosted(scenario: Scenario, rows: Mask, change: Callable[[Operator], Operator]) -> Scenario:
    """Give rows the operator that `change` makes of theirs, and the time of its work."""
    graph = scenario.graph
    used = sorted({int(o) for o in np.unique(graph.nodes.operator[rows]) if o != NONE})
    changed = {
        old: new for old in used if (new := change(graph.operators[old])) != _old(graph, old)
    }
    if not changed:
        return scenario
    pool = Pool(graph.operators)
    place = np.arange(len(graph.operators) + 1)
    place[-1] = NONE
    ratio = np.ones(len(graph.operators) + 1)
    ratio[list(changed)] = _ratios(
        scenario.costs,
        [work_of(graph.operators[old]) for old in changed],
        [work_of(new) for new in changed.values()],
    )
    for index, operator in changed.items():
        place[index] = pool[operator]
    nodes = graph.nodes
    column = np.where(rows, place[nodes.operator], nodes.operator).astype(np.int32)
    touched = column != nodes.operator
    moved = np.where(touched, 0, nodes.bytes)  # counted anew
    duration = _rescaled(graph, np.where(rows & doers(graph), ratio[nodes.operator], 1.0))
    nodes = replace(nodes, operator=column, duration_ns=duration, bytes=moved)
    return scenario.with_graph(
        with_work(replace(graph, nodes=nodes, operators=pool.values)).checked()
    )


def _old(graph: ExecutionGraph, index: int) -> Operator:
    return graph.operators[index]


def _rescaled(graph: ExecutionGraph, ratio: Float64s) -> NDArray[np.int64]:
    """Scale the work in each row's duration, not its dispatch."""
    duration = graph.nodes.duration_ns
    fixed = 0 if has_device(graph) else dispatch_ns(graph)
    overhead = np.minimum(duration, fixed)
    scaled = np.rint(overhead + (duration - overhead) * ratio).astype(np.int64)
    return np.where(ratio == 1.0, duration, scaled)


def _ratios(hardware: Hardware, old: Sequence[Work], new: Sequence[Work]) -> Float64s:
    """Model over model, on a CPU without the floor: dispatch is counted apart."""
    before, after = estimate(hardware, old).time_ns, estimate(hardware, new).time_ns
    if hardware.device.kind is DeviceKind.CPU:
        floor = floor_ns(hardware)
        before, after = before - floor, after - floor
    idle = np.array([work.work_class in IDLE_CLASSES for work in old], dtype=bool)
    ratio: Float64s = np.where(idle | (before <= 0), 1.0, after / np.where(before > 0, before, 1.0))
    return ratio
