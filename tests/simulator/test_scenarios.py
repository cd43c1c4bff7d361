"""Scenarios at once: every way of replaying them gives what one replay after the other gives."""

from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etsim.models.errors import InputError
from etsim.models.graph import EdgeKind, ExecutionGraph, LaneKind
from etsim.models.graph_builder import GraphBuilder
from etsim.simulator import compiled as compiling
from etsim.simulator import scenarios as engine_room
from etsim.simulator.live_slots import live_slots
from etsim.simulator.replay import replay
from etsim.simulator.scenarios import CostTables, Engine, by_factor, replay_scenarios
from etsim.tests.simulator.small_graphs import small_graphs
from etsim.tests.strategies import execution_graphs

CLASSES = 3
factors = st.one_of(st.just(1.0), st.just(0.0), st.floats(0, 4), st.floats(0, 1e-3))


def plainly(kernel: Callable[..., None]) -> Callable[..., None]:
    return kernel


@pytest.fixture(autouse=True)
def _kernel_as_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the numba kernel's own body as plain Python: the same lines, without the extra."""
    monkeypatch.setattr(engine_room, "compiled", plainly)


def table(draw: st.DrawFn, scenarios: int) -> Any:
    size = CLASSES * scenarios
    values = draw(st.lists(factors, min_size=size, max_size=size))
    return np.array(values).reshape(CLASSES, scenarios)


def classes(draw: st.DrawFn, count: int, lowest: int) -> Any:
    drawn = st.lists(st.integers(lowest, CLASSES - 1), min_size=count, max_size=count)
    return np.array(draw(drawn), dtype=np.int32)


@st.composite
def jobs(
    draw: st.DrawFn, graphs: st.SearchStrategy[ExecutionGraph]
) -> tuple[ExecutionGraph, CostTables, list[int]]:
    graph = draw(graphs)
    scenarios, rows, edges = draw(st.integers(0, 4)), len(graph), graph.edge_count
    tables = by_factor(
        graph,
        classes(draw, rows, 0),
        table(draw, scenarios),
        classes(draw, edges, -1),
        table(draw, scenarios),
    )
    if draw(st.booleans()):
        figures = st.lists(st.one_of(st.just(0.0), st.floats(0, 1e4)), min_size=rows, max_size=rows)
        tables = CostTables(
            tables.row_class, np.array(draw(figures)), tables.work_price,
            tables.lag_ns, tables.edge_class, tables.lag_factor,
            np.array(draw(figures)), table(draw, scenarios), table(draw, scenarios),
        )  # fmt: skip
        if draw(st.booleans()):
            tables = replace(tables, traffic=None, traffic_price=None)
        elif draw(st.booleans()):
            tables = replace(tables, fixed_ns=None)
    watch = draw(st.lists(st.integers(0, rows - 1), max_size=3)) if rows else []
    return graph, tables, watch


@given(
    st.one_of(jobs(small_graphs()), jobs(small_graphs()), jobs(execution_graphs(max_rows=6))),
    st.sampled_from(Engine),
)
@settings(max_examples=60, deadline=None)
def test_every_engine_gives_what_replay_gives_to_the_nanosecond(
    job: tuple[ExecutionGraph, CostTables, list[int]], engine: Engine
) -> None:
    graph, tables, watch = job
    times = replay_scenarios(graph, tables, watch=watch, engine=engine)
    assert times.makespan_ns.shape == (tables.scenarios,)
    for scenario in range(tables.scenarios):
        timeline = replay(graph, *tables.costs(scenario))
        assert times.makespan_ns[scenario] == timeline.makespan_ns
        assert times.start_ns[:, scenario].tolist() == timeline.start_ns[watch].tolist()
        assert times.end_ns[:, scenario].tolist() == timeline.end_ns[watch].tolist()


def chain(rows: int, duration_ns: int = 2) -> ExecutionGraph:
    """Draw `r0 --1--> r1 --1--> r2 ...`, each row read by the next alone."""
    builder = GraphBuilder()
    lane = builder.lane(LaneKind.HOST, 1, 1)
    for row in range(rows):
        after = [(row - 1, EdgeKind.HOST_ORDER, 1)] if row else []
        builder.add("r", lane, duration_ns=duration_ns, after=after)
    return builder.build()


def same_class(graph: ExecutionGraph, scenarios: int) -> CostTables:
    rows = np.zeros(len(graph), dtype=np.int32)
    return by_factor(graph, rows, np.linspace(0.5, 2, scenarios)[np.newaxis])


@pytest.mark.parametrize("engine", [Engine.ROWS, Engine.COMPILED])
def test_times_beyond_what_floats_hold_exactly_are_replayed_in_whole_numbers(
    engine: Engine,
) -> None:
    graph = chain(3, duration_ns=2**52 + 1)
    times = replay_scenarios(graph, by_factor(graph, np.zeros(3, np.int32), np.ones((1, 2))),
                             engine=engine)  # fmt: skip
    assert times.engine is Engine.LOOP
    assert times.makespan_ns.tolist() == [3 * (2**52 + 1) + 2] * 2


def test_many_scenarios_are_cut_into_blocks_without_a_seam() -> None:
    graph = chain(5)
    tables = same_class(graph, 600)
    times = replay_scenarios(graph, tables)
    assert times.engine is Engine.ROWS
    expected = [5 * round(2 * f) + 4 for f in tables.work_price[0].tolist()]
    assert times.makespan_ns.tolist() == expected


def test_a_block_of_scenarios_is_what_it_was_in_the_whole() -> None:
    graph = chain(5)
    tables = same_class(graph, 40)
    whole, part = replay_scenarios(graph, tables), replay_scenarios(graph, tables.block(7, 33))
    assert part.makespan_ns.tolist() == whole.makespan_ns[7:33].tolist()


def test_live_slots_do_not_grow_with_the_graph() -> None:
    assert live_slots(chain(10)).count == live_slots(chain(1000)).count == 2


@given(small_graphs())
@settings(deadline=None)
def test_a_slot_is_kept_until_its_last_reader(graph: ExecutionGraph) -> None:
    found = live_slots(graph)
    holder = [-1] * found.count
    for row in range(len(graph)):
        for edge in range(int(graph.edge_start[row]), int(graph.edge_start[row + 1])):
            assert holder[found.source_slot[edge]] == graph.edge_source[edge]
            assert found.source_slot[edge] != found.slot[row]  # never reads what it writes
        holder[found.slot[row]] = row


def test_few_scenarios_of_a_small_graph_never_import_numba(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(compiling, "has_numba", lambda: True)
    compiling.compiled.cache_clear()  # as in a process that has not started it
    assert not compiling.pays(compiling.WORTH_COMPILING)
    assert compiling.pays(compiling.WORTH_COMPILING + 1)


def test_tables_that_do_not_fit_are_refused() -> None:
    graph = chain(3)
    good = same_class(graph, 2)
    with pytest.raises(InputError, match="of another graph"):
        replay_scenarios(chain(4), good)
    with pytest.raises(InputError, match="not in its table"):
        replay_scenarios(graph, by_factor(graph, np.full(3, 1, np.int32), np.ones((1, 2))))
    for bad in (-1.0, np.nan, np.inf):
        with pytest.raises(InputError, match="negative or not a number"):
            replay_scenarios(graph, by_factor(graph, good.row_class, np.array([[bad]])))
    with pytest.raises(InputError, match="work or traffic is negative"):
        replay_scenarios(graph, replace(good, work=np.full(3, -1.0)))


@pytest.mark.skipif(find_spec("numba") is None, reason="the extra `fast` is not installed")
def test_the_compiled_kernels_give_what_the_plain_ones_give(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine_room, "compiled", compiling.compiled)
    graph = chain(500)
    tables = same_class(graph, 50)
    fast = replay_scenarios(graph, tables, engine=Engine.COMPILED)
    assert fast.makespan_ns.tolist() == replay_scenarios(graph, tables).makespan_ns.tolist()
    monkeypatch.setattr(compiling, "WORTH_COMPILING", 100)
    assert replay(graph).makespan_ns == 1499
    assert live_slots(graph).count == 2
