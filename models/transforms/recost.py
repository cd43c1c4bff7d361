"""Re-cost operators: give rows other shapes or dtypes, and scale what they measured by the model.

    new duration = dispatch + (duration - dispatch) · model(new work) / model(old work)

`dispatch` is what any operator of this run costs on a host thread, whatever it computes; it is 0
for device rows. Rows that were never measured keep duration 0: their new operator prices them.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..costs.device_model import estimate, floor_ns
from ..costs.work import is_known, work_of
from ..costs.work_values import Work, WorkClass
from ..errors import NeedsRecordingError
from ..graph import NONE, Bytes, Category, ExecutionGraph, Int64s, Operator, Provenance
from ..hardware import DeviceKind, Hardware
from ..work_columns import with_work
from .edit import Mask
from .pool import Pool
from .scenario import Scenario

Float64s = NDArray[np.float64]
Change: TypeAlias = Callable[[Operator], Operator]
IDLE_CLASSES = (WorkClass.FREE, WorkClass.COLLECTIVE)
MOST_OPERATORS = 1 << 16  # of which the work is kept
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


@lru_cache(maxsize=MOST_OPERATORS)
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


def recosted(scenario: Scenario, rows: Mask, change: Change) -> Scenario:
    """Give rows the operator that `change` makes of theirs, and the time of its work."""
    return recosted_parts(scenario, np.where(rows, 0, NONE), [change])


def recosted_parts(scenario: Scenario, part: Int64s, changes: Sequence[Change]) -> Scenario:
    """Give rows of several parts the operators that their part's change makes of theirs.

    Args:
        scenario: with operators that have shapes.
        part: of each row, into `changes`; NONE for rows that stay, shape (nodes,).
        changes: what becomes of an operator.
    """
    graph, nodes = scenario.graph, scenario.graph.nodes
    count = len(graph.operators)
    rows = np.flatnonzero((part != NONE) & (nodes.operator != NONE))
    pairs, pair = np.unique(part[rows] * count + nodes.operator[rows], return_inverse=True)
    old = [graph.operators[index] for index in (pairs % max(1, count)).tolist()]
    new = [changes[p](op) for p, op in zip((pairs // max(1, count)).tolist(), old, strict=True)]
    changed = np.array([a != b for a, b in zip(old, new, strict=True)], dtype=bool)
    if not changed.any():
        return scenario
    pool = Pool(graph.operators)
    place, ratio = pairs % count, np.ones(len(pairs))
    place[changed] = [pool[op] for op, other in zip(new, changed, strict=True) if other]
    ratio[changed] = _ratios(
        scenario.costs,
        [work_of(op) for op, other in zip(old, changed, strict=True) if other],
        [work_of(op) for op, other in zip(new, changed, strict=True) if other],
    )
    column, by_model = nodes.operator.copy(), np.ones(len(graph))
    column[rows], by_model[rows] = place[pair], ratio[pair]
    moved = np.where(column != nodes.operator, 0, nodes.bytes)  # counted anew
    duration = _rescaled(graph, np.where(doers(graph), by_model, 1.0))
    nodes = replace(
        nodes, operator=column, duration_ns=duration, bytes=moved,
        provenance=by_ratio(graph, duration),
    )  # fmt: skip
    return scenario.with_graph(
        with_work(replace(graph, nodes=nodes, operators=pool.values)).checked()
    )


def by_ratio(graph: ExecutionGraph, duration_ns: Int64s) -> Bytes:
    """Give where durations come from: those that a ratio of models changed are no measurement."""
    origin = graph.nodes.provenance
    changed = (duration_ns != graph.nodes.duration_ns) & (origin == Provenance.MEASURED)
    column: Bytes = np.where(changed, np.uint8(Provenance.SCALED), origin)
    return column


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
