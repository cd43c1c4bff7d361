"""Live slots: where the end of each row is kept until its last reader, and no longer.

    row      0  1  2  3        0 --> 1 --> 2 --> 3
    slot     0  1  0  1        each end is read once, by the next row: two slots do

Real traces in issue order need a handful (a full launch queue: as many as the queue is deep), so
that the state of many scenarios at once, slots x scenarios, does not grow with the graph.
"""

from dataclasses import dataclass

import numpy as np

from ..models.graph import Bytes, ExecutionGraph, Int32s, Int64s
from .compiled import compiled, pays
from .kernels import assign_slots


@dataclass(frozen=True, slots=True, eq=False)
class LiveSlots:
    """Made once per graph, used for any number of scenarios.

    Attributes:
        slot: of each row, shape (nodes,).
        source_slot: of each edge's predecessor, shape (edges,).
        count: of slots.
        may_be_last: (nodes,) whether the row's end can be the makespan: nobody reads it, or
            whoever does may start before it ends.
    """

    slot: Int32s
    source_slot: Int32s
    count: int
    may_be_last: Bytes


def last_readers(graph: ExecutionGraph) -> Int64s:
    """Give the last row that reads each row's end, shape (nodes,); itself where none does."""
    last = np.arange(len(graph), dtype=np.int64)
    last[graph.edge_source] = graph.edge_target()  # targets ascend: the last written is the last
    return last


def live_slots(graph: ExecutionGraph, *, scenarios: int = 1) -> LiveSlots:
    """Assign slots in one pass; for many scenarios numba will have started anyway."""
    last, rows = last_readers(graph), len(graph)
    if pays(rows * scenarios):
        slot = np.empty(rows, dtype=np.int32)
        free = np.empty(rows, dtype=np.int32)
        count = compiled(assign_slots)(graph.edge_start, graph.edge_source, last, slot, free)
    else:
        slots, scratch = [0] * rows, [0] * rows
        start, source = graph.edge_start.tolist(), graph.edge_source.tolist()
        count = assign_slots(start, source, last.tolist(), slots, scratch)
        slot = np.array(slots, dtype=np.int32)
    may_be_last = np.ones(rows, dtype=np.uint8)
    may_be_last[graph.edge_source[graph.edge_lag_ns >= 0]] = 0
    return LiveSlots(slot, slot[graph.edge_source], int(count), may_be_last)
