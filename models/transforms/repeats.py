"""Find the repeated modules of a model, and which rows belong to each.

    Net_0/Block_0, Net_0/Block_1, ...     same parent, same class, counted: one layer each

A backward row without a module (AccumulateGrad among them) belongs to the layer before it on its
thread; device rows carry their launch's module.
"""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np

from ..errors import NeedsRecordingError, UsageError
from ..graph import NONE, Category, ExecutionGraph, Int64s
from .training import BACKWARD, OPTIMIZER, Iteration, in_phase

# a trailing sign keeps a range from being taken for a step: record_function("layer_0:")
COUNTED = re.compile(r"^(.*?[_.]?)(\d+)(\W*)$")
LEAST = 2


@dataclass(frozen=True, slots=True, eq=False)
class Layers:
    """The repeated modules in order; `of_row` gives a row's layer, NONE for the rest, (nodes,)."""

    paths: tuple[str, ...]
    of_row: Int64s
    backward: np.ndarray[tuple[int], np.dtype[np.bool_]]

    def rows(self, layer: int, within: Iteration, *, backward: bool) -> Int64s:
        """Give the rows of a layer's forward or backward in an iteration."""
        rows = np.arange(within.first, within.last + 1)
        mine: Int64s = rows[(self.of_row[rows] == layer) & (self.backward[rows] == backward)]
        return mine


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
            "each layer: 'layer_0:', 'layer_1:', ...",
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
    for base, paths in families.items():
        for index in np.flatnonzero(path_time).tolist():
            if any(_inside(graph.names[index], path) for path in paths):
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


def _inside(module: str, path: str) -> bool:
    return module == path or module.startswith(f"{path}/")


def _assigned(graph: ExecutionGraph, paths: list[str]) -> Layers:
    nodes = graph.nodes
    layer_of_name = np.array(
        [
            *(
                next((k for k, path in enumerate(paths) if _inside(name, path)), NONE)
                for name in graph.names
            ),
            NONE,
        ]
    )
    of_row = layer_of_name[nodes.module].astype(np.int64)
    backward = in_phase(graph, BACKWARD)
    optimizer = in_phase(graph, OPTIMIZER)
    of_row[optimizer] = NONE
    last: dict[int, int] = {}
    modules, lanes, device = nodes.module.tolist(), nodes.lane.tolist(), graph.on_device()
    for row in np.flatnonzero(~device).tolist():
        if not backward[row]:
            last.pop(lanes[row], None)
        elif modules[row] != NONE:
            last[lanes[row]] = int(of_row[row])
        elif lanes[row] in last:
            of_row[row] = last[lanes[row]]
    launched = device & (nodes.parent >= 0) & (nodes.category != Category.COLLECTIVE)
    parent = nodes.parent[launched]
    of_row[launched] = of_row[parent]
    backward = backward.copy()
    backward[launched] = backward[parent]
    return Layers(tuple(paths), of_row, backward)
