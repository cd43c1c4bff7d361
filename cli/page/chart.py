"""One kind of chart for everything: a name, bars along an axis, a figure; as inline SVG.

    rank 0, measured    |█████computing█████|░░idle░░|          12.34 ms
    rank 0, predicted   |███████|░░░░░|                           6.78 ms
                        0         5         10 ms

Whoever rests the mouse on a piece is told what it is; nothing of it needs a script.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, log10

from .elements import Markup, element, together
from .figures import short

WIDTH, LABEL, FIGURE = 960, 250, 150  # pixels at full size; names left, figures right
PLOT = WIDTH - LABEL - FIGURE
ROW, BAR, AXIS = 24, 15, 26
LETTERS = 38  # of a name
TICKS = 5


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a bar in the axis' unit; `colour` is a class of the style sheet."""

    start: float
    length: float
    colour: str
    tip: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A line of the chart.

    Attributes:
        whisker: from, to: a doubt drawn over the bar.
        close: stands close below the line above, as its pair.
        faint: what the others are compared with.
    """

    name: str
    segments: tuple[Segment, ...]
    figure: str
    whisker: tuple[float, float] | None = None
    close: bool = False
    faint: bool = False


def chart(bars: Sequence[Bar], *, about: str, unit: str, limit: float | None = None) -> Markup:
    """Draw bars over a common axis from 0.

    Args:
        bars: from the top.
        about: what is drawn, for those who cannot see it.
        unit: of the axis.
        limit: a line drawn at this value, such as a capacity.
    """
    largest = max([1e-9, limit or 0.0, *(_reach(bar) for bar in bars)])
    scale = PLOT / largest
    lines, y = [], AXIS
    for place, bar in enumerate(bars):
        y += 6 if place and not bar.close else 0
        lines.append(_line(bar, y, scale))
        y += ROW - (4 if bar.close else 0)
    height = y + 6
    mark = [] if limit is None else [_limit(LABEL + limit * scale, height)]
    return element(
        "svg",
        element("title", about),
        _axis(largest, scale, height, unit),
        *lines,
        *mark,
        viewBox=f"0 0 {WIDTH} {height}",
        role="img",
        class_="chart",
    )


def _reach(bar: Bar) -> float:
    ends = [segment.start + segment.length for segment in bar.segments]
    return max([0.0, *ends, bar.whisker[1] if bar.whisker else 0.0])


def _line(bar: Bar, y: float, scale: float) -> Markup:
    base = y + BAR - 3
    name = short(bar.name, LETTERS)
    title = [element("title", bar.name)] if name != bar.name else []
    boxes = [_segment(segment, y, scale) for segment in bar.segments if segment.length > 0]
    whisker = [] if bar.whisker is None else [_whisker(bar.whisker, y, scale)]
    return element(
        "g",
        element("text", *title, name, x=LABEL - 10, y=base, class_="name"),
        *boxes,
        *whisker,
        element("text", bar.figure, x=WIDTH - FIGURE + 10, y=base, class_="figure"),
        class_="faint" if bar.faint else None,
    )


def _segment(segment: Segment, y: float, scale: float) -> Markup:
    return element(
        "g",
        element("title", segment.tip),
        element(
            "rect",
            x=LABEL + segment.start * scale,
            y=y,
            width=max(0.6, segment.length * scale),
            height=BAR,
            class_=segment.colour,
        ),
    )


def _whisker(ends: tuple[float, float], y: float, scale: float) -> Markup:
    low, high = (LABEL + end * scale for end in ends)
    middle, top, foot = y + BAR / 2, y + 3, y + BAR - 3
    drawn = f"M{low:.1f} {top}V{foot}M{low:.1f} {middle}H{high:.1f}M{high:.1f} {top}V{foot}"
    return element("path", d=drawn, class_="whisker")


def _axis(largest: float, scale: float, height: float, unit: str) -> Markup:
    step = tick_step(largest)
    count = floor(largest / step + 1e-9)
    marks = []
    for place in range(count + 1):
        value = place * step
        x = LABEL + value * scale
        told = f"{value:,.10g}" + (f" {unit}" if place == count else "")
        marks.append(element("line", x1=x, x2=x, y1=AXIS - 8, y2=height - 4, class_="grid"))
        marks.append(element("text", told, x=x, y=AXIS - 13, class_="tick"))
    return together(*marks)


def _limit(x: float, height: float) -> Markup:
    return element("line", x1=x, x2=x, y1=AXIS - 8, y2=height, class_="limit")


def tick_step(largest: float) -> float:
    """Give the distance of ticks: 1, 2 or 5 times a power of ten, at most `TICKS` of them."""
    rough = largest / TICKS
    power = 10.0 ** floor(log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))


def legend(entries: Sequence[tuple[str, str]]) -> Markup:
    """Name the colours: (colour, meaning)."""
    items = [
        element("li", element("span", class_=f"swatch {colour}"), meaning)
        for colour, meaning in entries
    ]
    return element("ul", *items, class_="legend")
