"""Device rows on another device: kernels by their operator's work or their name, copies by path.

graph --unique (operator, name)--> work --model on source and target--> ratio per unique row
t_target = A_target (t_source / A_source)^β,   t_source summed over one operator's kernels
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..graph import NONE, Category, ExecutionGraph, Int32s, Int64s, Provenance
from ..hardware import Device, DeviceKind, Hardware
from .bound import Bound
from .device_model import Estimate, estimate
from .kernel_rules import KernelRules
from .likeness import likeness
from .named_kernels import rate_ratio, rescaled_ns
from .row_prices import RowPrices
from .spreads import carried_spread, model_spread
from .transfer import beta, residual_limit, transferred
from .work import work_of
from .work_values import Unit, Work, WorkClass

PRODUCTS = {Unit.MATRIX, Unit.MIXED}
WORTH_TELLING = 0.2  # of device time
DEVICE_CATEGORIES = (Category.KERNEL, Category.MEMCPY, Category.MEMSET)
Float64s = NDArray[np.float64]


def device_rows(graph: ExecutionGraph) -> Int64s:
    """Give the rows that a device executes."""
    return np.flatnonzero(np.isin(graph.nodes.category, DEVICE_CATEGORIES))


def unmeasured(graph: ExecutionGraph) -> NDArray[np.bool_]:
    """Tell which device rows have no measured time, shape (nodes,)."""
    device = np.isin(graph.nodes.category, DEVICE_CATEGORIES)
    return device & ((graph.nodes.duration_ns <= 0) | (not graph.meta.has_times))


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """The device rows with what each does: `kind` points into `works`."""

    rows: Int64s
    name: Int32s
    kind: Int64s
    works: list[Work]
    by_name: NDArray[np.bool_]  # (works,): only the kernel's name is known
    measured_ns: Float64s  # (rows,) own time
    together_ns: Float64s  # (rows,) of all kernels of the same operator call


def price_device_rows(
    graph: ExecutionGraph,
    source: Hardware | None,
    target: Hardware,
    prices: RowPrices,
    rules: KernelRules,
) -> None:
    """Price kernels, copies and fills."""
    rows = device_rows(graph)
    if not len(rows):
        return
    known = _understood(graph, rows, rules)
    absolute = unmeasured(graph)[rows]
    if source is None or _changes_kind(source.device, target.device):
        absolute[:] = True
        if source is None:
            prices.warnings.append(
                "the recording's device is unknown: kernels are priced from their shapes alone"
            )
    at_target = estimate(target, known.works)
    _put_absolute(known, at_target, absolute, target, prices)
    if source is not None:
        _put_scaled(known, at_target, ~absolute, (source, target), prices)


def _changes_kind(source: Device, target: Device) -> bool:
    return (source.kind is DeviceKind.CPU) != (target.kind is DeviceKind.CPU)


def _understood(graph: ExecutionGraph, rows: Int64s, rules: KernelRules) -> _Rows:
    """Find each distinct (operator, name, bytes) once and what it does."""
    nodes = graph.nodes
    copies = nodes.category[rows] != Category.KERNEL
    moved = np.where(copies, nodes.bytes[rows], -1)
    sizes, size = np.unique(moved, return_inverse=True)
    # one number a distinct (size, operator, name): sorting numbers is ten times faster than rows
    key = (size.reshape(-1) * (len(graph.operators) + 1) + nodes.operator[rows] + 1) * len(
        graph.names
    ) + nodes.name[rows]
    _, first, kind = np.unique(key, return_index=True, return_inverse=True)
    works, by_name = [], []
    for place in first.tolist():
        operator, name = int(nodes.operator[rows[place]]), int(nodes.name[rows[place]])
        copied = int(sizes[size.reshape(-1)[place]])
        work = _work(graph, operator, graph.names[name], copied, rules)
        by_name.append(work is None)
        works.append(work or _work_by_name(graph.names[name], rules, alone=operator == NONE))
    measured = nodes.duration_ns[rows].astype(np.float64)
    return _Rows(
        rows, nodes.name[rows], kind.reshape(-1), works, np.array(by_name, dtype=bool), measured,
        _together(graph, rows, measured),
    )  # fmt: skip


def _together(graph: ExecutionGraph, rows: Int64s, measured: Float64s) -> Float64s:
    """Give each row the time of all device rows that the same call of its operator launched."""
    parent, operator = graph.nodes.parent[rows], graph.nodes.operator[rows]
    owned = (parent != NONE) & (operator != NONE)
    owned &= graph.nodes.operator[np.where(owned, parent, 0)] == operator
    sums = np.bincount(parent[owned], weights=measured[owned], minlength=len(graph))
    together = measured.copy()
    together[owned] = sums[parent[owned]]
    return together


def _work(
    graph: ExecutionGraph, operator: int, name: str, copied: int, rules: KernelRules
) -> Work | None:
    """Give what a row does, None where only its kernel's name can tell."""
    if copied > 0:
        return _copy_work(name.lower(), copied)
    if operator == NONE:
        return None
    work = work_of(graph.operators[operator])
    if work.work_class is WorkClass.FREE:
        return None
    if work.unit is Unit.MATRIX and work.dtype == "fp32" and rules.runs_reduced(name):
        return replace(work, dtype="tf32")
    return work


def _copy_work(name: str, copied: int) -> Work:
    """Give the work of a memcpy or memset: over the host link, or in memory."""
    if unit := _path(name):
        return Work(WorkClass.COPY, unit, "int8", 0, bytes_read=copied)
    read = 0 if "memset" in name else copied
    return Work(WorkClass.COPY, Unit.MEMORY, "int8", 0, bytes_read=read, bytes_written=copied)


def _work_by_name(name: str, rules: KernelRules, *, alone: bool) -> Work:
    """Judge a kernel by its name.

    Without even an operator it comes from a graph, as in serving, where products of few rows are
    as often bound by memory; names of such kernels tell, else it counts as in between.
    """
    work_class = rules.work_class(name) or WorkClass.OTHER
    compute = {WorkClass.MATMUL, WorkClass.CONVOLUTION, WorkClass.PREFILL}
    unit = Unit.MATRIX if work_class in compute else Unit.MEMORY
    if unit is Unit.MATRIX and rules.has_few_rows(name):
        unit = Unit.MEMORY
    elif alone and work_class is WorkClass.MATMUL:
        unit = Unit.MIXED
    return Work(work_class, _path(name.lower()) or unit, rules.dtype(name))


def _path(name: str) -> Unit | None:
    """Tell which way a copy between host and device goes, None for other rows."""
    if "htod" not in name and "dtoh" not in name:
        return None
    return Unit.HOST if "pageable" in name else Unit.LINK


def _put_absolute(
    known: _Rows,
    at_target: Estimate,
    chosen: NDArray[np.bool_],
    target: Hardware,
    prices: RowPrices,
) -> None:
    """Price rows that have no measurement on a like device: the model's time as it is."""
    if not np.any(chosen):
        return
    rows, kind = known.rows[chosen], known.kind[chosen]
    unknown = known.by_name[kind]
    if np.any(unknown):
        prices.warnings.append(
            f"{int(unknown.sum())} kernels have neither shapes nor a measured time: they count "
            "as the shortest kernel"
        )
    prices.put(rows, at_target.time_ns[kind], Provenance.ROOFLINE, Bound.MEMORY)
    prices.provenance[rows[unknown]] = Provenance.DEFAULT
    _describe(known, at_target, chosen, prices, [model_spread(w.work_class) for w in known.works])


def _put_scaled(
    known: _Rows,
    at_target: Estimate,
    chosen: NDArray[np.bool_],
    machines: tuple[Hardware, Hardware],
    prices: RowPrices,
) -> None:
    """Carry measured rows over by the ratio of models, or by a rate where only a name is known."""
    if not np.any(chosen):
        return
    source, target = machines
    rows, kind = known.rows[chosen], known.kind[chosen]
    alike = likeness(source.device, target.device)
    at_source = estimate(source, known.works)
    exponent = np.array([beta(work.work_class, alike) for work in known.works])
    together, own = known.together_ns[chosen], known.measured_ns[chosen]
    limit = np.array([residual_limit(work.work_class) for work in known.works])
    carried = transferred(
        together, at_source.time_ns[kind], at_target.time_ns[kind], exponent[kind], limit[kind]
    )
    duration = own * carried / np.maximum(together, 1.0)
    unknown = known.by_name[kind]
    if np.any(unknown):
        ratio = np.array([rate_ratio(work, source, target) for work in known.works])
        duration[unknown] = rescaled_ns(own[unknown], ratio[kind[unknown]], source, target)
        _by_namesakes(known.name[chosen], own, unknown, duration)
        _warn_of_names(float(own[unknown].sum() / max(own.sum(), 1.0)), prices)
    origin = Provenance.CALIBRATED if target.calibration else Provenance.SCALED
    prices.put(rows, duration, origin, Bound.MEMORY)
    spreads = [
        carried_spread(work.work_class, alike, by_name=bool(named), short=bound == Bound.LAUNCH)
        for work, named, bound in zip(
            known.works, known.by_name, at_target.bound.tolist(), strict=True
        )
    ]
    _describe(known, at_target, chosen, prices, spreads)


def _by_namesakes(
    name: Int32s, own: Float64s, unknown: NDArray[np.bool_], duration: Float64s
) -> None:
    """Scale kernels without operator as those of the same name that have one, where there are."""
    count = int(name.max()) + 1
    before = np.bincount(name[~unknown], weights=own[~unknown], minlength=count)
    after = np.bincount(name[~unknown], weights=duration[~unknown], minlength=count)
    told = unknown & (before[name] > 0)
    duration[told] = own[told] * after[name[told]] / before[name[told]]


def _warn_of_names(share: float, prices: RowPrices) -> None:
    if share > WORTH_TELLING:
        prices.warnings.append(
            f"{100 * share:.0f} % of the device time is priced by kernel names alone, for want of "
            "shapes (record_shapes=True records them; kernels of a CUDA graph never have them)"
        )


def _describe(
    known: _Rows,
    at_target: Estimate,
    chosen: NDArray[np.bool_],
    prices: RowPrices,
    spreads: list[float],
) -> None:
    """Set bound, class and spread of rows from those of their work."""
    rows, kind = known.rows[chosen], known.kind[chosen]
    classes = [prices.class_index(str(work.work_class)) for work in known.works]
    named = [Bound.COMPUTE if work.unit in PRODUCTS else Bound.MEMORY for work in known.works]
    bound = np.where(known.by_name, np.array(named), at_target.bound)
    prices.bound[rows] = bound[kind]
    prices.cost_class[rows] = np.array(classes, dtype=np.int32)[kind]
    prices.spread[rows] = np.array(spreads)[kind]
