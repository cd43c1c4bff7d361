"""Bridge rows that go: what waited for them waits for what they waited for.

remove b c:   a --2--> b --1--> c --1--> d       becomes       a --4--> d

Ways through rows that go may be long (a run of kernels), so they are walked in jumps over 1, 2, 4,
... edges: a way of any length is the sum of some jumps, as a number is of powers of two.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..edge_columns import Edges
from ..graph import EdgeKind

Mask = NDArray[np.bool_]
ORDER_KINDS = (EdgeKind.HOST_ORDER, EdgeKind.STREAM_ORDER)
# Jumps double until there are this many times the edges they began with: rows whose many ways
# have many lengths (a stream and its launches, all gone) would need ever more of them.
MOST_GROWTH = 2
SIDES: tuple[Literal["left"], Literal["right"]] = ("left", "right")


def bridged(edges: Edges, gone: Mask) -> Edges:
    """Give the edges between rows that stay, by target, source and kind; lags are added up.

    Args:
        edges: of the whole graph.
        gone: which rows go, shape (nodes,).
    """
    rows = len(gone)
    leaves, enters = gone[edges.target], gone[edges.source]
    jumps = _jumps(edges.take(leaves & enters).longest(rows), rows)
    ways = _far(edges.take(~leaves & enters), jumps[-1], rows)
    for jump in reversed(jumps[:-1]):
        ways = ways.followed_by(through(ways, jump)).longest(rows)
    into = edges.take(leaves & ~enters).longest(rows)
    return edges.take(~leaves & ~enters).followed_by(through(ways, into)).longest(rows)


def _jumps(steps: Edges, rows: int) -> list[Edges]:
    """Give jumps over 1, 2, 4, ... edges between rows that go, as far as that pays."""
    jumps = [steps]
    while len(jumps[-1]):
        longer = through(jumps[-1], jumps[-1]).longest(rows)
        if len(longer) > MOST_GROWTH * len(steps):
            break
        jumps.append(longer)
    return jumps


def _far(ways: Edges, jump: Edges, rows: int) -> Edges:
    """Add to ways all that lead on by any number of the longest jump."""
    found = [ways]
    while len(jump) and len(found[-1]):
        found.append(through(found[-1], jump).longest(rows))
    return ways.followed_by(*found[1:]).longest(rows)


def through(edges: Edges, above: Edges) -> Edges:
    """Join edges with those into their sources; `above` is ordered by target.

    The first edge that is no order of a lane says why the later row waits.
    """
    first, after = (np.searchsorted(above.target, edges.source, side) for side in SIDES)
    counts = after - first
    edge = np.repeat(np.arange(len(edges)), counts)
    over = np.arange(len(edge)) + np.repeat(first - (np.cumsum(counts) - counts), counts)
    kind = np.where(np.isin(above.kind, ORDER_KINDS)[over], edges.kind[edge], above.kind[over])
    lag = np.maximum(edges.lag_ns, 0)[edge] + np.maximum(above.lag_ns, 0)[over]
    return Edges(edges.target[edge], above.source[over], kind, lag)
