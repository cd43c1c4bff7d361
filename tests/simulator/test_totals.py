"""The totals of scenarios are what `predict` calls the total, scenario by scenario."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from etsim.models.graph import ExecutionGraph, LaneKind, Step
from etsim.models.timeline import Timeline
from etsim.simulator.predict import total_ns
from etsim.simulator.replay import replay
from etsim.simulator.scenarios import by_factor
from etsim.simulator.totals import scenario_totals
from etsim.tests.simulator.small_graphs import small_graphs


def with_steps(graph: ExecutionGraph, data: st.DataObject) -> ExecutionGraph:
    """Mark some rows as steps and some lanes as streams."""
    row = st.integers(0, len(graph) - 1)
    marks = data.draw(st.lists(st.tuples(row, row).map(sorted), max_size=2))
    drawn = st.lists(st.integers(-1, len(marks) - 1), min_size=len(graph), max_size=len(graph))
    kinds = st.sampled_from([LaneKind.HOST, LaneKind.DEVICE])
    lanes = [replace(lane, kind=data.draw(kinds)) for lane in graph.lanes]
    return replace(
        graph,
        nodes=replace(graph.nodes, step=np.array(data.draw(drawn), dtype=np.int32)),
        steps=tuple(Step("step", *mark) for mark in marks),
        lanes=tuple(lanes),
    )


@given(small_graphs(), st.data())
@settings(deadline=None, max_examples=60)
def test_each_total_is_that_of_a_replay_of_its_own(
    graph: ExecutionGraph, data: st.DataObject
) -> None:
    graph = with_steps(graph, data)
    tables = by_factor(graph, np.zeros(len(graph), np.int32), np.array([[1.0, 0.5, 3.0]]))
    timelines: list[Timeline] = [replay(graph, *tables.costs(s)) for s in range(3)]
    assert scenario_totals(graph, tables).tolist() == [total_ns(line) for line in timelines]
