"""Pictures of the dependency graph: what to draw, where it stands, and the files that show it.

    graph > select (which rows) > levels, collapse (which rows share a box) > compose (a picture)
    picture > place, route, band, sheet (a drawing) > pdf, svg
    picture > dot, graphml

A picture knows no place on the page; a drawing knows nothing else.
"""

from .compose import Wish, compose
from .files import Form, Layout, Rendered, form_of, render
from .levels import Detail
from .picture import Picture
from .select import Selection, around, edges_within, everything, of_step

__all__ = [
    "Detail",
    "Form",
    "Layout",
    "Picture",
    "Rendered",
    "Selection",
    "Wish",
    "around",
    "compose",
    "edges_within",
    "everything",
    "form_of",
    "of_step",
    "render",
]
