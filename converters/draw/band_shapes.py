"""The shapes of one band: strips at the back, then arrows, then boxes, then what is written."""

from collections import defaultdict
from collections.abc import Iterator

from ...models.graph import EdgeKind
from .band import LABEL_HEIGHT, TAG_HEIGHT, Band, Frame
from .box_shapes import box_shapes
from .picture import Picture
from .place import BOX_HEIGHT, BOX_WIDTH
from .shapes import Line, Rect, Shape, Text, text_width, trim
from .style import LINE_STYLES, STRIP_FILLS
from .wires import wire_shapes

_PORT, _MIDDLE = 5.5, BOX_HEIGHT / 2
_TAG_SIZE, _LABEL_SIZE = 5.8, 7.5


def band_shapes(picture: Picture, band: Band, frame: Frame, width: float) -> list[Shape]:
    """Give the shapes of a band with its upper left corner at (0, 0), its strips `width` wide."""
    lines, counts = wire_shapes(frame, picture)
    shapes: list[Shape] = [*_frame_shapes(picture, band, frame, width), *lines]
    shapes += [*_onward_lines(band, frame, width), *_label_shapes(picture, band, frame, width)]
    for box, end in band.ends.items():
        shapes += box_shapes(picture.boxes[box], frame.box_corner(end), timed=picture.timed)
    shapes += [*counts, *_tags(picture, band, frame)]
    return shapes


def _frame_shapes(picture: Picture, band: Band, frame: Frame, width: float) -> Iterator[Rect]:
    for row, index in enumerate(band.strips):
        fill = STRIP_FILLS[picture.strips[index].kind]
        top, height = frame.strip_top[row], frame.strip_height[row]
        yield Rect(0, top, width, height, fill, "#C9CED6", 4.0, 0.6)


def _label_shapes(picture: Picture, band: Band, frame: Frame, width: float) -> Iterator[Shape]:
    """Write what the strips are, on a ground that hides the arrows behind the words."""
    for row, index in enumerate(band.strips):
        strip = picture.strips[index]
        top = frame.strip_top[row]
        label = trim(strip.label, width - 12, _LABEL_SIZE)
        ground = text_width(label, _LABEL_SIZE, bold=True) + 2.0
        yield Rect(5.0, top + 2.0, ground, LABEL_HEIGHT - 4.0, STRIP_FILLS[strip.kind])
        yield Text(6.0, top + LABEL_HEIGHT - 4.0, label, _LABEL_SIZE, "#3A4350", bold=True)


def _onward_lines(band: Band, frame: Frame, width: float) -> Iterator[Line]:
    """Let a strip's last arrow run out of the band, and come in again in the next one."""
    for arrow in (*band.leaving, *band.entering):
        if arrow not in band.onward:
            continue
        style = LINE_STYLES[arrow.kind]
        leaves = arrow.source in band.ends
        x, y = frame.box_corner(band.ends[arrow.source if leaves else arrow.target])
        start = (x + BOX_WIDTH, y + _MIDDLE) if leaves else (2.0, y + _MIDDLE)
        goal = (width - 2.0, y + _MIDDLE) if leaves else (x, y + _MIDDLE)
        yield Line((start, goal), style.colour, style.width, style.dash, head=True)


def _tags(picture: Picture, band: Band, frame: Frame) -> Iterator[Text]:
    """Name the other ends of arrows to and from other bands: below and above the box."""
    tags: dict[tuple[int, bool], list[tuple[EdgeKind, str]]] = defaultdict(list)
    for arrow in (*band.leaving, *band.entering):
        if arrow not in band.onward:
            leaves = arrow.source in band.ends
            here, there = (arrow.source, arrow.target) if leaves else (arrow.target, arrow.source)
            tags[here, leaves].append((arrow.kind, f"#{picture.boxes[there].number}"))
    for (box, leaves), others in tags.items():
        x, y = frame.box_corner(band.ends[box])
        baseline = y + BOX_HEIGHT + TAG_HEIGHT - 1.5 if leaves else y - 2.2
        yield from _tag_line("to" if leaves else "from", others, x + 3.0, baseline)


def _tag_line(word: str, others: list[tuple[EdgeKind, str]], x: float, y: float) -> Iterator[Text]:
    """Write `to #3 #4 +2`, each number in the colour of its arrow."""
    end = x + BOX_WIDTH - 16.0
    yield Text(x, y, word, _TAG_SIZE, "#5A5A5A")
    x += text_width(word + " ", _TAG_SIZE)
    for index, (kind, text) in enumerate(others):
        width = text_width(text + " ", _TAG_SIZE)
        if x + width > end:
            yield Text(x, y, f"+{len(others) - index}", _TAG_SIZE, "#5A5A5A")
            return
        yield Text(x, y, text, _TAG_SIZE, LINE_STYLES[kind].colour)
        x += width
