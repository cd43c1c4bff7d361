"""Give every host event one row: the largest piece of its own time, children taken out.

    linear  |--------------------------|          own time of linear: a + c
    addmm        |----------------|               linear's row is the larger of the two,
             a                       c            the other becomes lead of the row after it

Annotations own no time: what passes inside a `record_function` but in no operator is host time
between rows, where waits can be told from work.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...models.graph import NONE, Int32s, Int64s
from ..kineto import EventTable, Source

CLAMP_TOLERANCE_NS = 2_000  # profilers end a child up to a rounding after its parent


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """One piece of a thread's time per host event, shape (events,) each.

    Attributes:
        parent: event that encloses this one on its thread, -1 at the top.
        clamped: events that end more than a rounding after the event that encloses them.
    """

    begin_ns: Int64s
    end_ns: Int64s
    parent: Int32s
    clamped: int


def segment(host: EventTable, owns_time: list[bool]) -> Segments:
    """Split each thread's time among its events.

    Args:
        host: events sorted by thread, start and descending duration.
        owns_time: by event; False for annotations.
    """
    sweep = _Sweep(host.start_ns.tolist(), host.end_ns.tolist(), owns_time)
    thread = NONE
    for event, here in enumerate(host.thread.tolist()):
        if here != thread:
            sweep.close_all()
            thread = here
        sweep.open(event)
    sweep.close_all()
    return Segments(
        np.array(sweep.piece_begin, dtype=np.int64),
        np.array(sweep.piece_end, dtype=np.int64),
        np.array(sweep.parents, dtype=np.int32),
        sweep.clamped,
    )


class _Sweep:
    """Walks the events of one thread after the other, keeping the stack of open ones.

    `piece_begin` and `piece_end` are the largest piece of own time so far, `given` how far an
    event's own time is given away to its children.
    """

    def __init__(self, starts: list[int], ends: list[int], owns_time: list[bool]) -> None:
        self.starts, self.ends, self.owns_time = starts, ends, owns_time
        self.piece_begin, self.piece_end, self.given = list(starts), list(starts), list(starts)
        self.parents = [NONE] * len(starts)
        self.clamped = 0
        self.stack: list[int] = []

    def open(self, event: int) -> None:
        """An event starts: whatever ended before closes, and it takes time from its parent."""
        start = self.starts[event]
        while self.stack and self.ends[self.stack[-1]] <= start:
            self._close()
        if self.stack:
            parent = self.parents[event] = self.stack[-1]
            self._own_piece(parent, start)
            overhang = self.ends[event] - self.ends[parent]
            if overhang > 0:
                self.clamped += overhang > CLAMP_TOLERANCE_NS
                self.ends[event] = self.ends[parent]
        self.stack.append(event)

    def close_all(self) -> None:
        """A thread is over."""
        while self.stack:
            self._close()

    def _close(self) -> None:
        event = self.stack.pop()
        stop = self.ends[event]
        self._own_piece(event, stop)
        if self.stack:
            self.given[self.stack[-1]] = stop

    def _own_piece(self, event: int, until: int) -> None:
        """From where its time was given away until now the event ran itself."""
        longest = self.piece_end[event] - self.piece_begin[event]
        if self.owns_time[event] and until - self.given[event] > longest:
            self.piece_begin[event], self.piece_end[event] = self.given[event], until


def ancestors_where(parent: Int32s, wanted: NDArray[np.bool_]) -> Int64s:
    """Give for each event itself or its nearest ancestor that is wanted, -1 where there is none."""
    nearest = np.arange(len(parent), dtype=np.int64)
    seeking = np.flatnonzero(~wanted)
    while len(seeking):  # as many rounds as events are nested
        nearest[seeking] = parent[nearest[seeking]]
        found = nearest[seeking]
        seeking = seeking[(found >= 0) & ~wanted[found]]
    return nearest


def is_operator(host: EventTable) -> NDArray[np.bool_]:
    """Tell for each host event whether it is an operator (not a runtime call or annotation)."""
    flags: NDArray[np.bool_] = host.source == Source.OPERATOR
    return flags
