"""What must not befall torch's recorders while they run: rivals, forked children, lost groups."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..models.errors import EtsimError
from .recording_files import turn_away

if TYPE_CHECKING:
    from torch.profiler import ExecutionTraceObserver

THREADS = Path("/proc/self/task")
QUIET_LOOK_S = 1e-3  # between two looks at the threads: longer than a range takes to close
QUIET_LIMIT_S = 0.5  # a thread that never rests (a data loader's) must not hold up the end


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


def let_threads_finish() -> None:
    """Wait until the process's other threads rest, so that their open ranges are closed.

    The observer writes a node when its range closes. A backend's thread tells that its collective
    is done first and closes the range afterwards: on a busy machine that may be after the body.
    """
    until = time.monotonic() + QUIET_LIMIT_S
    quiet_looks = 0
    while quiet_looks < 2 and time.monotonic() < until:
        time.sleep(QUIET_LOOK_S)
        quiet_looks = 0 if _another_thread_runs() else quiet_looks + 1


def _another_thread_runs() -> bool:
    """Tell whether another thread runs or waits for a core; never, where the system has no /proc.

    /proc/self/task/<id>/stat: `id (name) state ...`, the state R for both.
    """
    own = str(threading.get_native_id())
    for thread in THREADS.glob("[0-9]*"):
        try:
            stat = (thread / "stat").read_text()
        except OSError:  # it has ended meanwhile
            continue
        if thread.name != own and stat.rpartition(")")[2].split()[0] == "R":
            return True
    return False
