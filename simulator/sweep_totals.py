"""The totals of one graph on many machines: read once, priced by lines, replayed in one pass."""

from collections import defaultdict
from collections.abc import Hashable, Sequence

import numpy as np

from ..models.costs.price_plan import PricePlan, price_plan, relation
from ..models.errors import EtsimError
from ..models.graph import ExecutionGraph, Int64s
from ..models.hardware import Hardware
from .scenarios import EXACT, CostTables
from .totals import scenario_totals

# Targets of one pass: their tables of lines are held, a line for each distinct operator.
MOST_TARGETS = 1024


def totals_on(
    graph: ExecutionGraph, source: Hardware | None, targets: Sequence[Hardware]
) -> list[int | EtsimError]:
    """Give the time on each target, or why there is none: what pricing and replaying each gives.

    Args:
        graph: recorded on `source`, None where unknown.
        source: the machine.
        targets: any machines; those of one relation to the source are one pass.
    """
    answers: list[int | EtsimError] = [0] * len(targets)
    related: dict[Hashable, list[int]] = defaultdict(list)
    for place, target in enumerate(targets):
        related[relation(source, target)].append(place)
    for places in related.values():
        try:
            plan = price_plan(graph, source, targets[places[0]])
        except EtsimError as error:
            for place in places:
                answers[place] = error
            continue
        for first in range(0, len(places), MOST_TARGETS):
            _one_pass(graph, plan, targets, places[first : first + MOST_TARGETS], answers)
    return answers


def holds_exactly(graph: ExecutionGraph) -> bool:
    """Tell whether floats hold all costs of a graph, none of them negative."""
    duration, lag = graph.nodes.duration_ns, np.abs(graph.edge_lag_ns)
    least, most = np.min(duration, initial=0), np.max(duration, initial=0)
    return bool(least >= 0 and max(most, np.max(lag, initial=0)) < EXACT)


def _one_pass(
    graph: ExecutionGraph,
    plan: PricePlan,
    targets: Sequence[Hardware],
    places: Sequence[int],
    answers: list[int | EtsimError],
) -> None:
    """Fill in the answers of targets that share a plan; a target without lines says why."""
    columns = []
    answered = []
    for place in places:
        try:
            columns.append((plan.lines(targets[place]), plan.lag_factors(targets[place])))
        except EtsimError as error:
            answers[place] = error
        else:
            answered.append(place)
    if not answered:
        return
    factor = np.stack([lags for _, lags in columns], axis=1)
    fixed = np.stack([lines.fixed_ns for lines, _ in columns], axis=1)
    tables = CostTables(
        row_class=plan.line,
        work=plan.work,
        work_price=np.stack([lines.price for lines, _ in columns], axis=1),
        lag_ns=graph.edge_lag_ns,
        edge_class=_edge_classes(graph, factor),
        lag_factor=factor,
        fixed_ns=fixed if fixed.any() else None,
    )
    totals: Int64s = scenario_totals(graph, tables)
    for place, total in zip(answered, totals.tolist(), strict=True):
        answers[place] = total


def _edge_classes(graph: ExecutionGraph, factor: np.ndarray) -> np.ndarray:
    """Give each edge the line of its kind, -1 where no target changes it."""
    line = np.where(np.any(factor != 1.0, axis=1), np.arange(len(factor)), -1)
    return line.astype(np.int32)[graph.edge_kind]
