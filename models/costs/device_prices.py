"""Device rows on another device: kernels by their operator's work or their name, copies by path.

graph --unique (operator, name)--> work --model on source and target--> ratio per unique row
t_target = A_target (t_source / A_source)^β,   t_source summed over one operator's kernels
"""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from ..graph import ExecutionGraph, Provenance
from ..hardware import Hardware
from .bound import Bound
from .device_model import Estimate, estimate
from .device_terms import DeviceTerms, device_terms
from .device_work import DEVICE_CATEGORIES, DeviceWork, unmeasured
from .figures import stand_in
from .kernel_rules import KernelRules
from .likeness import likeness
from .row_prices import RowPrices
from .spreads import carried_spread, device_doubt, model_spread
from .terms import Float64s
from .work_values import Unit

__all__ = ["DEVICE_CATEGORIES", "price_device_rows", "unmeasured"]

PRODUCTS = {Unit.MATRIX, Unit.MIXED}
WORTH_TELLING = 0.2  # of device time


def price_device_rows(
    graph: ExecutionGraph,
    source: Hardware | None,
    target: Hardware,
    prices: RowPrices,
    rules: KernelRules,
) -> None:
    """Price kernels, copies and fills."""
    terms = device_terms(graph, source, target, rules)
    if terms is None:
        return
    if source is None:
        prices.warnings.append(
            "the recording's device is unknown: kernels are priced from their shapes alone"
        )
    at_target = estimate(target, terms.known.works)
    cost = terms.term.cost_ns(terms.lines_by(at_target, target))
    _put_absolute(terms, at_target, target, cost, prices)
    _tell_stand_ins(terms.known, target, prices)
    if source is not None:
        _put_scaled(terms, at_target, cost, (source, target), prices)


def _put_absolute(
    terms: DeviceTerms, at_target: Estimate, target: Hardware, cost: Float64s, prices: RowPrices
) -> None:
    """Price rows that have no measurement on a like device: the model's time as it is."""
    known, chosen = terms.known, terms.absolute
    if not np.any(chosen):
        return
    rows = known.rows[chosen]
    unknown = known.by_name[known.kind[chosen]]
    if np.any(unknown):
        prices.warnings.append(
            f"{int(unknown.sum())} kernels have neither shapes nor a measured time: they count "
            "as the shortest kernel"
        )
    prices.put(rows, cost[chosen], Provenance.ROOFLINE, Bound.MEMORY)
    prices.provenance[rows[unknown]] = Provenance.DEFAULT
    spreads = [model_spread(work.work_class, target.device) for work in known.works]
    _describe(terms, at_target, chosen, prices, spreads)


def _put_scaled(
    terms: DeviceTerms,
    at_target: Estimate,
    cost: Float64s,
    machines: tuple[Hardware, Hardware],
    prices: RowPrices,
) -> None:
    """Carry measured rows over by the ratio of models, or by a rate where only a name is known."""
    known, chosen = terms.known, ~terms.absolute
    if not np.any(chosen):
        return
    source, target = machines
    own, unknown = known.measured_ns[chosen], known.by_name[known.kind[chosen]]
    if np.any(unknown):
        _warn_of_names(float(own[unknown].sum() / max(own.sum(), 1.0)), prices)
    origin = Provenance.CALIBRATED if target.calibration else Provenance.SCALED
    prices.put(known.rows[chosen], cost[chosen], origin, Bound.MEMORY)
    alike = likeness(source.device, target.device)
    doubt = max(device_doubt(source.device), device_doubt(target.device))
    spreads = [
        carried_spread(
            work.work_class,
            alike,
            by_name=bool(named),
            short=bound == Bound.LAUNCH,
            doubt=doubt,
        )
        for work, named, bound in zip(
            known.works, known.by_name, at_target.bound.tolist(), strict=True
        )
    ]
    _describe(terms, at_target, chosen, prices, spreads)


def _tell_stand_ins(known: DeviceWork, target: Hardware, prices: RowPrices) -> None:
    """Say which products are in a dtype that the target does not state a rate for."""
    rows = np.bincount(known.kind, minlength=len(known.works))
    found: Counter[str] = Counter()
    for count, work in zip(rows.tolist(), known.works, strict=True):
        if work.unit in PRODUCTS and stand_in(target.device, work.dtype) != work.dtype:
            found[work.dtype] += count
    for dtype, count in sorted(found.items()):
        other = stand_in(target.device, dtype)
        prices.warnings.append(
            f"{target.name} states no rate for {dtype}: {count} products count as if they ran in "
            f"{other} (its spec's `peak.{dtype}` would say otherwise)"
        )


def _warn_of_names(share: float, prices: RowPrices) -> None:
    if share > WORTH_TELLING:
        prices.warnings.append(
            f"{100 * share:.0f} % of the device time is priced by kernel names alone, for want of "
            "shapes (record_shapes=True records them; kernels of a CUDA graph never have them)"
        )


def _describe(
    terms: DeviceTerms,
    at_target: Estimate,
    chosen: NDArray[np.bool_],
    prices: RowPrices,
    spreads: list[float],
) -> None:
    """Set bound, class and spread of rows from those of their work."""
    known = terms.known
    rows, kind = known.rows[chosen], known.kind[chosen]
    classes = [prices.class_index(str(work.work_class)) for work in known.works]
    named = [Bound.COMPUTE if work.unit in PRODUCTS else Bound.MEMORY for work in known.works]
    bound = np.where(known.by_name, np.array(named), at_target.bound)
    prices.bound[rows] = bound[kind]
    prices.cost_class[rows] = np.array(classes, dtype=np.int32)[kind]
    prices.spread[rows] = np.array(spreads)[kind]
