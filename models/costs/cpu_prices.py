"""Operators that a CPU executes itself, on another CPU: by host speed and by roofline."""

import numpy as np

from ..graph import NONE, Category, ExecutionGraph, Provenance
from ..hardware import DeviceKind, Hardware
from .bound import Bound
from .device_model import estimate, floor_ns
from .row_prices import RowPrices
from .terms import Lines, Term
from .work import work_of
from .work_values import Work, WorkClass

CPU_SPREAD = 0.3


def price_cpu_operators(
    graph: ExecutionGraph, source: Hardware | None, target: Hardware, prices: RowPrices
) -> None:
    """Price the operators of a CPU-only run for another CPU; other rows are left alone."""
    for term, works in _understood(graph, source, target):
        prices.put(term.rows, term.cost_ns(term.lines(target)), Provenance.SCALED, Bound.MEMORY)
        bound = estimate(target, works).bound
        prices.bound[term.rows] = bound[term.line % len(works)]
        prices.doubt(term.rows, "cpu operator", CPU_SPREAD)


def cpu_terms(graph: ExecutionGraph, source: Hardware | None, target: Hardware) -> list[Term]:
    """Scale what an operator does by its model, what lies below the floor by the hosts' speeds."""
    return [term for term, _ in _understood(graph, source, target)]


def _understood(
    graph: ExecutionGraph, source: Hardware | None, target: Hardware
) -> list[tuple[Term, list[Work]]]:
    """Give the term of the working operators and what they do; none where this is not asked."""
    if source is None or not _both_cpus(source, target):
        return []
    nodes = graph.nodes
    rows = np.flatnonzero((nodes.category == Category.HOST) & (nodes.operator != NONE))
    unique, kind = np.unique(nodes.operator[rows], return_inverse=True)
    works = [work_of(graph.operators[operator]) for operator in unique.tolist()]
    if not works:
        return []
    working = np.array([work.work_class is not WorkClass.FREE for work in works])[kind]
    rows, kind = rows[working], kind[working]
    measured = nodes.duration_ns[rows].astype(np.float64)
    floor, at_source = floor_ns(source), estimate(source, works).time_ns
    short = measured <= floor

    def lines(target: Hardware) -> Lines:
        """Give a line of each kind for its operators above the floor, then one for those below."""
        speed = source.host.relative_speed / target.host.relative_speed
        ratio = estimate(target, works).time_ns / at_source
        below = np.full(len(works), speed)
        return Lines(np.concatenate((ratio, below)), np.repeat((floor * speed, 0.0), len(works)))

    work = np.where(short, measured, measured - floor)
    return [(Term(rows, work, kind + len(works) * short, lines), works)]


def _both_cpus(source: Hardware, target: Hardware) -> bool:
    return source.device.kind is DeviceKind.CPU and target.device.kind is DeviceKind.CPU
