"""Incremental evaluation: the full replay's answer to the bit, for a fraction of its work."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etsim.models.graph import EdgeKind, ExecutionGraph, LaneKind
from etsim.models.graph_builder import GraphBuilder
from etsim.simulator.incremental import Checkpoints, checkpoints, reevaluate
from etsim.simulator.replay import replay
from etsim.tests.simulator.small_graphs import durations_ns, lags_ns, small_graphs
from etsim.tests.strategies import execution_graphs


def check(base: Checkpoints, durations: dict[int, int], lags: dict[int, int]) -> int:
    """Compare with a full replay; give the number of rows evaluated."""
    new_durations, new_lags = base.duration_ns.copy(), base.lag_ns.copy()
    for row, cost in durations.items():
        new_durations[row] = cost
    for edge, cost in lags.items():
        new_lags[edge] = cost
    full = replay(base.graph, new_durations, new_lags)
    found = reevaluate(base, durations, lags)
    assert found.makespan_ns == full.makespan_ns
    assert found.end_ns().tobytes() == full.end_ns.tobytes()
    return found.rows_evaluated


def changes(size: int, costs: st.SearchStrategy[int]) -> st.SearchStrategy[dict[int, int]]:
    if not size:
        return st.just({})
    return st.dictionaries(st.integers(0, size - 1), costs, max_size=3)


@given(
    st.one_of(small_graphs(max_rows=24), small_graphs(), execution_graphs(max_rows=6)),
    st.integers(1, 5),
    st.data(),
)
@settings(deadline=None, max_examples=100)
def test_any_change_gives_what_a_full_replay_gives(
    graph: ExecutionGraph, segment: int, data: st.DataObject
) -> None:
    base = checkpoints(graph, segment=segment)
    durations = data.draw(changes(len(graph), durations_ns))
    check(base, durations, data.draw(changes(graph.edge_count, lags_ns)))


def steps(count: int) -> ExecutionGraph:
    """Draw steps of 10 launches and kernels; the host waits for the last kernel of each.

    host    [l 3][l 3] ... [l 3]          [l 3] ...
    stream    `[k 5]`[k 5] ... `[k 5]--sync--^
    """
    builder = GraphBuilder()
    host = builder.lane(LaneKind.HOST, 1, 1)
    stream = builder.lane(LaneKind.DEVICE, 0, 7)
    launch = kernel = -1
    for pair in range(10 * count):
        after = [(launch, EdgeKind.HOST_ORDER, 0)] if pair else []
        if pair and pair % 10 == 0:
            after.append((kernel, EdgeKind.SYNC, 1))
        launch = builder.add("l", host, duration_ns=3, after=after)
        before = [(launch, EdgeKind.LAUNCH, 2)]
        if pair:
            before.append((kernel, EdgeKind.STREAM_ORDER, 0))
        kernel = builder.add("k", stream, duration_ns=5, after=before)
    return builder.build()


def test_a_change_is_followed_until_everything_has_moved_alike() -> None:
    base = checkpoints(steps(500), segment=20)  # 10,000 rows
    assert check(base, {5000: 100}, {}) <= 100


def test_no_change_and_a_change_that_nothing_waits_for_cost_next_to_nothing() -> None:
    base = checkpoints(steps(500), segment=20)
    assert check(base, {}, {}) == 0
    assert check(base, {5002: 2}, {}) <= 100  # a launch in the shadow of kernels


def test_several_changes_add_up_and_what_lies_between_is_only_shifted() -> None:
    base = checkpoints(steps(500), segment=20)
    assert check(base, {1001: 50, 5001: 1, 9001: 7}, {}) <= 300


@pytest.mark.parametrize("duration", [0, 2000])
def test_work_anchored_in_time_stops_a_shift(duration: int) -> None:
    """a, then rows that wait for the origin's clock as well as for the row before them."""
    builder = GraphBuilder()
    lane = builder.lane(LaneKind.HOST, 1, 1)
    row = builder.add("a", lane, duration_ns=10)
    for place in range(200):
        row = builder.add("b", lane, duration_ns=10, after=[(row, EdgeKind.HOST_ORDER, 0)])
        if place == 100:
            free = builder.add("late", lane, duration_ns=5)
            row = builder.add("c", lane, duration_ns=1,
                              after=[(row, EdgeKind.DATA, 0),
                                     (free, EdgeKind.DATA, 1012)])  # fmt: skip
    graph = builder.build()
    check(checkpoints(graph, segment=8), {0: duration}, {})


def test_a_hundred_times_less_work_on_a_large_graph() -> None:
    graph = steps(5000)  # 100,000 rows
    base = checkpoints(graph, segment=64)
    rows = np.random.default_rng(1).integers(0, len(graph), 5).tolist()
    for row in rows:
        assert check(base, {row: 1000}, {}) * 100 <= len(graph)
