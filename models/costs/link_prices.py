"""Transfers between devices on another machine: the measured transfer times a ratio of models."""

import numpy as np
from numpy.typing import NDArray

from ..graph import NONE, Category, Collective, ExecutionGraph, Int64s, Provenance
from ..hardware import Hardware
from .bound import Bound
from .collectives import canonical_kind, transfer_ns
from .row_prices import RowPrices
from .terms import Lines, Term

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
        term = _term(graph, chosen, message, modelled[0])
        unpriced += _put(term, term.lines(target), modelled, prices)
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
        term = _term(graph, chosen, message, None)
        _put(term, term.lines(target), (None, _modelled(message, target)), prices)


def link_terms(graph: ExecutionGraph, source: Hardware | None) -> list[Term]:
    """Scale transfers by the ratio of models; one that was never measured takes the model's."""
    rows = np.flatnonzero(np.isin(graph.nodes.category, LINK_CATEGORIES))
    return [
        _term(graph, chosen, message, _modelled(message, source))
        for chosen, message in _messages(graph, rows)
    ]


def never_sent_terms(graph: ExecutionGraph) -> list[Term]:
    """Take the model's time for transfers that a what-if put in; the others stay."""
    rows = np.flatnonzero(never_sent(graph))
    return [_term(graph, chosen, message, None) for chosen, message in _messages(graph, rows)]


_MEASURED, _NEVER_MEASURED = 0, 1  # the lines of a message


def _term(
    graph: ExecutionGraph, rows: Int64s, message: Collective, at_source: float | None
) -> Term:
    measured = graph.nodes.duration_ns[rows].astype(np.float64)
    absent = measured <= 0

    def lines(target: Hardware) -> Lines:
        at_target = _modelled(message, target)
        if at_target is None:
            return Lines.rates(np.array([1.0, 0.0]))
        ratio = 1.0 if at_source is None else at_target / at_source
        return Lines.rates(np.array([ratio, at_target]))

    line = np.where(absent, _NEVER_MEASURED, _MEASURED)
    return Term(rows, np.where(absent, 1.0, measured), line, lines)


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
    term: Term, lines: Lines, modelled: tuple[float | None, float | None], prices: RowPrices
) -> int:
    """Set the rows' prices; give how many could not be priced."""
    at_source, at_target = modelled
    rows, cost = term.rows, term.cost_ns(lines)
    if at_target is None:
        prices.doubt(rows, "collective", UNKNOWN_SPREAD)
        return len(rows)
    unmeasured = term.line == _NEVER_MEASURED
    prices.put(rows[unmeasured], cost[unmeasured], Provenance.ROOFLINE, Bound.COMMUNICATION)
    prices.doubt(rows, "collective", COLLECTIVE_SPREAD)
    if at_source is None:
        return int(np.sum(~unmeasured))
    prices.put(rows[~unmeasured], cost[~unmeasured], Provenance.SCALED, Bound.COMMUNICATION)
    return 0
