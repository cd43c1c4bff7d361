"""Fill the work columns of a graph: FLOPs and bytes, each operator's counted once.

A device operator may launch several kernels; its work stands on the longest of them. In a run
without a device it stands on the operators that a device would execute.
"""

from dataclasses import replace

import numpy as np

from .costs.work import work_of
from .costs.work_values import WorkClass
from .graph import NONE, Category, ExecutionGraph, Int64s
from .offload import device_bound


def with_work(graph: ExecutionGraph) -> ExecutionGraph:
    """Give the graph with `flops` and `bytes` set where its operators' shapes tell them."""
    rows = _kernels(graph) if graph.on_device().any() else np.flatnonzero(device_bound(graph))
    operator = graph.nodes.operator[rows]
    works = [work_of(op) for op in graph.operators]
    known = [work.work_class is not WorkClass.FREE for work in works]
    flops = np.array([work.flops for work in works], dtype=np.int64) * known
    moved = np.array([w.bytes_read + w.bytes_written for w in works], dtype=np.int64) * known
    new_flops, new_bytes = graph.nodes.flops.copy(), graph.nodes.bytes.copy()
    new_flops[rows] = flops[operator]
    new_bytes[rows] = np.maximum(new_bytes[rows], moved[operator])
    return replace(graph, nodes=replace(graph.nodes, flops=new_flops, bytes=new_bytes))


def _kernels(graph: ExecutionGraph) -> Int64s:
    """Give for each operator call the longest of its kernels."""
    nodes = graph.nodes
    rows = np.flatnonzero((nodes.category == Category.KERNEL) & (nodes.operator != NONE))
    call = _call_of(graph, rows)
    order = np.lexsort((rows, -nodes.duration_ns[rows], call))
    first = np.append(True, call[order][1:] != call[order][:-1]) if len(rows) else np.empty(0, bool)
    return np.sort(rows[order][first])


def _call_of(graph: ExecutionGraph, rows: Int64s) -> Int64s:
    """Give the operator row above each kernel's launch, the launch itself where none is."""
    launch = graph.nodes.parent[rows].astype(np.int64)
    above = np.where(launch >= 0, graph.nodes.parent[launch], NONE).astype(np.int64)
    call = np.where(above >= 0, above, launch)
    return np.where(call >= 0, call, -2 - rows)
