"""Record a run for etsim: PyTorch's execution trace and its Kineto profile, over one window.

    with capture("out", name="mlp") as recording:          out/mlp.et.json
        train()                                            out/mlp.trace.json

The two files can be joined only when both were recorded together: Kineto writes `Record function
id` 0 on every event unless an ExecutionTraceObserver is registered. A process holds one observer;
a second one writes nothing and says nothing, so here it is an error. Whatever ends the body, the
observer is stopped and unregistered, so that both files are whole; then the exception goes on.

This is the only file of etsim that imports torch, and it does so when a recording starts.
"""

import gzip
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from ..models.errors import EtsimError, InputError, MissingToolError, NeedsRecordingError

if TYPE_CHECKING:
    from torch.profiler import ExecutionTraceObserver, ProfilerAction, profile

    Schedule = Callable[[int], ProfilerAction]


@dataclass(frozen=True, slots=True)
class CaptureOptions:
    """What a recording holds beside the operators; `schedule` is one of torch.profiler's."""

    record_shapes: bool = True
    with_stack: bool = False
    profile_memory: bool = False
    gzip: bool = False
    schedule: "Schedule | None" = None


@dataclass(slots=True)
class Recording:
    """A recording under way; its `files` are there once the `with` block has ended."""

    out_dir: Path
    name: str
    rank: int | None
    options: CaptureOptions
    files: list[Path] = field(default_factory=list)
    profiler: "profile | None" = None
    _marks_ns: list[int] = field(default_factory=list)

    def mark(self) -> None:
        """Note the time: the first mark opens the measured region, each further one ends a step.

        With two marks or more, `<name>.wall.json` is written beside the traces.
        """
        self._marks_ns.append(time.perf_counter_ns())

    def step(self) -> None:
        """Tell the profiler's schedule that a step has ended; recorded steps are marked."""
        profiler = self.profiler
        if profiler is None:
            raise EtsimError("step() after the end of the recording", where=self.name)
        if self.options.schedule is None:
            raise EtsimError(
                "step() without a schedule",
                where=self.name,
                remedy="capture(..., options=CaptureOptions(schedule=...)), see torch.profiler",
            )
        recorded = _is_recording(profiler)
        if recorded:
            self.mark()
        profiler.step()
        if not recorded and _is_recording(profiler):
            self.mark()

    def file_name(self, kind: str) -> str:
        """Give the name of the file of a kind: "et", "trace" or "wall"."""
        rank = "" if self.rank is None else f".{self.rank}"
        return f"{self.name}.{kind}{rank}.json"

    @property
    def steps_ns(self) -> list[int]:
        """Give the measured wall time of each step of the marked region."""
        return [end - begin for begin, end in pairwise(self._marks_ns)]

    @property
    def wall_ns(self) -> int:
        """Give the measured wall time of the marked region."""
        return sum(self.steps_ns)


@contextmanager
def capture(
    out_dir: str | Path,
    *,
    name: str = "run",
    rank: int | None = None,
    options: CaptureOptions | None = None,
) -> Iterator[Recording]:
    """Record the body into `<name>.et[.<rank>].json` and `<name>.trace[.<rank>].json`.

    The rank is the one given, or that of the process group, or RANK of the environment
    (torchrun sets it); a run of one process has none, and no number in its file names.
    """
    torch = _load_torch()
    recording = Recording(_writable_folder(out_dir), name, rank, options or CaptureOptions())
    session = _Session(torch, recording)
    session.start()
    try:
        with session.groups_noted_before_they_go():
            yield recording
    except BaseException as error:
        try:
            session.finish()
        except EtsimError as fault:  # what stopped the body matters more
            error.add_note(f"etsim: {fault.line()}")
        raise
    session.finish()


class _Session:
    """Torch's two recorders, started and ended together; files are written aside, then moved."""

    def __init__(self, torch: ModuleType, recording: Recording) -> None:
        self._recording = recording
        self._pid = os.getpid()
        self._distributed = torch.distributed
        self._parts = Path(tempfile.mkdtemp(prefix=f".{recording.name}.", dir=recording.out_dir))
        self._groups = ""
        self._observer: ExecutionTraceObserver = torch.profiler.ExecutionTraceObserver()
        self._profiler: profile = torch.profiler.profile(
            activities=torch.profiler.supported_activities(),
            schedule=_first_cycle(torch, recording.options.schedule),
            on_trace_ready=self._end_window,
            record_shapes=recording.options.record_shapes,
            with_stack=recording.options.with_stack,
            profile_memory=recording.options.profile_memory,
            experimental_config=_experimental_config(torch, recording.options),
            execution_trace_observer=self._observer,
        )

    @property
    def _et_part(self) -> Path:
        return self._parts / "et.json"

    @property
    def _trace_part(self) -> Path:
        return self._parts / "trace.json"

    def start(self) -> None:
        """Register the observer and start both recorders."""
        try:
            self._observer.register_callback(str(self._et_part))
            self._require_the_only_one()
            os.register_at_fork(after_in_child=_ForkGuard(self._observer, self._et_part))
            self._profiler.start()
        except BaseException:
            self._unregister()
            shutil.rmtree(self._parts, ignore_errors=True)
            raise
        self._groups = self._process_groups()
        self._recording.profiler = self._profiler

    def _require_the_only_one(self) -> None:
        """Raise if torch keeps to another observer: it says nothing, but opens no file then."""
        if not self._et_part.exists():
            raise EtsimError(
                "this process is being recorded already",
                where=self._recording.name,
                remedy="torch holds one ExecutionTraceObserver; end the other recording first",
            )

    def finish(self) -> None:
        """Stop both recorders and move what they wrote to its place."""
        if os.getpid() != self._pid:
            return  # a forked child leaves the block too; the recording is its parent's
        self._recording.profiler = None
        try:
            self._note_groups()
            self._profiler.stop()  # ends the window, if its schedule has not done so
            self._move_files()
        except OSError as fault:
            raise InputError(f"could not write: {fault}", where=self._recording.out_dir) from fault
        finally:
            self._unregister()
            shutil.rmtree(self._parts, ignore_errors=True)

    @contextmanager
    def groups_noted_before_they_go(self) -> Iterator[None]:
        """Note the process groups when the body destroys them: afterwards nobody knows them."""
        distributed = self._distributed
        if not distributed.is_available():
            yield
            return
        destroy = distributed.destroy_process_group

        def note_and_destroy(*args: object, **kwargs: object) -> None:
            self._note_groups()
            destroy(*args, **kwargs)

        vars(distributed)["destroy_process_group"] = note_and_destroy
        try:
            yield
        finally:
            vars(distributed)["destroy_process_group"] = destroy

    def _process_groups(self) -> str:
        """Give the process groups as Kineto's JSON, "" where there are none; note the rank."""
        if not (self._distributed.is_available() and self._distributed.is_initialized()):
            return ""
        if self._recording.rank is None:
            self._recording.rank = self._distributed.get_rank()
        groups: object = self._profiler._get_distributed_info()  # type: ignore[no-untyped-call]
        return json.dumps(groups, default=str)

    def _note_groups(self) -> None:
        """Write the process groups into both files where they came after the start."""
        groups = self._process_groups()
        if groups in ("", self._groups):
            return
        self._groups = groups
        if self._observer.is_running():  # type: ignore[no-untyped-call]
            self._observer._record_pg_config()  # as its start() does
        self._profiler.add_metadata_json("distributedInfo", groups)

    def _end_window(self, profiler: "profile") -> None:
        """End the window: the profiler calls it when both recorders have stopped."""
        self._unregister()
        profiler.export_chrome_trace(str(self._trace_part))

    def _unregister(self) -> None:
        self._observer.unregister_callback()

    def _move_files(self) -> None:
        recording = self._recording
        if not self._trace_part.exists():
            raise NeedsRecordingError(
                "nothing was recorded: the run ended before the schedule's active steps",
                where=recording.name,
                remedy="run more steps, or a schedule with fewer before the active ones",
            )
        if recording.rank is None:
            recording.rank = _rank_of_environment()
        for part, kind in ((self._et_part, "et"), (self._trace_part, "trace")):
            target = recording.out_dir / recording.file_name(kind)
            recording.files.append(_put(part, target, recording.options))
        if recording.steps_ns:
            target = recording.out_dir / recording.file_name("wall")
            wall = {"wall_ns": recording.wall_ns, "steps_ns": recording.steps_ns}
            target.write_text(json.dumps(wall) + "\n", encoding="utf-8")
            recording.files.append(target)


class _ForkGuard:
    """Take a forked child (a data loader's worker) out of its parent's recording.

    The child inherits the observer and its open file, and would write its own nodes into it.
    """

    def __init__(self, observer: "ExecutionTraceObserver", et_part: Path) -> None:
        self._observer = observer
        self._et_part = et_part

    def __call__(self) -> None:
        if not self._observer.is_registered:
            return
        _turn_away(self._et_part)
        self._observer.stop()
        self._observer._registered = False  # or the child writes the file's end


def _load_torch() -> ModuleType:
    """Import torch here and nowhere else, so that etsim runs without it."""
    try:
        import torch.distributed  # noqa: PLC0415
        import torch.profiler  # noqa: PLC0415
    except ImportError as fault:
        raise MissingToolError("recording needs PyTorch", remedy="pip install torch") from fault
    return torch


def _experimental_config(torch: ModuleType, options: CaptureOptions) -> object:
    """Ask for what a faithful replay needs, as far as this version of torch knows it."""
    config = torch._C._profiler._ExperimentalConfig
    wanted = {
        "enable_cuda_sync_events": True,  # who waits for the device, and who for which stream
        "profile_all_threads": True,  # the observer sees every thread: so must Kineto
        "trace_only": not options.with_stack,  # no Python object for each event; stacks need them
    }
    known: str = config.__init__.__doc__ or ""  # where C++ tells its parameters
    made: object = config(**{key: value for key, value in wanted.items() if f"{key}:" in known})
    return made


def _first_cycle(torch: ModuleType, schedule: "Schedule | None") -> "Schedule | None":
    """Stop a schedule after its first cycle: Kineto keeps one, the observer would keep all."""
    if schedule is None:
        return None
    action = torch.profiler.ProfilerAction
    ended = False

    def until_saved(step: int) -> "ProfilerAction":
        nonlocal ended
        wanted = action.NONE if ended else schedule(step)
        ended = ended or wanted == action.RECORD_AND_SAVE
        return wanted

    return until_saved


def _is_recording(profiler: "profile") -> bool:
    return profiler.current_action.name.startswith("RECORD")


def _writable_folder(path: str | Path) -> Path:
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise InputError(f"no folder to write to: {fault.strerror}", where=folder) from fault
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError("no right to write into this folder", where=folder)
    return folder


def _rank_of_environment() -> int | None:
    rank = os.environ.get("RANK", "")
    return int(rank) if rank.isdecimal() else None


def _put(part: Path, target: Path, options: CaptureOptions) -> Path:
    """Move a finished file to its place, compressed if asked; it is whole or it is not there."""
    if not options.gzip:
        return part.replace(target)
    packed = part.with_suffix(".gz")
    with part.open("rb") as plain, gzip.open(packed, "wb") as out:
        shutil.copyfileobj(plain, out)
    return packed.replace(target.with_name(f"{target.name}.gz"))


def _turn_away(path: Path) -> None:
    """Point this process's descriptors of a file at nothing, leaving other processes' alone."""
    for descriptor in Path("/dev/fd").iterdir():
        number = int(descriptor.name)
        with suppress(OSError):
            if os.path.samestat(os.fstat(number), path.stat()):
                nothing = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nothing, number)
                os.close(nothing)
