"""The launch-bound index and the launch queue, counted on timelines small enough for the head."""

from etsim.models.graph import Category
from etsim.simulator.breakdown.activity import activity_of
from etsim.simulator.breakdown.selection import Window
from etsim.simulator.launch_bound import (
    FULL_QUEUE,
    LAUNCH_BOUND_HOST_IDLE,
    LaunchBound,
    QueueLength,
    launch_bound,
    queue_lengths,
)
from etsim.tests.timelines import Drawing


def found(drawing: Drawing, last: int) -> LaunchBound:
    result = launch_bound(activity_of(drawing.done(), 0), Window(0, last))
    assert result is not None
    return result


def queues(drawing: Drawing, last: int) -> tuple[QueueLength, ...]:
    return queue_lengths(activity_of(drawing.done(), 0), Window(0, last))


def test_kernels_shorter_than_their_launch_count() -> None:
    """launches 2 long; kernels 1 (bound), 5, and one without launch: 1 of 3."""
    drawing = Drawing()
    drawing.device(2, 3, launch=drawing.launch(0, 2))
    drawing.device(4, 9, launch=drawing.launch(2, 4))
    drawing.device(9, 10)
    drawing.device(10, 11, category=Category.MEMCPY)
    assert found(drawing, 20).index == 1 / 3
    assert found(drawing, 20).median_kernel_ns == 3
    assert found(drawing, 20).median_launch_ns == 2


def test_a_graph_launch_counts_once_with_all_its_kernels() -> None:
    """one launch of 4; kernels 2 + 3 together outlast it."""
    drawing = Drawing()
    call = drawing.launch(0, 4)
    drawing.device(4, 6, launch=call)
    drawing.device(6, 9, launch=call)
    assert (found(drawing, 9).launches, found(drawing, 9).index) == (1, 0.0)


def test_waiting_is_not_host_work() -> None:
    """
    host    |L 0-2| sync begins 2, waits to 8, returns at 9
    device     [2-8]          host busy 2, device busy 6
    """
    drawing = Drawing()
    drawing.device(2, 8, launch=drawing.launch(0, 2))
    drawing.host("cudaStreamSynchronize", 8, 9, category=Category.SYNC, begin=2)
    assert found(drawing, 9).host_share == 2 / (2 + 6)


def test_launch_bound_needs_both_the_index_and_an_idle_device() -> None:
    bound = LaunchBound(10, 0.6, 0.5, 1, 1)
    assert bound.is_bound(LAUNCH_BOUND_HOST_IDLE + 0.01)
    assert not bound.is_bound(LAUNCH_BOUND_HOST_IDLE)
    assert not LaunchBound(10, 0.5, 0.5, 1, 1).is_bound(0.9)


def test_without_launches_there_is_no_index() -> None:
    drawing = Drawing()
    drawing.device(0, 1)
    assert launch_bound(activity_of(drawing.done(), 0), Window(0, 1)) is None


def test_the_queue_grows_at_launches_and_shrinks_at_starts() -> None:
    """
    launches  0  1            queue 1 (0-1), 2 (1-4), 1 (4-6), 0
    kernels        4   6      mean over 0-10: (1 + 6 + 2) / 10
    """
    drawing = Drawing()
    calls = [drawing.launch(t, t + 1) for t in (0, 1)]
    drawing.device(4, 6, launch=calls[0])
    drawing.device(6, 10, launch=calls[1])
    assert queues(drawing, 10) == (QueueLength("device 0 stream 7", 0.9, 2, 0, 0),)


def test_a_kernel_before_its_launch_is_clamped_and_counted() -> None:
    drawing = Drawing()
    drawing.device(1, 4, launch=drawing.launch(2, 3))
    assert queues(drawing, 4) == (QueueLength("device 0 stream 7", 0.0, 0, 0, 1),)


def test_a_full_queue_is_timed() -> None:
    """one graph launch of 1000 kernels: full from 0 until the first starts at 5."""
    drawing = Drawing()
    call = drawing.launch(0, 1)
    for number in range(FULL_QUEUE):
        drawing.device(5 + number, 6 + number, launch=call)
    (queue,) = queues(drawing, 5 + FULL_QUEUE)
    assert (queue.longest, queue.full_ns) == (FULL_QUEUE, 5)
