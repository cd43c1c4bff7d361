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


def segment(host: EventTable, owns_time: NDArray[np.bool_]) -> Segments:
    """Split each thread's time among its events.

    Args:
        host: events sorted by thread, start and descending duration.
        owns_time: by event; False for annotations.
    """
    parent, end_ns, clamped = _nesting(host)
    owner, begin, until = _pieces(host.start_ns, end_ns, parent)
    length = np.where(owns_time[owner], until - begin, 0)
    longest = np.zeros(len(host), dtype=np.int64)
    np.maximum.at(longest, owner, length)
    chosen = np.flatnonzero((length == longest[owner]) & (length > 0))[::-1]  # the first wins
    piece_begin, piece_end = host.start_ns.copy(), host.start_ns.copy()
    piece_begin[owner[chosen]], piece_end[owner[chosen]] = begin[chosen], until[chosen]
    return Segments(piece_begin, piece_end, parent, clamped)


def _nesting(host: EventTable) -> tuple[Int32s, Int64s, int]:
    """Give each event's parent and its end, no later than its parent's; and how many were later."""
    starts, ends, threads = host.start_ns.tolist(), host.end_ns.tolist(), host.thread.tolist()
    parents = [NONE] * len(starts)
    stack: list[int] = []
    thread, clamped = NONE, 0
    for event, start in enumerate(starts):
        if threads[event] != thread:
            thread = threads[event]
            stack.clear()
        while stack and ends[stack[-1]] <= start:
            stack.pop()
        if stack:
            parent = parents[event] = stack[-1]
            if ends[event] > ends[parent]:
                clamped += ends[event] - ends[parent] > CLAMP_TOLERANCE_NS
                ends[event] = ends[parent]
        stack.append(event)
    return np.array(parents, dtype=np.int32), np.array(ends, dtype=np.int64), clamped


def _pieces(start_ns: Int64s, end_ns: Int64s, parent: Int32s) -> tuple[Int64s, Int64s, Int64s]:
    """Give every piece of own time, an event's in their order: whose it is, its begin and end.

    One before each child, from where the child before it ended, and one after the last child.
    """
    children = np.argsort(parent, kind="stable")
    children = children[np.searchsorted(parent[children], 0) :]
    owner = parent[children].astype(np.int64)
    begin, last = start_ns[owner], start_ns.copy()
    follows = np.flatnonzero(owner[1:] == owner[:-1]) + 1
    begin[follows] = end_ns[children[follows - 1]]
    last[owner] = end_ns[children]  # the last child's end stays
    return (
        np.concatenate((owner, np.arange(len(parent)))),
        np.concatenate((begin, last)),
        np.concatenate((start_ns[children], end_ns)),
    )


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
