"""The total of many scenarios in one pass: what `predict.total_ns` says of each."""

import numpy as np

from ..models.graph import ExecutionGraph, Int64s
from .live_slots import LiveSlots
from .scaling import Mask
from .scenarios import CostTables, Engine, replay_scenarios


def scenario_totals(
    graph: ExecutionGraph,
    tables: CostTables,
    *,
    slots: LiveSlots | None = None,
    engine: Engine | None = None,
) -> Int64s:
    """Give the time from the first step's begin to the last end of its steps, shape (S,).

    Without steps it is the makespan. Arguments are those of `replay_scenarios`.
    """
    if not graph.steps:
        return replay_scenarios(graph, tables, slots=slots, engine=engine).makespan_ns
    begins, ends = _marks(graph)
    times = replay_scenarios(graph, tables, watch=[*begins, *ends], slots=slots, engine=engine)
    begin = np.min(times.start_ns[: len(begins)], axis=0)
    total: Int64s = np.max(times.end_ns[len(begins) :], axis=0) - begin
    return total


def _marks(graph: ExecutionGraph) -> tuple[list[int], list[int]]:
    """Give the rows that `predict.region` begins with, and all that may end it."""
    begins = sorted({step.begin_row for step in graph.steps})
    ends = {step.end_row for step in graph.steps}
    device_work = (graph.nodes.step >= 0) & graph.on_device()
    return begins, sorted(ends | set(_last_rows(graph, device_work)))


def _last_rows(graph: ExecutionGraph, wanted: Mask) -> list[int]:
    """Give the wanted rows that no other wanted row must end after."""
    follows = (graph.edge_lag_ns >= 0) & wanted[graph.edge_target()]
    last = wanted.copy()
    last[graph.edge_source[follows]] = False
    rows: list[int] = np.flatnonzero(last).tolist()
    return rows
