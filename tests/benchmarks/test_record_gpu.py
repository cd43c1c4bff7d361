"""The GPU recording script's smoke test, on the CPU: what it writes is whole."""

import csv
import json
from pathlib import Path

import pytest

from etsim.tests.recorded_pair import read_pair, run_python


@pytest.mark.torch
@pytest.mark.slow
def test_the_smoke_test_records_runs_and_times_kernels(tmp_path: Path) -> None:
    runs = ("mlp_queued", "decode", "decode_graph", "ddp")
    picked = [word for name in (*runs, "kernels") for word in ("--only", name)]
    script = ("-m", "etsim.benchmarks.record_gpu", "--device", "cpu", "--quick")
    done = run_python(*script, "--out", tmp_path, *picked)
    assert done.returncode == 0, done.stderr
    assert "left out, they need a GPU: decode_graph" in done.stdout
    walls = json.loads((tmp_path / "walls.json").read_text())
    assert list(walls) == ["mlp_queued", "decode", "ddp"]
    for name, rank in (("mlp_queued", None), ("decode", None), ("ddp", 0)):
        assert {how: len(steps) for how, steps in walls[name].items()} == {
            "plain": 3,
            "kineto_alone": 3,
            "pair": 3,
        }
        pair = read_pair(tmp_path, name, rank)
        assert pair.whole
        assert pair.unmatched == []
        assert pair.annotations["step_2"] == 1
        assert (tmp_path / f"{name}_alone.trace.json.gz").exists()
    with (tmp_path / "kernels.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["op"] for row in rows] == [
        *("matmul", "softmax", "layernorm", "add", "gelu", "attention")
    ]
    assert all(float(row["cold_us"]) > 0 and float(row["hot_us"]) > 0 for row in rows)
    assert json.loads((tmp_path / "machine.json").read_text())["torch"]
