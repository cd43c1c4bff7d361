"""`etsim compare` as a user calls it, on the recorded examples."""

import csv
import io
import json
from pathlib import Path

import pytest

from etsim.tests.cli.caller import Runner

RECORDED = Path(__file__).resolve().parents[2] / "examples" / "recorded"
MLP = str(RECORDED / "mlp.trace.json.gz")
DDP = str(RECORDED / "ddp.trace.*.json.gz")


@pytest.fixture
def run() -> Runner:
    return Runner("compare")


def test_the_headline_names_the_ratio_first(run: Runner) -> None:
    code, out, _ = run(MLP, MLP)
    assert code == 0
    assert "1.000 times A's" in out.splitlines()[0]
    assert "(100.0 % of their time)" in out.splitlines()[-1]


def test_json_has_both_sides_and_every_pair(run: Runner) -> None:
    code, out, _ = run(MLP, DDP, "--json")
    answer = json.loads(out)
    assert code == 0
    assert (answer["a"]["ranks"], answer["b"]["ranks"]) == (1, 4)
    assert {pair["name"] for pair in answer["categories"]} >= {"window", "computing", "idle"}
    for pair in answer["operators"]:
        assert pair["difference_ns"] == pair["b_ns"] - pair["a_ns"]
        assert pair["count_a"] or pair["count_b"]


def test_csv_has_all_sections(run: Runner) -> None:
    code, out, _ = run(MLP, DDP, "--csv")
    assert code == 0
    assert {row["by"] for row in csv.DictReader(io.StringIO(out))} == {
        "category",
        "operator",
        "module",
    }


def test_what_only_one_side_has_is_shown(run: Runner) -> None:
    _, out, err = run(MLP, DDP)
    assert "Only in B" in out
    assert "means over 4 ranks" in err


def test_a_missing_side_is_a_bad_input(run: Runner) -> None:
    code, out, err = run(MLP, "nowhere.et")
    assert (code, out) == (3, "")
    assert "nowhere.et" in err


def test_a_prediction_stands_on_either_side(run: Runner) -> None:
    code, out, _ = run(MLP, MLP, "--hw-b", "h100-sxm", "--json")
    answer = json.loads(out)
    assert code == 0
    assert answer["predicted_on"] == {"a": "", "b": "h100-sxm"}
    assert answer["a"]["cpu_only"]
    assert not answer["b"]["cpu_only"]
    assert answer["b"]["window_ns"] < answer["a"]["window_ns"]
    assert answer["a"]["matched"] > 0
