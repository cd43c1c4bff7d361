"""Slack: exactly how much later a row may end."""

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from etsim.models.graph import EdgeKind, ExecutionGraph, LaneKind
from etsim.models.graph_builder import GraphBuilder
from etsim.simulator.replay import replay
from etsim.simulator.slack import UNLIMITED, Slack, slack_by_name, slack_ns
from etsim.tests.simulator.small_graphs import small_graphs


def fork() -> ExecutionGraph:
    """a 2 --+--> long 9 --+--> end 1
             `--> short 3 -1'             short may end 9 - 3 - 1 = 5 later
    """  # fmt: skip
    builder = GraphBuilder()
    lane = builder.lane(LaneKind.HOST, 1, 1)
    a = builder.add("a", lane, duration_ns=2)
    long = builder.add("long", lane, duration_ns=9, after=[(a, EdgeKind.DATA, 0)])
    short = builder.add("short", lane, duration_ns=3, after=[(a, EdgeKind.DATA, 0)])
    builder.add("end", lane, duration_ns=1,
                after=[(long, EdgeKind.DATA, 0), (short, EdgeKind.DATA, 1)])  # fmt: skip
    return builder.build()


def test_what_is_on_the_path_has_none_and_the_rest_has_the_room_beside_it() -> None:
    timeline = replay(fork())
    slack = slack_ns(timeline, fork().edge_lag_ns, timeline.makespan_ns)
    assert slack.tolist() == [0, 0, 5, 0]
    assert slack_by_name(timeline, slack, 0) == [Slack("short", 1, 3, 5, 5)]


def test_what_ends_after_the_end_asked_for_is_no_part_of_it() -> None:
    timeline = replay(fork())
    slack = slack_ns(timeline, fork().edge_lag_ns, 11)  # the end of `long`
    assert slack.tolist() == [0, 0, 6, UNLIMITED]


@given(small_graphs(), st.data())
@settings(deadline=None)
def test_a_row_may_end_later_by_its_slack_and_not_by_more(
    graph: ExecutionGraph, data: st.DataObject
) -> None:
    timeline = replay(graph)
    slack = slack_ns(timeline, graph.edge_lag_ns, timeline.makespan_ns)
    assume(len(graph) > 0)
    row = data.draw(st.integers(0, len(graph) - 1))
    for more in (0, 1):
        durations = graph.nodes.duration_ns.copy()
        durations[row] += slack[row] + more
        assert replay(graph, durations).makespan_ns == timeline.makespan_ns + more
    assert np.all(slack >= 0)
