"""A recorded rank: its graph, and when the profiler itself held the process up."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..models.graph import ExecutionGraph, Int64s

if TYPE_CHECKING:  # an .et is read without the readers of traces
    from .event_table import EventTable


def _no_times() -> Int64s:
    return np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Overhead:
    """The profiler's own work in a process, from the window's start; shape (events,) each."""

    start_ns: Int64s = field(default_factory=_no_times)
    end_ns: Int64s = field(default_factory=_no_times)


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """What a reader gives of one rank; a graph that was stored has lost the overhead."""

    graph: ExecutionGraph
    overhead: Overhead = field(default_factory=Overhead)


def overhead_of(events: "EventTable") -> Overhead:
    """Give the profiler's own work from a trace's `overhead` events."""
    return Overhead(events.start_ns, events.end_ns)
