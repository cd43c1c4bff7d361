"""Draw rows together until few enough boxes are left, without ever making a circle.

Each box has a layer. A row joins the box of its strip and key if all its predecessors' boxes lie
in lower layers; else it opens a new box one layer above them. So every arrow rises, whatever is
merged:

    host    A A | A          k waits for the first A, the last A waits for k: merging all three A
    stream      k            would make A and k wait for each other, so the last A opens a box.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...models.graph import NONE, ExecutionGraph, Int64s
from .levels import Detail, Level, levels
from .select import Selection
from .strips import Strips, find_strips


@dataclass(frozen=True, slots=True, eq=False)
class Grouping:
    """Which rows are drawn as one box.

    Attributes:
        level: what a box stands for.
        strips: the lanes as drawn.
        box: of each row, shape (nodes,); NONE for rows that are not drawn.
        count: how many boxes there are; each box's index is above those it waits for.
        slice: of each box; empty unless the rows were cut into slices as a last resort.
        slices: how many slices.
    """

    level: Level
    strips: Strips
    box: Int64s
    count: int
    slice: tuple[int, ...] = ()
    slices: int = 0


def group(graph: ExecutionGraph, chosen: Selection, finest: Detail, max_boxes: int) -> Grouping:
    """Choose the finest level that leaves at most `max_boxes` boxes, and group by it.

    First the ranks stay apart; if no level does, they are drawn as one; and if none does then,
    rows are cut into slices of equal size, one box a slice and strip. With `Detail.ROWS` nothing
    is collapsed, however many rows there are.
    """
    limit = len(graph) if finest is Detail.ROWS else max_boxes
    foldings = (False, True) if len(np.unique(graph.nodes.rank[chosen.rows])) > 1 else (False,)
    for fold_ranks in foldings:
        strips = find_strips(graph, chosen, fold_ranks=fold_ranks)
        for level in levels(graph, finest):
            grouping = _grouped(graph, level, strips, chosen, limit)
            if grouping is not None:
                return grouping
    return _sliced(level, strips, chosen, max_boxes)


def _grouped(
    graph: ExecutionGraph, level: Level, strips: Strips, chosen: Selection, limit: int
) -> Grouping | None:
    """Group by a level; None where that leaves more boxes than the limit."""
    place = np.where(chosen.rows, strips.of_row, NONE)
    cell = _interned_pairs(place, level.key)
    if int(cell.max(initial=NONE)) >= limit:
        return None
    found = _assign(graph.edge_start.tolist(), graph.edge_source.tolist(), cell.tolist(), limit)
    if found is None:
        return None
    box_of_row, layer_of_box = found
    # Layer by layer, every arrow rises in the boxes' numbers, too; NONE stays NONE.
    order = np.argsort(np.array(layer_of_box, dtype=np.int64), kind="stable")
    number = np.full(len(order) + 1, NONE, dtype=np.int64)
    number[order] = np.arange(len(order))
    return Grouping(level, strips, number[np.array(box_of_row, dtype=np.int64)], len(order))


def _interned_pairs(strip: Int64s, key: Int64s) -> Int64s:
    """Number the distinct pairs of strip and key; NONE where the strip is NONE."""
    drawn = strip != NONE
    pair = strip[drawn] * (int(key.max(initial=0)) + 1) + key[drawn]
    cell = np.full(len(strip), NONE, dtype=np.int64)
    cell[drawn] = np.unique(pair, return_inverse=True)[1]
    return cell


def _assign(
    edge_start: Sequence[int], source: Sequence[int], cell: Sequence[int], limit: int
) -> tuple[list[int], list[int]] | None:
    """Give each row its box by the rule of layers, and boxes' layers; None past the limit.

    Rows of one cell (strip and key) may share a box; rows of cell NONE get none.
    """
    box: list[int] = []
    layer: list[int] = []
    box_of_cell: dict[int, int] = {}
    for row, mine in enumerate(cell):
        if mine == NONE:
            box.append(NONE)
            continue
        before = {box[source[edge]] for edge in range(edge_start[row], edge_start[row + 1])}
        before.discard(NONE)
        here = box_of_cell.get(mine, NONE)
        if here == NONE or any(layer[b] >= layer[here] for b in before if b != here):
            here = box_of_cell[mine] = len(layer)
            layer.append(1 + max((layer[b] for b in before), default=0))
            if len(layer) > limit:
                return None
        box.append(here)
    return box, layer


def _sliced(level: Level, strips: Strips, chosen: Selection, max_boxes: int) -> Grouping:
    """Cut the rows into equal slices, one box a slice and strip; strips by kind if need be."""
    rows = np.flatnonzero(chosen.rows)
    if len(strips.strips) > max_boxes:
        strips = strips.by_kind()
    slices = max(1, max_boxes // len(strips.strips))
    slice_of_row = np.arange(len(rows)) * slices // max(1, len(rows))
    cell = slice_of_row * len(strips.strips) + strips.of_row[rows]
    _, first, number = np.unique(cell, return_index=True, return_inverse=True)
    box = np.full(len(chosen.rows), NONE, dtype=np.int64)
    box[rows] = number
    slice_of_box = tuple(slice_of_row[first].tolist())
    return Grouping(level, strips, box, len(first), slice_of_box, slices)
