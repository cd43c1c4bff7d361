"""`etsim capture`: run a script as python would, and record it for etsim meanwhile."""

import os
import runpy
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from types import FrameType, TracebackType
from typing import TypedDict, Unpack

import click

from ..converters.capture import CaptureOptions, Recording, capture
from ..models.errors import EtsimError, InputError
from .output import json_option, ms, note, print_json, say

_INTERRUPTED = 128 + signal.SIGINT
_TERMINATED = 128 + signal.SIGTERM  # what a shell shows for a process so ended


class _Switches(TypedDict):
    """The options that CaptureOptions takes as they are."""

    record_shapes: bool
    with_stack: bool
    profile_memory: bool
    gzip: bool


@click.command(name="capture", context_settings={"allow_interspersed_args": False})
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=".",
    help="Folder to write to, made if missing; the current one if not given.",
)
@click.option("--name", help="How the files' names begin; the script's name if not given.")
@click.option("--gzip", is_flag=True, help="Write .json.gz.")
@click.option("--stacks", "with_stack", is_flag=True, help="Record Python's calls and modules too.")
@click.option("--memory", "profile_memory", is_flag=True, help="Record allocations too.")
@click.option("--shapes/--no-shapes", "record_shapes", default=True, help="Record operand shapes.")
@json_option
@click.argument("script", type=click.Path(path_type=Path))
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
def command(
    *,
    out: Path,
    name: str | None,
    as_json: bool,
    script: Path,
    args: tuple[str, ...],
    **switches: Unpack[_Switches],
) -> None:
    """Record SCRIPT, run with ARGS as `python SCRIPT ARGS` would run it.

    Writes NAME.et.json and NAME.trace.json. Under torchrun each rank writes its own pair,
    NAME.et.0.json and so on: `torchrun --nproc-per-node 4 -m etsim capture train.py`.

    The whole run is recorded, about 1.5 kB an operator: let the script take few steps. The exit
    code is the script's own.
    """
    if not script.exists():
        raise InputError("there is no such script", where=script)
    options = CaptureOptions(**switches)
    with (
        _stdout_kept_for_the_result() if as_json else nullcontext(),
        _termination_ends_the_script(),
        capture(out, name=name or script.stem, options=options) as recording,
    ):
        recording.mark()
        exit_code = _run(script, args)
        recording.mark()
    _tell(recording, exit_code, as_json=as_json)
    sys.exit(exit_code)


def _run(script: Path, args: tuple[str, ...]) -> int:
    """Run the script as `__main__`; give the code that python would exit with."""
    sys.argv = [str(script), *args]
    if not sys.flags.safe_path:  # python puts the script's folder first, as it did with ours
        sys.path[0] = str(script.resolve().parent)
    try:
        runpy.run_path(str(script), run_name="__main__")
    except SystemExit as end:
        return _exit_code(end.code)
    except EtsimError:
        raise  # our own: one line tells it
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  # what a script raises is its own
        own = _of_the_script(error, script)
        sys.excepthook(type(error), error.with_traceback(own), own)
        return _INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1
    return 0


def _exit_code(code: object) -> int:
    """Give what the shell sees for `sys.exit(code)`."""
    if code is None or isinstance(code, int):
        return code or 0
    click.echo(str(code), err=True)
    return 1


def _of_the_script(error: BaseException, script: Path) -> TracebackType | None:
    """Give the traceback from the script's first frame on; ours would only puzzle."""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename != str(script):
        frames = frames.tb_next
    return frames


def _tell(recording: Recording, exit_code: int, *, as_json: bool) -> None:
    """Say what was recorded."""
    files = [str(path) for path in recording.files]
    if as_json:
        told = {"files": files, "rank": recording.rank, "wall_ns": recording.wall_ns}
        print_json({**told, "exit_code": exit_code})
        return
    say(f"Recorded {ms(recording.wall_ns)} ms: {', '.join(files)}")
    if exit_code:
        note(f"the script ended with code {exit_code}; what it did until then is recorded")


@contextmanager
def _stdout_kept_for_the_result() -> Iterator[None]:
    """Send what the script and its children print to stderr: stdout holds only the JSON."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


@contextmanager
def _termination_ends_the_script() -> Iterator[None]:
    """Let SIGTERM (of torchrun, of a scheduler) end the script as sys.exit would."""

    def leave(_signal: int, _frame: FrameType | None) -> None:
        sys.exit(_TERMINATED)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
