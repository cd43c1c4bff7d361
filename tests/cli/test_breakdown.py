"""`etsim breakdown` as a user calls it, on the recorded examples."""

import csv
import io
import json
from pathlib import Path

import pytest

from etsim.tests.cli.caller import Runner

RECORDED = Path(__file__).resolve().parents[2] / "examples" / "recorded"
MLP = str(RECORDED / "mlp.trace.json.gz")
DDP = str(RECORDED / "ddp.trace.*.json.gz")
PUBLISHED = (
    "window_ns",
    "computing_ns",
    "communication_ns",
    "exposed_communication_ns",
    "exposed_memcpy_ns",
    "idle_ns",
)


@pytest.fixture
def run() -> Runner:
    return Runner("breakdown")


def test_the_result_comes_first_and_says_where_the_time_went(run: Runner) -> None:
    code, out, err = run("--et", MLP)
    assert code == 0
    assert out.startswith("The run takes ")
    assert "computing" in out.splitlines()[0]
    assert "no device work" in err


def test_json_of_one_rank_has_its_parts_at_the_top_and_in_the_list(run: Runner) -> None:
    code, out, _ = run("--et", MLP, "--json")
    answer = json.loads(out)
    assert code == 0
    for key in PUBLISHED:
        assert isinstance(answer[key], int)
        assert answer["ranks"][0][key] == answer[key]
    parts = ("computing_ns", "exposed_communication_ns", "exposed_memcpy_ns", "idle_ns")
    assert sum(answer[key] for key in parts) == answer["window_ns"]


def test_json_of_many_ranks_has_one_entry_each_and_their_collectives(run: Runner) -> None:
    code, out, _ = run("--et", DDP, "--by", "step", "--json")
    answer = json.loads(out)
    assert code == 0
    assert [entry["rank"] for entry in answer["ranks"]] == [0, 1, 2, 3]
    assert all(entry["communication_ns"] > 0 for entry in answer["ranks"])
    assert {entry["rank"] for entry in answer["groups"]} == {0, 1, 2, 3}
    assert all(set(PUBLISHED) <= set(entry) for entry in answer["groups"])
    assert answer["collectives"]["straggler"] in {0, 1, 2, 3}
    assert {kind["kind"] for kind in answer["collectives"]["kinds"]} >= {"all_reduce"}


@pytest.mark.parametrize("by", ["rank", "step", "stream", "phase", "module"])
def test_csv_has_a_line_a_group_and_the_published_columns(run: Runner, by: str) -> None:
    code, out, _ = run("--et", MLP, "--by", by, "--csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert code == 0
    assert rows
    assert set(PUBLISHED) | {by} <= set(rows[0])


def test_ascend_style_adds_up_in_microseconds(run: Runner) -> None:
    code, out, _ = run("--et", DDP, "--style", "ascend", "--json")
    assert code == 0
    for row in json.loads(out)["rows"]:
        total = row["Computing"] + row["Communication(Not Overlapped)"] + row["Free"]
        assert total == pytest.approx(row["Stage"] + row["Bubble"], abs=1e-3)


def test_the_ranks_collectives_are_told_as_text(run: Runner) -> None:
    _, out, _ = run("--et", DDP, "--by", "stream")
    assert "Collectives across ranks" in out
    assert "pt_gloo_runloop" in out


def test_a_pattern_that_is_none_is_a_usage_error(run: Runner) -> None:
    code, out, err = run("--et", MLP, "--comm-kernels", "(")
    assert (code, out) == (2, "")
    assert "--comm-kernels" in err


def test_an_unknown_step_fails_with_the_names_there_are(run: Runner) -> None:
    code, _, err = run("--et", MLP, "--step", "99")
    assert code == 1
    assert "epoch_0" in err
