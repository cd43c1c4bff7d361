"""Protobuf's wire format for many rows at once: fields side by side in a matrix, then squeezed.

    rf_id = 7      52 0b  0a 05 r f _ i d  48  07 --
    rf_id = 300    52 0c  0a 05 r f _ i d  48  ac 02      "--" is masked out: matrix[mask]

Python's cost a row is then one slice a block, not one call a field (docs/chakra.md has figures).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ...models.graph import Bytes, Int64s

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
_VARINT_BITS = 7
_MORE = 0x80

Mask = NDArray[np.bool_]


def varint(value: int) -> bytes:
    """Encode one integer; negative ones take ten bytes, as protobuf's int32 and int64 do.

    >>> varint(300).hex()
    'ac02'
    """
    value &= (1 << 64) - 1
    out = bytearray()
    while value >= _MORE:
        out.append(value & 0x7F | _MORE)
        value >>= _VARINT_BITS
    out.append(value)
    return bytes(out)


def tag(number: int, wire_type: int) -> bytes:
    """Encode a field's tag."""
    return varint(number << 3 | wire_type)


def length_field(number: int, payload: bytes) -> bytes:
    """Encode a string, bytes or message field."""
    return tag(number, LENGTH) + varint(len(payload)) + payload


def text_field(number: int, text: str) -> bytes:
    """Encode a string field; nothing for an empty one, as proto3 does."""
    return length_field(number, text.encode()) if text else b""


def varint_lengths(values: Int64s) -> Int64s:
    """Give the bytes each value takes as a varint, shape of `values`."""
    return _lengths(_varint_cells(values)[1])


def _lengths(mask: Mask) -> Int64s:
    counts: Int64s = mask.sum(axis=1, dtype=np.int32).astype(np.int64)  # int32 sums at twice int64
    return counts


def _varint_cells(values: Int64s) -> tuple[Bytes, Mask]:
    """Give the bytes of each value as a varint and which of them are there, (rows, width)."""
    unsigned = np.ascontiguousarray(values, dtype=np.int64).view(np.uint64)
    largest = int(unsigned.max()) if len(unsigned) else 0
    width = max(1, -(-largest.bit_length() // _VARINT_BITS))
    groups = np.empty((len(unsigned), width), dtype=np.uint64)
    for i in range(width):
        np.right_shift(unsigned, np.uint64(i * _VARINT_BITS), out=groups[:, i])
    there: Mask = groups != 0
    there[:, 0] = True
    cells = (groups & 0x7F).astype(np.uint8)
    cells[:, :-1] |= there[:, 1:].astype(np.uint8) << 7
    return cells, there


@dataclass(frozen=True, slots=True)
class Fragments:
    """A byte string for each row, and its length, shape (rows,)."""

    parts: Sequence[bytes]
    lengths: Int64s


def cut(data: bytes, lengths: Int64s) -> Fragments:
    """Cut bytes that stand one after another into rows."""
    ends = np.cumsum(lengths)
    starts = (ends - lengths).tolist()
    return Fragments([data[a:b] for a, b in zip(starts, ends.tolist(), strict=True)], lengths)


def chosen(table: Sequence[bytes], index: NDArray[np.integer]) -> Fragments:
    """Give each row its entry of a table; -1 chooses the last."""
    lengths = np.array([len(entry) for entry in table], dtype=np.int64)
    return Fragments([table[i] for i in index.tolist()], lengths[index])


def concatenated(columns: Sequence[Fragments]) -> bytes:
    """Join the fragments row by row: row 0 of every column, then row 1, and so on."""
    parts = [b""] * (len(columns) * len(columns[0].parts))
    for i, column in enumerate(columns):
        parts[i :: len(columns)] = column.parts
    return b"".join(parts)


@dataclass(slots=True)
class Block:
    """Collects the fields of many rows; each method adds bytes to the right of every row."""

    rows: int
    _cells: list[Bytes] = field(default_factory=list)
    _masks: list[Mask] = field(default_factory=list)

    def constant(self, content: bytes, where: Mask | None = None) -> None:
        """Add the same bytes to every row, or to those of `where`."""
        cells = np.frombuffer(content, dtype=np.uint8)
        self._add(np.broadcast_to(cells, (self.rows, len(cells))), where)

    def raw(self, cells: Bytes) -> None:
        """Add bytes as they stand, (rows, width)."""
        self._add(cells, None)

    def varints(self, values: Int64s, where: Mask | None = None) -> None:
        """Add a varint to every row, or to those of `where`."""
        self._add_cells(*_varint_cells(values), where)

    def ragged(self, cells: Bytes, counts: Int64s, there: Mask | None = None) -> None:
        """Add to every row its own of some items, one row's after the other's, (items, width).

        Args:
            cells: the items' bytes.
            counts: how many are each row's, shape (rows,).
            there: which of the bytes are there, shape of `cells`; all where it is not given.
        """
        row = np.repeat(np.arange(self.rows), counts)
        place = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
        shape = (self.rows, int(counts.max(initial=0)), cells.shape[1])
        wide, present = np.zeros(shape, dtype=np.uint8), np.zeros(shape, dtype=bool)
        wide[row, place] = cells
        present[row, place] = True if there is None else there
        self._add_cells(wide.reshape(self.rows, -1), present.reshape(self.rows, -1), None)

    def ragged_varints(self, values: Int64s, counts: Int64s) -> None:
        """Add to every row its own of some varints, as `ragged`."""
        cells, there = _varint_cells(values)
        self.ragged(cells, counts, there)

    def headed_varints(
        self, before: bytes, head: bytes, values: Int64s, where: Mask | None
    ) -> None:
        """Add `before`, the length of all that follows, `head`, and a varint."""
        cells, there = _varint_cells(values)
        self.constant(before, where)
        self.varints(len(head) + _lengths(there), where)
        self.constant(head, where)
        self._add_cells(cells, there, where)

    def nonzero_field(self, number: int, values: Int64s) -> None:
        """Add a varint field, left out where it is 0, as proto3 does."""
        self.constant(tag(number, VARINT), values != 0)
        self.varints(values, values != 0)

    def _add(self, cells: Bytes, where: Mask | None) -> None:
        self._add_cells(cells, np.ones((1, 1), dtype=bool), where)

    def _add_cells(self, cells: Bytes, there: Mask, where: Mask | None) -> None:
        present = there if where is None else there & where[:, None]
        self._cells.append(cells)
        self._masks.append(np.broadcast_to(present, cells.shape))

    def squeezed(self) -> tuple[bytes, Int64s]:
        """Give all rows' bytes, one after another, and the length of each row."""
        mask = np.concatenate(self._masks, axis=1)
        return np.concatenate(self._cells, axis=1)[mask].tobytes(), _lengths(mask)

    def fragments(self) -> Fragments:
        """Give each row's bytes."""
        return cut(*self.squeezed())

    def framed(self, following: Int64s) -> Fragments:
        """Give each row's bytes after the length of a message that `following` bytes complete."""
        own = np.sum([_lengths(mask) for mask in self._masks], axis=0)
        frame, there = _varint_cells(own + following)
        self._cells.insert(0, frame)
        self._masks.insert(0, there)
        return self.fragments()
