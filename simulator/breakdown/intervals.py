"""Interval sets in int ns, half-open: coverage, overlap and a partition among their members.

a   |------|                owned by a   |------|
b      |--------|           owned by b          |---|
c        |--|               owned by c   nothing: a runs already
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...models.graph import Int64s

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Intervals:
    """Half-open intervals, shape (intervals,) each; they may overlap and need no order."""

    start_ns: Int64s
    end_ns: Int64s

    def __len__(self) -> int:
        return len(self.start_ns)

    def where(self, chosen: Flags) -> "Intervals":
        """Give the chosen ones."""
        return Intervals(self.start_ns[chosen], self.end_ns[chosen])

    def within(self, first_ns: int, last_ns: int) -> "Intervals":
        """Give the same intervals cut to a window; what lies outside becomes empty."""
        return Intervals(
            np.clip(self.start_ns, first_ns, last_ns), np.clip(self.end_ns, first_ns, last_ns)
        )

    def merged(self) -> "Intervals":
        """Give the union as sorted intervals that neither touch nor overlap; empty ones vanish."""
        there = self.end_ns > self.start_ns
        order = np.argsort(self.start_ns[there], kind="stable")
        starts, ends = self.start_ns[there][order], self.end_ns[there][order]
        if not len(starts):
            return Intervals(starts, ends)
        reach = np.maximum.accumulate(ends)
        opens = np.concatenate(([True], starts[1:] > reach[:-1]))
        last = np.concatenate((np.flatnonzero(opens)[1:] - 1, [len(starts) - 1]))
        return Intervals(starts[opens], reach[last])

    def length_ns(self) -> int:
        """Give the time that at least one interval covers."""
        union = self.merged()
        return int((union.end_ns - union.start_ns).sum())

    def gaps(self, first_ns: int, last_ns: int) -> "Intervals":
        """Give the times of a window that no interval covers, sorted."""
        union = self.within(first_ns, last_ns).merged()
        starts = np.concatenate(([first_ns], union.end_ns))
        ends = np.concatenate((union.start_ns, [last_ns]))
        there = ends > starts
        return Intervals(starts[there], ends[there])

    def owned(self) -> "Intervals":
        """Give each interval the part of the union that it is first to cover.

        The parts are disjoint and together are the union, so that sums over any grouping of the
        intervals are exact.
        """
        count = len(self)
        order = np.argsort(self.start_ns, kind="stable")
        starts, ends = self.start_ns[order], self.end_ns[order]
        if not count:
            return self
        reach = np.maximum.accumulate(ends)
        before = np.concatenate(([starts[0]], reach[:-1]))
        owned_start = np.empty(count, dtype=np.int64)
        owned_end = np.empty(count, dtype=np.int64)
        owned_start[order] = np.maximum(starts, before)
        owned_end[order] = np.maximum(ends, np.maximum(starts, before))
        return Intervals(owned_start, owned_end)


NO_INTERVALS = Intervals(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))


def together(sets: list[Intervals]) -> Intervals:
    """Give all intervals of several sets as one set."""
    return Intervals(
        np.concatenate([s.start_ns for s in sets] or [NO_INTERVALS.start_ns]),
        np.concatenate([s.end_ns for s in sets] or [NO_INTERVALS.end_ns]),
    )


def overlap_ns(intervals: Intervals, others: Intervals) -> Int64s:
    """Give for each interval how much of it the union of the others covers, shape (intervals,)."""
    union = others.merged()
    if not len(union):
        return np.zeros(len(intervals), dtype=np.int64)
    before = np.concatenate(([0], np.cumsum(union.end_ns - union.start_ns)))

    def covered_until(time_ns: Int64s) -> Int64s:
        place = np.searchsorted(union.start_ns, time_ns, side="right")
        inside = np.minimum(time_ns, union.end_ns[np.maximum(place - 1, 0)])
        open_ns = np.where(place > 0, inside - union.start_ns[np.maximum(place - 1, 0)], 0)
        covered: Int64s = before[np.maximum(place - 1, 0)] + open_ns
        return covered

    ends = np.maximum(intervals.end_ns, intervals.start_ns)
    return covered_until(ends) - covered_until(intervals.start_ns)
