"""Waits between streams that only the times show: both sides of every threshold."""

import pytest

from etsim.models.graph import EdgeKind
from etsim.tests.kineto_maker import Micros, Recording, Seen

USUAL = 3  # from the end of a launch to the start of its kernel, everywhere else in these traces


def pair(starts: Micros, *, first_ends: Micros, launch: int = 20, waits: bool = False) -> Seen:
    """Draw work on stream 20 that starts late, and what ended before it on stream 7.

    host       L L   L
    stream 7      [ first ]
    stream 20               [late]
    """
    run = Recording()
    for number in range(5):
        at = 1000 * (number + 1)
        run.kernel(f"usual{number}", at + 5 + USUAL, at + 20, by=run.launch(at, at + 5), stream=9)
    run.kernel("first", 5 + USUAL, first_ends, by=run.launch(0, 5))
    if waits:
        run.call("cudaStreamWaitEvent", 6, 7)
    run.kernel("late", starts, starts + 10, by=run.launch(launch - 5, launch), stream=20)
    return run.linked()


def is_linked(seen: Seen) -> bool:
    return ("first", "late") in seen.edges(EdgeKind.STREAM_WAIT)


@pytest.mark.parametrize(("starts", "linked"), [(33, False), (33.001, True)])
def test_a_start_up_to_10_us_after_the_usual_needs_no_reason(
    starts: float, *, linked: bool
) -> None:
    assert is_linked(pair(starts, first_ends=30)) is linked


@pytest.mark.parametrize(("first_ends", "linked"), [(84.999, False), (85, True)])
def test_what_ended_over_15_us_before_is_no_reason(first_ends: float, *, linked: bool) -> None:
    assert is_linked(pair(100, first_ends=first_ends)) is linked


@pytest.mark.parametrize(("first_ends", "linked"), [(102, True), (102.001, False)])
def test_what_ended_over_2_us_after_the_start_is_no_reason(
    first_ends: float, *, linked: bool
) -> None:
    assert is_linked(pair(100, first_ends=first_ends)) is linked


def test_where_waits_are_recorded_only_they_count() -> None:
    """The recorded one holds up `late`, whatever its times; a second reason is not looked for."""
    seen = pair(100, first_ends=50, waits=True)
    assert seen.edges(EdgeKind.STREAM_WAIT) == {("first", "late")}
    assert not is_linked(pair(100, first_ends=50))


def graph(starts: Micros, *, first_ends: Micros = 30) -> Seen:
    """Draw a graph launch of two streams: `late` is the second piece of work that it starts."""
    run = Recording()
    run.kernel("before", -50, -40, by=run.launch(-60, -55), stream=20)
    call = run.launch(0, 5, name="cudaGraphLaunch")
    run.kernel("first", 10, first_ends, by=call)
    run.kernel("late", starts, starts + 10, by=call, stream=20)
    return run.linked()


@pytest.mark.parametrize(("after_us", "linked"), [(0, True), (5, True), (5.001, False)])
def test_a_graphs_work_follows_within_5_us(after_us: float, *, linked: bool) -> None:
    assert is_linked(graph(30 + after_us)) is linked


def test_two_branches_of_a_graph_that_start_together_do_not_wait_for_each_other() -> None:
    assert not is_linked(graph(10.5))


def test_graphs_are_known_even_where_waits_are_recorded() -> None:
    run = Recording()
    run.kernel("a", 10, 20, by=run.launch(0, 5))
    run.call("cudaStreamWaitEvent", 6, 7)
    run.kernel("b", 20, 25, by=run.launch(8, 9), stream=20)
    call = run.launch(50, 55, name="cudaGraphLaunch")
    run.kernel("first", 60, 80, by=call)
    run.kernel("late", 81, 90, by=call, stream=20)
    assert is_linked(run.linked())
