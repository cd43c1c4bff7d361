"""Graphs for other programs: as networkx, and as GraphML with every attribute."""

import io
from collections.abc import Sequence

import networkx as nx
import numpy as np

from ...models.graph import (
    Category,
    EdgeKind,
    ExecutionGraph,
    Int64s,
    NodeKind,
    Provenance,
)
from .picture import Picture
from .select import Selection
from .strips import find_strips


def to_networkx(graph: ExecutionGraph, chosen: Selection) -> "nx.MultiDiGraph[str]":
    """Give the chosen rows and the edges between them; row 12 is node `n12`."""
    result: nx.MultiDiGraph[str] = nx.MultiDiGraph()
    rows = np.flatnonzero(chosen.rows)
    columns = _node_columns(graph, chosen)
    for row, *values in zip(rows.tolist(), *columns.values(), strict=True):
        result.add_node(f"n{row}", **dict(zip(columns, values, strict=True)))
    target = graph.edge_target()
    for edge in np.flatnonzero(chosen.rows[target] & chosen.rows[graph.edge_source]).tolist():
        result.add_edge(
            f"n{graph.edge_source[edge]}",
            f"n{target[edge]}",
            kind=EdgeKind(graph.edge_kind[edge]).name.lower(),
            lag_ns=int(graph.edge_lag_ns[edge]),
        )
    return result


def picture_to_networkx(picture: Picture) -> "nx.MultiDiGraph[str]":
    """Give a picture's boxes and arrows: rows drawn together are one node."""
    result: nx.MultiDiGraph[str] = nx.MultiDiGraph()
    for index, box in enumerate(picture.boxes):
        result.add_node(
            f"n{index}",
            name=_plain(box.name),
            category=box.category.name.lower(),
            lane=_plain(picture.strips[box.strip].label),
            duration_ns=box.duration_ns,
            rows=box.rows,
            repeats=box.repeats,
        )
    for arrow in picture.arrows:
        kind = arrow.kind.name.lower()
        result.add_edge(f"n{arrow.source}", f"n{arrow.target}", kind=kind, count=arrow.count)
    return result


def write_graphml(graph: "nx.MultiDiGraph[str]") -> bytes:
    """Give the GraphML document."""
    out = io.BytesIO()
    nx.write_graphml_xml(graph, out)
    return out.getvalue()


def _node_columns(
    graph: ExecutionGraph, chosen: Selection
) -> dict[str, Sequence[str] | Sequence[int]]:
    nodes = graph.nodes.take(np.flatnonzero(chosen.rows))
    strips = find_strips(graph, chosen, fold_ranks=False)
    labels = [_plain(strip.label) for strip in strips.strips]
    names = [*map(_plain, graph.names), ""]  # the last one is what NONE points at
    steps = [*(_plain(step.name) for step in graph.steps), ""]
    return {
        "name": _looked_up(names, nodes.name),
        "category": [Category(value).name.lower() for value in nodes.category.tolist()],
        "kind": [NodeKind(value).name for value in nodes.kind.tolist()],
        "rank": nodes.rank.tolist(),
        "lane": _looked_up(labels, strips.of_row[chosen.rows]),
        "start_ns": nodes.start_ns.tolist(),
        "duration_ns": nodes.duration_ns.tolist(),
        "step": _looked_up(steps, nodes.step),
        "phase": _looked_up(names, nodes.phase),
        "module": _looked_up(names, nodes.module),
        "flops": nodes.flops.tolist(),
        "bytes": nodes.bytes.tolist(),
        "provenance": [Provenance(value).name.lower() for value in nodes.provenance.tolist()],
    }


def _looked_up(
    table: Sequence[str], index: "Int64s | np.ndarray[tuple[int], np.dtype[np.int32]]"
) -> list[str]:
    return [table[i] for i in index.tolist()]


def _plain(text: str) -> str:
    """Replace what XML forbids."""
    return "".join(char if char.isprintable() else "?" for char in text)
