"""Replay: what (max, +) promises, on drawn graphs and on any."""

from random import Random

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from etsim.models.graph import (
    Category,
    Collective,
    EdgeKind,
    ExecutionGraph,
    GraphMeta,
    LaneKind,
    same_graph,
)
from etsim.models.graph_builder import GraphBuilder
from etsim.models.merge import merge_ranks
from etsim.simulator.replay import replay
from etsim.tests.simulator.small_graphs import small_graphs
from etsim.tests.strategies import execution_graphs


def test_a_row_starts_when_the_last_of_its_predecessors_lets_it() -> None:
    """a 2 --1--> b 3 --.
       `--------5-------+--> c 1      c starts at max(6 + 0, 2 + 5)
    """  # fmt: skip
    builder = GraphBuilder()
    lane = builder.lane(LaneKind.HOST, 1, 1)
    a = builder.add("a", lane, duration_ns=2)
    b = builder.add("b", lane, duration_ns=3, after=[(a, EdgeKind.HOST_ORDER, 1)])
    builder.add("c", lane, duration_ns=1,
                after=[(b, EdgeKind.HOST_ORDER, 0), (a, EdgeKind.DATA, 5)])  # fmt: skip
    timeline = replay(builder.build())
    assert timeline.start_ns.tolist() == [0, 3, 7]
    assert timeline.makespan_ns == 8


def test_nothing_starts_before_the_window() -> None:
    builder = GraphBuilder()
    lane = builder.lane(LaneKind.HOST, 1, 1)
    a = builder.add("a", lane, duration_ns=2)
    builder.add("b", lane, duration_ns=3, after=[(a, EdgeKind.HOST_ORDER, -5)])
    assert replay(builder.build()).start_ns.tolist() == [0, 0]


def test_an_empty_graph_takes_no_time() -> None:
    assert replay(GraphBuilder().build()).makespan_ns == 0


def without_negative_lags(graph: ExecutionGraph) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.maximum(graph.edge_lag_ns, 0)


@given(small_graphs())
@settings(deadline=None)
def test_the_makespan_is_at_least_the_longest_chain(graph: ExecutionGraph) -> None:
    lags = without_negative_lags(graph)
    longest = [0] * len(graph)  # by definition: the costliest chain that ends in each row
    for row in range(len(graph)):
        edges = range(int(graph.edge_start[row]), int(graph.edge_start[row + 1]))
        chains = [longest[graph.edge_source[e]] + int(lags[e]) for e in edges]
        longest[row] = max(chains, default=0) + int(graph.nodes.duration_ns[row])
    assert replay(graph, lag_ns=lags).makespan_ns == max(longest)


@given(small_graphs())
@settings(deadline=None)
def test_the_makespan_is_at_least_the_busy_time_of_any_lane(graph: ExecutionGraph) -> None:
    """Lanes are made orderly first: each row after the one before it in its lane."""
    orderly = with_lane_order(graph)
    makespan = replay(orderly).makespan_ns
    busy = np.bincount(orderly.nodes.lane, weights=orderly.nodes.duration_ns)
    assert makespan >= np.max(busy) * (1 - 1e-12)


def with_lane_order(graph: ExecutionGraph) -> ExecutionGraph:
    builder = GraphBuilder()
    lanes = [builder.lane(lane.kind, lane.group, lane.number, lane.name) for lane in graph.lanes]
    last: dict[int, int] = {}
    for row in range(len(graph)):
        lane = int(graph.nodes.lane[row])
        after = [(p, kind, max(0, lag)) for p, kind, lag in graph.predecessors(row)]
        if lane in last:
            after.append((last[lane], EdgeKind.HOST_ORDER, 0))
        duration = int(graph.nodes.duration_ns[row])
        last[lane] = builder.add("r", lanes[lane], duration_ns=duration, after=after)
    return builder.build()


@given(small_graphs(), st.integers(0, 7))
@settings(deadline=None)
def test_scaling_all_costs_scales_every_time(graph: ExecutionGraph, factor: int) -> None:
    once = replay(graph)
    scaled = replay(graph, graph.nodes.duration_ns * factor, graph.edge_lag_ns * factor)
    assert scaled.start_ns.tolist() == (once.start_ns * factor).tolist()
    assert scaled.makespan_ns == once.makespan_ns * factor


@given(small_graphs(), st.data())
@settings(deadline=None)
def test_removing_an_edge_never_makes_it_longer(graph: ExecutionGraph, data: st.DataObject) -> None:
    assume(graph.edge_count > 0)
    removed = data.draw(st.integers(0, graph.edge_count - 1))
    lags = graph.edge_lag_ns.copy()
    lags[removed] = -(2**60)  # never binds: as if it were not there
    fewer, all_edges = replay(graph, lag_ns=lags), replay(graph)
    assert np.all(fewer.end_ns <= all_edges.end_ns)


@given(execution_graphs())
@settings(deadline=None, max_examples=20)
def test_equal_input_gives_equal_bytes(graph: ExecutionGraph) -> None:
    once, again = replay(graph), replay(graph)
    assert once.start_ns.tobytes() == again.start_ns.tobytes()
    assert once.duration_ns.tobytes() == again.duration_ns.tobytes()


@given(
    st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=3), min_size=2, max_size=4),
    st.randoms(use_true_random=False),
)
@settings(deadline=None, max_examples=30)
def test_ranks_merged_in_any_order_give_the_same_answer(
    work: list[list[int]], random: Random
) -> None:
    ranks = recorded(work)
    turned = random.sample(ranks, len(ranks))
    once, again = replay(merge_ranks(ranks)), replay(merge_ranks(turned))
    assert same_graph(once.graph, again.graph)
    assert once.start_ns.tobytes() == again.start_ns.tobytes()
    latest_each_time = sum(max(durations) for durations in zip(*work, strict=True))
    assert once.makespan_ns == latest_each_time + 3 * TRANSFER_NS


TRANSFER_NS = 2


def recorded(work: list[list[int]]) -> list[ExecutionGraph]:
    """Give each rank's recording: work --> [all_reduce] --> work ...; all leave one together."""
    builders = [GraphBuilder(meta=GraphMeta(rank=rank)) for rank in range(len(work))]
    lanes = [b.lane(LaneKind.DEVICE, rank, 7) for rank, b in enumerate(builders)]
    last = [
        b.add("window", lane, category=Category.ORIGIN, rank=rank)
        for rank, (b, lane) in enumerate(zip(builders, lanes, strict=True))
    ]
    now = 0
    for sequence, durations in enumerate(zip(*work, strict=True)):
        together = now + max(durations) + TRANSFER_NS
        for rank, (builder, duration) in enumerate(zip(builders, durations, strict=True)):
            kernel = builder.add(
                "work", lanes[rank], category=Category.KERNEL, duration_ns=duration,
                start_ns=now, rank=rank, after=[(last[rank], EdgeKind.STREAM_ORDER, 0)],
            )  # fmt: skip
            arrival = now + duration
            last[rank] = builder.add(
                "all_reduce", lanes[rank], category=Category.COLLECTIVE, rank=rank,
                start_ns=arrival, duration_ns=together - arrival, sequence=sequence,
                collective=Collective("all_reduce", "world"),
                after=[(kernel, EdgeKind.STREAM_ORDER, 0)],
            )  # fmt: skip
        now = together
    return [builder.build() for builder in builders]
