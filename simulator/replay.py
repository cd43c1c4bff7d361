"""Replay: one pass over the rows, each starting when the last of its predecessors lets it.

    start[v] = max over predecessors p (end[p] + lag)       end[v] = start[v] + duration[v]

Longest paths in a (max, +) semiring; rows stand in topological order, so one pass is exact.
"""

import numpy as np

from ..models.graph import ExecutionGraph, Int64s
from ..models.timeline import Timeline


def replay(
    graph: ExecutionGraph, duration_ns: Int64s | None = None, lag_ns: Int64s | None = None
) -> Timeline:
    """Compute when every row runs.

    Args:
        graph: rows in issue order.
        duration_ns: of each row, shape (nodes,); the graph's own where left out.
        lag_ns: of each edge, shape (edges,); the graph's own where left out.
    """
    durations = (graph.nodes.duration_ns if duration_ns is None else duration_ns).tolist()
    lags = (graph.edge_lag_ns if lag_ns is None else lag_ns).tolist()
    starts = _starts(graph.edge_start.tolist(), graph.edge_source.tolist(), lags, durations)
    return Timeline(graph, np.array(starts, dtype=np.int64), np.array(durations, dtype=np.int64))


def _starts(
    edge_start: list[int], source: list[int], lag: list[int], duration: list[int]
) -> list[int]:
    starts: list[int] = []
    ends: list[int] = []
    first = 0
    for row, after in enumerate(edge_start[1:]):
        start = 0
        for edge in range(first, after):
            ready = ends[source[edge]] + lag[edge]
            if ready > start:  # noqa: PLR1730  # max() is a call; this is the hot loop
                start = ready
        first = after
        starts.append(start)
        ends.append(start + duration[row])
    return starts
