"""Event-driven replay: equal to max-plus where nothing is shared, and fair where something is."""

from itertools import pairwise

import numpy as np
import pytest

from etsim.models.graph import NONE, EdgeKind, ExecutionGraph, LaneKind
from etsim.models.graph_builder import GraphBuilder
from etsim.simulator.events.engine import replay_shared
from etsim.simulator.events.traffic import Traffic, Use, without_links
from etsim.tests.simulator.events.shared_graphs import CAPACITY, link

ANY_USE = (1, 3, 70, 333, CAPACITY)


def transfers(*begins_and_works: tuple[int, int]) -> ExecutionGraph:
    """Draw transfers that wait for nothing but the clock: window --begin--> transfer."""
    builder = GraphBuilder()
    lane = builder.lane(LaneKind.DEVICE, 0, 7)
    window = builder.add("window", lane)
    for begin, work in begins_and_works:
        builder.add("send", lane, duration_ns=work, after=[(window, EdgeKind.EXTERNAL, begin)])
    return builder.build()


def on_one_link(graph: ExecutionGraph, *uses: int) -> Traffic:
    """Give rows 1, 2 ... a flow each over one link."""
    flows = tuple((Use(0, use),) for use in uses)
    return Traffic((link(),), flows, np.arange(-1, len(uses), dtype=np.int32)[: len(graph)])


def ends(graph: ExecutionGraph, *uses: int) -> list[int]:
    found: list[int] = replay_shared(graph, on_one_link(graph, *uses)).timeline.end_ns.tolist()
    return found[1:]


def test_a_transfer_that_comes_later_halves_the_first() -> None:
    """Work 10 each, b begins at 4: a has 6 left and needs 12; b has then 4 left, alone again.

    time  0        4                        16      20
    a     ████████ ▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄ |
    b              ▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄ ███████ |
    """
    assert ends(transfers((0, 10), (4, 10)), CAPACITY, CAPACITY) == [16, 20]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 24])
def test_equal_transfers_that_begin_together_take_as_many_times_as_long(count: int) -> None:
    graph = transfers(*[(5, 101)] * count)
    assert ends(graph, *[CAPACITY] * count) == [5 + 101 * count] * count


def test_three_leave_one_after_the_other() -> None:
    """Works 10, 20, 30 together: 30 until the first ends, 20 more for the second, then 10."""
    assert ends(transfers((0, 10), (0, 20), (0, 30)), *[CAPACITY] * 3) == [30, 50, 60]


def test_what_two_take_together_within_the_link_slows_nobody() -> None:
    graph = transfers((0, 10), (0, 10))
    assert ends(graph, CAPACITY // 2, CAPACITY // 2) == [10, 10]
    assert ends(graph, CAPACITY // 2, CAPACITY) == [15, 15]  # 3/2 of the link is wanted


def test_the_slowest_link_bounds_a_transfer() -> None:
    """a crosses links 0 and 1; b and c cross link 1 only: a goes at 1/3, whatever link 0 has."""
    graph = transfers((0, 10), (0, 10), (0, 10))
    traffic = Traffic(
        (link(name="left"), link(name="right")),
        ((Use(0, CAPACITY), Use(1, CAPACITY)), (Use(1, CAPACITY),), (Use(1, CAPACITY),)),
        np.array([-1, 0, 1, 2], dtype=np.int32),
    )
    found = replay_shared(graph, traffic)
    assert found.timeline.end_ns.tolist() == [0, 30, 30, 30]
    assert found.lost_ns == {(flow, 1): 20 for flow in range(3)}
    assert [use.crowded_ns for use in found.uses] == [0, 30]


def test_rows_of_one_flow_do_not_slow_each_other() -> None:
    graph = transfers((0, 10), (0, 12), (0, 10))
    traffic = Traffic(
        (link(),), ((Use(0, CAPACITY),), (Use(0, CAPACITY),)), np.array([-1, 0, 0, 1], np.int32)
    )
    found = replay_shared(graph, traffic).timeline
    assert found.end_ns.tolist() == [0, 20, 22, 20]


def test_what_waits_for_a_slowed_transfer_waits_longer() -> None:
    """host  a 3 --> [send 10] --2--> b 5        the other [send 10] on the link from 0 on

    send from 3: the other has 7 left and takes 14, until 17; send has then 3 left, ends at 20.
    """  # fmt: skip
    builder = GraphBuilder()
    host, out = builder.lane(LaneKind.HOST, 1, 1), builder.lane(LaneKind.DEVICE, 0, 7)
    other = builder.add("send", out, duration_ns=10)
    a = builder.add("a", host, duration_ns=3)
    send = builder.add("send", out, duration_ns=10, after=[(a, EdgeKind.LAUNCH, 0)])
    builder.add("b", host, duration_ns=5, after=[(send, EdgeKind.SYNC, 2), (a, EdgeKind.DATA, 0)])
    full = (Use(0, CAPACITY),)
    traffic = Traffic((link(),), (full, full), np.array([0, NONE, 1, NONE], np.int32))
    found = replay_shared(builder.build(), traffic).timeline
    assert other == 0
    assert found.end_ns.tolist() == [17, 3, 20, 27]
    assert found.start_ns.tolist() == [0, 0, 3, 22]


def test_the_time_before_an_end_that_it_waits_for_is_spent_alone() -> None:
    """a 10 --(-4)--> b 10: b starts at 6, is known at 10, and ends at 16 as without links."""
    builder = GraphBuilder()
    lane = builder.lane(LaneKind.DEVICE, 0, 7)
    a = builder.add("a", lane, duration_ns=10)
    builder.add("b", lane, duration_ns=10, after=[(a, EdgeKind.STREAM_ORDER, -4)])
    full = (Use(0, CAPACITY),)
    found = replay_shared(
        builder.build(), Traffic((link(),), (full, full), np.array([0, 1], np.int32))
    )
    assert found.timeline.end_ns.tolist() == [10, 16]
    assert found.begun_late == 1
    assert found.uses[0].busy_ns == 16


def test_an_empty_graph_takes_no_time() -> None:
    assert replay_shared(GraphBuilder().build(), without_links(0)).timeline.makespan_ns == 0


def test_many_flows_of_odd_sizes_lose_less_than_a_nanosecond_each() -> None:
    """Rounding may keep an end back by a nanosecond, never more: all work passes one full link."""
    random = np.random.default_rng(1)
    works = random.integers(1, 10_000, 200).tolist()
    uses = random.integers(CAPACITY // 2, CAPACITY, 200).tolist()
    found = ends(transfers(*[(0, work) for work in works]), *uses)
    carried = sum(work * use for work, use in zip(works, uses, strict=True)) / CAPACITY
    last = max(works, key=lambda work: (work, 0))
    assert carried <= max(found) <= carried + last * 0.5 + len(works)
    in_order = sorted(zip(works, found, strict=True))
    assert all(before[1] <= after[1] for before, after in pairwise(in_order))
