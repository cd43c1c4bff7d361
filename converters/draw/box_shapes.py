"""The shapes of one box: its frame, its name, what its time goes to, its time and its number."""

from collections.abc import Iterator

from ...models.graph import Category
from .picture import Box
from .place import BOX_HEIGHT, BOX_WIDTH
from .shapes import Point, Rect, Shape, Text, text_width, trim, wrap
from .style import BOX_STYLES, duration_text, short_name

NAME_SIZE, SMALL_SIZE, NUMBER_SIZE = 7.5, 6.5, 5.5
_PAD = 5.0
_MARKS = {Category.ORIGIN, Category.JOIN, Category.ANNOTATION}  # may take no time at all
_MUTED = "#5A5A5A"


def box_shapes(box: Box, corner: Point, *, timed: bool) -> Iterator[Shape]:
    """Give a box's shapes with its upper left corner at `corner`."""
    x, y = corner
    style = BOX_STYLES[box.category]
    yield Rect(
        x, y, BOX_WIDTH, BOX_HEIGHT, style.fill, style.border, radius=3.0, hint=hint(box, timed)
    )
    yield from _name_lines(box, x + _PAD, y)
    yield from _bottom_line(box, x, y + BOX_HEIGHT - 5.2, timed)
    yield from _share_bar(box, x, y)


def hint(box: Box, timed: bool) -> str:
    """Give all there is to say about a box, for hovering."""
    lines = [box.name, BOX_STYLES[box.category].title]
    if timed:
        lines.append(f"{duration_text(box.duration_ns)} ({box.duration_ns:,} ns)")
    if box.rows > 1:
        lines.append(f"{box.rows:,} rows")
        shares = [f"{BOX_STYLES[part].title} {duration_text(ns)}" for part, ns in box.shares]
        lines += shares if timed and len(shares) > 1 else []
    if box.detail:
        lines.append(box.detail)
    return "\n".join(lines)


def time_text(box: Box, *, timed: bool) -> str:
    """Give a box's time and how many are merged in it: `12.3 µs ×3`."""
    told = timed and (box.duration_ns or box.category not in _MARKS)
    time = duration_text(box.duration_ns) if told else ""
    repeats = f"×{box.repeats:,}" if box.repeats > 1 else ""
    return f"{time} {repeats}".strip()


def _name_lines(box: Box, x: float, y: float) -> Iterator[Text]:
    width = BOX_WIDTH - 2 * _PAD
    name = short_name(box.name)
    if box.detail:
        while "::" in name and text_width(name, NAME_SIZE) > width:
            name = name.split("::", 1)[1]
        yield Text(x, y + 10.0, trim(name, width, NAME_SIZE), NAME_SIZE)
        yield Text(x, y + 19.0, trim(box.detail, width, SMALL_SIZE), SMALL_SIZE, _MUTED)
        return
    for line, text in enumerate(wrap(name, width, NAME_SIZE)):
        yield Text(x, y + 10.0 + 8.7 * line, text, NAME_SIZE)


def _bottom_line(box: Box, x: float, y: float, timed: bool) -> Iterator[Text]:
    text = time_text(box, timed=timed)
    number = f"#{box.number}"
    yield Text(x + _PAD, y, text, SMALL_SIZE, bold=True)
    if text_width(text, SMALL_SIZE, bold=True) + text_width(number, NUMBER_SIZE) < BOX_WIDTH - 14:
        yield Text(x + BOX_WIDTH - 4.0, y, number, NUMBER_SIZE, _MUTED, anchor="end")


def _share_bar(box: Box, x: float, y: float) -> Iterator[Rect]:
    """Show how a group's time is made up, where it is of several categories."""
    total = sum(ns for _, ns in box.shares)
    if len(box.shares) < 2 or not total:
        return
    left = x + 3.0
    for category, ns in box.shares:
        width = (BOX_WIDTH - 6.0) * ns / total
        yield Rect(left, y + BOX_HEIGHT - 3.2, width, 2.0, BOX_STYLES[category].border)
        left += width
