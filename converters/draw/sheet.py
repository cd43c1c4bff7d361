"""The whole sheet: title, legend, bands from top to bottom, and at the foot what was left out."""

from collections.abc import Iterator

from ...models.graph import Category, EdgeKind
from .band import frame_of, split
from .band_shapes import band_shapes
from .picture import Picture
from .place import place
from .shapes import Drawing, Line, Rect, Shape, Text, moved, scaled, text_width, trim
from .style import BOX_STYLES, LINE_STYLES

_MARGIN = 28.0
_NARROWEST = 560.0
_BAND_GAP = 12.0
_TITLE_SIZE, _TEXT_SIZE, _LEGEND_SIZE = 16.0, 8.5, 7.5
_MUTED = "#5A5A5A"


def draw(picture: Picture) -> Drawing:
    """Lay a picture out."""
    bands = split(picture, place(picture))
    frames = [frame_of(band) for band in bands]
    width = max([_NARROWEST, *(frame.width for frame in frames)])
    # On a large sheet title, legend and foot are larger, too: they are read from further away.
    scale = min(2.5, max(1.0, (width / 900.0) ** 0.6))
    head, head_height = _head(picture, width / scale, several=len(bands) > 1)
    foot, foot_height = _foot(picture, width / scale)
    shapes = [scaled(shape, scale) for shape in head]
    y = head_height * scale
    for band, frame in zip(bands, frames, strict=True):
        shapes += [moved(shape, 0.0, y) for shape in band_shapes(picture, band, frame, width)]
        y += frame.height + _BAND_GAP
    shapes += [moved(scaled(shape, scale), 0.0, y) for shape in foot]
    y += foot_height * scale
    placed = tuple(moved(shape, _MARGIN, _MARGIN) for shape in shapes)
    return Drawing(width + 2 * _MARGIN, y + 2 * _MARGIN, placed, picture.title)


def _head(picture: Picture, width: float, *, several: bool) -> tuple[list[Shape], float]:
    """Give title, reading hints and legend, and their height."""
    bands = ", band after band, like lines of text" if several else ""
    lines = (
        picture.subtitle,
        f"Read from left to right{bands}. Frames are lanes, {_boxes_are(picture)}.",
    )
    shapes: list[Shape] = [
        Text(0, 14, trim(picture.title, width / 1.08, _TITLE_SIZE), _TITLE_SIZE, bold=True)
    ]
    y = 28.0
    for text in (part for line in lines for part in _paragraph(line, width)):
        shapes.append(Text(0, y, text, _TEXT_SIZE, _MUTED))
        y += 11.5
    legend, y = _legend(picture, y + 4.0, width)
    return shapes + legend, y + 10.0


def _boxes_are(picture: Picture) -> str:
    time = " with their time" if picture.timed else ""
    if picture.level == "rows":
        return f"boxes are operators, calls and kernels{time} and their number"
    return f"boxes are {picture.level}{time} and the picture's own numbers"


def _legend(picture: Picture, y: float, width: float) -> tuple[list[Shape], float]:
    """Show the kinds of boxes and arrows that occur, as many to a line as fit."""
    categories = {part for box in picture.boxes for part, _ in box.shares} | {
        box.category for box in picture.boxes
    }
    kinds = {arrow.kind for arrow in picture.arrows}
    shapes: list[Shape] = []
    for entries in (
        [_box_entry(category) for category in sorted(categories)],
        [_line_entry(kind) for kind in sorted(kinds)],
    ):
        x = 0.0
        for sample, title in entries:
            needed = 30.0 + text_width(title, _LEGEND_SIZE) + 14.0
            if x and x + needed > width:
                x, y = 0.0, y + 13.0
            shapes += [moved(shape, x, y) for shape in sample]
            shapes.append(Text(x + 28.0, y + 7.0, title, _LEGEND_SIZE))
            x += needed
        y += 14.0 if entries else 0.0
    return shapes, y


def _box_entry(category: Category) -> tuple[list[Shape], str]:
    style = BOX_STYLES[category]
    return [Rect(0.5, 0.0, 22.0, 9.0, style.fill, style.border, radius=2.0)], style.title


def _line_entry(kind: EdgeKind) -> tuple[list[Shape], str]:
    style = LINE_STYLES[kind]
    points = ((0.0, 4.5), (24.0, 4.5))
    return [Line(points, style.colour, style.width, style.dash, head=True)], style.title


def _foot(picture: Picture, width: float) -> tuple[list[Shape], float]:
    """Say what the picture leaves out or merges; and the height of that."""
    sentences = (f"{remark[0].upper()}{remark[1:]}." for remark in picture.remarks)
    lines = [text for sentence in sentences for text in _paragraph(sentence, width)]
    shapes: list[Shape] = [
        Text(0, 8.0 + 11.5 * index, text, _TEXT_SIZE, _MUTED) for index, text in enumerate(lines)
    ]
    return shapes, 11.5 * len(lines)


def _paragraph(text: str, width: float) -> Iterator[str]:
    """Break a sentence into lines."""
    line = ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if line and text_width(longer, _TEXT_SIZE) > width:
            yield line
            longer = word
        line = longer
    if line:
        yield line
