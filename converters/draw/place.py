"""Where boxes stand: columns from left to right, broken into bands like lines of text.

    band 0   thread   [0] > [1] > [3] >          A box stands one column right of the last box it
             stream         [2] > [4] >          waits for; boxes of one strip and column that do
    band 1   thread   > [5] > [7]                not wait for each other stand above each other.
             stream   > [6]

Every arrow inside a band therefore points to the right, and bands are read one after the other.
"""

from dataclasses import dataclass
from math import log

from ...models.graph import NONE
from .picture import Picture

BOX_WIDTH, BOX_HEIGHT = 118.0, 34.0
_MOST_SLOTS = 6
_COLUMN_PITCH, _SLOT_PITCH, _STRIP_EXTRA, _BAND_EXTRA = 146.0, 46.0, 26.0, 22.0  # about what comes
_ONE_BAND = 10  # columns that fit a screen side by side
_ASPECT = 1.6  # width over height of a page that fits a screen


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a box stands: its band, column in the band, and slot in its strip from the top."""

    band: int
    column: int
    slot: int


def place(picture: Picture) -> list[Spot]:
    """Give each box its spot."""
    columns = _columns(picture)
    slots = _slots(picture, columns)
    width = _band_width(picture, columns, slots)
    return [
        Spot(column // width, column % width, slot)
        for column, slot in zip(columns, slots, strict=True)
    ]


def _columns(picture: Picture) -> list[int]:
    """Put each box right of all it waits for, and no more than a few on one column and strip."""
    sources: list[list[int]] = [[] for _ in picture.boxes]
    for arrow in picture.arrows:
        sources[arrow.target].append(arrow.source)
    column: list[int] = []
    taken: dict[tuple[int, int], int] = {}
    for index, box in enumerate(picture.boxes):
        if box.slice != NONE:
            column.append(box.slice)
            continue
        here = 1 + max((column[source] for source in sources[index]), default=-1)
        while taken.get((box.strip, here), 0) >= _MOST_SLOTS:
            here += 1
        taken[box.strip, here] = taken.get((box.strip, here), 0) + 1
        column.append(here)
    return column


def _slots(picture: Picture, columns: list[int]) -> list[int]:
    """Stack the boxes of one strip and column, each near the slot of what it waits for."""
    slot_of = [0] * len(columns)
    wish: dict[int, int] = {}
    taken: set[tuple[int, int, int]] = set()
    arrows_to: dict[int, list[int]] = {}
    for arrow in picture.arrows:
        if picture.boxes[arrow.source].strip == picture.boxes[arrow.target].strip:
            arrows_to.setdefault(arrow.target, []).append(arrow.source)
    for index in sorted(range(len(columns)), key=lambda i: (columns[i], i)):
        strip = picture.boxes[index].strip
        wish[index] = min((slot_of[source] for source in arrows_to.get(index, ())), default=0)
        free = (
            slot
            for slot in sorted(range(_MOST_SLOTS), key=lambda s: (abs(s - wish[index]), s))
            if (strip, columns[index], slot) not in taken
        )
        slot_of[index] = next(free)
        taken.add((strip, columns[index], slot_of[index]))
    return slot_of


def _band_width(picture: Picture, columns: list[int], slots: list[int]) -> int:
    """Choose how many columns a band has, so that the page has the shape of a screen."""
    count = max(columns, default=0) + 1

    def strangeness(width: int) -> float:
        bands = -(-count // width)
        page_width = min(width, count) * _COLUMN_PITCH
        return abs(log(page_width / _height(picture, columns, slots, width) / _ASPECT)) + 0.02 * (
            bands > 1
        )

    if count <= _ONE_BAND:
        return count
    candidates = {max(1, -(-count // bands)) for bands in range(1, min(count, 60) + 1)}
    return min(sorted(candidates, reverse=True), key=strangeness)


def _height(picture: Picture, columns: list[int], slots: list[int], width: int) -> float:
    """Estimate the height of the page with bands of this width."""
    slots_of: dict[tuple[int, int], int] = {}
    for box, column, slot in zip(picture.boxes, columns, slots, strict=True):
        cell = (column // width, box.strip)
        slots_of[cell] = max(slots_of.get(cell, 0), slot + 1)
    bands = len({band for band, _ in slots_of})
    return (
        sum(_STRIP_EXTRA + _SLOT_PITCH * slots for slots in slots_of.values())
        + _BAND_EXTRA * bands
        + 110.0
    )
