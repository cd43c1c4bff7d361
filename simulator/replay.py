"""Replay: one pass over the rows, each starting when the last of its predecessors lets it.

    start[v] = max over predecessors p (end[p] + lag)       end[v] = start[v] + duration[v]

Longest paths in a (max, +) semiring; rows stand in topological order, so one pass is exact.
"""

import numpy as np

from ..models.graph import ExecutionGraph, Int64s
from ..models.timeline import Timeline
from .compiled import compiled, pays
from .kernels import longest_ends_unsigned
from .windows import WORTH_WINDOWS, loop_ends, windowed_ends


def replay(
    graph: ExecutionGraph, duration_ns: Int64s | None = None, lag_ns: Int64s | None = None
) -> Timeline:
    """Compute when every row runs.

    Args:
        graph: rows in issue order.
        duration_ns: of each row, shape (nodes,); the graph's own where left out.
        lag_ns: of each edge, shape (edges,); the graph's own where left out.
    """
    durations = graph.nodes.duration_ns if duration_ns is None else duration_ns
    lags = graph.edge_lag_ns if lag_ns is None else lag_ns
    return Timeline(graph, _ends(graph, durations, lags) - durations, durations)


def _ends(graph: ExecutionGraph, durations: Int64s, lags: Int64s) -> Int64s:
    ends = np.empty(len(graph), dtype=np.int64)
    if pays(len(graph)):
        start, source = graph.edge_start.view(np.uint64), graph.edge_source.view(np.uint32)
        compiled(longest_ends_unsigned)(start, source, lags, durations, ends)
        return ends
    if len(graph) >= WORTH_WINDOWS:
        return windowed_ends(graph, durations, lags)
    loop_ends(graph, durations, lags, ends, (0, len(graph)))
    return ends
