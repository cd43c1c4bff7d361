"""Changes of operators and kernels by name: scale, remove, fuse."""

from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatchcase

import numpy as np

from ..errors import NeedsRecordingError, UsageError
from ..graph import NONE, Category, ExecutionGraph, Int64s
from ..memory.effect import unchanged
from .edit import Mask, scaled, without
from .lanes import before_on_lane, grouped
from .recost import has_device
from .registry import Parameter, Transform, Value, factor, register
from .scenario import Scenario


def named(graph: ExecutionGraph, pattern: str) -> Mask:
    """Tell which device rows (host rows, in a run without a device) a pattern names, (nodes,).

    By the row's own name or its operator's.

    Raises:
        UsageError: no row is called so.
    """
    by_name = np.array([fnmatchcase(name, pattern) for name in graph.names], dtype=bool)
    by_operator = np.array(
        [*(fnmatchcase(op.name, pattern) for op in graph.operators), False], dtype=bool
    )
    found: Mask = by_name[graph.nodes.name] | by_operator[graph.nodes.operator]
    on_device = graph.on_device()
    if (found & on_device).any():
        found &= on_device
    if not found.any():
        raise UsageError(f"no row is called {pattern!r}", remedy="see the operators in predict")
    return found


def launches_of(graph: ExecutionGraph, rows: Mask) -> Mask:
    """Tell which launch calls serve only the given device rows, shape (nodes,)."""
    parent = graph.nodes.parent
    on_device = graph.on_device()
    launched = parent[on_device & (parent != NONE)]
    served = np.bincount(launched, minlength=len(graph))
    going = np.bincount(parent[rows & on_device & (parent != NONE)], minlength=len(graph))
    idle: Mask = (going > 0) & (going == served) & (graph.nodes.category == Category.LAUNCH)
    return idle


def _scale(scenario: Scenario, values: Mapping[str, Value]) -> Scenario:
    rows = named(scenario.graph, str(values["name"]))
    times = factor(values, "factor", "scale")
    return scenario if times == 1 else scenario.with_graph(scaled(scenario.graph, rows, times))


def _remove(scenario: Scenario, values: Mapping[str, Value]) -> Scenario:
    graph = scenario.graph
    rows = named(graph, str(values["name"]))
    return scenario.with_graph(without(graph, rows | launches_of(graph, rows)))


def _fuse(scenario: Scenario, values: Mapping[str, Value]) -> Scenario:
    """Runs of neighbours on a stream become their first; inner traffic is saved."""
    graph = scenario.graph
    if not has_device(graph):
        raise NeedsRecordingError(
            "fuse needs device work", remedy="record on a GPU, or ask for one with --hw"
        )
    rows = named(graph, str(values["name"]))
    first_of = _runs(graph, rows)
    later = rows.copy()
    later[np.unique(first_of[rows])] = False
    duration = graph.nodes.duration_ns.astype(np.float64)
    joined = np.zeros(len(graph))
    np.add.at(joined, first_of[rows], duration[rows])
    length = np.bincount(first_of[rows], minlength=len(graph))
    keep = rows & ~later
    # n memory-bound kernels read and write n times; fused, they read once and write once
    saved = np.where(length > 0, joined / np.maximum(length, 1), 0.0)
    fused = np.where(keep, np.maximum(saved, duration), duration)
    nodes = replace(graph.nodes, duration_ns=np.rint(fused).astype(np.int64))
    graph = replace(graph, nodes=nodes)
    return scenario.with_graph(without(graph, later | launches_of(graph, later)))


def _runs(graph: ExecutionGraph, rows: Mask) -> Int64s:
    """Give for each chosen row the first row of its run of neighbours on its lane."""
    first = np.arange(len(graph), dtype=np.int64)
    device = np.flatnonzero(graph.on_device())
    lane = graph.nodes.lane[device]
    before = before_on_lane(lane)
    chosen = rows[device]
    continues = chosen & (before != NONE) & chosen[before]
    order = grouped(lane)
    begins = np.where(continues[order], 0, np.arange(len(order)))
    first[device[order]] = device[order[np.maximum.accumulate(begins)]]
    return first


register(
    Transform(
        name="scale",
        about="An operator or kernel that is faster or slower by a factor.",
        edit="Multiplies the durations of the rows that a pattern names.",
        assumes="nothing else changes",
        needs="",
        parameters=(
            Parameter("name", "pattern of operator or kernel names", is_text=True),
            Parameter("factor", "0.5 is twice as fast"),
        ),
        apply=_scale,
        memory=unchanged("only times change"),
    )
)
register(
    Transform(
        name="remove",
        about="Do without an operator or kernel.",
        edit="Removes the rows that a pattern names and launches that serve them alone; what "
        "waited for them waits for what they waited for.",
        assumes="the host work around them stays",
        needs="",
        parameters=(Parameter("name", "pattern of operator or kernel names", is_text=True),),
        apply=_remove,
        memory=unchanged("what the operator made may go, which is not followed"),
    )
)
register(
    Transform(
        name="fuse",
        about="Fuse neighbouring kernels of a stream into one.",
        edit="Keeps the first of each run of named kernels on a stream, removes the others with "
        "their launches; the kept one takes the mean of the run, at least its own time.",
        assumes="the kernels are bound by memory and of like size, so that a run reads and writes "
        "once what it did n times",
        needs="device work",
        parameters=(Parameter("name", "pattern of operator or kernel names", is_text=True),),
        apply=_fuse,
        memory=unchanged("what lay between the kernels may go, which is not followed"),
    )
)
