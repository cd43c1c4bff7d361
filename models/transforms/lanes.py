"""Who stood before whom on a lane, for all rows at once."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..graph import NONE, Int32s, Int64s

NARROW = 2**16  # numpy sorts narrow integers by radix


def grouped(group: Int32s | Int64s) -> Int64s:
    """Give the rows group by group, each group's in order of rows, shape (rows,)."""
    narrow = len(group) and int(group.min()) >= 0 and int(group.max()) < NARROW
    order: Int64s = np.argsort(group.astype(np.uint16) if narrow else group, kind="stable")
    return order


def before_on_lane(lane: Int32s | Int64s) -> Int64s:
    """Give for each row the row before it on its lane, NONE for the first, shape (rows,)."""
    order = grouped(lane)
    before = np.full(len(lane), NONE, dtype=np.int64)
    same = lane[order[1:]] == lane[order[:-1]]
    before[order[1:][same]] = order[:-1][same]
    return before


@dataclass(frozen=True, slots=True, eq=False)
class Latest:
    """Answers which row of a group stands last before a row, or first behind it."""

    rows: Int64s
    keys: Int64s
    count: int

    @classmethod
    def of(cls, group: Int32s | Int64s, among: Int64s | None = None) -> "Latest":
        """Prepare for a column of groups, one a row; only some rows may count."""
        rows = grouped(group) if among is None else among[grouped(group[among])]
        return cls(rows, group[rows].astype(np.int64) * len(group) + rows, len(group))

    def before(self, group: NDArray[np.integer], row: Int64s) -> Int64s:
        """Give the last row of each group that stands before a row, NONE where there is none."""
        if not len(self.rows):
            return np.full(len(row), NONE, dtype=np.int64)
        lowest = group.astype(np.int64) * self.count
        place = np.searchsorted(self.keys, lowest + row) - 1
        inside = (place >= 0) & (self.keys[place] >= lowest)
        found: Int64s = np.where(inside, self.rows[place], NONE)
        return found

    def last(self, group: int, row: int) -> int:
        """Give a group's last row at or before a row, NONE where there is none."""
        place = int(np.searchsorted(self.keys, group * self.count + row, side="right")) - 1
        return int(self.rows[place]) if place >= 0 and self._is_of(group, place) else NONE

    def next(self, group: int, row: int) -> int:
        """Give a group's first row behind a row, NONE where there is none."""
        place = int(np.searchsorted(self.keys, group * self.count + row, side="right"))
        inside = place < len(self.rows) and self._is_of(group, place)
        return int(self.rows[place]) if inside else NONE

    def _is_of(self, group: int, place: int) -> bool:
        return int(self.keys[place]) // self.count == group
