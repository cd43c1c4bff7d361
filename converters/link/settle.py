"""Settle lags against what was measured, so that a replay of the unchanged graph is exact.

    start[v] = max over p (end[p] + lag)

An edge whose usual cost would end after the measured start is shortened to fit. Where all edges
together end before it, the rest is given to the edge that binds: whatever held the row up
came after that. How much was given so, and where, is counted: it is what no edge explains.
"""

from dataclasses import dataclass

import numpy as np

from ...models.graph import Int64s


@dataclass(frozen=True, slots=True, eq=False)
class Settled:
    """Settled lags of shape (edges,); what each row waited unexplained, shape (nodes,)."""

    lag_ns: Int64s
    unexplained_ns: Int64s


def settle(
    edge_start: Int64s, source: Int64s, lag_ns: Int64s, start_ns: Int64s, end_ns: Int64s
) -> Settled:
    """Fit lags to measured starts.

    Args:
        edge_start: CSR by successor, shape (nodes + 1,).
        source: predecessor of each edge, shape (edges,).
        lag_ns: usual cost of each edge.
        start_ns: measured, of each node.
        end_ns: measured, of each node.
    """
    counts = np.diff(edge_start)
    target = np.repeat(np.arange(len(counts)), counts)
    room = start_ns[target] - end_ns[source]
    lag = np.minimum(lag_ns, room)
    unexplained = np.zeros(len(counts), dtype=np.int64)
    has = np.flatnonzero(counts)
    if not len(has):
        return Settled(lag, unexplained)
    ready = end_ns[source] + lag
    latest = np.maximum.reduceat(ready, edge_start[has])
    unexplained[has] = start_ns[has] - latest
    binding = _first_binding(edge_start, ready, latest, has, target)
    lag[binding] += unexplained[has]
    return Settled(lag, unexplained)


def _first_binding(
    edge_start: Int64s, ready: Int64s, latest: Int64s, has: Int64s, target: Int64s
) -> Int64s:
    """Give for each row with predecessors the first of its edges that ends latest."""
    latest_of_row = np.zeros(len(edge_start) - 1, dtype=np.int64)
    latest_of_row[has] = latest
    binds = np.flatnonzero(ready == latest_of_row[target])
    rows, first = np.unique(target[binds], return_index=True)
    assert len(rows) == len(has)
    return binds[first]
