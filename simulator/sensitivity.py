"""Sensitivity: how the total moves when one resource gets better, all resources in one pass.

Rates that are x better (10 % more bandwidth) divide the costs bound by them by 1 + x; costs that
are x lower (launch cost) are multiplied by 1 - x. Then everything is replayed: what does not
wait for the resource stays, and what is hidden behind something else stays hidden.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..models.graph import Bytes, Int64s
from ..models.hardware import Hardware
from ..models.timeline import Timeline
from .resources import Change, CostClasses, EdgeClass, changes, cost_classes
from .scenarios import CostTables
from .totals import scenario_totals

SHARE = 0.1  # how much better each resource is made


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """What one change does.

    Attributes:
        resource: such as `memory.bandwidth`, `host.speed`, `link.node.bandwidth`.
        change: such as `+10 %`.
        total_ns: after the change.
        delta: share by which the total moves; -0.03 is 3 % shorter.
    """

    resource: str
    change: str
    total_ns: int
    delta: float


def sensitivities(
    timeline: Timeline, lag_ns: Int64s, bound: Bytes, hardware: Hardware, share: float = SHARE
) -> list[Sensitivity]:
    """Make each resource better by a share and replay; the largest effect first.

    Args:
        timeline: a replay on `hardware`.
        lag_ns: the lags it was made with, shape (edges,).
        bound: of each row, shape (nodes,).
        hardware: says which link a transfer takes.
        share: 0.1 is 10 % better.
    """
    graph = timeline.graph
    classes = cost_classes(graph, bound)
    asked = changes(classes, hardware, share)
    tables = _tables(timeline, lag_ns, classes, asked)
    totals = scenario_totals(graph, tables).tolist()
    base = max(1, totals[0])
    found = [
        Sensitivity(change.resource, change.change, total, total / base - 1)
        for change, total in zip(asked, totals[1:], strict=True)
    ]
    return sorted(found, key=lambda entry: (entry.delta, entry.resource))


def _tables(
    timeline: Timeline, lag_ns: Int64s, classes: CostClasses, asked: Sequence[Change]
) -> CostTables:
    """Scenario 0 is as it is, then one per change."""
    rows = np.ones((classes.count, 1 + len(asked)))
    edges = np.ones((len(EdgeClass), 1 + len(asked)))
    for scenario, change in enumerate(asked, start=1):
        for row_class, factor in change.rows.items():
            rows[row_class, scenario] = factor
        for edge_class, factor in change.edges.items():
            edges[edge_class, scenario] = factor
    return CostTables(classes.row, timeline.duration_ns, rows, lag_ns, classes.edge, edges)
