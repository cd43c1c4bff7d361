"""What must not befall torch's recorders while they run: rivals, forked children, lost groups."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..models.errors import EtsimError
from .recording_files import turn_away

if TYPE_CHECKING:
    from torch.profiler import ExecutionTraceObserver


def already_recording(name: str) -> EtsimError:
    """Say that a process holds one recording."""
    return EtsimError(
        "this process is being recorded already",
        where=name,
        remedy="a process holds one profiler and one ExecutionTraceObserver: use one at a time",
    )


@contextmanager
def replaced(owner: object, name: str, replacement: Callable[..., object]) -> Iterator[None]:
    """Put another function in the place of one of torch's for a while."""
    original = getattr(owner, name)
    setattr(owner, name, replacement)
    try:
        yield
    finally:
        setattr(owner, name, original)


@contextmanager
def only_for(
    kind: type, method: str, is_ours: Callable[[object], bool], name: str
) -> Iterator[None]:
    """Let nobody else call a method of torch's: a rival ends our recording without a word.

    Two profilers in one process crash it when the first is written (torch 2.13); a second
    observer records nothing, and the first one stops when the second is unregistered.
    """
    original: Callable[..., object] = getattr(kind, method)

    def guarded(self: object, *args: object, **kwargs: object) -> object:
        if not is_ours(self):
            raise already_recording(name)
        return original(self, *args, **kwargs)

    with replaced(kind, method, guarded):
        yield


def keep_children_out(observer: "ExecutionTraceObserver", et_part: Path) -> None:
    """Take forked children (a data loader's workers) out of their parent's recording.

    A child inherits the observer with its open file, and would write its own nodes into it.
    """

    def leave() -> None:
        if observer.is_registered:
            turn_away(et_part)
            observer.stop()
            observer._registered = False  # or the child writes the file's end

    os.register_at_fork(after_in_child=leave)
