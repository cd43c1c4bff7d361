"""Give a file's content block by block, unpacked where it is gzip; it is never held whole."""

import difflib
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ..models.errors import InputError, TraceFormatError

GZIP_MAGIC = b"\x1f\x8b"
BLOCK_BYTES = 4 << 20
_AUTOMATIC = 31  # zlib's window size and a gzip header


def file_blocks(path: Path, block_bytes: int = BLOCK_BYTES) -> Iterator[bytes]:
    """Give a file's unpacked content in blocks of at most `block_bytes`.

    Raises:
        InputError: the system refuses the file, or it is empty.
        TraceFormatError: a gzip stream that is cut or damaged, after the blocks that are sound.
    """
    try:
        with path.open("rb") as file:
            packed = file.read(2) == GZIP_MAGIC
            file.seek(0)
            parts = _unpacked(file, path, block_bytes) if packed else _plain(file, block_bytes)
            empty = True
            for block in parts:
                empty = False
                yield block
    except OSError as error:
        raise file_error(error, path) from None
    if empty:
        raise InputError("the file is empty", where=path, remedy="record the run again")


def _plain(file: BinaryIO, block_bytes: int) -> Iterator[bytes]:
    while block := file.read(block_bytes):
        yield block


def _unpacked(file: BinaryIO, path: Path, block_bytes: int) -> Iterator[bytes]:
    """Unpack all members of a gzip stream."""
    unpacker, data = zlib.decompressobj(wbits=_AUTOMATIC), b""
    while data or (data := file.read(block_bytes)):
        try:
            block = unpacker.decompress(data, block_bytes)
        except zlib.error as error:
            raise TraceFormatError(f"the gzip stream is damaged: {error}", where=path) from None
        if block:
            yield block
        data = unpacker.unconsumed_tail
        if unpacker.eof:
            data = unpacker.unused_data.lstrip(b"\0")
            unpacker = zlib.decompressobj(wbits=_AUTOMATIC) if _more(data, file) else unpacker
    if not unpacker.eof:
        raise TraceFormatError(
            f"the gzip stream is cut after {file.tell():,} bytes",
            where=path,
            remedy="copy or record the file again, or read what there is with --salvage",
        )


def _more(data: bytes, file: BinaryIO) -> bool:
    """Tell whether another member follows: padding of zero bytes does not count."""
    if data:
        return True
    place = file.tell()
    following = file.read(1 << 16).strip(b"\0")
    file.seek(place)
    return bool(following)


def file_error(error: OSError, path: Path) -> InputError:
    """Give the error for a file that the system refuses; one that is missing with the nearest."""
    if isinstance(error, FileNotFoundError):
        return InputError("no such file", where=path, remedy=nearest_name(path))
    if isinstance(error, IsADirectoryError):
        return InputError("is a folder, expected a file", where=path)
    return InputError(f"cannot be read: {error.strerror}", where=path)


def nearest_name(path: Path) -> str:
    """Say which name nearest to a missing one there is."""
    folder = path.parent if path.parent.is_dir() else Path()
    names = [entry.name for entry in folder.iterdir()]
    near = difflib.get_close_matches(path.name, names, n=1)
    return f"did you mean {folder / near[0]}?" if near else "check the path"
