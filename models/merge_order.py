"""Order the rows of merged ranks so that every predecessor stands before its node."""

import heapq
from dataclasses import replace

import numpy as np

from .edge_columns import Edges
from .errors import AnalysisError
from .graph import NONE, Category, Columns, ExecutionGraph, Int64s, Step
from .merge_tables import ROW_COLUMNS


def merged_order(graph: ExecutionGraph, first_row: Int64s) -> tuple[ExecutionGraph, int]:
    """Order stacked ranks so that every predecessor stands before its node.

    Each rank's rows keep their order; between ranks the earlier start comes first. Where ranks
    meet in opposite orders a waiting row lets the rows behind it pass. Joins that wait for each
    other would wait for ever: the earliest is let go until the rest can be ordered.

    Args:
        graph: the ranks end to end, then rows of no rank (the common origin and the joins).
        first_row: first row of each rank and the first row of none, shape (ranks + 1,).

    Returns:
        The graph in order, and the number of joins that were let go.

    Raises:
        AnalysisError: rows other than joins wait for each other.
    """
    merger = _Merger(graph, first_row.tolist())
    order = merger.run()
    if merger.released:
        graph = _without_edges_into(graph, merger.released)
    return reordered(graph, np.array(order, dtype=np.int64)), len(merger.released)


class _Merger:
    """Takes rows off the heads of the ranks, the earliest of those that may come next.

    A row is *offered* (put on the heap) when all its predecessors stand and it is its rank's head,
    was passed by, or belongs to no rank.
    """

    def __init__(self, graph: ExecutionGraph, first_row: list[int]) -> None:
        self.starts = graph.nodes.start_ns.tolist()
        self.waiting = np.diff(graph.edge_start).tolist()
        self.successors_start, self.successors = _successors(graph)
        self.joins = iter(_joins_by_time(graph))
        self.first_row = first_row
        self.heads = first_row[:-1]
        self.rank_of = np.searchsorted(first_row[1:], np.arange(len(graph)), side="right").tolist()
        self.passed = [False] * len(graph)
        self.stands = [False] * len(graph)
        self.heap: list[tuple[int, int]] = []
        self.released: set[int] = set()

    def run(self) -> list[int]:
        """Give all rows in order."""
        order: list[int] = []
        for row in (*self.heads, *range(self.first_row[-1], len(self.starts))):
            self._offer(row)
        while len(order) < len(self.starts):
            if not self.heap:
                self._unblock()
                continue
            _, row = heapq.heappop(self.heap)
            self.stands[row] = True
            order.append(row)
            self._advance(self.rank_of[row])
            for edge in range(self.successors_start[row], self.successors_start[row + 1]):
                after = self.successors[edge]
                self.waiting[after] -= 1
                self._offer(after)
        return order

    def _offer(self, row: int) -> None:
        """Put a row on the heap if it may come next."""
        if self.waiting[row] != 0 or self.stands[row]:
            return
        rank = self.rank_of[row]
        of_no_rank = rank >= len(self.heads)
        if of_no_rank or self.passed[row] or self.heads[rank] == row:
            heapq.heappush(self.heap, (self.starts[row], row))
            self.waiting[row] = NONE  # offered once

    def _advance(self, rank: int) -> None:
        """Move a rank's head behind the rows that stand, and offer the new one."""
        if rank >= len(self.heads):
            return
        head, end = self.heads[rank], self.first_row[rank + 1]
        while head < end and (self.stands[head] or self.passed[head]):
            head += 1
        self.heads[rank] = head
        if head < end:
            self._offer(head)

    def _unblock(self) -> None:
        """No head may come next: pass the earliest by, or let the earliest join go."""
        blocked = [h for rank, h in enumerate(self.heads) if h < self.first_row[rank + 1]]
        if blocked:
            head = min(blocked, key=lambda row: (self.starts[row], row))
            self.passed[head] = True
            self._advance(self.rank_of[head])
            return
        join = next((join for join in self.joins if self.waiting[join] > 0), NONE)
        if join == NONE:
            raise AnalysisError("rows wait for each other in a circle")
        self.released.add(join)
        self.waiting[join] = 0
        self._offer(join)


def _joins_by_time(graph: ExecutionGraph) -> list[int]:
    joins = np.flatnonzero(graph.nodes.category == Category.JOIN)
    in_time: list[int] = joins[np.argsort(graph.nodes.start_ns[joins], kind="stable")].tolist()
    return in_time


def _successors(graph: ExecutionGraph) -> tuple[list[int], list[int]]:
    order = np.argsort(graph.edge_source, kind="stable")
    counts = np.bincount(graph.edge_source, minlength=len(graph))
    start = np.concatenate(([0], np.cumsum(counts)))
    return start.tolist(), graph.edge_target()[order].tolist()


def _without_edges_into(graph: ExecutionGraph, rows: set[int]) -> ExecutionGraph:
    """Drop all edges into the given rows."""
    target = graph.edge_target()
    keep = ~np.isin(target, list(rows))
    counts = np.bincount(target[keep], minlength=len(graph))
    return replace(
        graph,
        edge_start=np.concatenate(([0], np.cumsum(counts))).astype(np.int64),
        edge_source=graph.edge_source[keep],
        edge_kind=graph.edge_kind[keep],
        edge_lag_ns=graph.edge_lag_ns[keep],
    )


def reordered(graph: ExecutionGraph, order: Int64s) -> ExecutionGraph:
    """Give the graph with row `order[k]` at place k; edges, parents and steps follow."""
    return renumbered(graph, graph.nodes, Edges.of(graph), order)[0]


def renumbered(
    graph: ExecutionGraph, nodes: Columns, edges: Edges, order: Int64s
) -> tuple[ExecutionGraph, Int64s]:
    """Give the graph of these rows and edges with row `order[k]` at place k, and all places.

    Args:
        graph: whose steps and tables stay; rows may have been added behind its own.
        nodes: all rows, in the numbering of `edges`.
        edges: in any order.
        order: each row once.
    """
    place = np.empty(len(order) + 1, dtype=np.int64)
    place[order] = np.arange(len(order))
    place[-1] = NONE  # index -1: none stays none
    moved = replace(edges, target=place[edges.target], source=place[edges.source])
    nodes = nodes.take(order)
    rows = {name: place[getattr(nodes, name)].astype(np.int32) for name in ROW_COLUMNS}
    steps = tuple(
        Step(step.name, int(place[step.begin_row]), int(place[step.end_row]))
        for step in graph.steps
    )
    laid_out = replace(graph, nodes=replace(nodes, **rows), steps=steps)
    return moved.sorted(len(order)).into(laid_out), place[:-1]
