"""Record a run for etsim: PyTorch's execution trace and its Kineto profile, over one window.

    with capture("out", name="mlp") as recording:          out/mlp.et.json
        train()                                            out/mlp.trace.json

The two files can be joined only when both were recorded together: Kineto writes `Record function
id` 0 on every event unless an ExecutionTraceObserver is registered. A process holds one observer;
a second one writes nothing and says nothing, so here it is an error. Whatever ends the body, the
observer is stopped and unregistered, so that both files are whole; then the exception goes on.

This is the only file of etsim that imports torch, and it does so when a recording starts.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from ..models.errors import AnalysisError, EtsimError, MissingToolError, NeedsRecordingError
from .atomic import write_atomically
from .recording_files import folder_aside, put, writable_folder
from .recording_guards import (
    already_recording,
    keep_children_out,
    let_threads_finish,
    only_for,
    replaced,
)

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
    recording = Recording(writable_folder(out_dir), name, rank, options or CaptureOptions())
    with ExitStack() as stack:
        aside = stack.enter_context(folder_aside(recording.out_dir, name))
        session = _Session(torch, recording, aside)
        session.start()
        session.guard(stack)
        try:
            yield recording
        except BaseException as error:
            try:
                session.finish()
            except EtsimError as fault:  # what stopped the body matters more
                error.add_note(f"etsim: {fault.line()}")
            raise
        session.finish()


class _Session:
    """Torch's two recorders, started and ended together."""

    def __init__(self, torch: ModuleType, recording: Recording, aside: Path) -> None:
        self._torch = torch
        self._recording = recording
        self._et_part = aside / "et.json"
        self._trace_part = aside / "trace.json"
        self._pid = os.getpid()
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

    def start(self) -> None:
        """Register the observer and start both recorders."""
        if self._torch.autograd._profiler_enabled():
            raise already_recording(self._recording.name)
        self._observer.register_callback(str(self._et_part))
        if not self._et_part.exists():  # torch keeps to another observer and does not say so
            self._observer._registered = False  # or our leaving would end the other's recording
            raise already_recording(self._recording.name)
        keep_children_out(self._observer, self._et_part)
        try:
            self._profiler.start()
        except BaseException:
            self._observer.unregister_callback()
            raise
        self._groups = self._process_groups()
        self._recording.profiler = self._profiler

    def guard(self, stack: ExitStack) -> None:
        """Until the stack unwinds, keep rivals out, lose no range, notice when groups go."""
        torch, name = self._torch, self._recording.name
        stop = self._observer.stop

        def stop_when_quiet() -> None:
            if self._observer.is_running():  # type: ignore[no-untyped-call]
                let_threads_finish()
            stop()

        stack.enter_context(replaced(self._observer, "stop", stop_when_quiet))
        own = (self._observer, self._profiler)  # the profiler makes its inner one when it starts
        observer, inner = torch.profiler.ExecutionTraceObserver, torch.autograd.profiler.profile
        stack.enter_context(only_for(observer, "register_callback", lambda it: it is own[0], name))
        stack.enter_context(
            only_for(inner, "_prepare_trace", lambda it: it is own[1].profiler, name)
        )
        if torch.distributed.is_available():
            destroy = torch.distributed.destroy_process_group

            def note_and_destroy(*args: object, **kwargs: object) -> None:
                self._note_groups()  # afterwards nobody knows them
                destroy(*args, **kwargs)

            here = torch.distributed
            stack.enter_context(replaced(here, "destroy_process_group", note_and_destroy))

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
            raise AnalysisError(
                f"could not be written: {fault.strerror}", where=self._recording.out_dir
            ) from fault
        finally:
            self._observer.unregister_callback()

    def _process_groups(self) -> str:
        """Give the process groups as Kineto's JSON, "" where there are none; note the rank."""
        if not (
            self._torch.distributed.is_available() and self._torch.distributed.is_initialized()
        ):
            return ""
        if self._recording.rank is None:
            self._recording.rank = self._torch.distributed.get_rank()
        groups: object = self._profiler._get_distributed_info()  # type: ignore[no-untyped-call]
        return json.dumps(groups, default=str)

    def _note_groups(self) -> None:
        """Write the process groups into both files where they came after the start."""
        groups = self._process_groups()
        running: bool = self._observer.is_running()  # type: ignore[no-untyped-call]
        if groups in ("", self._groups) or not running:
            return
        self._groups = groups
        self._observer._record_pg_config()  # as its start() does
        self._profiler.add_metadata_json("distributedInfo", groups)

    def _end_window(self, profiler: "profile") -> None:
        """End the window: the profiler calls it when both recorders have stopped."""
        self._observer.unregister_callback()
        profiler.export_chrome_trace(str(self._trace_part))

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
            recording.files.append(put(part, target, packed=recording.options.gzip))
        target = recording.out_dir / recording.file_name("wall")
        target.unlink(missing_ok=True)  # an older run's wall time is not this one's
        if recording.steps_ns:
            wall = {"wall_ns": recording.wall_ns, "steps_ns": recording.steps_ns}
            write_atomically(target, json.dumps(wall) + "\n")
            recording.files.append(target)


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
        # The observer sees every thread, so must Kineto; but then it sees no allocations.
        "profile_all_threads": not options.profile_memory,
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


def _rank_of_environment() -> int | None:
    rank = os.environ.get("RANK", "")
    return int(rank) if rank.isdecimal() else None
