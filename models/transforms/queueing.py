"""Rows that take their turn on a lane: each follows the one before it, and is followed.

a --gap--> b         n put in behind a:         a --lag--> n --gap--> b
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..edge_columns import Edges
from ..graph import NONE, EdgeKind, Int32s, Int64s
from .lanes import before_on_lane

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Queue:
    """All rows by name, old ones first.

    Attributes:
        lane: of each row.
        order: the rows in the order in which they will stand.
        in_line: which rows are put into their lane's line.
        lag_ns: of those, after the row before it.
        on_device: of each lane.
    """

    lane: Int32s
    order: Int64s
    in_line: Mask
    lag_ns: Int64s
    on_device: Mask


def queued(edges: Edges, queue: Queue) -> Edges:
    """Give the edges with the order of lanes leading through the rows in line."""
    if not queue.in_line.any():
        return edges
    before = _before(queue)
    kind = np.where(queue.on_device[queue.lane], EdgeKind.STREAM_ORDER, EdgeKind.HOST_ORDER)
    follows = (before != NONE) & queue.in_line[before]
    turned = follows[edges.target] & (edges.kind == kind[edges.target])
    source = np.where(turned, before[edges.target], edges.source)
    joining = np.flatnonzero(queue.in_line & (before != NONE))
    has_turned = np.zeros(len(before), dtype=bool)
    has_turned[edges.target[turned]] = True
    loose = queue.order[(follows & ~has_turned & ~queue.in_line)[queue.order]]
    turned_edges = replace(edges, source=source).followed_by(
        Edges.to(joining, before[joining], kind[joining], queue.lag_ns[joining]),
        Edges.to(loose, before[loose], kind[loose]),
    )
    return _with_first_rows(turned_edges, edges, queue, before)


def _with_first_rows(edges: Edges, old: Edges, queue: Queue, before: Int64s) -> Edges:
    """Let a row put in front of all others of its lane wait for what the first one waited for."""
    waits = np.zeros(len(before), dtype=bool)
    waits[edges.target] = True
    bare = queue.in_line & ~waits
    if not bare.any():
        return edges
    behind = np.flatnonzero((before != NONE) & bare[before])
    chosen = np.isin(old.target, behind)
    first = before[old.target[chosen]]
    return edges.followed_by(
        Edges.to(first, old.source[chosen], old.kind[chosen], old.lag_ns[chosen])
    )


def _before(queue: Queue) -> Int64s:
    """Give who stands before each row on its lane; NONE on lanes without a row in line."""
    in_order = before_on_lane(queue.lane[queue.order])
    before = np.empty(len(in_order), dtype=np.int64)
    before[queue.order] = np.where(in_order == NONE, NONE, queue.order[in_order])
    touched = np.zeros(len(queue.on_device), dtype=bool)
    touched[queue.lane[queue.in_line]] = True
    return np.where(touched[queue.lane], before, NONE)
