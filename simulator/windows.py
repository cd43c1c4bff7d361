"""Replay without a compiler, several times faster than a loop: whole lanes of a window at once.

Inside a window of some thousand rows most rows follow the one before them in their lane:

    end[i] = max(ready[i], end[i-1] + lag[i]) + duration[i]        ready: what other edges say

With C[i] = Σ (lag + duration) up to i this is a running maximum, one numpy operation a window:

    end[i] - C[i] = max over j <= i of (ready[j] + duration[j] - C[j])

`ready` needs ends of other lanes in the same window. It starts from what is known before the
window, and both are repeated until nothing changes: once for each time that the longest chain
changes lanes. Rows stand in topological order, so what no longer changes is the solution, exactly.
Where chains change lanes too often (a wait after every operator) windows shrink, and where even
small ones do not come to rest the loop does the rest.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..models.graph import ExecutionGraph, Int64s
from .kernels import longest_ends

WINDOW = 4096  # rows; twice or half of it is no better (benchmarks/bench_replay.py)
LEAST_WINDOW = 256  # below it a window costs as much as a loop
MOST_ROUNDS = 12  # as long as a loop over the window
WORTH_WINDOWS = 4 * WINDOW  # smaller graphs are done before it pays
NEVER = -(2**61)  # an end not yet known
LARGEST = 2**61


@dataclass(frozen=True, slots=True, eq=False)
class _Costs:
    graph: ExecutionGraph
    duration: Int64s
    lag: Int64s
    chain_lag: Int64s  # (nodes,) from the row before it in its lane; NEVER where no edge says so
    lane: NDArray[np.uint16] | Int64s  # the narrow type sorts by radix


def windowed_ends(graph: ExecutionGraph, duration_ns: Int64s, lag_ns: Int64s) -> Int64s:
    """Give the end of every row, shape (nodes,), as `kernels.longest_ends` does."""
    rows = len(graph)
    costs = _costs(graph, duration_ns, lag_ns)
    ends = np.full(rows, NEVER, dtype=np.int64)
    first = latest = 0
    width = WINDOW
    while first < rows:
        after = min(first + width, rows)
        if not _by_lanes(costs, ends, (first, after), latest):
            width //= 4
            if width < LEAST_WINDOW:
                after = rows  # this graph is not of the kind that windows are for
            loop_ends(graph, duration_ns, lag_ns, ends, (first, after))
        latest = max(latest, int(ends[first:after].max()))
        first = after
    return ends


def loop_ends(
    graph: ExecutionGraph, duration_ns: Int64s, lag_ns: Int64s, ends: Int64s, rows: tuple[int, int]
) -> None:
    """Write the ends of a range of rows by the plain loop; those before it are known."""
    first, after = rows
    edge_start = graph.edge_start[first : after + 1]
    cut = slice(int(edge_start[0]), int(edge_start[-1]))
    source, lag = graph.edge_source[cut].astype(np.int64), lag_ns[cut]
    known = source < first
    # a known end is put into the lag of an edge from the last place, which holds 0
    lag = np.where(known, lag + ends[np.minimum(source, first - 1)], lag) if first else lag
    source = np.where(known, -1, source - first)
    found = [0] * (after - first + 1)
    starts = (edge_start - edge_start[0]).tolist()
    longest_ends(starts, source.tolist(), lag.tolist(), duration_ns[first:after].tolist(), found)
    ends[first:after] = found[:-1]


def _costs(graph: ExecutionGraph, duration_ns: Int64s, lag_ns: Int64s) -> _Costs:
    lanes = graph.nodes.lane
    lane = lanes.astype(np.uint16) if len(graph.lanes) < 2**16 else lanes.astype(np.int64)
    order = np.argsort(lane, kind="stable")
    before = np.full(len(graph), -1, dtype=np.int64)
    same = lane[order[1:]] == lane[order[:-1]]
    before[order[1:][same]] = order[:-1][same]
    target = graph.edge_target()
    chained = np.flatnonzero(graph.edge_source == before[target])
    chain_lag = np.full(len(graph), NEVER, dtype=np.int64)
    chain_lag[target[chained]] = lag_ns[chained]
    return _Costs(graph, duration_ns, lag_ns, chain_lag, lane)


def _by_lanes(costs: _Costs, ends: Int64s, rows: tuple[int, int], latest: int) -> bool:
    """Write the ends of a window; tell whether that came to rest. `latest`: no end is later yet."""
    graph, (first, after) = costs.graph, rows
    edge_start = graph.edge_start[first : after + 1]
    cut = slice(int(edge_start[0]), int(edge_start[-1]))
    source, lag = graph.edge_source[cut].astype(np.int64), costs.lag[cut]
    held = np.flatnonzero(edge_start[1:] > edge_start[:-1])
    edge_of_held = edge_start[held] - edge_start[0]
    order = np.argsort(costs.lane[first:after], kind="stable")
    duration = costs.duration[first:after][order]
    chain_lag = costs.chain_lag[first:after][order]
    breaks = np.append(True, np.diff(costs.lane[first:after][order]) != 0) | (chain_lag == NEVER)
    cost = np.where(breaks, duration, chain_lag + duration)
    reach = 2 * (latest + int(np.abs(lag).sum()) + int(np.abs(duration).sum())) + 1
    if reach * (after - first) >= LARGEST:
        return False
    # segments are lifted above each other, so that one running maximum serves all of them
    total = np.cumsum(cost) - np.cumsum(breaks) * reach
    lifted = duration - total
    ready = np.zeros(after - first, dtype=np.int64)
    window = ends[first:after]
    for _ in range(MOST_ROUNDS):
        readies = ends[source] + lag
        ready[held] = np.maximum.reduceat(readies, edge_of_held) if len(held) else 0
        np.maximum(ready, 0, out=ready)
        found = np.maximum.accumulate(ready[order] + lifted) + total
        if np.array_equal(window[order], found):
            return True
        window[order] = found
    return False
