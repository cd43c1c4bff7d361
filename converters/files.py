"""Read whole files, gzipped or plain, and tell by their content what they are."""

import re
import zlib
from enum import StrEnum
from pathlib import Path

from ..models.errors import InputError, TraceFormatError
from .blocks import GZIP_MAGIC, file_blocks, file_error

SQLITE_MAGIC = b"SQLite format 3\x00"
HEAD_BYTES = 65536
# Ascend's list has cpu_op and python_function, too, but nothing of a device.
_KINETO_CATEGORY = re.compile(
    rb'"cat"\s*:\s*"(?:kernel|(?:cuda|xpu)_(?:runtime|driver)|gpu_mem|user_annotation)'
)
_NODES, _SCHEMA = re.compile(rb'"nodes"\s*:\s*\['), re.compile(rb'"schema"\s*:\s*"')
_VERSION = re.compile(rb"\x0a[\x01-\x10][0-9][0-9.]*\x12")


class FileKind(StrEnum):
    """What a file is, by its content."""

    EXECUTION_TRACE = "execution trace"
    KINETO = "Kineto trace"
    ASCEND = "Ascend trace view"
    CHAKRA = "Chakra .et"
    NSYS = "Nsight Systems sqlite"
    JSON = "JSON of another kind"
    OTHER = "unknown"


def read_bytes(path: Path) -> bytes:
    """Give the content of a file, unpacked where it is gzip.

    Raises:
        InputError: missing (with the nearest name there is), a folder, or empty.
        TraceFormatError: a gzip stream that is cut or damaged.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise file_error(error, path) from None
    content = gunzip(data, path) if data.startswith(GZIP_MAGIC) else data
    if not content:
        raise InputError("the file is empty", where=path, remedy="record the run again")
    return content


def gunzip(data: bytes, path: Path) -> bytes:
    """Unpack all members of a gzip stream.

    Raises:
        TraceFormatError: the stream ends early or is damaged.
    """
    parts = []
    while data:
        unpacker = zlib.decompressobj(wbits=31)
        try:
            parts.append(unpacker.decompress(data) + unpacker.flush())
        except zlib.error as error:
            raise TraceFormatError(f"the gzip stream is damaged: {error}", where=path) from None
        if not unpacker.eof:
            raise TraceFormatError(
                f"the gzip stream is cut after {len(data):,} bytes",
                where=path,
                remedy="copy or record the file again",
            )
        data = unpacker.unused_data.lstrip(b"\0")
    return b"".join(parts)


def sniff(data: bytes) -> FileKind:
    """Tell what unpacked content is, from its first bytes and a few telling keys."""
    if data.startswith(SQLITE_MAGIC):
        return FileKind.NSYS
    start = data[:HEAD_BYTES].lstrip()
    if start.startswith(b"["):
        if b'"ph"' not in start:
            return FileKind.JSON
        return FileKind.KINETO if _KINETO_CATEGORY.search(start) else FileKind.ASCEND
    if start.startswith(b"{"):
        return _json_kind(data)
    return FileKind.CHAKRA if _frames_chakra(data) else FileKind.OTHER


def kind_of(path: Path) -> FileKind:
    """Tell what a file is, reading no more of it than that takes; errors as `file_blocks`."""
    blocks = file_blocks(path)
    head = next(blocks)
    found = sniff(head)
    if found is not FileKind.JSON or not head.lstrip().startswith(b"{"):
        return found
    tail = head[-HEAD_BYTES:]
    for block in blocks:
        tail = tail[-HEAD_BYTES:] + block
        if b'"traceEvents"' in tail:
            return FileKind.KINETO
    return _json_kind(head[:HEAD_BYTES] + tail[-HEAD_BYTES:])


def _json_kind(data: bytes) -> FileKind:
    head, tail = data[:HEAD_BYTES], data[-HEAD_BYTES:]
    if b'"traceEvents"' in head:
        return FileKind.KINETO
    if _NODES.search(head) and _SCHEMA.search(head):
        return FileKind.EXECUTION_TRACE
    if b'"traceEvents"' in data:
        return FileKind.KINETO
    if b'"nodes"' in head and (b'"schema"' in head or b'"schema"' in tail):
        return FileKind.EXECUTION_TRACE
    return FileKind.JSON


def _frames_chakra(data: bytes) -> bool:
    """A varint length, then a GlobalMetadata: field 1 (string) or field 2 (message) comes first."""
    size, shift = 0, 0
    for place, byte in enumerate(data[:5]):
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            # a version stands first in most files: one that is cut in its first message, too
            whole = 0 < size < len(data) and data[place + 1] in (0x0A, 0x12)
            return whole or _VERSION.match(data, place + 1) is not None
    return False


def expect_kind(found: FileKind, wanted: FileKind, path: Path, option: str) -> None:
    """Raise TraceFormatError unless a file is of the kind that an option wants."""
    if found is wanted:
        return
    swapped = {found, wanted} == {FileKind.EXECUTION_TRACE, FileKind.KINETO}
    remedy = "swap --et and --trace?" if swapped else f"{option} takes {_article(wanted)}"
    told = f"is {_article(found)}, not {_article(wanted)}"
    raise TraceFormatError(told, where=path, remedy=remedy)


def _article(kind: FileKind) -> str:
    name = "neither JSON nor Chakra" if kind is FileKind.OTHER else str(kind)
    return f"an {name}" if name[0] in "aeiouAEIOU" else name if " nor " in name else f"a {name}"
