"""Compose a picture from a graph: lanes become strips, rows or groups of rows become boxes."""

from dataclasses import dataclass

import numpy as np

from ...models.errors import AnalysisError
from ...models.graph import NONE, EdgeKind, ExecutionGraph, LaneKind
from .boxes import make_boxes
from .collapse import Grouping, group
from .levels import Detail
from .picture import Arrow, Picture
from .select import Selection, edges_within
from .style import duration_text

MAX_BOXES = 400  # more than this nobody reads


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user asked to see."""

    detail: Detail = Detail.AUTO
    max_boxes: int = MAX_BOXES


def compose(
    graph: ExecutionGraph, chosen: Selection, wish: Wish = Wish(), *, name: str = ""
) -> Picture:
    """Give the picture of the chosen rows, collapsed as far as the wish demands.

    Args:
        graph: the graph.
        chosen: the rows to draw.
        wish: level and number of boxes.
        name: what the graph is called, for the title.

    Raises:
        AnalysisError: there is no row to draw.
    """
    if not chosen.rows.any():
        raise AnalysisError("there is nothing to draw: no rows", where=name)
    grouping = group(graph, chosen, wish.detail, wish.max_boxes)
    return Picture(
        title=f"Dependency graph of {name}" if name else "Dependency graph",
        subtitle=_subtitle(graph, chosen),
        level=grouping.level.title,
        strips=grouping.strips.strips,
        boxes=make_boxes(graph, grouping),
        arrows=_arrows(graph, grouping),
        remarks=_remarks(graph, chosen, grouping),
        timed=graph.meta.has_times,
    )


def _arrows(graph: ExecutionGraph, grouping: Grouping) -> tuple[Arrow, ...]:
    source = grouping.box[graph.edge_source]
    target = grouping.box[graph.edge_target()]
    drawn = (source != NONE) & (target != NONE) & (source != target)
    ends = np.stack((source[drawn], target[drawn], graph.edge_kind[drawn].astype(np.int64)))
    distinct, counts = np.unique(ends, axis=1, return_counts=True)
    return tuple(
        Arrow(first, second, EdgeKind(kind), count)
        for (first, second, kind), count in zip(distinct.T.tolist(), counts.tolist(), strict=True)
    )


def _subtitle(graph: ExecutionGraph, chosen: Selection) -> str:
    rows = np.flatnonzero(chosen.rows)
    virtual = np.array([lane.kind == LaneKind.VIRTUAL for lane in graph.lanes], dtype=bool)
    ranks = np.unique(graph.nodes.rank[rows[~virtual[graph.nodes.lane[rows]]]]).tolist()
    told = f"rank {ranks[0]}" if len(ranks) == 1 else f"{len(ranks)} ranks"
    parts = [f"{told} of {graph.meta.world_size}"] if graph.meta.world_size > 1 else []
    parts.append(f"recorded on {graph.meta.source_device or 'CPU'}")
    parts.append(f"{len(rows):,} rows, {edges_within(graph, chosen):,} edges")
    if graph.meta.has_times and len(rows):
        start, duration = graph.nodes.start_ns[rows], graph.nodes.duration_ns[rows]
        parts.append(f"{duration_text(int((start + duration).max() - start.min()))} measured")
    else:
        parts.append("no times recorded")
    return " · ".join(parts)


def _remarks(graph: ExecutionGraph, chosen: Selection, grouping: Grouping) -> tuple[str, ...]:
    rows = int(np.count_nonzero(chosen.rows))
    remarks = [chosen.remark] if chosen.remark else []
    into_chosen = int(np.count_nonzero(chosen.rows[graph.edge_target()]))
    cut = into_chosen - edges_within(graph, chosen)
    if cut:
        remarks.append(f"left out, as they come from rows that are not drawn: {cut:,} edges")
    if grouping.slices:
        remarks.append(
            f"{rows:,} rows drawn as {grouping.count:,} boxes: {grouping.slices} slices of equal "
            "numbers of rows, one box a lane and slice, as every other level had more boxes"
        )
    elif grouping.count < rows:
        remarks.append(
            f"{rows:,} rows drawn as {grouping.count:,} boxes: {grouping.level.title}; ×N: N of "
            "them in one box; times are sums"
        )
    if grouping.strips.ranks > 1:
        remarks.append(f"the {grouping.strips.ranks} ranks are drawn as one")
    return tuple(remarks)
