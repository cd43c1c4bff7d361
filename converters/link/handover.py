"""Hand-over between host threads: a thread that was idle goes on when another has finished.

    main      |forward|............waits...........|optimizer|
    autograd           |------- backward --------|
                   main --> autograd          autograd --> main

Seen from the times: a long gap on one thread during which another was busy. Collectives
that a backend runs on its own host thread are linked by structure instead: host_collectives.py.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ...models.graph import Category, EdgeKind, Int64s
from .rows import EdgeBlock, HostRows, edge_block

# A thread's gap shorter than this is its own host work.
HANDOVER_GAP_NS = 100_000
# Who woke a thread ended this long before it went on, at most; a loop that polls sleeps longer.
WAKING_NS = 1_000_000
WAKING_SHARE = 0.2  # of the gap, where that is more: a loaded machine wakes late
# Another thread must be busy at least this share of the gap to explain it.
BUSY_SHARE = 0.3


@dataclass(frozen=True, slots=True, eq=False)
class Handovers:
    """Hand-over edges, and the rows whose gap they explain.

    Attributes:
        explained: host rows whose gap before them is a wait, not work.
    """

    edges: EdgeBlock
    explained: Int64s


def link_handovers(host: HostRows, polls: NDArray[np.bool_]) -> Handovers:
    """Find which long gaps of host threads other threads explain.

    Args:
        host: the host rows.
        polls: rows that ask whether an event has happened, shape (host rows,): the thread slept.
    """
    threads = _threads(host)
    found = [
        (waker[0], row)
        for mine in threads
        for row, begin, end in mine.gaps(host)
        if (row == mine.first or not polls[row])
        and (waker := _waker([t for t in threads if t is not mine], begin, end)) is not None
    ]
    source, target = [pair[0] for pair in found], [pair[1] for pair in found]
    return Handovers(
        edge_block(EdgeKind.HANDOVER, source, target, 0),
        np.array(target, dtype=np.int64),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _HostThread:
    """One thread's rows with time, in order, and its running busy time."""

    first: int
    after: int
    rows: Int64s
    begin_ns: Int64s
    end_ns: Int64s
    busy_before_ns: Int64s

    def gaps(self, host: HostRows) -> list[tuple[int, int, int]]:
        """Give (row after the gap, gap begin, gap end) of the long gaps, the thread's start too."""
        rows = np.arange(self.first, self.after)
        begin = np.concatenate(([np.iinfo(np.int64).min], host.end_ns[rows[:-1]]))
        end = host.begin_ns[rows]
        long = end > begin + HANDOVER_GAP_NS
        long[0] = True
        found = zip(rows[long].tolist(), begin[long].tolist(), end[long].tolist(), strict=True)
        return list(found)

    def busy_ns(self, begin: int, end: int) -> int:
        """Give how long the thread's rows ran between two times."""
        return self._busy_until(end) - self._busy_until(begin)

    def _busy_until(self, time_ns: int) -> int:
        place = int(np.searchsorted(self.begin_ns, time_ns, side="left"))
        if place == 0:
            return 0
        overshoot = max(0, int(self.end_ns[place - 1]) - time_ns)
        return int(self.busy_before_ns[place]) - overshoot

    def last_end_by(self, time_ns: int) -> tuple[int, int] | None:
        """Give (row, end) of the last row that ended by a time."""
        place = int(np.searchsorted(self.end_ns, time_ns, side="right")) - 1
        return (int(self.rows[place]), int(self.end_ns[place])) if place >= 0 else None


def _threads(host: HostRows) -> list[_HostThread]:
    cuts = np.flatnonzero(np.diff(host.thread)) + 1
    bounds = [0, *cuts.tolist(), len(host)] if len(host) else []
    result = []
    for first, after in pairwise(bounds):
        span = slice(first, after)
        # a collective on a host thread mostly waits: it explains no gap by being there
        timed: NDArray[np.bool_] = (host.category[span] != Category.ANNOTATION) & (
            host.category[span] != Category.COLLECTIVE
        )
        rows = first + np.flatnonzero(timed)
        begin, end = host.begin_ns[rows], host.end_ns[rows]
        busy = np.concatenate(([0], np.cumsum(end - begin)))
        result.append(_HostThread(first, after, rows, begin, end, busy))
    return result


def _waker(others: list[_HostThread], begin: int, end: int) -> tuple[int, int] | None:
    """The row of a busy thread that ended last inside the gap."""
    best: tuple[int, int] | None = None
    at_start = begin < 0 and begin == np.iinfo(np.int64).min
    for thread in others:
        found = thread.last_end_by(end)
        if found is None or found[1] <= begin:
            continue
        if not at_start and not _explains(thread, begin, end, found[1]):
            continue
        if best is None or found[1] > best[1]:
            best = found
    return best


def _explains(thread: _HostThread, begin: int, end: int, ended: int) -> bool:
    """Tell whether a thread was busy in a gap, and up to its end."""
    gap = end - begin
    in_time = end - ended <= max(WAKING_NS, WAKING_SHARE * gap)
    return in_time and thread.busy_ns(begin, end) >= BUSY_SHARE * gap
