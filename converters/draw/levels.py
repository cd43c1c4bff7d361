"""How coarsely rows can be drawn: for each level, which rows belong together and their name.

    rows        every row by itself
    operators   epoch_0 > forward > aten::linear
    modules     epoch_0 > forward, Net/block.3/Linear; then Net/block.3; then Net/block.* ...
    ranges      epoch_0 > forward; then epoch_0; then epoch_*
    runs        2, 4, 8 ... operators in a row, where there are neither modules nor ranges

Levels come finest first and are worked out when asked for.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from ...models.graph import NONE, ExecutionGraph, Int64s
from .ancestry import Ancestry, find_ancestry
from .style import without_numbers


class Detail(Enum):
    """Where to begin: the finest level that may be drawn."""

    AUTO = "auto"
    ROWS = "none"
    OPERATORS = "op"
    MODULES = "module"


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """Rows of one key, standing together on a lane, may be drawn as one box.

    Attributes:
        title: what a box is, for the footer.
        key: of each row, shape (nodes,).
        instance: which operator, module or range a row belongs to, shape (nodes,); how many
            differ within a box is its number of repeats.
        names: what a box of each key is called, "" where there is no name.
        speaker: the row whose name says best what a row is for, shape (nodes,).
        plain: the same level with numbers kept apart, where this one takes them as one.
    """

    title: str
    key: Int64s
    instance: Int64s
    names: tuple[str, ...]
    speaker: Int64s
    plain: "Level | None" = None


def levels(graph: ExecutionGraph, finest: Detail) -> Iterator[Level]:
    """Give the levels from `finest` to the coarsest."""
    if finest in {Detail.AUTO, Detail.ROWS}:
        yield _rows(graph)
    ancestry = find_ancestry(graph)
    if finest is not Detail.MODULES:
        yield _operators(graph, ancestry)
    moduled = bool(np.any(ancestry.module != NONE))
    ranged = bool(np.any(ancestry.range_row != NONE)) or len(graph.steps) > 0
    if moduled:
        yield from _modules(graph, ancestry)
    if ranged:
        yield from _ranges(graph, ancestry)
    if not moduled and not ranged:
        yield from _runs(graph, ancestry)


def _rows(graph: ExecutionGraph) -> Level:
    rows = np.arange(len(graph), dtype=np.int64)
    return Level("rows", rows, rows, ("",) * len(graph), rows)


def _operators(graph: ExecutionGraph, ancestry: Ancestry) -> Level:
    rows = np.arange(len(graph), dtype=np.int64)
    operator = np.where(ancestry.operator == NONE, rows, ancestry.operator)
    name = graph.nodes.name[operator].astype(np.int64)
    return _level(
        "top-level operators",
        ancestry,
        [ancestry.path, name],
        operator,
        lambda row: graph.names[name[row]],
    )


def _modules(graph: ExecutionGraph, ancestry: Ancestry) -> Iterator[Level]:
    """Give the module levels: the whole path, then ever shorter, each with and without numbers."""
    paths = [name.split("/") for name in graph.names]
    used = np.unique(ancestry.module[ancestry.module != NONE])
    deepest = max(len(paths[module]) for module in used)
    for depth in range(deepest, 0, -1):
        cut = ["/".join(path[:depth]) for path in paths]
        plain = _module_level(graph, ancestry, cut, str, depth=depth)
        yield plain
        yield replace(
            _module_level(graph, ancestry, cut, without_numbers, depth=depth), plain=plain
        )


def _module_level(
    graph: ExecutionGraph,
    ancestry: Ancestry,
    cut: Sequence[str],
    rename: Callable[[str], str],
    *,
    depth: int,
) -> Level:
    whole = _interned([*cut, ""])  # the last entry is for rows without a module: NONE
    shown_names = [rename(name) for name in cut] + [""]
    shown = _interned(shown_names)[ancestry.module]
    path = _interned([tuple(map(rename, path)) for path in ancestry.paths])[ancestry.path]

    def name(row: int) -> str:
        module = shown_names[ancestry.module[row]]
        chain = tuple(map(rename, ancestry.paths[ancestry.path[row]]))
        return module.rsplit("/", maxsplit=1)[-1] or _range_name(graph, ancestry, chain, row)

    title = f"modules to depth {depth}" + _folded(rename)
    keys = [path, ancestry.phase, shown]
    return _level(title, ancestry, keys, whole[ancestry.module], name)


def _ranges(graph: ExecutionGraph, ancestry: Ancestry) -> Iterator[Level]:
    """Give the levels of annotated ranges, innermost first, each with and without numbers."""
    deepest = max(len(path) for path in ancestry.paths)
    for depth in range(deepest, 0, -1):
        plain = _range_level(graph, ancestry, str, depth=depth)
        yield plain
        yield replace(_range_level(graph, ancestry, without_numbers, depth=depth), plain=plain)
    yield _range_level(graph, ancestry, str, depth=0)


def _range_level(
    graph: ExecutionGraph, ancestry: Ancestry, rename: Callable[[str], str], *, depth: int
) -> Level:
    names = [tuple(map(rename, path[:depth])) for path in ancestry.paths]

    def name(row: int) -> str:
        return _range_name(graph, ancestry, names[ancestry.path[row]], row)

    title = f"annotated ranges to depth {depth}" if depth else "lanes and phases"
    keys = [_interned(names)[ancestry.path], ancestry.phase]
    instance = _range_instance(graph, ancestry, depth)
    return _level(title + _folded(rename), ancestry, keys, instance, name)


def _range_instance(graph: ExecutionGraph, ancestry: Ancestry, depth: int) -> Int64s:
    """Give the range at most `depth` deep around each row; where there is none, its step."""
    depth_of = np.array([len(path) for path in ancestry.paths], dtype=np.int64)
    instance = ancestry.range_row.copy()
    while True:
        deep = np.flatnonzero((instance != NONE) & (depth_of[ancestry.path[instance]] > depth))
        if not len(deep):
            return np.where(instance == NONE, -2 - graph.nodes.step, instance)
        instance[deep] = ancestry.above[instance[deep]]


def _runs(graph: ExecutionGraph, ancestry: Ancestry) -> Iterator[Level]:
    """Give ever longer runs of operators that follow each other on a thread."""
    operators = np.unique(ancestry.operator)
    lane_key = graph.nodes.rank[operators].astype(np.int64) * len(graph.lanes)
    lane = lane_key + graph.nodes.lane[operators]
    order = np.argsort(lane, kind="stable")
    first = np.searchsorted(lane[order], lane[order])
    place = np.zeros(len(graph), dtype=np.int64)
    place[operators[order]] = np.arange(len(order)) - first
    length = 1
    while length < len(graph) or length < 2:
        length *= 2
        run = place[ancestry.operator] // length
        keys = [run, ancestry.phase]
        yield _level(
            f"runs of {length} operators", ancestry, keys, ancestry.operator, lambda _row: ""
        )
        length *= 2


def _range_name(graph: ExecutionGraph, ancestry: Ancestry, chain: tuple[str, ...], row: int) -> str:
    """Give the innermost range and the phase: `epoch_0 · backward`."""
    index = int(ancestry.phase[row])
    phase = graph.names[index] if index != NONE else ""
    innermost = chain[-1] if chain else ""
    told = [innermost] if phase.lower() in innermost.lower() else [innermost, phase]
    return " · ".join(filter(None, told))


def _folded(rename: Callable[[str], str]) -> str:
    return "" if rename is str else ", their numbers taken as one"


def _interned(values: Sequence[object]) -> Int64s:
    index_of: dict[object, int] = {}
    return np.array([index_of.setdefault(value, len(index_of)) for value in values], dtype=np.int64)


def _level(
    title: str,
    ancestry: Ancestry,
    keys: Sequence[Int64s],
    instance: Int64s,
    name: Callable[[int], str],
) -> Level:
    """Number the distinct rows of `keys`; each is called what `name` says of its first row."""
    combined = np.zeros(len(instance), dtype=np.int64)
    for key in keys:
        lowest = int(key.min(initial=0))
        combined = combined * (int(key.max(initial=0)) - lowest + 1) + (key - lowest)
        combined = np.unique(combined, return_inverse=True)[1]
    _, first, dense = np.unique(combined, return_index=True, return_inverse=True)
    return Level(
        title, dense, instance, tuple(name(row) for row in first.tolist()), ancestry.speaker
    )
