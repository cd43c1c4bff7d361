"""Where a recording's files lie: written aside, moved when whole, kept from forked children."""

import gzip
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..models.errors import UsageError


def writable_folder(path: str | Path) -> Path:
    """Give a folder to write into, made where it is missing."""
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise UsageError(f"no folder to write to: {fault.strerror}", where=folder) from fault
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError("no right to write into this folder", where=folder)
    return folder


@contextmanager
def folder_aside(folder: Path, name: str) -> Iterator[Path]:
    """Give a folder for files under way, beside where they will lie; it goes with its maker."""
    maker = os.getpid()
    aside = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=folder))
    try:
        yield aside
    finally:
        if os.getpid() == maker:  # a forked child leaves the block too
            shutil.rmtree(aside, ignore_errors=True)


def put(part: Path, target: Path, *, packed: bool) -> Path:
    """Move a finished file to its place, compressed if asked; it is whole or it is not there."""
    if not packed:
        return part.replace(target)
    small = part.with_suffix(".gz")
    with part.open("rb") as plain, gzip.open(small, "wb") as out:
        shutil.copyfileobj(plain, out)
    return small.replace(target.with_name(f"{target.name}.gz"))


def turn_away(path: Path) -> None:
    """Point this process's descriptors of a file at nothing, leaving other processes' alone."""
    for descriptor in Path("/dev/fd").iterdir():
        number = int(descriptor.name)
        with suppress(OSError):  # the descriptor of the listing itself is gone by now
            if os.path.samestat(os.fstat(number), path.stat()):
                nothing = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nothing, number)
                os.close(nothing)
