"""What each operator cost: device time of all it launched, host time of all inside it.

Outermost operators stand for everything below them, so that runs whose libraries call different
things inside (a GPU and an NPU, eager and fused) can still be laid side by side. Device work that
no operator launched stands under its own name.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..models.graph import NONE, Category, Dims, ExecutionGraph, Int64s, LaneKind
from .breakdown.activity import Activity, outermost
from .breakdown.intervals import Flags
from .breakdown.selection import Window

NO_OPERATOR = "(no operator) "


@dataclass(frozen=True, slots=True)
class OperatorKey:
    """By what operators of two runs are the same: name and input shapes."""

    name: str
    shapes: tuple[Dims, ...] = ()


@dataclass(frozen=True, slots=True)
class OperatorTime:
    """One outermost operator of a run.

    Attributes:
        time_ns: what it kept busy: the device, or on a CPU-only rank its thread.
        host_ns: its rows and those inside it on the host.
    """

    key: OperatorKey
    time_ns: int
    host_ns: int


def operator_times(
    activity: Activity, window: Window, steps: Sequence[int] | None = None
) -> list[OperatorTime]:
    """Give the rank's outermost operators in order, then device work without operator.

    Args:
        activity: the rank's counted operations.
        window: device work outside it does not count.
        steps: operators of other steps do not count, unless they have work in the window.
    """
    graph = activity.graph
    top = outermost(graph, _operators(graph) & (graph.nodes.rank == activity.rank))
    host_ns = _host_times(activity, top)
    inside = activity.where(
        (activity.end_ns > window.first_ns) & (activity.start_ns < window.last_ns)
    )
    owner = top[np.where(inside.launch != NONE, inside.launch, inside.row)]
    ran = inside.end_ns - inside.start_ns
    busy = np.zeros(len(graph), dtype=np.int64)
    np.add.at(busy, owner[owner >= 0], ran[owner >= 0])
    rows = np.flatnonzero(top == np.arange(len(graph)))
    if steps is not None:
        rows = rows[np.isin(graph.nodes.step[rows], steps) | np.isin(rows, owner)]
    named = [
        OperatorTime(operator_key(graph, row), int(busy[row]), int(host_ns[row]))
        for row in rows.tolist()
    ]
    alone = owner < 0
    return [*named, *_alone(graph, inside.row[alone], ran[alone])]


def _operators(graph: ExecutionGraph) -> Flags:
    """Tell which rows are operators on the host."""
    on_host = np.array([lane.kind == LaneKind.HOST for lane in graph.lanes], dtype=bool)
    flags: Flags = (graph.nodes.operator != NONE) & on_host[graph.nodes.lane]
    return flags


def _host_times(activity: Activity, top: Int64s) -> Int64s:
    graph = activity.graph
    on_host = (top >= 0) & ~graph.on_device() & (graph.nodes.category != Category.JOIN)
    total = np.zeros(len(graph), dtype=np.int64)
    np.add.at(total, top[on_host], activity.timeline.duration_ns[on_host])
    return total


def operator_key(graph: ExecutionGraph, row: int) -> OperatorKey:
    """Give the key of an operator's row."""
    operator = graph.operators[int(graph.nodes.operator[row])]
    return OperatorKey(operator.name, operator.input_shapes)


def _alone(graph: ExecutionGraph, rows: Int64s, ran_ns: Int64s) -> Sequence[OperatorTime]:
    return [
        OperatorTime(OperatorKey(NO_OPERATOR + graph.name_of(row)), ran, 0)
        for row, ran in zip(rows.tolist(), ran_ns.tolist(), strict=True)
    ]
