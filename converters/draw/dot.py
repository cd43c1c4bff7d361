"""Write a picture in Graphviz's DOT language; nothing of Graphviz is needed for that."""

from collections.abc import Iterator
from html import escape

from .box_shapes import hint, time_text
from .picture import Arrow, Box, Picture
from .style import BOX_STYLES, LINE_STYLES, STRIP_FILLS, short_name

_LARGEST_INCHES = 200  # a PDF page may be 14,400 points wide


def write_dot(picture: Picture) -> str:
    """Give the DOT text: lanes as clusters, a legend, kinds told apart by colour and line."""
    return "\n".join(["digraph etsim {", *map("  {}".format, _body(picture)), "}", ""])


def _body(picture: Picture) -> Iterator[str]:
    title = [picture.title, picture.subtitle, *picture.remarks]
    yield f"graph [label={_quoted(*title)}, labelloc=t, labeljust=l, fontname=Helvetica,"
    yield f'       newrank=true, compound=true, size="{_LARGEST_INCHES},{_LARGEST_INCHES}"];'
    yield 'node [shape=box, style="filled,rounded", fontname=Helvetica, fontsize=9];'
    yield "edge [fontname=Helvetica, fontsize=8, arrowsize=0.6];"
    for index, strip in enumerate(picture.strips):
        yield f"subgraph cluster_{index} {{"
        yield f'  label={_quoted(strip.label)}; color="#C9CED6";'
        yield f'  bgcolor="{STRIP_FILLS[strip.kind]}";'
        for number, box in enumerate(picture.boxes):
            if box.strip == index:
                yield f"  {_node(number, box, timed=picture.timed)}"
        yield "}"
    yield from map(_edge, picture.arrows)
    yield from _legend(picture)


def _node(index: int, box: Box, *, timed: bool) -> str:
    style = BOX_STYLES[box.category]
    lines = [short_name(box.name), box.detail, time_text(box, timed=timed)]
    label = _quoted(*[line for line in lines if line])
    return (
        f'n{index} [label={label}, fillcolor="{style.fill}", color="{style.border}", '
        f"tooltip={_quoted(hint(box, timed))}];"
    )


def _edge(arrow: Arrow) -> str:
    style = LINE_STYLES[arrow.kind]
    counted = f", label={_quoted(f'×{arrow.count:,}')}" if arrow.count > 1 else ""
    return (
        f'n{arrow.source} -> n{arrow.target} [color="{style.colour}", style={style.dot}, '
        f"penwidth={style.width}, tooltip={_quoted(style.title)}{counted}];"
    )


def _legend(picture: Picture) -> Iterator[str]:
    """Give one node that holds a table of the colours that occur."""
    categories = sorted({box.category for box in picture.boxes})
    kinds = sorted({arrow.kind for arrow in picture.arrows})
    cells = [(BOX_STYLES[category].fill, BOX_STYLES[category].title) for category in categories]
    cells += [
        (LINE_STYLES[kind].colour, f"{LINE_STYLES[kind].title} ({LINE_STYLES[kind].dot})")
        for kind in kinds
    ]
    rows = "".join(
        f'<TR><TD BGCOLOR="{colour}" WIDTH="24"></TD><TD ALIGN="LEFT">{escape(title)}</TD></TR>'
        for colour, title in cells
    )
    yield 'legend [shape=plaintext, style="", label=<'
    yield f'  <TABLE BORDER="0" CELLBORDER="0" CELLSPACING="2">{rows}</TABLE>>];'


def _quoted(*lines: str) -> str:
    """Give lines as a DOT string, each ended so that it stands to the left."""
    told = (line for text in lines for line in text.split("\n"))
    plain = ("".join(char if char.isprintable() else "?" for char in line) for line in told)
    escaped = (line.replace("\\", r"\\").replace('"', r"\"") for line in plain)
    return '"' + r"\n".join(escaped) + '"'
