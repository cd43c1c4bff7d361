"""Arrows as lines: where they leave and enter boxes, and each shared stretch drawn only once."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TypeAlias

from .band import Frame
from .picture import Picture
from .place import BOX_HEIGHT, BOX_WIDTH
from .route import Net, Wire
from .shapes import Line, Point, Rect, Shape, Text, text_width
from .style import LINE_STYLES

_PORT, _MIDDLE = 5.5, BOX_HEIGHT / 2
_COUNT_SIZE = 5.5

# What a net has drawn already: on each upright (True) or level line, stretches from low to high.
_Drawn: TypeAlias = dict[tuple[bool, float], list[tuple[float, float]]]


def wire_shapes(frame: Frame, picture: Picture) -> tuple[list[Line], list[Shape]]:
    """Give the arrows inside a band, and the counts that are written on them."""
    leave, enter = _ports(frame.routes.wires)
    lines: list[Line] = []
    counts: list[Shape] = []
    drawn: dict[Net, _Drawn] = defaultdict(lambda: defaultdict(list))
    for index, wire in enumerate(frame.routes.wires):
        style = LINE_STYLES[wire.arrow.kind]
        points = _points(frame, wire, leave[index], enter[index])
        names = [picture.boxes[end].name for end in (wire.arrow.source, wire.arrow.target)]
        hint = f"{style.title}, {wire.arrow.count}: {names[0]} > {names[1]}"
        for piece in _not_drawn(points, drawn[wire.net]):
            head = piece[-1] == points[-1]
            lines.append(Line(piece, style.colour, style.width, style.dash, head=head, hint=hint))
        if wire.arrow.count > 1:
            counts += _count_shapes(wire, points[-1], style.colour)
    return lines, counts


def _not_drawn(points: tuple[Point, ...], drawn: _Drawn) -> list[tuple[Point, ...]]:
    """Give the parts of a way that the net has not drawn yet; then it has.

    Dashes drawn twice would fill each other's gaps.
    """
    pieces: list[tuple[Point, ...]] = []
    for start, end in pairwise(points):
        upright = start[0] == end[0]
        along = 1 if upright else 0
        line = drawn[upright, round(start[1 - along], 2)]
        span = (min(start[along], end[along]), max(start[along], end[along]))
        for low, high in _gaps(span, line):
            first, last = (low, high) if start[along] <= end[along] else (high, low)
            piece = [(start[0], at) if upright else (at, start[1]) for at in (first, last)]
            if pieces and pieces[-1][-1] == piece[0]:
                pieces[-1] = (*pieces[-1], piece[1])
            else:
                pieces.append((piece[0], piece[1]))
        line.append(span)
    return pieces


def _gaps(
    span: tuple[float, float], taken: Sequence[tuple[float, float]]
) -> Iterator[tuple[float, float]]:
    """Give what is left of a stretch when others are taken out; nothing for slivers."""
    at = span[0]
    for low, high in sorted(taken):
        if low > at and min(low, span[1]) - at > 0.01:
            yield at, min(low, span[1])
        at = max(at, high)
    if span[1] - at > 0.01:
        yield at, span[1]


def _ports(wires: Iterable[Wire]) -> tuple[dict[int, float], dict[int, float]]:
    """Give how far from the box's middle each wire leaves and enters, by the wire's index.

    Wires that turn upwards leave above the middle, the others below; those of one kind from one
    box leave together. Leaving and entering wires keep off each other's heights.
    """
    leave: dict[int, float] = {}
    enter: dict[int, float] = {}
    shared: dict[Net, float] = {}
    used: dict[tuple[int, int, bool], int] = defaultdict(int)
    for index, wire in enumerate(wires):
        if wire.straight:
            leave[index] = enter[index] = 0.0
            continue
        out, into = _sides(wire)
        net = wire.net
        if net not in shared:
            side = into if net.entering else out
            shared[net] = _offset(used, net.box, side, leaving=not net.entering)
        leave[index] = (
            _offset(used, wire.arrow.source, out, leaving=True) if net.entering else shared[net]
        )
        enter[index] = (
            shared[net] if net.entering else _offset(used, wire.arrow.target, into, leaving=False)
        )
    return leave, enter


def _sides(wire: Wire) -> tuple[int, int]:
    """Tell whether a wire leaves and enters below the middle (1) or above it (-1)."""
    source, target = wire.source, wire.target
    out = 1 if (target.strip, target.slot) >= (source.strip, source.slot) else -1
    if target.strip == source.strip:
        return out, 1 if wire.channel >= 0 else -out
    return out, -out


def _offset(used: dict[tuple[int, int, bool], int], box: int, side: int, *, leaving: bool) -> float:
    key = (box, side, leaving)
    used[key] += 1
    first = 4.0 if leaving else 6.5
    return side * min(first + _PORT * (used[key] - 1), _MIDDLE - (2.0 if leaving else 3.5))


def _points(frame: Frame, wire: Wire, leave: float, enter: float) -> tuple[Point, ...]:
    x, y = frame.box_corner(wire.source)
    start = (x + BOX_WIDTH, y + _MIDDLE + leave)
    x, y = frame.box_corner(wire.target)
    goal = (x + BOX_WIDTH if wire.backwards else x, y + _MIDDLE + enter)
    if wire.straight:
        return start, goal
    first = frame.gap_x(wire.out_gap, wire.out_track)
    if wire.channel < 0:
        return start, (first, start[1]), (first, goal[1]), goal
    second = frame.gap_x(wire.in_gap, wire.in_track)
    run = frame.channel_y(wire.channel, wire.channel_track)
    return start, (first, start[1]), (first, run), (second, run), (second, goal[1]), goal


def _count_shapes(wire: Wire, tip: Point, colour: str) -> Iterator[Shape]:
    """Write how many edges an arrow stands for before its head, on white."""
    count = wire.arrow.count
    text = f"×{count:,}" if count < 10_000 else f"×{count // 1000:,}k"
    width = text_width(text, _COUNT_SIZE)
    left = tip[0] + 7.0 if wire.backwards else tip[0] - 7.0 - width
    yield Rect(left - 0.8, tip[1] - 2.9, width + 1.2, 5.8, "#FFFFFF")
    yield Text(left, tip[1] + 2.0, text, _COUNT_SIZE, colour)
