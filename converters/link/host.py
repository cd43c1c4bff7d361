"""Turn host events into host rows: their category, their piece of time, and a few rows of our own.

A blocking copy becomes two rows with the copy between them:

    cudaMemcpyAsync |--------------- blocked ---------------|
    rows            |launch|            ...          |sync--|
    stream                 |---- copy ----|
"""

from dataclasses import dataclass

import numpy as np

from ...models.graph import Category, Int64s
from ..kineto import KinetoTrace, Source
from . import names
from .calls import SYNCS, calls_of
from .launches import Launches
from .rows import HostRows
from .segments import Segments
from .steps import StepMark


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """Rows before sorting, columns of equal length; `tie` orders rows of equal begin."""

    event: Int64s
    thread: Int64s
    category: Int64s
    begin_ns: Int64s
    end_ns: Int64s
    tie: Int64s


def make_host_rows(
    trace: KinetoTrace, segments: Segments, launches: Launches, steps: list[StepMark]
) -> HostRows:
    """Give one row per host event, a second for each blocking copy, and one per step end."""
    blocks = [
        _event_block(trace, segments, launches),
        _copy_block(trace, launches),
        _step_end_block(trace, steps),
    ]
    columns = {
        name: np.concatenate([getattr(block, name) for block in blocks])
        for name in ("event", "thread", "category", "begin_ns", "end_ns", "tie")
    }
    order = np.lexsort((columns["tie"], columns["begin_ns"], columns["thread"]))
    # the event's own row is the first of its rows in block order
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    begin = columns["begin_ns"][order]
    return HostRows(
        event=columns["event"][order],
        thread=columns["thread"][order].astype(np.int32),
        category=columns["category"][order].astype(np.uint8),
        begin_ns=begin,
        start_ns=begin.copy(),
        end_ns=np.maximum(columns["end_ns"][order], begin),
        row_of_event=place[: len(trace.host)],
    )


def categories(trace: KinetoTrace, launches: Launches) -> Int64s:
    """Give each host event's category, shape (host events,)."""
    host = trace.host
    result = np.full(len(host), Category.HOST, dtype=np.int64)
    result[host.source == Source.ANNOTATION] = Category.ANNOTATION
    result[launches.is_launch] = Category.LAUNCH
    is_sync = np.isin(calls_of(trace.names), SYNCS)
    runs_collective = np.array(
        [names.HOST_COLLECTIVE.match(name) is not None for name in trace.names], dtype=bool
    )
    if len(host):
        result[is_sync[host.name] | launches.freeing] = Category.SYNC
        result[runs_collective[host.name]] = Category.COLLECTIVE
    return result


def _event_block(trace: KinetoTrace, segments: Segments, launches: Launches) -> _Block:
    host = trace.host
    end = segments.end_ns.copy()
    blocked = launches.blocking
    end[blocked] = np.minimum(end, segments.begin_ns + launches.call_cost_ns)[blocked]
    count = len(host)
    return _Block(
        event=np.arange(count),
        thread=host.thread.astype(np.int64),
        category=categories(trace, launches),
        begin_ns=segments.begin_ns,
        end_ns=end,
        tie=np.arange(count),
    )


def _copy_block(trace: KinetoTrace, launches: Launches) -> _Block:
    """The waiting half of blocking copies."""
    host = trace.host
    event = np.flatnonzero(launches.blocking)
    start, end = host.start_ns[event], host.end_ns[event]
    return _Block(
        event=event,
        thread=host.thread[event].astype(np.int64),
        category=np.full(len(event), Category.SYNC, dtype=np.int64),
        begin_ns=np.minimum(start + launches.call_cost_ns, end),
        end_ns=end,
        tie=event + len(host),
    )


def _step_end_block(trace: KinetoTrace, steps: list[StepMark]) -> _Block:
    host = trace.host
    event = np.array([step.event for step in steps], dtype=np.int64)
    end = host.end_ns[event]
    count = len(event)
    return _Block(
        event=-2 - np.arange(count),
        thread=host.thread[event].astype(np.int64),
        category=np.full(count, Category.ANNOTATION, dtype=np.int64),
        begin_ns=end,
        end_ns=end,
        # before whatever begins at the same ns, but never before the step's own beginning
        tie=np.where(end > host.start_ns[event], -1, 2 * len(host)),
    )
