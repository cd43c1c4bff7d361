"""Replay by windows gives what the plain loop gives, whatever the graph."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etsim.models.graph import EdgeKind, ExecutionGraph, LaneKind
from etsim.models.graph_builder import GraphBuilder
from etsim.simulator import windows
from etsim.simulator.kernels import longest_ends, longest_ends_unsigned
from etsim.simulator.replay import replay
from etsim.simulator.windows import windowed_ends
from etsim.tests.simulator.small_graphs import small_graphs
from etsim.tests.strategies import execution_graphs


def by_loop(graph: ExecutionGraph) -> list[int]:
    ends = [0] * len(graph)
    longest_ends(
        graph.edge_start.tolist(),
        graph.edge_source.tolist(),
        graph.edge_lag_ns.tolist(),
        graph.nodes.duration_ns.tolist(),
        ends,
    )
    return ends


@given(st.one_of(small_graphs(max_rows=20), execution_graphs(max_rows=6)))
@settings(deadline=None, max_examples=60)
def test_the_form_that_compiles_best_gives_the_ends_of_the_loop(graph: ExecutionGraph) -> None:
    ends = np.empty(len(graph), dtype=np.int64)
    start, source = graph.edge_start.view(np.uint64), graph.edge_source.view(np.uint32)
    longest_ends_unsigned(start, source, graph.edge_lag_ns, graph.nodes.duration_ns, ends)
    assert ends.tolist() == by_loop(graph)


@given(
    st.one_of(small_graphs(max_rows=20), small_graphs(), execution_graphs(max_rows=6)),
    st.integers(1, 8),
    st.integers(1, 6),
)
@settings(deadline=None, max_examples=80)
def test_any_window_gives_the_ends_of_the_loop(
    graph: ExecutionGraph, window: int, rounds: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "WINDOW", window)
        patch.setattr(windows, "LEAST_WINDOW", 1)
        patch.setattr(windows, "MOST_ROUNDS", rounds)
        found = windowed_ends(graph, graph.nodes.duration_ns, graph.edge_lag_ns)
    assert found.tolist() == by_loop(graph)


def host_and_stream(rows: int, every: int = 1000) -> ExecutionGraph:
    """Draw launches and kernels, and now and then a wait of the host for its last kernel.

    host    [l][l][l] ... [l]      [l] ...
    stream   `[k]`[k]`[k]  `[k]--sync-^
    """
    builder = GraphBuilder()
    host = builder.lane(LaneKind.HOST, 1, 1)
    stream = builder.lane(LaneKind.DEVICE, 0, 7)
    launch = kernel = -1
    for pair in range(rows // 2):
        after = [(launch, EdgeKind.HOST_ORDER, 3)] if pair else []
        if pair and pair % every == 0:
            after.append((kernel, EdgeKind.SYNC, 2))
        launch = builder.add("l", host, duration_ns=5 + pair % 7, after=after)
        before = [(launch, EdgeKind.LAUNCH, 4)]
        if pair:
            before.append((kernel, EdgeKind.STREAM_ORDER, 1))
        kernel = builder.add("k", stream, duration_ns=pair % 23, after=before)
    return builder.build()


def test_a_large_graph_is_replayed_by_windows_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = host_and_stream(windows.WORTH_WINDOWS)
    expected = by_loop(graph)
    monkeypatch.setattr(windows, "loop_ends", None)  # would fail if a window were left to the loop
    assert replay(graph).end_ns.tolist() == expected


def test_a_host_that_waits_often_is_replayed_right_too() -> None:
    for every in (1, 40, 200):
        graph = host_and_stream(windows.WORTH_WINDOWS, every)
        assert replay(graph).end_ns.tolist() == by_loop(graph)


def test_times_too_large_to_lift_apart_are_left_to_the_loop() -> None:
    graph = host_and_stream(100)
    durations = np.full(len(graph), 2**54)
    found = windowed_ends(graph, durations, graph.edge_lag_ns)
    assert found[-1] == replay(graph, durations).end_ns[-1]
