"""Interval sets: union, gaps, overlap and ownership against a plain count of nanoseconds."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from etsim.simulator.breakdown.intervals import Intervals, overlap_ns, together

LAST = 30
pairs = st.tuples(st.integers(0, LAST), st.integers(0, LAST)).map(lambda p: (min(p), max(p)))
interval_lists = st.lists(pairs, max_size=8)


def intervals(listed: list[tuple[int, int]]) -> Intervals:
    return Intervals(
        np.array([start for start, _ in listed], dtype=np.int64),
        np.array([end for _, end in listed], dtype=np.int64),
    )


def moments(listed: list[tuple[int, int]]) -> set[int]:
    return {t for start, end in listed for t in range(start, end)}


def test_touching_intervals_become_one() -> None:
    union = intervals([(3, 5), (0, 3), (8, 9)]).merged()
    assert union.start_ns.tolist() == [0, 8]
    assert union.end_ns.tolist() == [5, 9]


def test_who_covers_a_moment_first_owns_it() -> None:
    """
    a |------|         owns 0-6
    b    |------|      owns 6-9
    c     |-|          owns nothing
    """
    owned = intervals([(0, 6), (3, 9), (4, 5)]).owned()
    assert (owned.end_ns - owned.start_ns).tolist() == [6, 3, 0]


@given(interval_lists)
def test_length_is_the_number_of_covered_moments(listed: list[tuple[int, int]]) -> None:
    assert intervals(listed).length_ns() == len(moments(listed))


@given(interval_lists, pairs)
def test_gaps_and_cover_fill_the_window(
    listed: list[tuple[int, int]], window: tuple[int, int]
) -> None:
    gaps = intervals(listed).gaps(*window)
    found = moments(list(zip(gaps.start_ns.tolist(), gaps.end_ns.tolist(), strict=True)))
    assert found == moments([window]) - moments(listed)


@given(interval_lists, interval_lists)
def test_overlap_counts_common_moments(
    left: list[tuple[int, int]], right: list[tuple[int, int]]
) -> None:
    found = overlap_ns(intervals(left), intervals(right)).tolist()
    assert found == [len(moments([one]) & moments(right)) for one in left]


@given(interval_lists)
def test_owned_parts_are_the_union_without_overlap(listed: list[tuple[int, int]]) -> None:
    owned = intervals(listed).owned()
    assert int((owned.end_ns - owned.start_ns).sum()) == len(moments(listed))
    assert owned.length_ns() == len(moments(listed))


@given(interval_lists, interval_lists)
def test_sets_together_cover_what_either_covers(
    left: list[tuple[int, int]], right: list[tuple[int, int]]
) -> None:
    both = together([intervals(left), intervals(right)])
    assert both.length_ns() == len(moments(left) | moments(right))
