"""Give rows their nesting back: an operator's slice reaches from its first piece to its last.

rows     linear | t | addmm | (linear is done)        each row is a piece of a thread's time
slices   |------ linear ------|
|t| |-addmm-|
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..models.graph import NONE, ExecutionGraph, Int64s
from ..models.timeline import Timeline

_DEEPEST = 1000  # operators do not nest deeper; a circle of parents would


@dataclass(frozen=True, slots=True, eq=False)
class Spans:
    """Start and end of each row's slice, shape (nodes,), and which rows enclose others."""

    start_ns: Int64s
    end_ns: Int64s
    encloses: NDArray[np.bool_]


def find_spans(timeline: Timeline) -> Spans:
    """Stretch each row over the rows of its own lane that it encloses."""
    graph = timeline.graph
    start, end = timeline.start_ns.copy(), timeline.end_ns
    encloses = np.zeros(len(graph), dtype=bool)
    parent = _parent_on_lane(graph)
    depth = _depths(parent)
    for level in range(int(depth.max(initial=0)), 0, -1):
        rows = np.flatnonzero(depth == level)
        np.minimum.at(start, parent[rows], start[rows])
        np.maximum.at(end, parent[rows], end[rows])
        encloses[parent[rows]] = True
    return Spans(start, end, encloses)


def _parent_on_lane(graph: ExecutionGraph) -> Int64s:
    """Give each row's parent where it stands on the same lane of the same rank."""
    nodes = graph.nodes
    parent = nodes.parent.astype(np.int64)
    same = (nodes.lane[parent] == nodes.lane) & (nodes.rank[parent] == nodes.rank)
    return np.where((parent != NONE) & same, parent, NONE)


def _depths(parent: Int64s) -> Int64s:
    """Give how many rows enclose each row; nothing is enclosed where parents go in circles."""
    depth = np.zeros(len(parent), dtype=np.int64)
    above = parent.copy()
    for _ in range(_DEEPEST):
        inside = above != NONE
        if not inside.any():
            return depth
        depth[inside] += 1
        above[inside] = parent[above[inside]]
    return np.zeros(len(parent), dtype=np.int64)
