"""Operators that a CPU executes itself, on another CPU: by host speed and by roofline."""

import numpy as np

from ..graph import NONE, Category, ExecutionGraph, Provenance
from ..hardware import DeviceKind, Hardware
from .device_model import estimate, floor_ns
from .row_prices import RowPrices
from .work import work_of
from .work_values import WorkClass

CPU_SPREAD = 0.3


def price_cpu_operators(
    graph: ExecutionGraph, source: Hardware | None, target: Hardware, prices: RowPrices
) -> None:
    """Price the operators of a CPU-only run for another CPU; other rows are left alone."""
    if source is None or not _both_cpus(source, target):
        return
    nodes = graph.nodes
    rows = np.flatnonzero((nodes.category == Category.HOST) & (nodes.operator != NONE))
    unique, kind = np.unique(nodes.operator[rows], return_inverse=True)
    works = [work_of(graph.operators[operator]) for operator in unique.tolist()]
    if not works:
        return
    working = np.array([work.work_class is not WorkClass.FREE for work in works])[kind]
    ratio = estimate(target, works).time_ns / estimate(source, works).time_ns
    rows, kind = rows[working], kind[working]
    measured = nodes.duration_ns[rows].astype(np.float64)
    speed = source.host.relative_speed / target.host.relative_speed
    overhead = np.minimum(measured, floor_ns(source))
    prices.duration_ns[rows] = np.rint(
        overhead * speed + (measured - overhead) * ratio[kind]
    ).astype(np.int64)
    prices.provenance[rows] = Provenance.SCALED
    prices.bound[rows] = estimate(target, works).bound[kind]
    prices.doubt(rows, "cpu operator", CPU_SPREAD)


def _both_cpus(source: Hardware, target: Hardware) -> bool:
    return source.device.kind is DeviceKind.CPU and target.device.kind is DeviceKind.CPU
