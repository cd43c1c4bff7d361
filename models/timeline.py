"""A timeline: when each row of a graph ran. Measured and predicted are the same type."""

from dataclasses import dataclass

import numpy as np

from .graph import ExecutionGraph, Int64s


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """Start and duration of every row, shape (nodes,) each, ns from the window's start."""

    graph: ExecutionGraph
    start_ns: Int64s
    duration_ns: Int64s

    @property
    def end_ns(self) -> Int64s:
        """Give each row's end, shape (nodes,)."""
        return self.start_ns + self.duration_ns

    @property
    def makespan_ns(self) -> int:
        """Give the time from the window's start to the last end, 0 for an empty graph."""
        return int(np.max(self.end_ns, initial=0))


def measured(graph: ExecutionGraph) -> Timeline:
    """Give the timeline as recorded."""
    return Timeline(graph, graph.nodes.start_ns, graph.nodes.duration_ns)
