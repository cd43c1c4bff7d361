"""Host time on another machine: by the hosts' speeds and launch costs, never by a GPU ratio."""

import numpy as np
from numpy.typing import NDArray

from ..graph import HOST_TIME_EDGES, Category, EdgeKind, ExecutionGraph, Int64s, Provenance
from ..hardware import DeviceKind, Hardware
from .bound import Bound
from .row_prices import RowPrices
from .terms import Lines, Term

HOST_CATEGORIES = (Category.HOST, Category.LAUNCH, Category.ANNOTATION, Category.SYNC)
_BY_LATENCY = (EdgeKind.LAUNCH, EdgeKind.SYNC)
_BY_GAP = (EdgeKind.STREAM_ORDER, EdgeKind.STREAM_WAIT)

# Two hosts of one model differ so much in practice (clock governors, NUMA, load): one sigma of
# the logarithm; a host whose speed nobody stated is more uncertain.
SAME_SPEED_SPREAD = 0.05
STATED_SPREAD = 0.10
DEFAULTED_SPREAD = 0.20


def speed_ratio(source: Hardware | None, target: Hardware) -> float:
    """Give time on the target's host over time on the source's: work / speed each."""
    if source is None:
        return 1.0
    return source.host.relative_speed / target.host.relative_speed


def launch_ratio(source: Hardware | None, target: Hardware) -> float:
    """Give the ratio of launch call costs; by speed where one of them launches nothing."""
    if source is None or not source.host.launch_cost_ns or not target.host.launch_cost_ns:
        return speed_ratio(source, target)
    return target.host.launch_cost_ns / source.host.launch_cost_ns


def host_spread(source: Hardware | None, target: Hardware) -> float:
    """Give the doubt about host time on the target."""
    if "host.relative_speed" in target.defaulted:
        return DEFAULTED_SPREAD
    return SAME_SPEED_SPREAD if speed_ratio(source, target) == 1.0 else STATED_SPREAD


def host_terms(graph: ExecutionGraph, source: Hardware | None) -> list[Term]:
    """Scale the rows of host threads: launch calls by their cost, the others by speed."""
    category = graph.nodes.category
    rows = np.flatnonzero(np.isin(category, HOST_CATEGORIES))
    measured = graph.nodes.duration_ns[rows].astype(np.float64)
    launches = (category[rows] == Category.LAUNCH).astype(np.int64)

    def lines(target: Hardware) -> Lines:
        return Lines.rates(np.array([speed_ratio(source, target), launch_ratio(source, target)]))

    return [Term(rows, measured, launches, lines)]


def price_host_rows(
    graph: ExecutionGraph, source: Hardware | None, target: Hardware, prices: RowPrices
) -> None:
    """Scale the rows of host threads."""
    for term in host_terms(graph, source):
        prices.put(term.rows, term.cost_ns(term.lines(target)), Provenance.SCALED, Bound.HOST)
        prices.doubt(term.rows, "host", host_spread(source, target))
    if source is None:
        prices.warnings.append("the recording's machine is unknown: host time is kept as measured")
    elif {"host.relative_speed"} & (source.defaulted | target.defaulted):
        prices.warnings.append(
            "no host speed is stated for source or target: both count as the reference host"
        )


def _ratio(source_ns: int, target_ns: int) -> float:
    return target_ns / source_ns if source_ns > 0 else 1.0


def price_lags(graph: ExecutionGraph, source: Hardware | None, target: Hardware) -> Int64s:
    """Give the lags on the target, shape (edges,); external work stays as measured."""
    ratios = lag_ratios(source, target)
    return np.rint(graph.edge_lag_ns * ratios[graph.edge_kind]).astype(np.int64)


def lag_ratios(source: Hardware | None, target: Hardware) -> NDArray[np.float64]:
    """Give what lags of each kind are multiplied by, shape (kinds,)."""
    ratios = np.ones(len(EdgeKind))
    ratios[list(HOST_TIME_EDGES)] = speed_ratio(source, target)
    if source is not None and source.device.kind is not DeviceKind.CPU:
        a, b = source.device, target.device
        ratios[list(_BY_LATENCY)] = _ratio(a.launch_latency_ns, b.launch_latency_ns)
        ratios[list(_BY_GAP)] = _ratio(a.kernel_gap_ns, b.kernel_gap_ns)
    return ratios
