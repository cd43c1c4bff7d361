"""The recorder: both files whole and of one window, whatever ends the body."""

import json
import os
import sys
import threading
import time
from pathlib import Path
from types import ModuleType

import pytest

from etsim.converters.capture import CaptureOptions, capture
from etsim.converters.recording_guards import THREADS
from etsim.models.errors import EtsimError, MissingToolError, NeedsRecordingError, UsageError
from etsim.tests.recorded_pair import read_pair


@pytest.fixture
def torch() -> ModuleType:
    module: ModuleType = pytest.importorskip("torch")
    return module


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.torch
def test_every_node_has_its_kineto_event(torch: ModuleType, tmp_path: Path) -> None:
    model = torch.nn.Linear(4, 4)
    with capture(tmp_path, name="run") as recording:
        model(torch.ones(2, 4)).sum().backward()
    pair = read_pair(tmp_path, "run")
    assert pair.whole
    assert pair.names["aten::addmm"] == 1
    assert pair.names["AddmmBackward0"] == 1  # autograd's thread is recorded
    assert pair.unmatched == []
    assert pair.without_id == 0
    assert [path.name for path in recording.files] == ["run.et.json", "run.trace.json"]
    assert names(tmp_path) == ["run.et.json", "run.trace.json"]  # nothing is left over


@pytest.mark.torch
def test_a_thread_of_the_body_is_recorded_on_both_sides(torch: ModuleType, tmp_path: Path) -> None:
    with capture(tmp_path):
        worker = threading.Thread(target=lambda: torch.ones(2) + 1)
        worker.start()
        worker.join()
    pair = read_pair(tmp_path, "run")
    assert pair.names["aten::add"] == 1
    assert pair.unmatched == []


@pytest.mark.torch
@pytest.mark.skipif(not THREADS.exists(), reason="needs /proc to see what the threads do")
def test_a_range_that_a_thread_closes_just_after_the_body_is_in_both_files(
    torch: ModuleType, tmp_path: Path
) -> None:
    """body: . . . |      thread: [ late: mm ... | ... ]"""
    begun = threading.Event()
    square = torch.ones(64, 64)

    def late() -> None:
        with torch.profiler.record_function("late"):
            begun.set()
            until = time.monotonic() + 0.05
            while time.monotonic() < until:
                torch.mm(square, square)

    worker = threading.Thread(target=late)
    with capture(tmp_path):
        worker.start()
        begun.wait()
    worker.join()
    pair = read_pair(tmp_path, "run")
    assert pair.names["late"] == pair.annotations["late"] == 1
    assert pair.unmatched == []


@pytest.mark.torch
def test_a_forked_child_leaves_its_parents_recording_alone(
    torch: ModuleType, tmp_path: Path
) -> None:
    """parent: add . . . . add; child: mul, then it leaves the block by an exception."""
    child = 0
    try:
        with capture(tmp_path):
            torch.ones(2) + 1
            child = os.fork()
            if child == 0:
                for _ in range(100):  # more than a buffer of the file
                    torch.ones(2) * 2
                raise ChildProcessError  # noqa: TRY301
            os.waitpid(child, 0)
            torch.ones(2) + 1
    except ChildProcessError:
        os._exit(0)
    pair = read_pair(tmp_path, "run")
    assert pair.whole
    assert pair.names["aten::add"] == 2
    assert pair.names["aten::mul"] == 0
    assert pair.unmatched == []


@pytest.mark.torch
@pytest.mark.parametrize("end", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_files_are_whole_when_the_body_is_cut_short(
    torch: ModuleType, tmp_path: Path, end: type[BaseException]
) -> None:
    def body() -> None:
        with capture(tmp_path), torch.profiler.record_function("epoch_0"):
            torch.ones(2) + 1
            raise end

    with pytest.raises(end):
        body()
    pair = read_pair(tmp_path, "run")
    assert pair.whole
    assert pair.names["aten::add"] == 1
    assert pair.unmatched == []
    assert names(tmp_path) == ["run.et.json", "run.trace.json"]


@pytest.mark.torch
def test_a_second_recording_may_follow_the_first(torch: ModuleType, tmp_path: Path) -> None:
    """Each file holds its own run: torch by itself would put both into the first."""
    with capture(tmp_path, name="first"):
        torch.ones(2) + 1
    torch.ones(2) - 1
    with capture(tmp_path, name="second"):
        torch.ones(2) * 2
    first, second = read_pair(tmp_path, "first"), read_pair(tmp_path, "second")
    assert (first.names["aten::add"], first.names["aten::mul"]) == (1, 0)
    assert (second.names["aten::add"], second.names["aten::mul"]) == (0, 1)
    assert first.names["aten::sub"] == second.names["aten::sub"] == 0


@pytest.mark.torch
def test_a_recording_inside_another_is_refused_and_the_outer_goes_on(
    torch: ModuleType, tmp_path: Path
) -> None:
    with capture(tmp_path, name="outer"):
        with (
            pytest.raises(EtsimError, match="recorded already"),
            capture(tmp_path, name="inner"),
        ):
            pass
        torch.ones(2) + 1
    pair = read_pair(tmp_path, "outer")
    assert pair.whole
    assert pair.names["aten::add"] == 1
    assert names(tmp_path) == ["outer.et.json", "outer.trace.json"]


@pytest.mark.torch
@pytest.mark.parametrize("rival", ["torch.profiler", "torch.autograd.profiler", "observer"])
def test_torchs_own_recorders_are_kept_out_meanwhile(
    torch: ModuleType, tmp_path: Path, rival: str
) -> None:
    """Let in, a second profiler crashes the process when the first one is written."""

    def start_rival() -> None:
        match rival:
            case "torch.profiler":
                torch.profiler.profile().start()
            case "torch.autograd.profiler":
                torch.autograd.profiler.profile().__enter__()
            case "observer":
                observer = torch.profiler.ExecutionTraceObserver()
                observer.register_callback(str(tmp_path / "rival.json"))

    with capture(tmp_path):
        with pytest.raises(EtsimError, match="recorded already"):
            start_rival()
        torch.ones(2) + 1
    pair = read_pair(tmp_path, "run")
    assert pair.whole
    assert pair.names["aten::add"] == 1
    with torch.profiler.profile():  # and let in again afterwards
        torch.ones(2) + 1


@pytest.mark.torch
def test_it_is_refused_while_torchs_own_recorders_run(torch: ModuleType, tmp_path: Path) -> None:
    with (
        torch.profiler.profile() as profiler,
        pytest.raises(EtsimError, match="recorded already"),
        capture(tmp_path),
    ):
        pass
    assert profiler.events() is not None
    theirs = tmp_path / "theirs.json"
    observer = torch.profiler.ExecutionTraceObserver().register_callback(str(theirs))
    with pytest.raises(EtsimError, match="recorded already"), capture(tmp_path):
        pass
    observer.start()
    torch.ones(2) + 1
    observer.unregister_callback()
    assert "finish_ts" in json.loads(theirs.read_text())
    assert names(tmp_path) == ["theirs.json"]


@pytest.mark.torch
@pytest.mark.parametrize(
    ("rank", "environment", "number"),
    [(None, None, ""), (3, None, ".3"), (None, "2", ".2"), (1, "2", ".1"), (None, "two", "")],
)
def test_files_carry_the_rank(
    torch: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rank: int | None,
    environment: str | None,
    number: str,
) -> None:
    monkeypatch.delenv("RANK", raising=False)
    if environment is not None:
        monkeypatch.setenv("RANK", environment)
    with capture(tmp_path, rank=rank) as recording:
        recording.mark()
        torch.ones(2)
        recording.mark()
    assert names(tmp_path) == [
        f"run.et{number}.json",
        f"run.trace{number}.json",
        f"run.wall{number}.json",
    ]


@pytest.mark.torch
def test_process_groups_made_and_destroyed_in_the_body_are_in_both_files(
    torch: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if sys.platform == "linux":
        monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    traces = tmp_path / "traces"
    with capture(traces):
        meeting = f"file://{tmp_path / 'meeting'}"
        torch.distributed.init_process_group("gloo", init_method=meeting, rank=0, world_size=1)
        torch.distributed.all_reduce(torch.ones(4))
        torch.distributed.destroy_process_group()
    pair = read_pair(traces, "run", rank=0)
    assert pair.names["## process_group:init ##"] == 1
    assert pair.annotations["gloo:all_reduce"] == 1
    assert isinstance(pair.groups, dict)
    assert pair.groups["world_size"] == 1
    assert pair.groups["pg_config"][0]["ranks"] == [0]
    assert pair.unmatched == []


@pytest.mark.torch
def test_a_schedule_picks_and_marks_one_cycle(torch: ModuleType, tmp_path: Path) -> None:
    """wait warm [step step] wait warm (step step): the second cycle is left out of both files."""
    schedule = torch.profiler.schedule(wait=1, warmup=1, active=2)
    options = CaptureOptions(schedule=schedule, gzip=True)
    with capture(tmp_path, options=options) as recording:
        for _ in range(8):
            torch.ones(2) + 1
            recording.step()
    pair = read_pair(tmp_path, "run")
    assert pair.names["aten::add"] == 2
    assert pair.annotations == {"ProfilerStep#2": 1, "ProfilerStep#3": 1}
    assert pair.unmatched == []
    assert len(recording.steps_ns) == 2
    assert names(tmp_path) == ["run.et.json.gz", "run.trace.json.gz", "run.wall.json"]


@pytest.mark.torch
def test_a_schedule_that_never_records_is_an_error(torch: ModuleType, tmp_path: Path) -> None:
    options = CaptureOptions(schedule=torch.profiler.schedule(wait=5, warmup=1, active=1))
    with (
        pytest.raises(NeedsRecordingError, match="active steps"),
        capture(tmp_path, options=options) as recording,
    ):
        recording.step()
    assert names(tmp_path) == []


@pytest.mark.torch
def test_a_step_without_a_schedule_is_an_error(torch: ModuleType, tmp_path: Path) -> None:
    assert torch
    with capture(tmp_path) as recording, pytest.raises(EtsimError, match="without a schedule"):
        recording.step()
    with pytest.raises(EtsimError, match="after the end"):
        recording.step()


@pytest.mark.torch
def test_marks_give_the_wall_time_of_each_step(torch: ModuleType, tmp_path: Path) -> None:
    assert torch
    with capture(tmp_path) as recording:
        for _ in range(3):
            recording.mark()
    wall = json.loads((tmp_path / "run.wall.json").read_text())
    assert wall == {"wall_ns": sum(wall["steps_ns"]), "steps_ns": recording.steps_ns}
    assert len(wall["steps_ns"]) == 2
    with capture(tmp_path):
        pass
    assert not (tmp_path / "run.wall.json").exists()  # it was the other run's


@pytest.mark.torch
@pytest.mark.parametrize(
    ("options", "seen"),
    [
        (CaptureOptions(with_stack=True), "nn.Module: Linear_0"),
        (CaptureOptions(profile_memory=True), "[memory]"),
    ],
)
def test_more_detail_does_not_harm_the_join(
    torch: ModuleType, tmp_path: Path, options: CaptureOptions, seen: str
) -> None:
    with capture(tmp_path, options=options):
        torch.nn.Linear(4, 4)(torch.ones(2, 4))
    pair = read_pair(tmp_path, "run")
    assert pair.names["aten::addmm"] == 1
    assert pair.unmatched == []
    assert seen in (tmp_path / "run.trace.json").read_text()


@pytest.mark.torch
def test_a_folder_that_cannot_be_is_told(torch: ModuleType, tmp_path: Path) -> None:
    assert torch
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="no folder to write to"), capture(tmp_path / "file"):
        pass


def test_without_torch_the_remedy_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingToolError, match="pip install torch"), capture(tmp_path):
        pass
    assert names(tmp_path) == []
