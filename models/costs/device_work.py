"""What the rows of a device do: kernels by their operator or their name, copies by path and size.

graph --unique (operator, name, size)--> work, once each
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..graph import NONE, Category, ExecutionGraph, Int32s, Int64s
from .kernel_rules import KernelRules
from .work import work_of
from .work_values import Unit, Work, WorkClass
from .works import Works

DEVICE_CATEGORIES = (Category.KERNEL, Category.MEMCPY, Category.MEMSET)
Float64s = NDArray[np.float64]


def device_rows(graph: ExecutionGraph) -> Int64s:
    """Give the rows that a device executes."""
    return np.flatnonzero(np.isin(graph.nodes.category, DEVICE_CATEGORIES))


def unmeasured(graph: ExecutionGraph) -> NDArray[np.bool_]:
    """Tell which device rows have no measured time, shape (nodes,)."""
    device = np.isin(graph.nodes.category, DEVICE_CATEGORIES)
    return device & ((graph.nodes.duration_ns <= 0) | (not graph.meta.has_times))


@dataclass(frozen=True, slots=True, eq=False)
class DeviceWork:
    """The device rows with what each does: `kind` points into `works`."""

    rows: Int64s
    name: Int32s
    kind: Int64s
    works: Works
    by_name: NDArray[np.bool_]  # (works,): only the kernel's name is known
    measured_ns: Float64s  # (rows,) own time
    together_ns: Float64s  # (rows,) of all kernels of the same operator call


def understood(graph: ExecutionGraph, rows: Int64s, rules: KernelRules) -> DeviceWork:
    """Find each distinct (operator, name, bytes) once and what it does."""
    nodes = graph.nodes
    copies = nodes.category[rows] != Category.KERNEL
    moved = np.where(copies, nodes.bytes[rows], -1)
    sizes, size = np.unique(moved, return_inverse=True)
    # one number a distinct (size, operator, name): sorting numbers is ten times faster than rows
    key = (size.reshape(-1) * (len(graph.operators) + 1) + nodes.operator[rows] + 1) * len(
        graph.names
    ) + nodes.name[rows]
    _, first, kind = np.unique(key, return_index=True, return_inverse=True)
    works, by_name = [], []
    for place in first.tolist():
        operator, name = int(nodes.operator[rows[place]]), int(nodes.name[rows[place]])
        copied = int(sizes[size.reshape(-1)[place]])
        work = _work(graph, operator, graph.names[name], copied, rules)
        by_name.append(work is None)
        works.append(work or _work_by_name(graph.names[name], rules, alone=operator == NONE))
    measured = nodes.duration_ns[rows].astype(np.float64)
    return DeviceWork(
        rows, nodes.name[rows], kind.reshape(-1), Works(works), np.array(by_name, dtype=bool),
        measured, _together(graph, rows, measured),
    )  # fmt: skip


def _together(graph: ExecutionGraph, rows: Int64s, measured: Float64s) -> Float64s:
    """Give each row the time of all device rows that the same call of its operator launched."""
    parent, operator = graph.nodes.parent[rows], graph.nodes.operator[rows]
    owned = (parent != NONE) & (operator != NONE)
    owned &= graph.nodes.operator[np.where(owned, parent, 0)] == operator
    sums = np.bincount(parent[owned], weights=measured[owned], minlength=len(graph))
    together = measured.copy()
    together[owned] = sums[parent[owned]]
    return together


def _work(
    graph: ExecutionGraph, operator: int, name: str, copied: int, rules: KernelRules
) -> Work | None:
    """Give what a row does, None where only its kernel's name can tell."""
    if copied > 0:
        return _copy_work(name.lower(), copied)
    if operator == NONE:
        return None
    work = work_of(graph.operators[operator])
    if work.work_class is WorkClass.FREE:
        return None
    if work.unit is Unit.MATRIX and work.dtype == "fp32" and rules.runs_reduced(name):
        return replace(work, dtype="tf32")
    return work


def _copy_work(name: str, copied: int) -> Work:
    """Give the work of a memcpy or memset: over the host link, or in memory."""
    if unit := _path(name):
        return Work(WorkClass.COPY, unit, "int8", 0, bytes_read=copied)
    read = 0 if "memset" in name else copied
    return Work(WorkClass.COPY, Unit.MEMORY, "int8", 0, bytes_read=read, bytes_written=copied)


def _work_by_name(name: str, rules: KernelRules, *, alone: bool) -> Work:
    """Judge a kernel by its name.

    Without even an operator it comes from a graph, as in serving, where products of few rows are
    as often bound by memory; names of such kernels tell, else it counts as in between.
    """
    work_class = rules.work_class(name) or WorkClass.OTHER
    compute = {WorkClass.MATMUL, WorkClass.CONVOLUTION, WorkClass.PREFILL}
    unit = Unit.MATRIX if work_class in compute else Unit.MEMORY
    if unit is Unit.MATRIX and rules.has_few_rows(name):
        unit = Unit.MEMORY
    elif alone and work_class is WorkClass.MATMUL:
        unit = Unit.MIXED
    return Work(work_class, _path(name.lower()) or unit, rules.dtype(name))


def _path(name: str) -> Unit | None:
    """Tell which way a copy between host and device goes, None for other rows."""
    if "htod" not in name and "dtoh" not in name:
        return None
    return Unit.HOST if "pageable" in name else Unit.LINK
