"""`etsim predict` as a user calls it: the sentence first, then tables, then what it rests on."""

import csv
import io
import json
import re
from pathlib import Path

import pytest

from etsim.tests.cli.caller import RECORDED, ROOT, call, call_apart, wall_ns
from etsim.tests.kineto_maker import Recording, write_json

A100 = ROOT / "examples" / "a100.yaml"


def test_the_self_check_is_within_one_percent(mlp: Path) -> None:
    said = call("predict", "--et", mlp, "--hw", "source")
    assert said.code == 0
    headline = said.out.splitlines()[0]
    assert headline.startswith("Self-check on the recording CPU: replayed ")
    found = re.search(r"replayed ([\d.]+) ms", headline)
    assert found
    assert float(found[1]) == pytest.approx(wall_ns("mlp") / 1e6, rel=0.01)
    assert "Rests on: 100.0 % measured" in said.out


def test_a_cpu_run_on_an_a100_says_that_it_is_a_roofline(mlp: Path) -> None:
    said = call("predict", "--et", mlp, "--hw", A100)
    assert said.code == 0
    headline = said.out.splitlines()[0]
    assert headline.startswith("Predicted ")
    assert "on my-a100; measured " in headline
    assert "90 % of the doubt lies between" in headline
    assert "warning: recorded on a CPU: kernels are priced by a roofline" in said.err
    for part in ("Time by category", "Largest operators", "Rests on: "):
        assert part in said.out


def test_json_has_everything_that_is_published(mlp: Path) -> None:
    found = json.loads(call("predict", "--et", mlp, "--hw", "a100", "--json").out)
    assert set(found) >= {
        "measured_ns", "predicted_ns", "interval_ns", "source", "target", "ranks", "steps",
        "categories", "operators", "provenance", "warnings",
    }  # fmt: skip
    assert found["measured_ns"] == pytest.approx(wall_ns("mlp"), rel=0.01)
    low, high = found["interval_ns"]
    assert low < found["predicted_ns"] < high
    assert [step["name"] for step in found["steps"]] == ["epoch_0", "epoch_1", "epoch_2"]
    assert set(found["steps"][0]) == {"name", "rank", "measured_ns", "predicted_ns"}
    assert {"rank", "measured_ns", "predicted_ns"} <= set(found["ranks"][0])
    assert sum(found["provenance"].values()) == pytest.approx(1)
    assert len(found["operators"]) == 10


def test_csv_lists_the_operators(mlp: Path) -> None:
    said = call("predict", "--et", mlp, "--hw", "a100", "--csv")
    rows = list(csv.reader(io.StringIO(said.out)))
    assert rows[0][-1] == "bound"
    assert len(rows) == 11


def test_halving_the_hosts_costs_halves_the_mlp(mlp: Path) -> None:
    found = json.loads(
        call("predict", "--et", mlp, "--hw", "source", "--scale", "host=0.5", "--json").out
    )
    assert found["predicted_ns"] / found["measured_ns"] == pytest.approx(0.5, abs=0.01)


def test_a_scale_that_meets_nothing_is_told(mlp: Path) -> None:
    """A run of a CPU has no kernels of a device; its host it has."""
    said = call("predict", "--et", mlp, "--hw", "source", "--scale", "kernel=0.5", "--scale",
                "host=0.5")  # fmt: skip
    assert "--scale kernel=0.5 changes nothing" in said.err
    assert "--scale host=0.5" not in said.err


def test_four_ranks_replay_together_from_a_folder_or_a_pattern(ddp: Path) -> None:
    by_folder = json.loads(call("predict", "--et", ddp, "--hw", "source", "--json").out)
    by_pattern = json.loads(
        call("predict", "--et", ddp / "ddp.*.et", "--hw", "source", "--json").out
    )
    assert by_folder == by_pattern
    assert [rank["rank"] for rank in by_folder["ranks"]] == [0, 1, 2, 3]
    for rank in by_folder["ranks"]:
        wall = wall_ns(f"ddp.{rank['rank']}")
        assert rank["predicted_ns"] == pytest.approx(wall, rel=0.03)


def test_a_missing_rank_is_told(ddp: Path) -> None:
    said = call("predict", "--et", ddp / "ddp.0.et", "--et", ddp / "ddp.2.et", "--hw", "source")
    assert said.code == 0
    assert "warning: ranks 1, 3 of 4 are not given" in said.err


def test_a_rank_given_twice_is_refused(ddp: Path, tmp_path: Path) -> None:
    (tmp_path / "again.et").write_bytes((ddp / "ddp.0.et").read_bytes())
    said = call("predict", "--et", ddp / "ddp.0.et", "--et", tmp_path / "again.et",
                "--hw", "source")  # fmt: skip
    assert "is of rank 0, as is" in said.fault(3)


def test_a_kineto_trace_needs_no_conversion(tmp_path: Path) -> None:
    run = Recording(rank=0)
    run.op("aten::mm", 0, 50, shapes=[[512, 512], [512, 512]], types=["float", "float"])
    run.kernel("ampere_sgemm_128x64_nn", 100, 300, by=run.launch(10, 20))
    trace = write_json(tmp_path / "trace.json.gz", run.kineto())
    said = call("predict", "--et", trace, "--hw", "h100")
    assert said.code == 0
    assert "on a100-sxm-80gb (x0." in said.out
    assert "roofline" not in said.err


def test_a_run_without_times_is_predicted_from_shapes_and_says_so(tmp_path: Path) -> None:
    et = tmp_path / "mlp.et"
    call("convert", "--et", RECORDED / "mlp.et.json.gz", "-o", et)
    said = call("predict", "--et", et, "--hw", "a100")
    assert said.code == 0
    assert "has no times" in said.err
    assert "measured 0" not in said.out


def test_it_runs_from_any_folder_on_its_own(mlp: Path, tmp_path: Path) -> None:
    said = call_apart("predict", "--et", mlp, "--hw", "a100", "--json", folder=tmp_path)
    assert said.code == 0
    assert json.loads(said.out)["target"] == "a100-sxm-80gb"
