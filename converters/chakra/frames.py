"""A `.et` file as bytes: told by its beginning, unpacked, and cut into its framed messages."""

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...models.errors import InputError, TraceFormatError

GZIP_MAGIC = b"\x1f\x8b"
_LONGEST_LENGTH = 5  # bytes of a varint32
_METADATA_TAGS = (0x0A, 0x12)  # version, attr
_NODE_TAGS = (0x08, 0x12, 0x18)  # id, name, type: what a node can begin with
_MORE = 0x80


class CutVarintError(Exception):
    """The bytes end inside a varint, or it is longer than a length can be."""


def read_length(data: bytes, position: int) -> tuple[int, int]:
    """Give the varint at a position, and the position after it.

    Raises:
        CutVarintError: it does not end.
    """
    value = 0
    for i, byte in enumerate(data[position : position + _LONGEST_LENGTH]):
        value |= (byte & 0x7F) << 7 * i
        if byte < _MORE:
            return value, position + i + 1
    raise CutVarintError


def is_chakra(head: bytes) -> bool:
    """Tell from a file's first bytes (some hundred are enough) whether it is a Chakra trace."""
    if head.startswith(GZIP_MAGIC):
        try:
            head = zlib.decompressobj(wbits=31).decompress(head, 4096)
        except zlib.error:
            return False
    try:
        length, begin = read_length(head, 0)
        if length == 0:
            return _begins_node(head, begin)
        return _is_metadata(head[begin : begin + length], length)
    except CutVarintError:
        return False


def _begins_node(head: bytes, position: int) -> bool:
    if position == len(head):
        return False
    _, begin = read_length(head, position)
    return head[begin : begin + 1] in {bytes([tag]) for tag in _NODE_TAGS}


def _is_metadata(content: bytes, length: int) -> bool:
    """Tell whether bytes, perhaps cut short, are the fields of a GlobalMetadata that long."""
    position = 0
    while position < len(content):
        tag = content[position]
        if tag not in _METADATA_TAGS:
            return False
        try:
            size, begin = read_length(content, position + 1)
        except CutVarintError:
            return len(content) - position <= _LONGEST_LENGTH
        inside = content[begin : begin + 1]
        if begin + size > length or (tag == _METADATA_TAGS[1] and inside not in {b"", b"\n"}):
            return False
        position = begin + size
    return length > 0 and len(content) > 0


def load(path: Path) -> bytes:
    """Give a trace's bytes, unpacked.

    Raises:
        InputError: it is missing or may not be read.
        TraceFormatError: it is empty, its compression is damaged, or it is no Chakra trace.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=path) from error
    if not data:
        raise TraceFormatError("is empty", where=path, remedy="write it again")
    if data.startswith(GZIP_MAGIC):
        try:
            data = gzip.decompress(data)
        except (EOFError, OSError, zlib.error) as error:
            raise TraceFormatError(
                "its gzip stream is cut or damaged", where=path, remedy="copy it again"
            ) from error
    if not is_chakra(data):
        raise TraceFormatError(
            f"is no Chakra execution trace{_likeness(data)}",
            where=path,
            remedy="`etsim inspect` tells what it is, `etsim convert` makes a .et of a recording",
        )
    return data


def _likeness(data: bytes) -> str:
    looks_like_json = data.lstrip()[:1] in {b"{", b"["}
    return ", it looks like JSON" if looks_like_json else ""


@dataclass(frozen=True, slots=True)
class Frames:
    """A file's bytes and where its messages stand: the metadata, then every node."""

    data: bytes
    metadata: slice
    begins: list[int]
    ends: list[int]

    def __len__(self) -> int:
        return len(self.ends)

    def contents(self) -> Iterator[bytes]:
        """Give the nodes' messages."""
        for begin, end in zip(self.begins, self.ends, strict=True):
            yield self.data[begin:end]


def framed(data: bytes, where: Path) -> Frames:
    """Find the messages of a file.

    Raises:
        TraceFormatError: the file is cut in the middle of one.
    """
    length, begin = read_length(data, 0)
    if begin + length > len(data):
        raise _cut(where, "the metadata", slice(begin, begin + length), len(data))
    begins, ends = _node_bounds(data, begin + length, where)
    return Frames(data, slice(begin, begin + length), begins, ends)


def _node_bounds(data: bytes, position: int, where: Path) -> tuple[list[int], list[int]]:
    begins: list[int] = []
    ends: list[int] = []
    size = len(data)
    while position < size:
        length = data[position]
        if length < _MORE:  # the usual one and two bytes without a call: a third of reading
            position += 1
        elif position + 1 < size and data[position + 1] < _MORE:
            length = length & 0x7F | data[position + 1] << 7
            position += 2
        else:
            try:
                length, position = read_length(data, position)
            except CutVarintError as error:
                place = slice(position, position)
                raise _cut(where, f"node {len(ends) + 1}", place, size) from error
        if length == 0:
            raise TraceFormatError(
                f"byte {position}: an empty message stands where node {len(ends) + 1} should be",
                where=where,
                remedy="write the file again",
            )
        begins.append(position)
        position += length
        ends.append(position)
    if position > size:
        raise _cut(where, f"node {len(ends)}", slice(begins[-1], ends[-1]), size)
    return begins, ends


def _cut(where: Path, what: str, place: slice, size: int) -> TraceFormatError:
    needed = f" of {place.stop - place.start}" if place.stop > place.start else ""
    return TraceFormatError(
        f"cut in the middle of {what}: from byte {place.start}, "
        f"{size - place.start}{needed} bytes are there",
        where=where,
        remedy="copy or write the file again",
    )
