"""Hand-over between threads: a long gap on one that the other's work explains."""

import pytest

from etsim.models.graph import EdgeKind
from etsim.simulator.replay import replay
from etsim.tests.kineto_maker import MAIN, WORKER, Micros, Recording, Seen


def backward(*, busy_until: Micros = 900, resumed: Micros = 1000, scale: float = 1) -> Seen:
    """Draw a training step: the main thread waits while autograd's thread works.

    main      |forward|............waits...........|optimizer|
    autograd          |------- backward --------|
    """
    run = Recording()
    run.op("forward", 0, 100 * scale)
    run.op("backward", 110 * scale, busy_until * scale, thread=WORKER)
    run.op("optimizer", resumed * scale, (resumed + 100) * scale)
    return run.linked()


def test_both_directions_are_linked() -> None:
    assert backward().edges(EdgeKind.HANDOVER) == {
        ("forward", "backward"), ("backward", "optimizer")
    }  # fmt: skip


def test_the_main_threads_gap_is_waiting_and_shrinks_with_backward() -> None:
    seen = backward()
    durations = seen.graph.nodes.duration_ns.copy()
    durations[seen.row("backward")] //= 2
    start = replay(seen.graph, durations).start_ns[seen.row("optimizer")] / 1000
    assert start == 1000 - 790 / 2
    # and it is not kept as host time in another place: no edge between main's rows has a lag
    assert seen.lag_us("forward", "optimizer") == 0


def test_a_slower_forward_delays_the_other_thread_too() -> None:
    seen = backward()
    durations = seen.graph.nodes.duration_ns.copy()
    durations[seen.row("forward")] += 50_000
    start = replay(seen.graph, durations).start_ns
    assert start[seen.row("backward")] / 1000 == 110 + 50
    assert start[seen.row("optimizer")] / 1000 == 1000 + 50


@pytest.mark.parametrize(("gap_us", "waits"), [(100, False), (100.001, True)])
def test_a_gap_of_up_to_100_us_is_the_threads_own(gap_us: float, *, waits: bool) -> None:
    run = Recording()
    run.op("before", 0, 100)
    run.op("other", 101, 100 + gap_us - 1, thread=WORKER)
    run.op("after", 100 + gap_us, 300)
    assert (("other", "after") in run.linked().edges(EdgeKind.HANDOVER)) is waits


@pytest.mark.parametrize(("busy_us", "waits"), [(300, True), (299.999, False)])
def test_a_gap_is_explained_by_a_thread_that_is_busy_for_30_percent_of_it(
    busy_us: float, *, waits: bool
) -> None:
    """The gap is 1 ms; the other thread works at its beginning."""
    run = Recording()
    run.op("start of other", -500, -400, thread=WORKER)
    run.op("before", -100, 0)
    run.op("other", 0, busy_us, thread=WORKER)
    run.op("after", 1000, 1100)
    assert (("other", "after") in run.linked().edges(EdgeKind.HANDOVER)) is waits


def test_an_idle_gap_without_another_thread_is_host_time() -> None:
    run = Recording()
    run.op("before", 0, 100)
    run.op("after", 5000, 5100)
    seen = run.linked()
    assert seen.edges(EdgeKind.HANDOVER) == set()
    assert seen.lag_us("before", "after") == 4900


def test_a_threads_first_row_follows_whoever_ended_last_before_it() -> None:
    run = Recording()
    run.op("main 1", 0, 50)
    run.op("main 2", 60, 90)
    run.op("worker", 95, 120, thread=WORKER)
    run.op("main 3", 100, 130)
    assert ("main 2", "worker") in run.linked().edges(EdgeKind.HANDOVER)


def test_the_waker_is_the_thread_whose_last_row_ends_last_inside_the_gap() -> None:
    """Two workers are busy in the gap; the later one lets the main thread go on."""
    run = Recording()
    run.op("before", 0, 10, thread=MAIN)
    run.op("early", 20, 600, thread=2)
    run.op("late", 20, 900, thread=3)
    run.op("after", 950, 1000, thread=MAIN)
    edges = run.linked().edges(EdgeKind.HANDOVER)
    assert ("late", "after") in edges
    assert ("early", "after") not in edges


def test_annotations_do_not_count_as_work() -> None:
    """A worker's mark spans the gap but nothing ran in it."""
    run = Recording()
    run.op("before", 0, 10)
    run.mark("marked", 20, 900, thread=WORKER)
    run.op("after", 1000, 1100)
    assert ("marked", "after") not in run.linked().edges(EdgeKind.HANDOVER)


@pytest.mark.parametrize(("ended_us", "waits"), [(4000, True), (3999.999, False), (1000, False)])
def test_who_ended_long_before_a_thread_went_on_did_not_wake_it(
    ended_us: float, *, waits: bool
) -> None:
    """The gap lasts 5 ms: a fifth of it, 1 ms, is the longest time to wake up."""
    run = Recording()
    run.op("before", -100, 0)
    run.op("other", 1, ended_us, thread=WORKER)
    run.op("after", 5000, 5100)
    assert (("other", "after") in run.linked().edges(EdgeKind.HANDOVER)) is waits


def test_a_thread_that_polls_sleeps_and_waits_for_nobody() -> None:
    """NCCL's watchdog asks every 100 ms whether its events have happened.

    main      |work|work|work|work|
    watchdog  |query|      |query|
    """
    run = Recording()
    for index in range(4):
        run.op(f"work {index}", 25_000 * index, 25_000 * index + 24_990)
    run.call("cudaEventQuery", 10, 12, thread=WORKER)
    run.call("cudaEventQuery", 99_991, 99_993, thread=WORKER)
    seen = run.linked()
    assert [edge for edge in seen.edges(EdgeKind.HANDOVER) if edge[0].startswith("work 3")] == []
