"""Breakdowns by step, stream, phase and module: their own windows, or shares of one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etsim.models.errors import AnalysisError
from etsim.models.graph import Category, ExecutionGraph
from etsim.models.timeline import measured
from etsim.simulator.breakdown.activity import activity_of
from etsim.simulator.breakdown.groups import BETWEEN_STEPS, Grouping
from etsim.simulator.breakdown.owners import NO_GROUP, WHOLE_PATHS, ModulePaths
from etsim.simulator.breakdown.report import RankBreakdown, Wanted, break_down
from etsim.simulator.breakdown.selection import Selection
from etsim.simulator.replay import replay
from etsim.tests.strategies import execution_graphs
from etsim.tests.timelines import Drawing


def two_steps() -> Drawing:
    """
    host    |L0   L1|      |L2|
    stream    [k0 0-4][c 6-8]   [k1 10-13]      k0, c: step 0, k1: step 1; 9-9.. between them
    """
    drawing = Drawing()
    first = drawing.host("begin", 0, 0, category=Category.ANNOTATION)
    drawing.step("ProfilerStep#1", first, first)
    drawing.step("ProfilerStep#2", first, first)
    calls = [drawing.launch(t, t + 1, step=s) for t, s in ((0, 0), (1, 0), (7, 1))]
    drawing.device(0, 4, launch=calls[0], step=0, module="Net/A", phase="forward")
    drawing.device(
        3, 8, launch=calls[1], step=0, stream=20, category=Category.COLLECTIVE, module="Net/B"
    )
    drawing.device(10, 13, launch=calls[2], step=1, module="Net/A", phase="backward")
    return drawing


def broken_down(by: Grouping, paths: ModulePaths = WHOLE_PATHS) -> RankBreakdown:
    return break_down([two_steps().done()], Wanted(by, paths=paths))[0]


def test_each_step_has_the_window_of_its_launches_and_the_rest_is_told() -> None:
    found = broken_down(Grouping.STEP)
    assert [(g.name, g.parts.window_ns, g.operations) for g in found.groups] == [
        ("ProfilerStep#1", 8, 2),
        ("ProfilerStep#2", 3, 1),
        (BETWEEN_STEPS, 2, 0),
    ]
    assert sum(g.parts.window_ns for g in found.groups) == found.parts.window_ns


def test_each_stream_is_seen_alone_in_the_whole_window() -> None:
    found = broken_down(Grouping.STREAM)
    assert [(g.parts.computing_ns, g.parts.communication_ns) for g in found.groups] == [
        (7, 0),
        (0, 5),
    ]
    assert [g.parts.idle_ns for g in found.groups] == [6, 8]


def test_modules_share_the_window_and_idle_time_goes_to_what_came_late() -> None:
    found = {g.name: g.parts for g in broken_down(Grouping.MODULE).groups}
    assert found["Net/A"].computing_ns == 4
    assert found["[backward]Net/A"].computing_ns == 3
    assert found["[backward]Net/A"].idle_ns == 2
    assert found["Net/B"].exposed_communication_ns == 4
    assert found["Net/B"].communication_ns == 5


def test_module_paths_are_cut_to_a_depth() -> None:
    forward, backward = broken_down(Grouping.MODULE, ModulePaths(depth=1)).groups
    assert (forward.name, backward.name) == ("Net", "[backward]Net")
    assert forward.parts.window_ns + backward.parts.window_ns == 13


def test_phases_include_what_has_none() -> None:
    assert {g.name for g in broken_down(Grouping.PHASE).groups} == {
        "forward",
        "backward",
        NO_GROUP,
    }


@pytest.mark.parametrize("name", ["2", "ProfilerStep#2", "*#2"])
def test_a_step_is_chosen_by_name_number_or_pattern(name: str) -> None:
    (found,) = break_down([two_steps().done()], Wanted(selection=Selection(steps=(name,))))
    assert found.parts.window_ns == 3
    assert found.parts.computing_ns == 3


def test_an_unknown_step_is_told_with_those_there_are() -> None:
    with pytest.raises(AnalysisError, match=r"no step is named '9'.*ProfilerStep#1"):
        break_down([two_steps().done()], Wanted(selection=Selection(steps=("9",))))


def test_unlinked_work_counts_unless_it_is_not_wanted() -> None:
    """stream  [unlinked 0-2]  [k 5-6]"""
    drawing = Drawing()
    call = drawing.launch(3, 4)
    drawing.device(0, 2)
    drawing.device(5, 6, launch=call)
    with_it, without = (
        break_down([drawing.done()], Wanted(selection=Selection(include_unlinked=choice)))[0]
        for choice in (True, False)
    )
    assert (with_it.parts.window_ns, with_it.parts.computing_ns) == (6, 3)
    assert (without.parts.window_ns, without.parts.computing_ns) == (1, 1)
    assert with_it.unlinked == without.unlinked == 1


def _check(found: RankBreakdown) -> None:
    every = [found.parts, *(group.parts for group in found.groups)]
    assert [parts.residual_ns for parts in every] == [0] * len(every)
    assert all(value >= 0 for parts in every for value in _values(parts))
    assert sum(found.idle_by_cause.values()) == found.parts.idle_ns


def _values(parts: object) -> list[int]:
    return [int(getattr(parts, name)) for name in ("computing_ns", "idle_ns", "exposed_memcpy_ns")]


@settings(max_examples=50, deadline=None)
@given(execution_graphs(min_rows=1), st.sampled_from(Grouping), st.booleans())
def test_every_breakdown_of_any_graph_adds_up(
    graph: ExecutionGraph, by: Grouping, replayed: bool
) -> None:
    timeline = replay(graph) if replayed else measured(graph)
    if not len(activity_of(timeline, graph.meta.rank)):
        return
    for found in break_down([timeline], Wanted(by)):
        _check(found)
        if by in (Grouping.PHASE, Grouping.MODULE):
            parts = [group.parts for group in found.groups]
            assert sum(p.window_ns for p in parts) == found.parts.window_ns
            assert sum(p.computing_ns for p in parts) == found.parts.computing_ns
            assert sum(p.communication_ns for p in parts) == found.parts.communication_ns
            assert sum(p.idle_ns for p in parts) == found.parts.idle_ns
            assert np.sum([g.operations for g in found.groups]) == found.operations
