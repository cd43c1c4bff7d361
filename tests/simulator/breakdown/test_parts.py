"""The parts of a window: who hides whom, and that nothing is left over."""

from hypothesis import given

from etsim.simulator.breakdown.parts import Busy, split
from etsim.tests.simulator.breakdown.test_intervals import (
    interval_lists,
    intervals,
    moments,
    pairs,
)


def test_computing_hides_communication_and_both_hide_copies() -> None:
    """
    computing      0 |----| 4
    communication       3 |-----| 8
    copy                      7 |----| 11
    window         0 ---------------------- 12
    """
    busy = Busy(intervals([(0, 4)]), intervals([(3, 8)]), intervals([(7, 11)]))
    parts = split(busy, 0, 12)
    assert parts.computing_ns == 4
    assert (parts.communication_ns, parts.exposed_communication_ns) == (5, 4)
    assert (parts.memcpy_ns, parts.exposed_memcpy_ns) == (4, 3)
    assert parts.idle_ns == 1
    assert parts.residual_ns == 0


def test_without_communication_nothing_is_overlapped_and_the_share_is_unknown() -> None:
    parts = split(Busy(intervals([(0, 1)]), intervals([]), intervals([])), 0, 2)
    assert parts.overlapped_communication_ns == 0
    assert parts.overlap_share is None


@given(interval_lists, interval_lists, interval_lists, pairs)
def test_parts_count_moments_and_add_up(
    computing: list[tuple[int, int]],
    communication: list[tuple[int, int]],
    memcpy: list[tuple[int, int]],
    window: tuple[int, int],
) -> None:
    parts = split(Busy(intervals(computing), intervals(communication), intervals(memcpy)), *window)
    inside = moments([window])
    k, c, m = (moments(listed) & inside for listed in (computing, communication, memcpy))
    assert parts.residual_ns == 0
    assert parts.computing_ns == len(k)
    assert parts.exposed_communication_ns == len(c - k)
    assert parts.overlapped_communication_ns == len(c & k)
    assert parts.exposed_memcpy_ns == len(m - k - c)
    assert parts.idle_ns == len(inside - k - c - m)
