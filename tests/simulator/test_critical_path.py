"""The critical path: what the end waited for, adding up to the nanosecond."""

import numpy as np
from hypothesis import given, settings

from etsim.models.costs.bound import Bound
from etsim.models.graph import Category, EdgeKind, ExecutionGraph, LaneKind
from etsim.models.graph_builder import GraphBuilder
from etsim.simulator.critical_path import (
    Contributor,
    Stretch,
    by_kind,
    contributors,
    critical_path,
)
from etsim.simulator.path_kinds import PathKind, PathKinds
from etsim.simulator.replay import replay
from etsim.tests.simulator.small_graphs import small_graphs


def path_of(
    graph: ExecutionGraph, *, begin_ns: int = 0, rank: int | None = None, last: int | None = None
) -> list[Stretch]:
    timeline = replay(graph)
    bound = np.where(graph.nodes.category == Category.KERNEL, Bound.COMPUTE, Bound.NONE)
    kinds = PathKinds(graph, bound.astype(np.uint8))
    row = int(np.argmax(timeline.end_ns)) if last is None else last
    return critical_path(timeline, graph.edge_lag_ns, kinds, row, begin_ns=begin_ns, rank=rank)


def device_bound() -> ExecutionGraph:
    """Draw a host that waits for two kernels.

    host    [a 2][launch 1]       [b 3]              [sync 4]
    stream             `-5->[k 30]-2->[m 20]----1----^
    """
    builder = GraphBuilder()
    host = builder.lane(LaneKind.HOST, 1, 1)
    stream = builder.lane(LaneKind.DEVICE, 0, 7)
    a = builder.add("a", host, duration_ns=2)
    launch = builder.add("launch", host, duration_ns=1, category=Category.LAUNCH,
                         after=[(a, EdgeKind.HOST_ORDER, 0)])  # fmt: skip
    k = builder.add("k", stream, duration_ns=30, category=Category.KERNEL,
                    after=[(launch, EdgeKind.LAUNCH, 5)])  # fmt: skip
    m = builder.add("m", stream, duration_ns=20, category=Category.MEMCPY,
                    after=[(k, EdgeKind.STREAM_ORDER, 2)])  # fmt: skip
    b = builder.add("b", host, duration_ns=3, after=[(launch, EdgeKind.HOST_ORDER, 0)])
    builder.add("sync", host, duration_ns=4, category=Category.SYNC,
                after=[(b, EdgeKind.HOST_ORDER, 0), (m, EdgeKind.SYNC, 1)])  # fmt: skip
    return builder.build()


def test_the_path_goes_through_what_held_the_end_up_and_tells_each_kind() -> None:
    assert by_kind(path_of(device_bound())) == {
        PathKind.COMPUTE_KERNEL: 30,
        PathKind.COPY: 20,
        PathKind.LAUNCH_LATENCY: 5,
        PathKind.SYNC_TAIL: 5,
        PathKind.HOST_WORK: 2,
        PathKind.KERNEL_GAP: 2,
        PathKind.LAUNCH_CALL: 1,
    }


def test_contributors_are_summed_by_name_and_time_before_a_row_stands_apart() -> None:
    found = contributors(device_bound(), path_of(device_bound()))
    assert found[0] == Contributor("k", PathKind.COMPUTE_KERNEL, 1, 30)
    assert Contributor("before sync", PathKind.SYNC_TAIL, 1, 1) in found
    assert "b" not in {contributor.name for contributor in found}


def test_a_path_from_a_later_begin_is_cut_there() -> None:
    cut = path_of(device_bound(), begin_ns=20)  # k runs from 8 to 38
    assert cut[0] == Stretch(2, PathKind.COMPUTE_KERNEL, 20, 38, is_lag=False)


def test_a_negative_lag_lets_the_path_leave_its_predecessor_early() -> None:
    """a 10 ---5--> b 4      b starts at 5, inside a: a counts 5."""
    builder = GraphBuilder()
    lane = builder.lane(LaneKind.HOST, 1, 1)
    a = builder.add("a", lane, duration_ns=10)
    b = builder.add("b", lane, duration_ns=4, after=[(a, EdgeKind.HOST_ORDER, -5)])
    lengths = [stretch.duration_ns for stretch in path_of(builder.build(), last=b)]
    assert lengths == [5, 4]


def two_ranks() -> ExecutionGraph:
    """Draw an all-reduce for which rank 0 waits.

    rank 0  [a 3]--1-.          .-->[reduce 2]
                     +-->(join)-+
    rank 1  [b 10]---'          `-->[reduce 2]
    """
    builder = GraphBuilder()
    lanes = [builder.lane(LaneKind.DEVICE, rank, 7) for rank in (0, 1)]
    middle = builder.lane(LaneKind.VIRTUAL, 0, 0)
    a = builder.add("a", lanes[0], duration_ns=3, category=Category.KERNEL, rank=0)
    b = builder.add("b", lanes[1], duration_ns=10, category=Category.KERNEL, rank=1)
    join = builder.add("join", middle, category=Category.JOIN, rank=-1,
                       after=[(a, EdgeKind.RENDEZVOUS, 1),
                              (b, EdgeKind.RENDEZVOUS, 0)])  # fmt: skip
    for rank in (0, 1):
        builder.add("reduce", lanes[rank], duration_ns=2, category=Category.COLLECTIVE, rank=rank,
                    after=[(join, EdgeKind.RENDEZVOUS, 0)])  # fmt: skip
    return builder.build()


def test_the_path_of_the_whole_job_goes_to_the_late_rank() -> None:
    kinds = by_kind(path_of(two_ranks()))
    assert kinds == {PathKind.COMPUTE_KERNEL: 10, PathKind.COMMUNICATION: 2}


def test_a_rank_s_own_path_shows_what_it_waited_for_others() -> None:
    kinds = by_kind(path_of(two_ranks(), rank=0, last=3))
    assert kinds == {
        PathKind.RANK_WAIT: 6,
        PathKind.COMPUTE_KERNEL: 3,
        PathKind.COMMUNICATION: 2,
        PathKind.KERNEL_GAP: 1,
    }


@given(small_graphs())
@settings(deadline=None)
def test_the_stretches_follow_each_other_and_add_up_to_the_makespan(graph: ExecutionGraph) -> None:
    timeline, path = replay(graph), path_of(graph)
    assert sum(stretch.duration_ns for stretch in path) == timeline.makespan_ns
    ends = [0, *(stretch.end_ns for stretch in path)]
    assert [stretch.begin_ns for stretch in path] == ends[:-1]
    assert sum(by_kind(path).values()) == timeline.makespan_ns
