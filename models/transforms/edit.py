"""Edits of graphs, all pure: scale, remove with bridging. Row order and soundness are kept.

remove b:   a --2--> b --1--> c       becomes       a --3--> c
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..edge_columns import Edges
from ..errors import AnalysisError
from ..graph import (
    NONE,
    Category,
    ExecutionGraph,
    Step,
)
from .bridging import ORDER_KINDS, Mask, bridged

__all__ = ["ORDER_KINDS", "Mask", "scaled", "sound", "without"]


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
    return _kept(graph, ~gone, bridged(Edges.of(graph), gone))


def _fixed(graph: ExecutionGraph) -> Mask:
    category = graph.nodes.category
    fixed: Mask = (category == Category.ORIGIN) | (category == Category.JOIN)
    for step in graph.steps:
        fixed[[step.begin_row, step.end_row]] = True
    return fixed


def _kept(graph: ExecutionGraph, keep: Mask, edges: Edges) -> ExecutionGraph:
    """Give the graph with the kept rows and the given edges between them (old row numbers)."""
    rows = np.flatnonzero(keep)
    place = np.full(len(graph) + 1, NONE, dtype=np.int64)
    place[rows] = np.arange(len(rows))
    moved = replace(edges, target=place[edges.target], source=place[edges.source])
    nodes = graph.nodes.take(rows)
    parent = place[nodes.parent].astype(np.int32)
    fw_parent = place[nodes.fw_parent].astype(np.int32)
    fewer = replace(
        graph,
        nodes=replace(nodes, parent=parent, fw_parent=fw_parent),
        steps=tuple(
            Step(s.name, int(place[s.begin_row]), int(place[s.end_row])) for s in graph.steps
        ),
    )
    return moved.into(fewer).checked()


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
