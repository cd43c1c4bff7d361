"""A drawing is a sheet of simple shapes; PDF and SVG show the same shapes.

Points of 1/72 inch, x to the right, y downwards. Text is Helvetica, one of the fonts that every
PDF reader has, so that a file needs no font on the machine that writes it.
"""

from dataclasses import dataclass, replace
from typing import TypeAlias

# Advance widths of Helvetica for the characters from space to ~, in 1/1000 of the size (Adobe's
# font metrics for the 14 standard fonts).
_WIDTHS = (
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278,
    556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556,
    1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778,
    667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556,
    333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556,
    556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
)  # fmt: skip
_WIDEST = 1000  # for characters beyond: wide ones such as CJK are one em
_BOLD = 1.08  # Helvetica-Bold is at most so much wider over a line of text

Point: TypeAlias = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Rect:
    """A rectangle with rounded corners; `fill` or `border` "" leaves it out."""

    x: float
    y: float
    width: float
    height: float
    fill: str = ""
    border: str = ""
    radius: float = 0.0
    line_width: float = 0.8
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A line through points, perhaps dashed, perhaps with an arrow's head at its ends."""

    points: tuple[Point, ...]
    colour: str
    width: float = 0.8
    dash: tuple[float, ...] = ()
    head: bool = False
    tail: bool = False
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Text:
    """A line of text from `x`, its baseline at `y`; `anchor` is start, middle or end."""

    x: float
    y: float
    text: str
    size: float
    colour: str = "#1A1A1A"
    anchor: str = "start"
    bold: bool = False


Shape: TypeAlias = Rect | Line | Text


@dataclass(frozen=True, slots=True)
class Drawing:
    """A sheet, and what is on it from back to front."""

    width: float
    height: float
    shapes: tuple[Shape, ...]
    title: str = ""


HEAD_LENGTH = 5.0
HEAD_HALF_WIDTH = 2.1


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Give the width of a line of text, an upper bound for characters beyond ASCII and for bold.

    >>> round(text_width("aten::mm", 10), 2)
    38.92
    """
    width = sum(_WIDTHS[ord(char) - 32] if 32 <= ord(char) < 127 else _WIDEST for char in text)
    return width * size / 1000 * (_BOLD if bold else 1.0)


def trim(text: str, width: float, size: float) -> str:
    """Take characters out of the middle until the text fits."""
    if text_width(text, size) <= width:
        return text
    for keep in range(len(text) - 1, 0, -1):
        head = (keep + 1) // 2
        shorter = f"{text[:head]}…{text[len(text) - (keep - head) :]}"
        if text_width(shorter, size) <= width:
            return shorter
    return "…"


def wrap(text: str, width: float, size: float) -> tuple[str, ...]:
    """Break a name into at most two lines, best after a separator; trim what does not fit."""
    if text_width(text, size) <= width:
        return (text,)
    fits = max(1, next(n for n in range(len(text), -1, -1) if text_width(text[:n], size) <= width))
    breaks = [n for n in range(fits // 2, fits + 1) if text[n - 1 : n] in ":/._ #,"]
    cut = breaks[-1] if breaks else fits
    return text[:cut].rstrip(), trim(text[cut:].lstrip(), width, size)


def moved(shape: Shape, right: float, down: float) -> Shape:
    """Give a shape further to the right and down."""
    if isinstance(shape, Line):
        return replace(shape, points=tuple((x + right, y + down) for x, y in shape.points))
    return replace(shape, x=shape.x + right, y=shape.y + down)


def scaled(shape: Shape, scale: float) -> Shape:
    """Give a shape larger by a factor, seen from (0, 0); an arrow's head stays as it is."""
    match shape:
        case Line(points=points, width=width):
            grown = tuple((x * scale, y * scale) for x, y in points)
            return replace(shape, points=grown, width=width * scale**0.5)
        case Text(x=x, y=y, size=size):
            return replace(shape, x=x * scale, y=y * scale, size=size * scale)
        case Rect(x=x, y=y, width=width, height=height, radius=radius):
            return replace(
                shape,
                x=x * scale,
                y=y * scale,
                width=width * scale,
                height=height * scale,
                radius=radius * scale,
            )


def head_at(line: Line, *, at_tail: bool = False) -> tuple[Point, Point, Point]:
    """Give the triangle of an arrow's head, its tip first."""
    tip, before = line.points[-1], line.points[-2]
    if at_tail:
        tip, before = line.points[0], line.points[1]
    dx, dy = tip[0] - before[0], tip[1] - before[1]
    length = (dx * dx + dy * dy) ** 0.5 or 1.0
    ux, uy = dx / length, dy / length
    back = (tip[0] - HEAD_LENGTH * ux, tip[1] - HEAD_LENGTH * uy)
    wing_x, wing_y = -uy * HEAD_HALF_WIDTH, ux * HEAD_HALF_WIDTH
    return tip, (back[0] + wing_x, back[1] + wing_y), (back[0] - wing_x, back[1] - wing_y)
