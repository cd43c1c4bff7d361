"""Bands: which boxes and arrows each has, and where its strips, columns and tracks lie."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from .picture import Arrow, Picture
from .place import BOX_HEIGHT, BOX_WIDTH, Spot
from .route import End, Routes, route

TRACK = 5.0
STUB = 20.0  # room left of the first and right of the last column
TAG_HEIGHT = 8.0
LABEL_HEIGHT = 13.0
_SLOT_GAP, _CHANNEL_ROOM = 7.0, 8.0
_GAP_LEFT, _GAP_RIGHT, _COUNT_ROOM = 7.0, 9.0, 14.0


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """What stands in a band: boxes and where, strips from the top, and arrows by where they go.

    Attributes:
        ends: of each box of the band, where it stands.
        inside: both ends are in the band.
        leaving, entering: the other end is in another band.
        onward: those of them that go on from a strip's last box to the strip's next one.
    """

    ends: Mapping[int, End]
    strips: tuple[int, ...]
    inside: tuple[Arrow, ...]
    leaving: tuple[Arrow, ...]
    entering: tuple[Arrow, ...]
    onward: frozenset[Arrow]


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Where things lie in a band, measured from its upper left corner.

    Attributes:
        column_x: left side of each column's boxes.
        strip_top, strip_height: of each strip's rectangle.
        slot_top: of each strip, where its first box begins.
        slot_pitch: of each strip, from one slot to the next.
        width, height: of the whole band.
        routes: the ways of the arrows inside.
    """

    column_x: tuple[float, ...]
    strip_top: tuple[float, ...]
    strip_height: tuple[float, ...]
    slot_top: tuple[float, ...]
    slot_pitch: tuple[float, ...]
    width: float
    height: float
    routes: Routes

    def gap_x(self, gap: int, track: int) -> float:
        """Give the x of a track in the gap right of column `gap`."""
        return self.column_x[gap] + BOX_WIDTH + _GAP_LEFT + TRACK * track

    def channel_y(self, channel: int, track: int) -> float:
        """Give the y of a track in the channel below strip `channel`."""
        return self.strip_top[channel] + self.strip_height[channel] + TRACK * (track + 1)

    def box_corner(self, end: End) -> tuple[float, float]:
        """Give the upper left corner of the box that stands there."""
        y = self.slot_top[end.strip] + end.slot * self.slot_pitch[end.strip]
        return self.column_x[end.column], y


def split(picture: Picture, spots: list[Spot]) -> list[Band]:
    """Part boxes and arrows into bands."""
    boxes: dict[int, list[int]] = defaultdict(list)
    for index, spot in enumerate(spots):
        boxes[spot.band].append(index)
    inside, leaving, entering = (defaultdict[int, list[Arrow]](list) for _ in range(3))
    for arrow in picture.arrows:
        first, second = spots[arrow.source].band, spots[arrow.target].band
        if first == second:
            inside[first].append(arrow)
        else:
            leaving[first].append(arrow)
            entering[second].append(arrow)
    onward = _onward(picture, spots)
    return [
        _band(picture, spots, boxes[band], (inside[band], leaving[band], entering[band]), onward)
        for band in sorted(boxes)
    ]


def _band(
    picture: Picture,
    spots: list[Spot],
    boxes: list[int],
    arrows: tuple[list[Arrow], list[Arrow], list[Arrow]],
    onward: frozenset[Arrow],
) -> Band:
    strips = sorted({picture.boxes[box].strip for box in boxes})
    row = {strip: index for index, strip in enumerate(strips)}
    ends = {
        box: End(row[picture.boxes[box].strip], spots[box].column, spots[box].slot) for box in boxes
    }
    inside, leaving, entering = map(tuple, arrows)
    return Band(ends, tuple(strips), inside, leaving, entering, onward)


def _onward(picture: Picture, spots: list[Spot]) -> frozenset[Arrow]:
    """Find the arrows from the last box of a strip in its band to the first in its next band."""
    cells: dict[int, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for index, box in enumerate(picture.boxes):
        cells[box.strip][spots[index].band].append(index)
    pairs = set()
    for bands in cells.values():
        order = sorted(bands)
        for band, following in pairwise(order):
            last = max(bands[band], key=lambda i: (spots[i].column, -spots[i].slot))
            first = min(bands[following], key=lambda i: (spots[i].column, spots[i].slot))
            pairs.add((last, first))
    return frozenset(arrow for arrow in picture.arrows if (arrow.source, arrow.target) in pairs)


def frame_of(band: Band) -> Frame:
    """Work out where everything in a band lies."""
    ends = band.ends
    routes = route(band.inside, ends)
    column_x, width = _columns(ends, routes)
    tagged_above = {ends[a.target].strip for a in band.entering if a not in band.onward}
    tagged_below = {ends[a.source].strip for a in band.leaving if a not in band.onward}
    tops, heights, slot_tops, pitches = [], [], [], []
    y = 0.0
    for row in range(len(band.strips)):
        slots = 1 + max(end.slot for end in ends.values() if end.strip == row)
        above = TAG_HEIGHT * (row in tagged_above)
        pitch = BOX_HEIGHT + _SLOT_GAP + above + TAG_HEIGHT * (row in tagged_below)
        tops.append(y)
        pitches.append(pitch)
        slot_tops.append(y + LABEL_HEIGHT + above)
        heights.append(LABEL_HEIGHT + pitch * slots)
        y += heights[-1] + _CHANNEL_ROOM + TRACK * routes.channel_tracks.get(row, 0)
    return Frame(
        column_x, tuple(tops), tuple(heights), tuple(slot_tops), tuple(pitches), width, y, routes
    )


def _columns(ends: Mapping[int, End], routes: Routes) -> tuple[tuple[float, ...], float]:
    """Give each column's x, with room between them for tracks and counts; and the width."""
    counted = {wire.in_gap for wire in routes.wires if wire.arrow.count > 1 and not wire.backwards}
    xs = [STUB]
    for column in range(max(end.column for end in ends.values())):
        room = _GAP_LEFT + TRACK * routes.gap_tracks.get(column, 0) + _GAP_RIGHT
        xs.append(xs[-1] + BOX_WIDTH + max(20.0, room + _COUNT_ROOM * (column in counted)))
    last = len(xs) - 1
    return tuple(xs), xs[-1] + BOX_WIDTH + STUB + TRACK * routes.gap_tracks.get(last, 0)
