"""The examples run, and record what their pages say: both files of one run, marked."""

import json
import re
from pathlib import Path

import pytest

from etsim.tests.recorded_pair import ROOT, Pair, read_pair, run_python

EXAMPLES = ROOT / "examples"
RECORDED = EXAMPLES / "recorded"
RANKS = range(4)

# What names a machine or a user; the shipped recordings were made on somebody's.
TELLTALE = re.compile(r"host_name|traceName|trace_id|PT_PROFILER_JOB|/home/|/root/|/tmp/|\.py")


def record(script: str, out: Path, *knobs: str) -> str:
    done = run_python(EXAMPLES / f"{script}.py", "--out", out, *knobs)
    assert done.returncode == 0, done.stderr
    return done.stdout


def assert_sound(pair: Pair) -> None:
    assert pair.whole
    assert pair.unmatched == []
    assert pair.without_id == 0


def wall(folder: Path, name: str) -> tuple[int, list[int]]:
    read = json.loads((folder / name).read_text())
    return read["wall_ns"], read["steps_ns"]


def assert_marked_epochs(pair: Pair, epochs: int) -> None:
    for epoch in range(epochs):
        assert pair.annotations[f"epoch_{epoch}"] == pair.names[f"epoch_{epoch}"] == 1
    assert not any(name.startswith("ProfilerStep") for name in pair.names)


@pytest.mark.torch
@pytest.mark.slow
def test_the_mlp_records_marked_epochs_and_no_profiler_step(tmp_path: Path) -> None:
    told = record("train_mlp", tmp_path, "--epochs", "3", "--batches", "2", "--width", "32")
    pair = read_pair(tmp_path, "mlp")
    assert_sound(pair)
    assert_marked_epochs(pair, 3)
    assert pair.names["aten::addmm"] == 3 * 2 * 3  # epochs x batches x layers
    wall_ns, steps_ns = wall(tmp_path, "mlp.wall.json")
    assert wall_ns == sum(steps_ns)
    assert len(steps_ns) == 3
    assert f"{wall_ns / 1e6:.1f} ms" in told


@pytest.mark.torch
@pytest.mark.slow
def test_ddp_records_a_pair_a_rank_with_its_collectives(tmp_path: Path) -> None:
    record("train_ddp", tmp_path, "--batches", "1", "--width", "32", "--gzip")
    for rank in RANKS:
        pair = read_pair(tmp_path, "ddp", rank)
        assert_sound(pair)
        assert_marked_epochs(pair, 3)
        assert pair.annotations["gloo:all_reduce"] == pair.names["gloo:all_reduce"] >= 3
        assert isinstance(pair.groups, dict)
        assert (pair.groups["rank"], pair.groups["world_size"]) == (rank, 4)
        assert len(wall(tmp_path, f"ddp.wall.{rank}.json")[1]) == 3


@pytest.mark.torch
@pytest.mark.slow
def test_the_transformer_records_the_steps_of_its_schedule(tmp_path: Path) -> None:
    record("train_transformer", tmp_path, "--blocks", "1", "--width", "32", "--length", "16")
    pair = read_pair(tmp_path, "transformer")
    assert_sound(pair)
    steps = {name for name in pair.annotations if name.startswith("ProfilerStep")}
    assert steps == {"ProfilerStep#2", "ProfilerStep#3", "ProfilerStep#4"}
    assert steps <= set(pair.names)
    assert pair.names["aten::_fused_adamw_"] == 3
    assert len(wall(tmp_path, "transformer.wall.json")[1]) == 3


@pytest.mark.parametrize(
    ("name", "rank"), [("mlp", None), ("transformer", None), *(("ddp", rank) for rank in RANKS)]
)
def test_the_shipped_recordings_join_and_name_no_machine(name: str, rank: int | None) -> None:
    pair = read_pair(RECORDED, name, rank)
    assert_sound(pair)
    number = "" if rank is None else f".{rank}"
    assert len(wall(RECORDED, f"{name}.wall{number}.json")[1]) == 3
    for text in pair.texts:
        assert TELLTALE.search(text) is None


def test_the_shipped_recordings_are_small() -> None:
    assert sum(path.stat().st_size for path in RECORDED.iterdir()) < 700_000
