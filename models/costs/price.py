"""Prices: how long every row of a graph takes on a target machine, and where that comes from.

Relative first: a row measured on the source is carried over by the ratio of two models. Device
rows by their operator's work (else by their kernel's name), host rows by the hosts' speeds,
collectives by the links. On the source itself every row stays as measured;
what a what-if made there keeps its time, in doubt.
"""

import numpy as np

from ..graph import Category, ExecutionGraph
from ..hardware import Hardware
from .bound import Bound
from .cpu_prices import price_cpu_operators
from .device_prices import price_device_rows, unmeasured
from .edited_doubt import doubt_edited
from .host_prices import HOST_CATEGORIES, price_host_rows, price_lags
from .kernel_rules import KernelRules, default_rules
from .link_prices import LINK_CATEGORIES, never_sent, price_link_rows, price_never_sent
from .priced import Priced
from .row_prices import RowPrices

__all__ = ["Bound", "Priced", "price"]


def price(
    graph: ExecutionGraph,
    source: Hardware | None,
    target: Hardware,
    *,
    rules: KernelRules | None = None,
) -> Priced:
    """Price a graph recorded on `source` (None: unknown) for `target`."""
    prices = RowPrices.as_measured(graph)
    _name_bounds(graph, prices)
    same = source is not None and source.name == target.name
    if same and not np.any(unmeasured(graph) | never_sent(graph)):
        doubt_edited(graph, prices)
        return prices.finished(graph.edge_lag_ns)
    known_rules = rules or default_rules()
    if same:  # only what was never measured is priced, from the model alone
        price_device_rows(graph, source, target, prices, known_rules)
        price_never_sent(graph, target, prices)
        doubt_edited(graph, prices)
        return prices.finished(graph.edge_lag_ns)
    price_host_rows(graph, source, target, prices)
    price_cpu_operators(graph, source, target, prices)
    price_device_rows(graph, source, target, prices, known_rules)
    price_link_rows(graph, source, target, prices)
    return prices.finished(price_lags(graph, source, target))


def _name_bounds(graph: ExecutionGraph, prices: RowPrices) -> None:
    """Give each row the bound that its category alone tells."""
    bounds = np.full(len(Category), Bound.NONE, dtype=np.uint8)
    for category in HOST_CATEGORIES:
        bounds[category] = Bound.HOST
    for category in LINK_CATEGORIES:
        bounds[category] = Bound.COMMUNICATION
    bounds[[Category.KERNEL, Category.MEMCPY, Category.MEMSET]] = Bound.MEMORY
    prices.bound[:] = bounds[graph.nodes.category]
