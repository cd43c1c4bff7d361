"""Replay S scenarios of one graph in one pass: makespans of all, nothing held of size nodes x S.

    duration[v, s] = max(work[v] work_price[c, s], traffic[v] traffic_price[c, s]) + fixed[c, s]
    lag[e, s]      = lag[e] lag_factor[k, s]          c, k: the classes of row v and edge e

Rounding: a cost is computed in float64 and rounded to the nearest whole ns, half to even. So
scenario s is bit for bit what `replay` gives for the costs of `CostTables.costs(s)`; the three
ways below (Engine) differ in speed alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

import numpy as np

from ..models.errors import InputError
from ..models.graph import ExecutionGraph, Int32s, Int64s
from .compiled import compiled, pays
from .kernels import EdgeColumns, Float64s, Outcome, RowColumns, Tables, replay_block
from .live_slots import LiveSlots, live_slots
from .replay import replay
from .row_by_row import rows_block
from .scaling import scaled

EXACT = 2.0**53  # whole numbers up to here are exact in float64: 104 days in ns
CACHE_BYTES = 1 << 19  # for the live state of a block: half of a usual second-level cache
# Scenarios of a block. Wider brings nothing more to the compiled kernel; a numpy call costs a
# microsecond whatever its width, so rows want wider blocks (benchmarks/bench_replay.py).
WIDEST_COMPILED = 256
WIDEST_ROWS = 4096
WORTH_ROWS = 24  # from so many scenarios numpy over scenarios beats a loop over rows


class Engine(StrEnum):
    """How scenarios are replayed."""

    LOOP = "loop"  # one replay after the other: few scenarios, or times beyond 104 days
    ROWS = "rows"  # row by row, each a numpy operation over a block of scenarios
    COMPILED = "compiled"  # the fused kernel, by numba


@dataclass(frozen=True, slots=True, eq=False)
class CostTables:
    """The costs of all scenarios as columns of the graph and small tables by class.

    Attributes:
        row_class: (nodes,) into the lines of the row tables.
        work: (nodes,) such as measured ns, or FLOPs; like traffic never negative.
        work_price: (classes, S) such as a factor, or ns per FLOP.
        lag_ns: (edges,).
        edge_class: (edges,) into the lines of `lag_factor`, -1 where the lag never changes.
        lag_factor: (edge classes, S).
        traffic, traffic_price: second term, both or none: (nodes,), (classes, S).
        fixed_ns: fixed part: (classes, S), or none.
    """

    row_class: Int32s
    work: Float64s | Int64s
    work_price: Float64s
    lag_ns: Int64s
    edge_class: Int32s
    lag_factor: Float64s
    traffic: Float64s | None = None
    traffic_price: Float64s | None = None
    fixed_ns: Float64s | None = None

    @property
    def scenarios(self) -> int:
        """Give S."""
        return int(self.work_price.shape[1])

    def block(self, first: int, after: int) -> "CostTables":
        """Give the same for scenarios `first` to `after`, as a task for another process."""
        cut = slice(first, after)
        return CostTables(
            self.row_class, self.work, self.work_price[:, cut],
            self.lag_ns, self.edge_class, self.lag_factor[:, cut],
            self.traffic,
            None if self.traffic_price is None else self.traffic_price[:, cut],
            None if self.fixed_ns is None else self.fixed_ns[:, cut],
        )  # fmt: skip

    def costs(self, scenario: int) -> tuple[Int64s, Int64s]:
        """Give durations (nodes,) and lags (edges,) of one scenario."""
        price = self.work_price[self.row_class, scenario]
        lag = self.lag_ns
        varies = self.edge_class >= 0
        if np.any(varies):
            factor = self.lag_factor[np.maximum(self.edge_class, 0), scenario]
            lag = np.where(varies, scaled(lag, factor), lag)
        if self.traffic_price is None and self.fixed_ns is None:
            return scaled(self.work, price), lag
        duration = self.work * price
        if self.traffic is not None and self.traffic_price is not None:
            second = self.traffic * self.traffic_price[self.row_class, scenario]
            duration = np.maximum(duration, second)
        if self.fixed_ns is not None:
            duration = duration + self.fixed_ns[self.row_class, scenario]
        return np.rint(duration).astype(np.int64), lag


@dataclass(frozen=True, slots=True, eq=False)
class ScenarioTimes:
    """Makespans, shape (S,); starts and ends of the watched rows, shape (watched, S)."""

    makespan_ns: Int64s
    start_ns: Int64s
    end_ns: Int64s
    engine: Engine


def by_factor(
    graph: ExecutionGraph,
    row_class: Int32s,
    row_factor: Float64s,
    edge_class: Int32s | None = None,
    edge_factor: Float64s | None = None,
) -> CostTables:
    """Give tables that multiply the graph's own costs; lags stay where no edge classes are given.

    Args:
        graph: with the costs.
        row_class: (nodes,).
        row_factor: (classes, S).
        edge_class: (edges,), -1 where a lag stays.
        edge_factor: (edge classes, S).
    """
    fixed = np.full(graph.edge_count, -1, dtype=np.int32)
    return CostTables(
        row_class=row_class,
        work=graph.nodes.duration_ns,
        work_price=row_factor,
        lag_ns=graph.edge_lag_ns,
        edge_class=fixed if edge_class is None else edge_class,
        lag_factor=np.ones((1, row_factor.shape[1])) if edge_factor is None else edge_factor,
    )


def replay_scenarios(
    graph: ExecutionGraph,
    tables: CostTables,
    *,
    watch: Sequence[int] = (),
    slots: LiveSlots | None = None,
    engine: Engine | None = None,
) -> ScenarioTimes:
    """Replay every scenario.

    Args:
        graph: whose rows and edges the tables describe.
        tables: costs of the scenarios.
        watch: rows whose starts and ends are wanted beside the makespan, such as step marks.
        slots: from `live_slots(graph)`, where the caller keeps them for several calls.
        engine: left out, the fastest that is installed.
    """
    _check(graph, tables)
    chosen = engine or _engine(len(graph), tables.scenarios)
    if chosen is Engine.LOOP or not _exact_in_floats(graph, tables):
        return _one_by_one(graph, tables, watch)
    found = slots or live_slots(graph, scenarios=tables.scenarios)
    watched, place = np.unique(np.array(watch, dtype=np.int64), return_inverse=True)
    rows, edges = _columns(graph, tables, found, watched)
    blocks = [
        _block(tables.block(first, after), rows, edges, found.count, len(watched), chosen)
        for first, after in _blocks(tables.scenarios, found.count, chosen)
    ]
    makespan = np.concatenate([block.makespan_ns for block in blocks])
    return ScenarioTimes(
        makespan.astype(np.int64),
        np.concatenate([block.start_ns for block in blocks], axis=1)[place].astype(np.int64),
        np.concatenate([block.end_ns for block in blocks], axis=1)[place].astype(np.int64),
        chosen,
    )


def _engine(nodes: int, scenarios: int) -> Engine:
    if pays(nodes * scenarios):
        return Engine.COMPILED
    return Engine.ROWS if scenarios >= WORTH_ROWS else Engine.LOOP


def _check(graph: ExecutionGraph, tables: CostTables) -> None:
    """Raise InputError where tables and graph do not fit, before a kernel reads beyond its end."""
    if len(tables.row_class) != len(graph) or len(tables.edge_class) != graph.edge_count:
        raise InputError("the cost tables are of another graph")
    for classes, table, lowest in (
        (tables.row_class, tables.work_price, 0),
        (tables.edge_class, tables.lag_factor, -1),
    ):
        if len(classes) and not lowest <= int(classes.min()) <= int(classes.max()) < len(table):
            raise InputError("a cost class is not in its table")
    given = (tables.work_price, tables.lag_factor, tables.traffic_price, tables.fixed_ns)
    prices = [table for table in given if table is not None]
    if not all(np.all(np.isfinite(table) & (table >= 0)) for table in prices):
        raise InputError("a price or a lag factor is negative or not a number")
    amounts = (tables.work, tables.traffic)
    if any(amount is not None and len(amount) and amount.min() < 0 for amount in amounts):
        raise InputError("a row's work or traffic is negative")


def _exact_in_floats(graph: ExecutionGraph, tables: CostTables) -> bool:
    """Tell whether no time of any scenario can pass 2^53.

    All work at the worst price is the quickest ceiling and mostly settles it; then the sum of
    the worst cost of each row and edge; then a replay of those.
    """
    if not tables.scenarios or not len(graph):
        return True
    none = np.zeros(1)
    work, lag = tables.work, np.abs(tables.lag_ns)
    traffic = none if tables.traffic is None else tables.traffic
    prices = (
        tables.work_price,
        np.zeros_like(tables.work_price) if tables.traffic_price is None else tables.traffic_price,
        np.zeros_like(tables.work_price) if tables.fixed_ns is None else tables.fixed_ns,
    )
    work_price, traffic_price, fixed = (np.max(table, axis=1) for table in prices)
    factor = np.append(np.maximum(np.max(tables.lag_factor, axis=1), 1.0), 1.0)  # class -1: last
    ceiling = float(work.sum()) * float(work_price.max()) + len(graph) * float(fixed.max())
    ceiling += float(traffic.sum()) * float(traffic_price.max())
    ceiling += float(lag.sum()) * float(factor.max()) + len(graph) + graph.edge_count
    if ceiling < EXACT:
        return True
    rows = tables.row_class
    worst = np.maximum(work * work_price[rows], traffic * traffic_price[rows]) + fixed[rows] + 1
    worst_lag = lag * factor[tables.edge_class] + 1
    longest = float(worst.sum()) + float(worst_lag.sum())
    return longest < EXACT or _longest(graph, worst, worst_lag) < EXACT


def _longest(graph: ExecutionGraph, duration: Float64s, lag: Float64s) -> float:
    """Give the makespan of some costs, or `EXACT` where one of them alone is that long."""
    if max(float(np.max(duration, initial=0)), float(np.max(lag, initial=0))) >= EXACT:
        return EXACT
    ceiling = replay(graph, np.ceil(duration).astype(np.int64), np.ceil(lag).astype(np.int64))
    return float(ceiling.makespan_ns)


def _one_by_one(graph: ExecutionGraph, tables: CostTables, watch: Sequence[int]) -> ScenarioTimes:
    makespan = np.empty(tables.scenarios, dtype=np.int64)
    start = np.empty((len(watch), tables.scenarios), dtype=np.int64)
    end = np.empty_like(start)
    watched = np.array(watch, dtype=np.int64)
    for scenario in range(tables.scenarios):
        timeline = replay(graph, *tables.costs(scenario))
        makespan[scenario] = timeline.makespan_ns
        start[:, scenario] = timeline.start_ns[watched]
        end[:, scenario] = timeline.end_ns[watched]
    return ScenarioTimes(makespan, start, end, Engine.LOOP)


def _columns(
    graph: ExecutionGraph, tables: CostTables, slots: LiveSlots, watch: Int64s
) -> tuple[RowColumns, EdgeColumns]:
    watched = np.full(len(graph), -1, dtype=np.int32)
    watched[watch] = np.arange(len(watch))
    work = tables.work.astype(np.float64, copy=False)
    if tables.traffic is None:
        traffic = np.zeros(len(graph))
    else:
        traffic = tables.traffic.astype(np.float64, copy=False)
    kind = tables.row_class.astype(np.int32, copy=False)
    rows = RowColumns(slots.slot, kind, work, traffic, slots.may_be_last, watched)
    varies = np.where(tables.lag_ns == 0, np.int32(-1), tables.edge_class)
    lag = tables.lag_ns.astype(np.float64)
    return rows, EdgeColumns(graph.edge_start, slots.source_slot, lag, varies)


def _blocks(scenarios: int, slots: int, engine: Engine) -> list[tuple[int, int]]:
    """Cut the scenarios into equal blocks whose live state fits into the cache."""
    widest = WIDEST_ROWS if engine is Engine.ROWS else WIDEST_COMPILED
    widest = int(np.clip(CACHE_BYTES // (8 * max(1, slots)), WIDEST_COMPILED // 8, widest))
    count = max(1, -(-scenarios // widest))
    cuts = [scenarios * block // count for block in range(count + 1)]
    return list(pairwise(cuts))


def _block(
    tables: CostTables,
    rows: RowColumns,
    edges: EdgeColumns,
    slots: int,
    watched: int,
    engine: Engine,
) -> Outcome:
    """Replay one block."""
    width = tables.scenarios
    prices = _prices(tables)
    out = Outcome(np.zeros(width), np.zeros((watched, width)), np.zeros((watched, width)))
    live = np.zeros((slots, width))
    run = compiled(replay_block) if engine is Engine.COMPILED else rows_block
    run(rows, edges, prices, live, out)
    return out


def _prices(tables: CostTables) -> Tables:
    """Give the tables as the kernels take them: lines in a row, none missing that one may read."""
    work, traffic, fixed = tables.work_price, tables.traffic_price, tables.fixed_ns
    shape = (0, tables.scenarios) if traffic is None and fixed is None else work.shape
    fixed = np.zeros(shape) if fixed is None else np.ascontiguousarray(fixed)
    is_plain = ~np.any(fixed, axis=1) if len(fixed) else np.ones(len(work), dtype=bool)
    return Tables(
        np.ascontiguousarray(work),
        np.zeros(shape) if traffic is None else np.ascontiguousarray(traffic),
        fixed,
        np.ascontiguousarray(tables.lag_factor),
        is_plain.astype(np.uint8),
    )
