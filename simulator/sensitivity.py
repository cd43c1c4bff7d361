"""Sensitivity: how the total moves when one resource gets better, all resources in one pass.

Rates that are x better (10 % more bandwidth) divide the costs bound by them by 1 + x; costs that
are x lower (launch cost) are multiplied by 1 - x. Then everything is replayed: what does not
wait for the resource stays, and what is hidden behind something else stays hidden.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..models.graph import Bytes, ExecutionGraph, Int64s
from ..models.hardware import Hardware
from ..models.timeline import Timeline
from .resources import Change, CostClasses, EdgeClass, changes, cost_classes
from .scenarios import CostTables, replay_scenarios

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
    begins, ends = _marks(timeline)
    times = replay_scenarios(graph, tables, watch=[*begins, *ends])
    begin = np.min(times.start_ns[: len(begins)], axis=0, initial=2**62) if begins else 0
    totals = (np.max(times.end_ns[len(begins) :], axis=0, initial=0) - begin).tolist()
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


def _marks(timeline: Timeline) -> tuple[list[int], list[int]]:
    """Give the rows that `predict.region` begins with, and all that may end it."""
    graph = timeline.graph
    begins = sorted({step.begin_row for step in graph.steps})
    if not begins:
        return [], _last_rows(graph, np.ones(len(graph), dtype=bool))
    ends = {step.end_row for step in graph.steps}
    return begins, sorted(ends | set(_last_rows(graph, graph.nodes.step >= 0)))


def _last_rows(
    graph: ExecutionGraph, wanted: "np.ndarray[tuple[int], np.dtype[np.bool_]]"
) -> list[int]:
    """Give the wanted rows that no other wanted row must end after."""
    target = graph.edge_target()
    before = (graph.edge_lag_ns >= 0) & wanted[target]
    last = wanted.copy()
    last[graph.edge_source[before]] = False
    rows: list[int] = np.flatnonzero(last).tolist()
    return rows
