"""`etsim whatif`: changes stack on the command line; the answer is a waterfall, or one line."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from etsim.cli.whatif import command
from etsim.converters.chakra import read_graph, write_graph
from etsim.converters.convert import Sources, convert
from etsim.models.errors import NeedsRecordingError, UsageError
from etsim.models.graph import same_graph

from ..models.transforms.training_graph import applied, training_run
from .caller import RECORDED


@pytest.fixture
def run_et(tmp_path: Path) -> Path:
    path = tmp_path / "run.et"
    write_graph(training_run(layers=2, steps=2), path)
    return path


def asked(*arguments: str | Path) -> Result:
    return CliRunner().invoke(command, [str(a) for a in arguments], catch_exceptions=False)


def test_the_answer_is_a_waterfall(run_et: Path) -> None:
    result = asked("--et", run_et, "--apply", "layers:to=4", "--apply", "ddp:2,link=10GB/s")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert "with all changes" in lines[0]
    for name in ("recorded run", "layers:to=4", "ddp:2,link=10GB/s"):
        assert any(line.lstrip().startswith(name) for line in lines)
    assert "Assumes that" in result.stdout


def test_the_json_holds_every_stage(run_et: Path) -> None:
    result = asked("--et", run_et, "--apply", "layers:to=4", "--json")
    document = json.loads(result.stdout)
    assert set(document) == {
        "measured_ns", "predicted_ns", "source", "target", "stages", "memory", "warnings",
    }  # fmt: skip
    assert [stage["name"] for stage in document["stages"]] == ["recorded run", "layers:to=4"]
    assert document["predicted_ns"] == document["stages"][-1]["predicted_ns"]


def test_the_changed_run_can_be_written_and_asked_again(run_et: Path, tmp_path: Path) -> None:
    out = tmp_path / "whatif.et"
    result = asked("--et", run_et, "--apply", "ddp:ranks=4,link=1GB/s", "-o", out)
    assert result.exit_code == 0
    expected = applied(read_graph(run_et), "ddp:ranks=4,link=1GB/s")
    assert same_graph(read_graph(out), expected)
    again = json.loads(asked("--et", out, "--json").stdout)
    assert again["stages"][0]["rows"] == len(expected)


def test_a_run_of_several_ranks_is_not_written(run_et: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="2 ranks"):
        asked(
            "--et", run_et, "--apply", "pipeline:stages=2,micro=2,link=1GB/s", "-o",
            tmp_path / "out.et",
        )  # fmt: skip


def test_two_runs_tell_the_batch_without_a_guess(run_et: Path, tmp_path: Path) -> None:
    second = tmp_path / "large.et"
    write_graph(applied(read_graph(run_et), "batch:from=16,to=64"), second)
    plain = asked("--et", run_et, "--apply", "batch:from=16,to=32", "--json")
    told = asked("--et", run_et, "--apply", f"batch:from=16,to=32,second={second},at=64", "--json")
    times = [json.loads(result.stdout)["predicted_ns"] for result in (plain, told)]
    assert times[0] == times[1]


def test_all_changes_are_listed_with_edit_and_assumption() -> None:
    result = asked("--list")
    assert result.exit_code == 0
    assert "fused-optimizer" in result.stdout
    assert result.stdout.count("Edit:") == result.stdout.count("Assumes that") >= 24
    listed = json.loads(asked("--list", "--json").stdout)
    assert {"name", "about", "edit", "assumes", "needs", "parameters", "memory"} == set(listed[0])


def test_what_the_recording_lacks_is_told_with_code_3(run_et: Path) -> None:
    with pytest.raises(NeedsRecordingError) as error:
        asked("--et", run_et, "--apply", "cuda-graphs")
    assert error.value.exit_code == 3


def test_no_run_is_told() -> None:
    with pytest.raises(UsageError, match="no run given"):
        asked("--apply", "amp")


@pytest.fixture
def transformer_et(tmp_path: Path) -> Path:
    path = tmp_path / "transformer.et"
    parts = (RECORDED / f"transformer.{kind}.json.gz" for kind in ("et", "trace"))
    write_graph(convert(Sources(0, *parts)).graph, path)
    return path


def test_memory_is_told_at_every_stage_and_followed_to_the_end(transformer_et: Path) -> None:
    document = json.loads(asked("--et", transformer_et, "--apply", "accumulate:4", "--json").stdout)
    first, last = (stage["memory"] for stage in document["stages"])
    assert document["memory"]["by_use"] == last["by_use"]
    assert last["by_use"]["gradients"] > first["by_use"].get("gradients", 0)
    assert last["fits"] is True
    told = asked("--et", transformer_et, "--apply", "accumulate:4").stdout
    assert re.search(r"^stage .* memory$", told, re.MULTILINE)
    assert "Memory: " in told


def test_the_written_run_tells_its_own_memory(transformer_et: Path, tmp_path: Path) -> None:
    out = tmp_path / "changed.et"
    changed = json.loads(
        asked("--et", transformer_et, "--apply", "ddp:2,link=1GB/s", "--json", "-o", out).stdout
    )
    again = json.loads(asked("--et", out, "--json").stdout)
    assert again["memory"]["by_use"]["gradient buckets"] > 0
    assert again["memory"]["peak_bytes"] == changed["memory"]["peak_bytes"]


def test_memory_that_is_not_known_is_said_to_be(run_et: Path) -> None:
    assert "Memory: not known: the recording holds no tensors" in asked("--et", run_et).stdout


def test_the_list_says_what_happens_to_memory() -> None:
    listed = asked("--list").stdout
    assert listed.count("  Memory: ") == listed.count("Edit:")
    assert "Memory: unchanged: only times change." in listed
