"""`etsim inspect`: what a file is, what it has, what is missing, what can be done with it."""

import json
from pathlib import Path
from typing import Any

import pytest

from etsim.tests.cli.caller import RECORDED, call
from etsim.tests.kineto_maker import Recording, write_json


def inspected(*paths: Path | str) -> list[dict[str, Any]]:
    said = call("inspect", *paths, "--json")
    assert said.code == 0
    found: list[dict[str, Any]] = json.loads(said.out)
    return found


def test_an_execution_trace() -> None:
    (found,) = inspected(RECORDED / "mlp.et.json.gz")
    assert found["kind"] == "execution trace"
    assert found["about"].startswith("schema 1.1.1")
    assert found["facts"]["nodes that ran"] > 1000
    assert "record function ids" in found["has"]
    assert any("times" in missing for missing in found["missing"])
    assert found["usable_for"] == ["convert --et mlp.et.json.gz --trace KINETO"]


def test_a_profile_of_a_cpu_run() -> None:
    (found,) = inspected(RECORDED / "ddp.trace.2.json.gz")
    assert found["kind"] == "Kineto trace"
    assert "a CPU run" in found["about"]
    assert "rank 2 of 4" in found["about"]
    assert "backend gloo" in found["about"]
    assert {"shapes", "marked steps", "distributed info"} <= set(found["has"])
    assert found["facts"]["steps"] == 3
    assert found["facts"]["kernels"] == 0
    assert "predict" in found["usable_for"]


def test_a_profile_of_a_device_run(tmp_path: Path) -> None:
    run = Recording(rank=0)
    run.op("aten::mm", 0, 10, shapes=[[2, 2]])
    run.kernel("k", 20, 30, by=run.launch(2, 4))
    run.kernel("copy", 30, 40, by=run.launch(5, 7), stream=8, cat="gpu_memcpy")
    run.kernel("old", 0, 3)
    (found,) = inspected(write_json(tmp_path / "t.json", run.kineto()))
    assert found["about"].startswith("NVIDIA A100")
    assert found["facts"]["kernels"] == 2
    assert found["facts"]["copies and fills"] == 1
    assert found["facts"]["streams"] == 2
    assert "cuda_sync events" in found["missing"]
    assert any("backlog" in warning for warning in found["warnings"])


def test_a_converted_run(tmp_path: Path) -> None:
    call("convert", "--et", RECORDED / "mlp.et.json.gz", "--trace",
         RECORDED / "mlp.trace.json.gz", "-o", tmp_path / "mlp.et")  # fmt: skip
    (found,) = inspected(tmp_path / "mlp.et")
    assert found["kind"] == "Chakra .et"
    assert found["facts"]["nodes"] > 1000
    assert {"times", "shapes", "marked steps"} <= set(found["has"])


def test_a_converted_run_without_times_lacks_them(tmp_path: Path) -> None:
    call("convert", "--et", RECORDED / "mlp.et.json.gz", "-o", tmp_path / "mlp.et")
    (found,) = inspected(tmp_path / "mlp.et")
    assert "times" in found["missing"]


def test_an_unfinished_execution_trace_is_warned_of(tmp_path: Path) -> None:
    run = Recording()
    run.op("aten::mm", 0, 10)
    document = run.execution_trace()
    del document["finish_ts"]
    (found,) = inspected(write_json(tmp_path / "et.json", document))
    assert any("observer was not stopped" in warning for warning in found["warnings"])


def test_any_other_file_is_said_to_be_no_trace(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "some.json").write_text("{}")
    kinds = [f["kind"] for f in inspected(tmp_path / "notes.txt", tmp_path / "some.json")]
    assert kinds == ["unknown", "JSON of another kind"]


def test_people_get_lines(tmp_path: Path) -> None:
    said = call("inspect", RECORDED / "mlp.et.json.gz", RECORDED / "mlp.trace.json.gz")
    lines = said.out.splitlines()
    assert "execution trace (schema 1.1.1" in lines[0]
    assert sum(line.startswith("  good for: etsim ") for line in lines) == 2
    assert said.err == ""


@pytest.mark.parametrize("kind", ["et", "trace"])
def test_of_a_cut_file_the_sound_part_is_told_where_asked(kind: str, tmp_path: Path) -> None:
    whole = (RECORDED / f"mlp.{kind}.json.gz").read_bytes()
    path = tmp_path / "cut.json.gz"
    path.write_bytes(whole[: len(whole) // 2])
    refused = call("inspect", path)
    assert refused.code == 3
    assert "--salvage" in refused.err
    said = call("inspect", "--salvage", path, "--json")
    assert said.code == 0
    (found,) = json.loads(said.out)
    assert any("before the cut" in warning for warning in found["warnings"])
    (complete,) = inspected(RECORDED / f"mlp.{kind}.json.gz")
    count = "nodes" if kind == "et" else "operators"
    assert 0 < found["facts"][count] < complete["facts"][count]
