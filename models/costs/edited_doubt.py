"""Doubt about rows that a what-if re-costed or put in, on the recording's own machine.

Nothing is priced there but what was never measured, yet a duration that a model scaled (SCALED) or
made (ROOFLINE) is no measurement: it keeps its time and gets the spread of its class.
"""

import numpy as np

from ..graph import NONE, ExecutionGraph, Provenance
from .likeness import Likeness
from .link_prices import COLLECTIVE_SPREAD, LINK_CATEGORIES
from .row_prices import RowPrices
from .spreads import carried_spread, model_spread
from .work import work_of

LINK_CLASS = "collective"
MADE = (Provenance.SCALED, Provenance.ROOFLINE)


def doubt_edited(graph: ExecutionGraph, prices: RowPrices) -> None:
    """Set origin, class and spread of rows whose time a what-if made."""
    nodes = graph.nodes
    edited = np.isin(nodes.provenance, MADE) & (nodes.duration_ns > 0) & (prices.spread == 0)
    if not edited.any():
        return
    prices.provenance[edited] = nodes.provenance[edited]
    sent = edited & np.isin(nodes.category, LINK_CATEGORIES)
    if sent.any():
        prices.doubt(np.flatnonzero(sent), LINK_CLASS, COLLECTIVE_SPREAD)
    rows = np.flatnonzero(edited & ~sent & (nodes.operator != NONE))
    if not len(rows):
        return
    unique, kind = np.unique(nodes.operator[rows], return_inverse=True)
    classes = [work_of(graph.operators[index]).work_class for index in unique.tolist()]
    scaled = [carried_spread(each, Likeness.VENDOR, by_name=False) for each in classes]
    made = [model_spread(each) for each in classes]
    spread = np.where(
        nodes.provenance[rows] == Provenance.SCALED, np.array(scaled)[kind], np.array(made)[kind]
    )
    indices = np.array([prices.class_index(str(each)) for each in classes], dtype=np.int32)
    prices.cost_class[rows], prices.spread[rows] = indices[kind], spread
