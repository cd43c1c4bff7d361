"""Write a file whole or not at all: beside its place first, then renamed over it.

with atomic_path(Path("run.et")) as part:    # .run.et.<pid>.part in the same folder
    part.write_bytes(...)                    # renamed to run.et at the end; deleted on an error
"""

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from ..models.errors import AnalysisError, UsageError

_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG}
_FAILED = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG}


def write_atomically(path: str | Path, content: bytes | str) -> None:
    """Write bytes, or text as UTF-8, so that `path` never holds a part of them.

    Raises:
        UsageError: the place cannot be written to.
        AnalysisError: the disk failed or is full.
    """
    data = content.encode() if isinstance(content, str) else content
    with atomic_path(path) as part:
        part.write_bytes(data)


def write_together(files: Iterable[tuple[Path, Iterable[bytes]]]) -> None:
    """Write files as they come; all are renamed to their places at the end, or none is there.

    Raises:
        UsageError: a place cannot be written to.
        AnalysisError: the disk failed or is full.
    """
    with ExitStack() as parts:
        for path, content in files:
            part = parts.enter_context(atomic_path(path))
            with part.open("wb") as file:
                file.writelines(content)


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a path to write to; it becomes `path` when the block ends well, else it is deleted.

    Pipes and devices such as /dev/stdout are given as they are: they cannot be renamed over.

    Raises:
        UsageError: the place cannot be written to.
        AnalysisError: the disk failed or is full.
    """
    if _is_special(path):
        with _os_errors_named(path, Path(path)):
            yield Path(path)
        return
    goal = Path(os.path.realpath(path))  # a link stays a link: its target is replaced
    part = goal.with_name(f".{goal.name}.{os.getpid()}.part")
    try:
        with _os_errors_named(path, part):
            _refuse_folder(goal)
            yield part
            old_mode = _mode(goal)
            if old_mode:
                part.chmod(stat.S_IMODE(old_mode))
            part.replace(goal)
    finally:
        with suppress(OSError):
            part.unlink()


def _mode(path: str | Path) -> int:
    """Give what the path is and may, 0 where there is nothing to be found."""
    try:
        return Path(path).stat().st_mode
    except OSError:
        return 0


def _is_special(path: str | Path) -> bool:
    mode = _mode(path)
    return mode != 0 and not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def _refuse_folder(goal: Path) -> None:
    if stat.S_ISDIR(_mode(goal)):
        raise UsageError("is a folder", where=goal, remedy="name a file in it")
    if not stat.S_ISDIR(_mode(goal.parent)):
        raise UsageError(
            f"the folder {goal.parent} is not there", where=goal.name, remedy="make it first"
        )


@contextmanager
def _os_errors_named(path: str | Path, part: Path) -> Iterator[None]:
    """Turn the system's refusals to write into typed errors; refusals of other files pass."""
    try:
        yield
    except OSError as error:
        ours = error.filename is None or Path(os.fsdecode(error.filename)) == part
        if ours and error.errno in _REFUSED:
            raise UsageError(
                f"cannot be written: {error.strerror}", where=path, remedy="choose another -o"
            ) from error
        if ours and error.errno in _FAILED:
            raise AnalysisError(f"could not be written: {error.strerror}", where=path) from error
        raise
