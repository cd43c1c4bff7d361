"""Order the rows of merged ranks so that every predecessor stands before its node."""

import heapq
from dataclasses import replace

import numpy as np

from .graph import NONE, Category, ExecutionGraph, Int64s, Step
from .merge_tables import ROW_COLUMNS


def merged_order(graph: ExecutionGraph, ranks: int) -> tuple[ExecutionGraph, int]:
    """Sort a graph topologically by measured start, ties by rank and row.

    Joins that contradict each other (two ranks meet in opposite orders) would wait for ever: the
    earliest such join is let go until the rest can be ordered.

    Args:
        graph: rows in any order.
        ranks: how many were merged; with one there is nothing to sort.

    Returns:
        The graph in order, and the number of joins that were let go.
    """
    if ranks < 2:
        return graph, 0
    order, released = _topological(graph)
    if released:
        graph = _without_edges_into(graph, released)
    return reordered(graph, order), len(released)


def _topological(graph: ExecutionGraph) -> tuple[Int64s, set[int]]:
    """Kahn's algorithm with a heap: among the rows that may come next, the earliest does."""
    count = len(graph)
    waiting = np.diff(graph.edge_start).tolist()
    successors_start, successors = _successors(graph)
    starts = graph.nodes.start_ns.tolist()
    category = graph.nodes.category
    heap = [(starts[row], row) for row in range(count) if not waiting[row]]
    heapq.heapify(heap)
    order: list[int] = []
    released: set[int] = set()
    blocked_joins = iter(_joins_by_time(graph, category))
    while len(order) < count:
        if not heap:
            row = next(join for join in blocked_joins if waiting[join] > 0)
            released.add(row)
            waiting[row] = NONE
            heapq.heappush(heap, (starts[row], row))
        _, row = heapq.heappop(heap)
        order.append(row)
        for edge in range(successors_start[row], successors_start[row + 1]):
            after = successors[edge]
            waiting[after] -= 1
            if waiting[after] == 0:
                heapq.heappush(heap, (starts[after], after))
    return np.array(order, dtype=np.int64), released


def _joins_by_time(
    graph: ExecutionGraph, category: np.ndarray[tuple[int], np.dtype[np.uint8]]
) -> list[int]:
    joins = np.flatnonzero(category == Category.JOIN)
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
    place = np.empty(len(order) + 1, dtype=np.int64)
    place[order] = np.arange(len(order))
    place[-1] = NONE  # index -1: none stays none
    target = place[graph.edge_target()]
    source = place[graph.edge_source]
    by_target = np.lexsort((source, target))
    counts = np.bincount(target, minlength=len(order))
    nodes = graph.nodes.take(order)
    rows = {name: place[getattr(nodes, name)].astype(np.int32) for name in ROW_COLUMNS}
    return replace(
        graph,
        nodes=replace(nodes, **rows),
        edge_start=np.concatenate(([0], np.cumsum(counts))).astype(np.int64),
        edge_source=source[by_target].astype(np.int32),
        edge_kind=graph.edge_kind[by_target],
        edge_lag_ns=graph.edge_lag_ns[by_target],
        steps=tuple(
            Step(step.name, int(place[step.begin_row]), int(place[step.end_row]))
            for step in graph.steps
        ),
    )
