"""Give every host event one row: the largest piece of its own time, children taken out.

    linear  |--------------------------|          own time of linear: a + c
    addmm        |----------------|               linear's row is the larger of the two,
             a                       c            the other becomes lead of the row after it

Annotations own no time: what passes inside a `record_function` but in no operator is host time
between rows, where waits can be told from work.
"""

from dataclasses import dataclass

import numpy as np

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
    starts, ends = host.start_ns.tolist(), host.end_ns.tolist()
    count = len(starts)
    begin, end = list(starts), list(starts)
    parents = [NONE] * count
    cursor = list(starts)  # up to here an event's own time is given away
    clamped = 0
    stack: list[int] = []
    threads = host.thread.tolist()
    thread = NONE

    def close(event: int) -> None:
        stop = ends[event]
        if owns_time[event] and stop - cursor[event] > end[event] - begin[event]:
            begin[event], end[event] = cursor[event], stop
        if stack:
            cursor[stack[-1]] = stop

    for event in range(count):
        start = starts[event]
        while stack and (threads[event] != thread or ends[stack[-1]] <= start):
            close(stack.pop())
        thread = threads[event]
        if stack:
            parent = stack[-1]
            parents[event] = parent
            if owns_time[parent] and start - cursor[parent] > end[parent] - begin[parent]:
                begin[parent], end[parent] = cursor[parent], start
            if ends[event] > ends[parent]:
                clamped += ends[event] - ends[parent] > CLAMP_TOLERANCE_NS
                ends[event] = ends[parent]
        stack.append(event)
    while stack:
        close(stack.pop())
    return Segments(
        np.array(begin, dtype=np.int64),
        np.array(end, dtype=np.int64),
        np.array(parents, dtype=np.int32),
        clamped,
    )


def ancestors_where(parent: Int32s, wanted: list[bool]) -> list[int]:
    """Give for each event itself or its nearest ancestor that is wanted, -1 where there is none.

    Parents stand before their children in the table, so one pass is enough.
    """
    nearest: list[int] = []
    for event, above in enumerate(parent.tolist()):
        if wanted[event]:
            nearest.append(event)
        else:
            nearest.append(nearest[above] if above >= 0 else NONE)
    return nearest


def is_operator(host: EventTable) -> list[bool]:
    """Tell for each host event whether it is an operator (not a runtime call or annotation)."""
    flags: list[bool] = (host.source == Source.OPERATOR).tolist()
    return flags
