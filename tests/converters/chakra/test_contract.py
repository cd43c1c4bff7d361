import numpy as np

from etsim.converters.chakra.contract import idle_before, kept_predecessors
from etsim.models.graph import EdgeKind, LaneKind
from etsim.models.graph_builder import GraphBuilder


def test_what_is_waited_for_through_dropped_rows_becomes_an_own_edge() -> None:
    """k0 --sync--> wait --host--> launch --launch--> k1; k2 follows k1 on its stream only"""
    builder = GraphBuilder()
    main = builder.lane(LaneKind.HOST, group=1, number=1)
    one = builder.lane(LaneKind.DEVICE, group=0, number=7)
    two = builder.lane(LaneKind.DEVICE, group=0, number=20)
    k0 = builder.add("k0", one)
    wait = builder.add("wait", main, after=[(k0, EdgeKind.SYNC, 0)])
    launch = builder.add("launch", main, after=[(wait, EdgeKind.HOST_ORDER, 0)])
    k1 = builder.add("k1", two, after=[(launch, EdgeKind.LAUNCH, 0)])
    k2 = builder.add("k2", two, after=[(launch, EdgeKind.LAUNCH, 0)])
    graph = builder.build()
    assert kept_predecessors(graph, graph.on_device()) == {k0: [], k1: [k0], k2: [k0, k1]}


def test_only_the_last_row_of_each_lane_is_waited_for() -> None:
    """k0 --> k1 --> wait --> launch --> k2, and k0 --> wait too"""
    builder = GraphBuilder()
    main = builder.lane(LaneKind.HOST, group=1, number=1)
    one = builder.lane(LaneKind.DEVICE, group=0, number=7)
    two = builder.lane(LaneKind.DEVICE, group=0, number=20)
    k0 = builder.add("k0", one)
    k1 = builder.add("k1", one, after=[(k0, EdgeKind.STREAM_ORDER, 0)])
    wait = builder.add("wait", main, after=[(k0, EdgeKind.SYNC, 0), (k1, EdgeKind.SYNC, 0)])
    k2 = builder.add("k2", two, after=[(wait, EdgeKind.LAUNCH, 0)])
    graph = builder.build()
    assert kept_predecessors(graph, graph.on_device())[k2] == [k1]


def test_ranks_of_a_merged_graph_do_not_meet() -> None:
    """a (rank 0) --> join --> b (rank 1), both on lanes of equal names"""
    builder = GraphBuilder()
    lane = builder.lane(LaneKind.DEVICE, group=0, number=7)
    virtual = builder.lane(LaneKind.VIRTUAL, group=0, number=0)
    a = builder.add("a", lane, rank=0)
    join = builder.add("join", virtual, after=[(a, EdgeKind.RENDEZVOUS, 0)])
    b = builder.add("b", lane, rank=1, after=[(join, EdgeKind.RENDEZVOUS, 0)])
    graph = builder.build()
    assert kept_predecessors(graph, graph.on_device()) == {a: [], b: []}


def test_idle_is_the_time_in_which_nothing_ran() -> None:
    """Row 0 from 2 to 6, row 1 within it, row 2 from 9: idle are 0 to 2 and 6 to 9."""
    assert idle_before(np.array([2, 3, 9]), np.array([4, 1, 1])).tolist() == [2, 0, 3]


def test_idle_does_not_depend_on_the_order_of_rows() -> None:
    assert idle_before(np.array([9, 2, 3]), np.array([1, 4, 1])).tolist() == [3, 2, 0]


def test_no_rows_have_no_idle() -> None:
    assert idle_before(np.array([], dtype=np.int64), np.array([], dtype=np.int64)).tolist() == []
