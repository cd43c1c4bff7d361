"""Event-driven replay: what holds for any graph and any traffic over it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etsim.converters.convert import convert, find_sources
from etsim.models.graph import NONE, ExecutionGraph
from etsim.models.merge import merge_ranks
from etsim.models.merge_order import reordered
from etsim.simulator.events.engine import replay_shared
from etsim.simulator.events.traffic import Traffic, Use, without_links
from etsim.simulator.replay import replay
from etsim.tests.cli.caller import RECORDED
from etsim.tests.simulator.events.shared_graphs import CAPACITY, by_brute_force, link, traffics
from etsim.tests.simulator.small_graphs import small_graphs
from etsim.tests.strategies import execution_graphs

ANY_USE = (1, 3, 70, 333, CAPACITY)


@given(st.one_of(execution_graphs(max_rows=8), small_graphs(max_rows=20)))
@settings(max_examples=30)
def test_without_links_it_is_the_replay(graph: ExecutionGraph) -> None:
    same_as_replay(graph, without_links(len(graph)))


@given(st.data(), st.one_of(execution_graphs(max_rows=8), small_graphs(max_rows=20)))
@settings(max_examples=30)
def test_with_links_wide_enough_for_all_it_is_the_replay(
    data: st.DataObject, graph: ExecutionGraph
) -> None:
    wide = CAPACITY * (len(graph) + 1)
    same_as_replay(graph, data.draw(traffics(graph, uses=ANY_USE, capacity=wide)))


def same_as_replay(graph: ExecutionGraph, traffic: Traffic) -> None:
    shared, alone = replay_shared(graph, traffic), replay(graph)
    assert shared.timeline.start_ns.tobytes() == alone.start_ns.tobytes()
    assert shared.timeline.duration_ns.tobytes() == alone.duration_ns.tobytes()
    assert shared.lost_ns == {}
    assert all(use.crowded_ns == 0 for use in shared.uses)


@pytest.mark.parametrize("run", ["mlp", "transformer", "ddp"])
def test_recorded_runs_without_links_are_replayed_to_the_nanosecond(run: str) -> None:
    et, trace = (str(RECORDED / f"{run}.{kind}.*json.gz") for kind in ("et", "trace"))
    graph = merge_ranks([convert(source).graph for source in find_sources([et], [trace])])
    same_as_replay(graph, without_links(len(graph)))
    every_row = np.zeros(len(graph), dtype=np.int32)
    same_as_replay(graph, Traffic((link(),), ((Use(0, CAPACITY),),), every_row))


@given(st.data(), small_graphs(max_rows=12))
@settings(max_examples=40)
def test_it_is_what_fractions_say(data: st.DataObject, graph: ExecutionGraph) -> None:
    traffic = data.draw(traffics(graph))
    found = replay_shared(graph, traffic).timeline.end_ns.tolist()
    assert found == by_brute_force(graph, traffic, graph.edge_lag_ns)


@given(st.data(), small_graphs(max_rows=15))
@settings(max_examples=40)
def test_sharing_makes_no_row_end_earlier(data: st.DataObject, graph: ExecutionGraph) -> None:
    traffic = data.draw(traffics(graph, uses=ANY_USE))
    shared, alone = replay_shared(graph, traffic).timeline, replay(graph)
    assert np.all(shared.start_ns >= alone.start_ns)
    assert np.all(shared.duration_ns >= alone.duration_ns)


@given(st.data(), small_graphs(max_rows=15, least_lag_ns=0))
@settings(max_examples=40)
def test_no_link_ever_carries_more_than_it_can(data: st.DataObject, graph: ExecutionGraph) -> None:
    """Whatever begins and ends within a window has been carried within it."""
    traffic = data.draw(traffics(graph, uses=ANY_USE, one_row_each=True))
    found = replay_shared(graph, traffic)
    start, end = found.timeline.start_ns.tolist(), found.timeline.end_ns.tolist()
    work = graph.nodes.duration_ns.tolist()
    for number, use in enumerate(found.uses):
        taken = {
            row: next((u.bytes_per_s for u in traffic.flows[flow] if u.link == number), 0)
            for row, flow in enumerate(traffic.flow_of_row.tolist())
            if flow != NONE
        }
        for first in taken:
            for last in taken:
                inside = [r for r in taken if start[r] >= start[first] and end[r] <= end[last]]
                carried = sum(taken[row] * work[row] for row in inside)
                assert carried <= CAPACITY * max(0, end[last] - start[first])
        assert use.carried_bytes * 10**9 <= CAPACITY * use.busy_ns
        assert use.crowded_ns <= use.busy_ns


@given(st.data(), small_graphs(max_rows=12))
@settings(max_examples=40)
def test_equal_input_gives_equal_bytes(data: st.DataObject, graph: ExecutionGraph) -> None:
    traffic = data.draw(traffics(graph, uses=ANY_USE))
    once, again = replay_shared(graph, traffic), replay_shared(graph, traffic)
    assert once.timeline.start_ns.tobytes() == again.timeline.start_ns.tobytes()
    assert once.timeline.duration_ns.tobytes() == again.timeline.duration_ns.tobytes()
    assert (once.uses, once.lost_ns) == (again.uses, again.lost_ns)


@given(st.data(), small_graphs(max_rows=12))
@settings(max_examples=40)
def test_the_order_of_rows_does_not_matter(data: st.DataObject, graph: ExecutionGraph) -> None:
    traffic = data.draw(traffics(graph, uses=ANY_USE))
    order = np.array(data.draw(topological_orders(graph)), dtype=np.int64)
    turned = Traffic(traffic.links, traffic.flows, traffic.flow_of_row[order])
    once, again = replay_shared(graph, traffic), replay_shared(reordered(graph, order), turned)
    assert once.timeline.end_ns[order].tolist() == again.timeline.end_ns.tolist()
    assert once.timeline.start_ns[order].tolist() == again.timeline.start_ns.tolist()
    assert (once.uses, once.lost_ns) == (again.uses, again.lost_ns)


@st.composite
def topological_orders(draw: st.DrawFn, graph: ExecutionGraph) -> list[int]:
    """Give the rows in another order in which every predecessor stands first."""
    order: list[int] = []
    while len(order) < len(graph):
        ready = [
            row
            for row in range(len(graph))
            if row not in order and all(p in order for p, _, _ in graph.predecessors(row))
        ]
        order.append(draw(st.sampled_from(ready)))
    return order
