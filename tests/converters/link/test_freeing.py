"""Calls that release memory: where they wait for the device and where they do not."""

import pytest

from etsim.models.graph import Category, EdgeKind
from etsim.tests.kineto_maker import Micros, Recording, Seen


def freed(end: Micros, *, kernel_ends: Micros = 90, start: Micros = 20) -> Seen:
    """Draw a release of memory while a kernel runs.

    host      L |---- cudaFree ----|
    stream     [   kernel    ]
    """
    run = Recording()
    run.kernel("kernel", 10, kernel_ends, by=run.launch(0, 5))
    run.call("cudaFree", start, end)
    return run.linked()


def waits(seen: Seen) -> bool:
    is_sync = bool(seen.graph.nodes.category[seen.row("cudaFree")] == Category.SYNC)
    assert is_sync is (("kernel", "cudaFree") in seen.edges(EdgeKind.SYNC))
    return is_sync


def test_only_what_follows_the_kernel_is_its_own_cost() -> None:
    assert waits(freed(100))
    assert freed(100).duration_us("cudaFree") == 10


def test_an_idle_device_is_not_waited_for() -> None:
    seen = freed(100, kernel_ends=20)
    assert not waits(seen)
    assert seen.duration_us("cudaFree") == 80


@pytest.mark.parametrize(("kernel_ends", "waited"), [(102, True), (102.001, False)])
def test_work_that_ends_over_2_us_later_was_not_waited_for(
    kernel_ends: float, *, waited: bool
) -> None:
    assert waits(freed(100, kernel_ends=kernel_ends)) is waited


@pytest.mark.parametrize(("length_us", "waited"), [(10, False), (10.001, True)])
def test_a_call_of_10_us_has_no_room_for_a_wait(length_us: float, *, waited: bool) -> None:
    assert waits(freed(100, start=100 - length_us, kernel_ends=95)) is waited


def test_work_launched_later_was_not_waited_for() -> None:
    run = Recording()
    run.call("cudaFree", 0, 50)
    run.kernel("kernel", 20, 40, by=run.launch(10, 15, thread=2))
    assert not waits(run.linked())
