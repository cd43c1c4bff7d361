"""What a box says: its name, time, category, how many were merged and what the time goes to."""

import numpy as np

from ...models.graph import NONE, Category, ExecutionGraph, Int64s
from .collapse import Grouping
from .picture import Box
from .style import short_name


def make_boxes(graph: ExecutionGraph, grouping: Grouping) -> tuple[Box, ...]:
    """Give the boxes of a grouping, in its order."""
    rows = np.flatnonzero(grouping.box != NONE)
    rows_of_box = _split(rows, grouping.box[rows], grouping.count)
    return tuple(_box(graph, grouping, index, members) for index, members in enumerate(rows_of_box))


def _split(rows: Int64s, box: Int64s, count: int) -> list[Int64s]:
    order = np.argsort(box, kind="stable")
    bounds = np.searchsorted(box[order], np.arange(1, count))
    return np.split(rows[order], bounds)


def _box(graph: ExecutionGraph, grouping: Grouping, index: int, rows: Int64s) -> Box:
    duration = graph.nodes.duration_ns[rows]
    shares = _shares(graph.nodes.category[rows].astype(np.int64), duration)
    names = graph.nodes.name[rows].astype(np.int64)
    alike = bool((names == names[0]).all())
    single = grouping.count == int(np.count_nonzero(grouping.box != NONE))
    name, repeats = _name(graph, grouping, rows, alike)
    return Box(
        number=int(rows[0]) if single else index + 1,
        name=name,
        category=shares[0][0],
        strip=int(grouping.strips.of_row[rows[0]]),
        duration_ns=int(duration.sum()),
        rows=len(rows),
        repeats=repeats,
        shares=shares,
        detail="" if alike else _detail(graph, grouping.level.speaker[rows], duration, name),
        slice=grouping.slice[index] if grouping.slices else NONE,
    )


def _name(graph: ExecutionGraph, grouping: Grouping, rows: Int64s, alike: bool) -> tuple[str, int]:
    """Give what a box is called, and how many of those are in it."""
    if alike:
        return _own_name(graph, int(rows[0]), len(rows)), len(rows)
    if grouping.slices:
        return f"{len(rows):,} rows of {int(rows[0]):,} to {int(rows[-1]):,}", 1
    level = grouping.level
    if level.plain is not None and (level.plain.key[rows] == level.plain.key[rows[0]]).all():
        level = level.plain  # numbers need not be taken out of a single name
    name = level.names[level.key[rows[0]]]
    return (name, len(np.unique(level.instance[rows]))) if name else (f"{len(rows):,} rows", 1)


def _own_name(graph: ExecutionGraph, row: int, count: int) -> str:
    """Give a row's name; of a step's mark also whether it begins or ends the step."""
    name = graph.name_of(row)
    if count > 1 or graph.nodes.category[row] != Category.ANNOTATION:
        return name
    begins = any(step.begin_row == row for step in graph.steps)
    ends = any(step.end_row == row for step in graph.steps)
    return f"{name} begins" if begins and not ends else f"{name} ends" if ends else name


def _shares(category: Int64s, duration: Int64s) -> tuple[tuple[Category, int], ...]:
    """Give the time of each category, largest first; by number of rows where there is no time."""
    weight = duration if duration.any() else np.ones(len(duration), dtype=np.int64)
    total = np.zeros(len(Category), dtype=np.int64)
    np.add.at(total, category, weight)
    order = sorted(set(category.tolist()), key=lambda index: (-total[index], index))
    return tuple((Category(index), int(total[index])) for index in order)


def _detail(graph: ExecutionGraph, speaker: Int64s, duration: Int64s, name: str) -> str:
    """Say how many rows there are, and which name most of the time goes to."""
    names = graph.nodes.name[speaker]
    weight = duration if duration.any() else np.ones(len(duration), dtype=np.int64)
    distinct, place = np.unique(names, return_inverse=True)
    total = np.zeros(len(distinct), dtype=np.int64)
    np.add.at(total, place, weight)
    most = short_name(graph.names[distinct[int(total.argmax())]])
    counted = f"{len(speaker):,} rows"
    if most == short_name(name):
        return counted
    return f"mostly {most}" if name == counted else f"{counted}, mostly {most}"
