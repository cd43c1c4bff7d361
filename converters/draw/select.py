"""Which rows of a graph to draw: all of them, one step, or the surroundings of a node."""

import difflib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...models.errors import UsageError
from ...models.graph import Category, ExecutionGraph, Step


@dataclass(frozen=True, slots=True)
class Selection:
    """The rows to draw, a mask of shape (nodes,), and what to say about the choice."""

    rows: NDArray[np.bool_]
    remark: str = ""


def edges_within(graph: ExecutionGraph, chosen: Selection) -> int:
    """Count the edges between chosen rows."""
    rows = chosen.rows
    return int(np.count_nonzero(rows[graph.edge_source] & rows[graph.edge_target()]))


def everything(graph: ExecutionGraph) -> Selection:
    """Choose every row."""
    return Selection(np.ones(len(graph), dtype=bool))


def of_step(graph: ExecutionGraph, wanted: str) -> Selection:
    """Choose the rows of a step, by its name or by its number on each rank, from 0.

    Raises:
        UsageError: there is no such step; the message lists those that there are.
    """
    chosen = [i for i, step in enumerate(graph.steps) if step.name == wanted]
    if not chosen and wanted.isdecimal():
        chosen = _steps_numbered(graph, int(wanted))
    if not chosen:
        names = list(dict.fromkeys(step.name for step in graph.steps))
        told = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
        raise UsageError(
            f"there is no step {wanted!r}",
            remedy=f"steps: {told}" if names else "this run has no marked steps",
        )
    rows = np.isin(graph.nodes.step, chosen)
    for step in (graph.steps[i] for i in chosen):
        rows[[step.begin_row, step.end_row]] = True
    met = graph.edge_target()[rows[graph.edge_source]]
    rows[met[graph.nodes.category[met] == Category.JOIN]] = True  # joins belong to no step
    return Selection(rows, f"only step {graph.steps[chosen[0]].name}")


def _steps_numbered(graph: ExecutionGraph, number: int) -> list[int]:
    """Give the step of that number on each rank that has so many."""
    steps_of_rank: dict[int, list[int]] = {}
    order = sorted(range(len(graph.steps)), key=lambda i: _begin(graph.steps[i]))
    for index in order:
        rank = int(graph.nodes.rank[graph.steps[index].begin_row])
        steps_of_rank.setdefault(rank, []).append(index)
    return [steps[number] for steps in steps_of_rank.values() if number < len(steps)]


def _begin(step: Step) -> int:
    return step.begin_row


def around(graph: ExecutionGraph, node: str, hops: int) -> Selection:
    """Choose the rows at most `hops` edges away from a node, against and along the edges.

    Args:
        graph: the graph.
        node: a row's number, or a name: the first row of that name, else the first that holds it.
        hops: how many edges far.

    Raises:
        UsageError: no row has that number or name.
    """
    centre = _find_row(graph, node)
    rows = np.zeros(len(graph), dtype=bool)
    rows[centre] = True
    source, target = graph.edge_source, graph.edge_target()
    for _ in range(hops):
        reached = np.concatenate((target[rows[source]], source[rows[target]]))
        rows[reached] = True
    name = graph.name_of(centre)
    return Selection(rows, f"only what is within {hops} hops of row {centre} ({name})")


def _find_row(graph: ExecutionGraph, node: str) -> int:
    if node.lstrip("#").isdecimal():
        row = int(node.lstrip("#"))
        if row >= len(graph):
            raise UsageError(f"there is no row {row}", remedy=f"the rows are 0 to {len(graph) - 1}")
        return row
    exact = [i for i, name in enumerate(graph.names) if name == node]
    holding = [i for i, name in enumerate(graph.names) if node in name]
    for names in (exact, holding):
        found = np.flatnonzero(np.isin(graph.nodes.name, names))
        if len(found):
            return int(found[0])
    near = difflib.get_close_matches(node, graph.names, n=3)
    raise UsageError(
        f"no row is called {node!r}", remedy=f"near: {', '.join(near)}" if near else ""
    )
