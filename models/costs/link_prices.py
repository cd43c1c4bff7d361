"""Transfers between devices on another machine: the measured transfer times a ratio of models."""

import numpy as np
from numpy.typing import NDArray

from ..graph import NONE, Category, Collective, ExecutionGraph, Int64s, Provenance
from ..hardware import Hardware
from .bound import Bound
from .collectives import canonical_kind, transfer_ns
from .row_prices import RowPrices

LINK_CATEGORIES = (Category.COLLECTIVE, Category.SEND, Category.RECV)
COLLECTIVE_SPREAD = 0.25
UNKNOWN_SPREAD = 0.5
UNKNOWN_MESSAGE_BYTES = 1 << 20


def price_link_rows(
    graph: ExecutionGraph, source: Hardware | None, target: Hardware, prices: RowPrices
) -> None:
    """Price collectives, sends and receives, each kind of message once."""
    rows = np.flatnonzero(np.isin(graph.nodes.category, LINK_CATEGORIES))
    unpriced = 0
    for chosen, message in _messages(graph, rows):
        modelled = _modelled(message, source), _modelled(message, target)
        unpriced += _put(graph, chosen, modelled, prices)
    if unpriced:
        prices.warnings.append(
            f"{unpriced} transfers between devices stay as measured: source or target states no "
            "link that joins so many devices"
        )


def never_sent(graph: ExecutionGraph) -> NDArray[np.bool_]:
    """Tell which transfers a what-if put into the graph, shape (nodes,): nobody measured them."""
    nodes = graph.nodes
    inserted = (nodes.duration_ns <= 0) & (nodes.provenance == Provenance.ROOFLINE)
    wanted: NDArray[np.bool_] = inserted & np.isin(nodes.category, LINK_CATEGORIES)
    return wanted


def price_never_sent(graph: ExecutionGraph, target: Hardware, prices: RowPrices) -> None:
    """Price only those, on the recording's own machine: what was measured stays."""
    for chosen, message in _messages(graph, np.flatnonzero(never_sent(graph))):
        _put(graph, chosen, (None, _modelled(message, target)), prices)


def _messages(graph: ExecutionGraph, rows: Int64s) -> list[tuple[Int64s, Collective]]:
    """Part the rows by message; a row without one is judged by its name."""
    kinds = graph.nodes.collective[rows].astype(np.int64)
    nameless = kinds == NONE
    kinds[nameless] = len(graph.collectives) + graph.nodes.name[rows[nameless]]
    parts = []
    for kind in np.unique(kinds).tolist():
        if kind < len(graph.collectives):
            message = graph.collectives[kind]
        else:
            name = graph.names[kind - len(graph.collectives)]
            message = Collective(name, message_bytes=UNKNOWN_MESSAGE_BYTES)
        if len(message.ranks) < 2:
            ranks = tuple(range(max(2, graph.meta.world_size)))
            message = Collective(
                message.kind, message.group, ranks, message.dtype, message.message_bytes
            )
        parts.append((rows[kinds == kind], message))
    return parts


def _modelled(message: Collective, hardware: Hardware | None) -> float | None:
    if hardware is None:
        return None
    kind = canonical_kind(message.kind)
    ranks = 2 if kind == "send_recv" else len(message.ranks)
    return transfer_ns(hardware, kind, message.message_bytes, ranks)


def _put(
    graph: ExecutionGraph,
    rows: Int64s,
    modelled: tuple[float | None, float | None],
    prices: RowPrices,
) -> int:
    """Set the rows' prices; give how many could not be priced."""
    at_source, at_target = modelled
    measured = graph.nodes.duration_ns[rows].astype(np.float64)
    if at_target is None:
        prices.doubt(rows, "collective", UNKNOWN_SPREAD)
        return len(rows)
    unmeasured = measured <= 0
    prices.put(
        rows[unmeasured], np.full(int(unmeasured.sum()), at_target), Provenance.ROOFLINE,
        Bound.COMMUNICATION,
    )  # fmt: skip
    prices.doubt(rows, "collective", COLLECTIVE_SPREAD)
    if at_source is None:
        return int(np.sum(~unmeasured))
    scaled = measured[~unmeasured] * (at_target / at_source)
    prices.put(rows[~unmeasured], scaled, Provenance.SCALED, Bound.COMMUNICATION)
    return 0
