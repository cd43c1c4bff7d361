"""Edits of graphs, all pure: scale, remove with bridging. Row order and soundness are kept.

remove b:   a --2--> b --1--> c       becomes       a --3--> c
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..errors import AnalysisError
from ..graph import (
    NONE,
    Category,
    EdgeKind,
    ExecutionGraph,
    Step,
)

Mask = NDArray[np.bool_]
ORDER_KINDS = (EdgeKind.HOST_ORDER, EdgeKind.STREAM_ORDER)


def scaled(
    graph: ExecutionGraph, rows: Mask, factor: float | NDArray[np.float64]
) -> ExecutionGraph:
    """Multiply the durations of rows, a mask of shape (nodes,); factor may be per row."""
    duration = graph.nodes.duration_ns
    changed = np.rint(duration * np.where(rows, factor, 1.0)).astype(np.int64)
    return replace(graph, nodes=replace(graph.nodes, duration_ns=np.where(rows, changed, duration)))


def without(graph: ExecutionGraph, rows: Mask) -> ExecutionGraph:
    """Remove rows; what waited for them waits for what they waited for, lags added.

    Args:
        graph: the graph.
        rows: mask of shape (nodes,); the origin, joins and steps' marks cannot be removed.
    """
    gone = rows & ~_fixed(graph)
    if not gone.any():
        return graph
    starts, sources = graph.edge_start.tolist(), graph.edge_source.tolist()
    kinds, lags = graph.edge_kind.tolist(), graph.edge_lag_ns.tolist()
    removed = gone.tolist()
    bridged: dict[int, list[tuple[int, int, int]]] = {}
    edges: list[tuple[int, int, int, int]] = []
    for row in range(len(graph)):
        found: dict[tuple[int, int], int] = {}
        for edge in range(starts[row], starts[row + 1]):
            for source, kind, lag in _resolved(bridged, sources[edge], kinds[edge], lags[edge]):
                key = (source, kind)
                found[key] = max(found.get(key, lag), lag)
        if removed[row]:
            bridged[row] = [(source, kind, lag) for (source, kind), lag in found.items()]
        else:
            edges.extend((row, source, kind, lag) for (source, kind), lag in sorted(found.items()))
    return _kept(graph, ~gone, edges)


def _resolved(
    bridged: dict[int, list[tuple[int, int, int]]], source: int, kind: int, lag: int
) -> list[tuple[int, int, int]]:
    """Give the edges that stand for an edge from a row that may be gone."""
    if source not in bridged:
        return [(source, kind, lag)]
    return [
        (before, kind if above in ORDER_KINDS else above, max(0, lag) + max(0, lag_above))
        for before, above, lag_above in bridged[source]
    ]


def _fixed(graph: ExecutionGraph) -> Mask:
    category = graph.nodes.category
    fixed: Mask = (category == Category.ORIGIN) | (category == Category.JOIN)
    for step in graph.steps:
        fixed[[step.begin_row, step.end_row]] = True
    return fixed


def _kept(
    graph: ExecutionGraph, keep: Mask, edges: list[tuple[int, int, int, int]]
) -> ExecutionGraph:
    """Give the graph with the kept rows and the given edges between them (old row numbers)."""
    place = np.full(len(graph) + 1, NONE, dtype=np.int64)
    place[np.flatnonzero(keep)] = np.arange(int(keep.sum()))
    table = np.array(edges, dtype=np.int64).reshape(-1, 4)
    target, source = place[table[:, 0]], place[table[:, 1]]
    nodes = graph.nodes.take(np.flatnonzero(keep))
    counts = np.bincount(target, minlength=len(nodes.kind))
    return replace(
        graph,
        nodes=replace(
            nodes,
            parent=place[nodes.parent].astype(np.int32),
            fw_parent=place[nodes.fw_parent].astype(np.int32),
        ),
        edge_start=np.concatenate(([0], np.cumsum(counts))).astype(np.int64),
        edge_source=source.astype(np.int32),
        edge_kind=table[:, 2].astype(np.uint8),
        edge_lag_ns=table[:, 3],
        steps=tuple(
            Step(s.name, int(place[s.begin_row]), int(place[s.end_row])) for s in graph.steps
        ),
    ).checked()


def sound(graph: ExecutionGraph, what: str) -> ExecutionGraph:
    """Give the graph after checking what every transform must keep.

    Acyclic (predecessors stand before their nodes), no orphan (every row but an origin waits for
    something), lanes in order (an order edge joins rows of one lane).

    Raises:
        AnalysisError: the transform named `what` broke it; this is etsim's own fault.
    """
    graph.checked()
    orphans = np.flatnonzero(np.diff(graph.edge_start) == 0)
    orphans = orphans[graph.nodes.category[orphans] != Category.ORIGIN]
    if len(orphans):
        raise AnalysisError(f"{what} left row {int(orphans[0])} without a predecessor")
    order = np.isin(graph.edge_kind, ORDER_KINDS)
    lane = graph.nodes.lane
    crossing = lane[graph.edge_source[order]] != lane[graph.edge_target()[order]]
    if crossing.any():
        raise AnalysisError(f"{what} put an order edge between two lanes")
    return graph
