"""Cut a large trace into chunks of whole events: only one chunk is ever decoded at a time.

    {"schemaVersion": 1, "traceEvents": [ {..}, {..}, | {..}, {..}, | {..} ], "traceName": ".."}
     head                                  chunk        chunk         chunk    tail

A chunk ends at a `}` before `, {`. Such a place may also lie inside an event; then the chunk does
not decode, and the place before it is tried: that it decodes proves that the cut was right.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import msgspec
import numpy as np

from ..models.errors import TraceFormatError
from .mend import mended

CHUNK_BYTES = 1 << 20  # decoded, that still fits a core's cache
SEARCHED_BYTES = 1 << 16
MOST_CUTS_TRIED = 24
SPACE, LINE_END = b" \t\r\n", ord("\n")
_TRAILING = re.compile(r"trailing characters \(byte (\d+)\)")
_PLACE = re.compile(r"\s*\(byte (\d+)\)")
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class ItemArray:
    """How a document's array of items looks: what opens it, and what may part two of them."""

    opening: re.Pattern[bytes]
    between: re.Pattern[bytes]


EVENTS = ItemArray(
    re.compile(rb'"traceEvents"\s*:\s*\['),
    re.compile(rb"\}\s*,\s*(?=\{)"),
)
# an attribute of a node begins like this, too: a cut before one would be wrong
NODES = ItemArray(
    re.compile(rb'"nodes"\s*:\s*\['),
    re.compile(rb'\}\s*,\s*(?=\{(?!\s*"name"\s*:\s*"[^"]*"\s*,\s*"type"))'),
)


@dataclass(slots=True)
class Chunks(Generic[Item]):
    """The items of a trace, chunk by chunk; what stands around them is known at the end.

    Attributes:
        blocks: the file's content, piece by piece.
        decode: gives the items of a JSON array; raises msgspec.DecodeError where it is none.
        array: where the document keeps its items.
        salvage: give the whole events of a file that is cut, instead of an error.
        around: the document without its events.
        cut: the file ended in the middle, and was salvaged.
        mends: places that had to be repaired before they could be read.
    """

    blocks: Iterator[bytes]
    decode: Callable[[bytes], Sequence[Item]]
    path: Path
    salvage: bool = False
    chunk_bytes: int = CHUNK_BYTES
    array: ItemArray = EVENTS
    around: bytes = b""
    cut: bool = False
    mends: int = 0
    _buffer: bytes = b""
    _read_bytes: int = 0
    _lines_before: int = 0
    _at_end: bool = False
    _done: bool = False

    def __iter__(self) -> Iterator[Sequence[Item]]:
        """Give the items of every chunk, in the order of the file."""
        head = self._head()
        while not self._done:
            self._fill(self.chunk_bytes)
            yield self._last() if self._at_end else self._next()
        while not self._at_end:
            self._fill(len(self._buffer) + self.chunk_bytes)
        self.around = head + self._buffer
        if not self.cut and _is_cut(self.around):
            if not self.salvage or not head:
                raise cut_fault(self._read_bytes, self.path)
            self.cut = True
        if self.cut:
            self.around = head + (b"]}" if head.lstrip()[:1] == b"{" else b"]")

    def _head(self) -> bytes:
        """Read up to the array of events and leave the buffer at its `[`."""
        searched = 0
        while True:
            self._fill(max(SEARCHED_BYTES, 2 * len(self._buffer)))
            if not searched and self._buffer.lstrip()[:1] == b"[":
                self._drop(self._buffer.index(b"["))
                return b"["
            found = self.array.opening.search(self._buffer, max(0, searched - SEARCHED_BYTES))
            if found:
                head = self._buffer[: found.end()]
                self._drop(found.end() - 1)
                return head
            if self._at_end:
                self._done = True
                return b""
            searched = len(self._buffer)

    def _fill(self, wanted: int) -> None:
        parts, size = [self._buffer], len(self._buffer)
        while size < wanted and not self._at_end:
            block = self._block()
            parts.append(block)
            size += len(block)
        self._buffer = b"".join(parts)

    def _block(self) -> bytes:
        try:
            block = next(self.blocks, None)
        except TraceFormatError:
            if not self.salvage:
                raise
            block = None
        self._at_end = block is None
        self._read_bytes += len(block or b"")
        return block or b""

    def _drop(self, count: int) -> None:
        dropped = np.frombuffer(self._buffer, np.uint8, count)  # its own count() takes longer
        self._lines_before += int(np.count_nonzero(dropped == LINE_END))
        self._buffer = self._buffer[count:]

    def _next(self) -> Sequence[Item]:
        """Decode the events up to a place between two of them, or up to the end of the array."""
        while not self._at_end:
            for place in self._places():
                try:
                    items, end = self._decoded(b"".join((memoryview(self._buffer)[:place], b"]")))
                except (msgspec.DecodeError, UnicodeDecodeError) as error:
                    if _is_wrong_cut(error, place):
                        continue
                    return self._repaired(error)
                self._move_behind(place, end)
                return items
            if not self._mend():
                self._fill(2 * len(self._buffer))
        return self._last()

    def _places(self) -> Iterator[int]:
        """Give where events may end, the last first."""
        size = SEARCHED_BYTES
        while True:
            first = max(0, len(self._buffer) - size)
            ends = [found.start() + 1 for found in self.array.between.finditer(self._buffer, first)]
            if ends or not first:
                break
            size *= 8
        yield from reversed(ends[-MOST_CUTS_TRIED:])

    def _decoded(self, text: bytes) -> tuple[Sequence[Item], int | None]:
        """Decode an array; where more follows it, tell where it ended."""
        try:
            return self.decode(text), None
        except msgspec.DecodeError as error:
            found = _TRAILING.search(str(error))
            if found is None:
                raise
            end = text.rindex(b"]", 0, int(found[1]) - 1) + 1
            return self.decode(text[:end]), end

    def _decoded_to_last_bracket(self) -> tuple[Sequence[Item], int] | None:
        """Decode what ends with the last `]`, if that is the array: no part of one is a whole."""
        end = self._buffer.rfind(b"]", -SEARCHED_BYTES) + 1
        try:
            return (self.decode(self._buffer[:end]), end) if end else None
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None

    def _move_behind(self, place: int, end: int | None) -> None:
        """Leave the buffer behind the array's end, or at the next event as if it began there."""
        if end is not None:
            self._done = True
            self._drop(end - 1)
            return
        rest = self._buffer.index(b"{", place)
        self._drop(rest)
        self._buffer = b"[" + self._buffer

    def _last(self) -> Sequence[Item]:
        """Decode what is left: the array ends in it, or the file is cut."""
        try:
            items, end = self._decoded_to_last_bracket() or self._decoded(self._buffer)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            if self.salvage and "truncated" in str(error):
                return self._salvaged()
            return self._repaired(error)
        self._done = True
        self._drop((len(self._buffer.rstrip(SPACE)) if end is None else end) - 1)
        return items

    def _salvaged(self) -> Sequence[Item]:
        """Give the whole events of a cut file."""
        self.cut = self._done = True
        ends = [found.start() + 1 for found in self.array.between.finditer(self._buffer)]
        complete = self._buffer.rstrip(SPACE + b",")
        for text in (complete, *(self._buffer[:e] for e in reversed(ends[-MOST_CUTS_TRIED:]))):
            try:
                return self.decode(text + b"]")
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
        return self._salvaged() if self._mend() else []

    def _mend(self) -> bool:
        """Repair the buffer where that is safe; tell whether there was anything to repair."""
        text, places = mended(self._buffer)
        self._buffer = text
        self.mends += places
        return places > 0

    def _repaired(self, error: Exception) -> Sequence[Item]:
        """Decode again after safe repairs; what cannot be repaired is told as it was."""
        fault = self._fault(error)
        if not self._mend():
            raise fault
        try:
            return self._last() if self._at_end else self._next()
        except TraceFormatError:
            raise fault from None

    def _fault(self, error: Exception) -> TraceFormatError:
        """Give the error for JSON that does not parse: cut off, or damaged at a line."""
        if self._at_end and "truncated" in str(error):
            return cut_fault(self._read_bytes, self.path)
        found = _PLACE.search(str(error))
        if found is None:
            return TraceFormatError(f"is not valid JSON: {error}", where=self.path)
        line = self._lines_before + self._buffer.count(b"\n", 0, int(found[1])) + 1
        told = _PLACE.sub("", str(error)).removeprefix("JSON is malformed: ")
        return TraceFormatError(
            f"is not valid JSON at line {line:,}: {told}",
            where=self.path,
            remedy="quotes inside a name, or damage: mend that line or record again",
        )


def cut_fault(size_bytes: int, path: Path) -> TraceFormatError:
    """Give the error for a trace that ends in the middle."""
    return TraceFormatError(
        f"the JSON is cut after {size_bytes:,} bytes",
        where=path,
        remedy="the process was probably killed while writing; record again, or read what there "
        "is with --salvage",
    )


def _is_cut(around: bytes) -> bool:
    try:
        msgspec.json.decode(around)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return "truncated" in str(error)
    return False


def _is_wrong_cut(error: Exception, place: int) -> bool:
    """A cut inside an event fails at its end; damage fails where it is."""
    if isinstance(error, UnicodeDecodeError):
        return False
    found = _PLACE.search(str(error))
    return found is None or int(found[1]) >= place
