"""Find the repeated modules of a model, and which rows belong to each.

    Net_0/Block_0, Net_0/Block_1, ...     same parent, same class, counted: one layer each

A backward row without a module (AccumulateGrad among them) belongs to the layer before it on its
thread; device rows carry their launch's module.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import pairwise

import numpy as np

from ..errors import NeedsRecordingError, UsageError
from ..graph import NONE, Category, ExecutionGraph, Int64s
from .edit import Mask
from .lanes import grouped
from .training import BACKWARD, OPTIMIZER, Iteration, in_phase

COUNTED = re.compile(r"^(.*?[_.]?)(\d+)(\W*)$")
LEAST = 2


@dataclass(frozen=True, slots=True, eq=False)
class Layers:
    """The repeated modules in order; `of_row` gives a row's layer, NONE for the rest, (nodes,).

    Attributes:
        parts: the rows of each layer's forward (at 2 layer) and backward (at 2 layer + 1).
    """

    paths: tuple[str, ...]
    of_row: Int64s
    backward: Mask
    parts: tuple[Int64s, ...]

    @classmethod
    def of(cls, paths: Sequence[str], of_row: Int64s, backward: Mask) -> "Layers":
        """Sort the rows by layer and direction."""
        part = np.where(of_row == NONE, NONE, 2 * of_row + backward)
        order = np.argsort(part, kind="stable")
        cuts = np.searchsorted(part[order], np.arange(2 * len(paths) + 1))
        parts = tuple(order[first:after] for first, after in pairwise(cuts.tolist()))
        return cls(tuple(paths), of_row, backward, parts)

    def rows(self, layer: int, within: Iteration, *, backward: bool) -> Int64s:
        """Give the rows of a layer's forward or backward in an iteration."""
        part = self.parts[2 * layer + backward]
        first, after = np.searchsorted(part, (within.first, within.last + 1)).tolist()
        return part[first:after]


def find_layers(graph: ExecutionGraph, pattern: str, what: str) -> Layers:
    """Find the layers of a model.

    Args:
        graph: with modules.
        pattern: of the last part of the module's path, as `Block_*`; "" takes the repeated
            module under which most time passes.
        what: the transform, for messages.

    Raises:
        NeedsRecordingError: no modules were recorded, or none repeats.
        UsageError: no repeated module has that name.
    """
    modules = [graph.names[i] for i in np.unique(graph.nodes.module).tolist() if i != NONE]
    families = _families(modules)
    if not families:
        raise NeedsRecordingError(
            f"{what}: no repeated modules in the recording",
            remedy="record with stacks (`etsim capture --stack`), or put record_function around "
            "each layer: 'layer_0', 'layer_1', ...",
        )
    chosen = _chosen(graph, families, pattern, what)
    return _assigned(graph, chosen)


def _families(modules: list[str]) -> dict[str, list[str]]:
    """Give the paths of each repeated module by their common pattern, in order of number."""
    found: dict[str, dict[int, str]] = defaultdict(dict)
    for module in modules:
        parts = module.split("/")
        for depth, part in enumerate(parts):
            counted = COUNTED.match(part)
            if counted:
                base = "/".join((*parts[:depth], counted[1]))
                found[base][int(counted[2])] = "/".join(parts[: depth + 1])
    return {
        base: [path for _, path in sorted(members.items())]
        for base, members in found.items()
        if len(members) >= LEAST
    }


def _chosen(
    graph: ExecutionGraph, families: dict[str, list[str]], pattern: str, what: str
) -> list[str]:
    if pattern:
        matching = {
            base: paths
            for base, paths in families.items()
            if any(fnmatchcase(path.rsplit("/", 1)[-1], pattern) for path in paths)
            or fnmatchcase(base, pattern)
        }
        if not matching:
            raise UsageError(
                f"{what}: no repeated module matches {pattern!r}",
                remedy=f"there are {', '.join(sorted(families))}",
            )
        families = matching
    time: Counter[str] = Counter()
    path_time = np.bincount(
        graph.nodes.module + 1,
        weights=graph.nodes.duration_ns + 1.0,
        minlength=len(graph.names) + 1,
    )[1:]
    family = {path: base for base, paths in families.items() for path in paths}
    for index in np.flatnonzero(path_time).tolist():
        above = {family[path] for path in _upwards(graph.names[index]) if path in family}
        for base in above:
            time[base] += path_time[index]
    # the outermost of families that hold the same time
    best = max(families, key=lambda base: (time[base], -len(base)))
    return families[best]


def counted(path: str) -> tuple[str, int, str]:
    """Part `Net_0/Block_3` into `Net_0/Block_`, 3 and what stands behind."""
    head, _, last = path.rpartition("/")
    found = COUNTED.match(last)
    assert found is not None  # paths of layers are counted
    return (f"{head}/" if head else "") + found[1], int(found[2]), found[3]


def _layer(module: str, layer_of: Mapping[str, int]) -> int:
    """Give the first layer that a module path is, or lies in; NONE for none."""
    found = [layer_of[above] for above in _upwards(module) if above in layer_of]
    return min(found, default=NONE)


def _upwards(module: str) -> Iterator[str]:
    """Give a path and all that it lies in."""
    while module:
        yield module
        module = module.rpartition("/")[0]


def _assigned(graph: ExecutionGraph, paths: list[str]) -> Layers:
    nodes = graph.nodes
    layers = {path: layer for layer, path in enumerate(paths)}
    layer_of_name = np.array([*(_layer(name, layers) for name in graph.names), NONE])
    of_row = layer_of_name[nodes.module].astype(np.int64)
    backward = in_phase(graph, BACKWARD)
    of_row[in_phase(graph, OPTIMIZER)] = NONE
    device = graph.on_device()
    of_row = _carried_on(graph, of_row, backward, np.flatnonzero(~device))
    launched = device & (nodes.parent >= 0) & (nodes.category != Category.COLLECTIVE)
    parent = nodes.parent[launched]
    of_row[launched] = of_row[parent]
    backward = backward.copy()
    backward[launched] = backward[parent]
    return Layers.of(paths, of_row, backward)


def _carried_on(graph: ExecutionGraph, of_row: Int64s, backward: Mask, host: Int64s) -> Int64s:
    """Give backward rows without a module the layer of the last one that has, on their thread."""
    bare = backward & (graph.nodes.module == NONE)
    order = host[grouped(graph.nodes.lane[host])]
    lane = graph.nodes.lane[order]
    begins = np.append(True, lane[1:] != lane[:-1])[: len(order)]
    tells = np.where(begins | ~bare[order], np.arange(len(order)), 0)
    told_by = order[np.maximum.accumulate(tells)]
    fits = bare[order] & backward[told_by] & ~bare[told_by]
    carried = of_row.copy()
    carried[order[fits]] = of_row[told_by[fits]]
    return carried
