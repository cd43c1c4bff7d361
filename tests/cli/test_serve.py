"""`etsim serve` as a user calls it: what it prints, writes and returns."""

import csv
import gzip
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from etsim.cli.main import main

Run = Callable[..., tuple[int, str, str]]
MADE = ("--model", "llama3-8b", "--rate", "4", "--isl", "500", "--osl", "50", "--count", "60")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["etsim", "serve", *arguments])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        told = capsys.readouterr()
        return code, told.out, told.err

    return call


def test_the_result_comes_first_then_tables_then_grounds(run: Run) -> None:
    code, out, _err = run(*MADE, "--ttft", "1s", "--tpot", "50ms")
    assert code == 0
    assert out.startswith("60 of 60 requests served, ")
    assert "keep the SLO, goodput" in out.splitlines()[0]
    places = [out.index(part) for part in ("Times", "Replicas", "In all", "rests on: roofline")]
    assert places == sorted(places)
    assert "not modelled: " in out


def test_json_has_the_same_figures_and_the_doubt(run: Run) -> None:
    code, out, _err = run(*MADE, "--json")
    assert code == 0
    told = json.loads(out)
    assert told["summary"]["served"] == 60
    assert told["intervals_90"]["ttft"]["low"] < told["summary"]["ttft"]["p50"]
    assert told["summary"]["ttft"]["p50"] < told["intervals_90"]["ttft"]["high"]
    assert told["rests_on"][0]["source"] == "roofline"
    assert told["not_modelled"]


def test_the_same_seed_writes_the_same_bytes(run: Run, tmp_path: Path) -> None:
    files = []
    for name in ("a", "b"):
        table, timeline = tmp_path / f"{name}.csv", tmp_path / f"{name}.json.gz"
        options = ("-o", str(table), "--timeline", str(timeline), "--seed", "3")
        assert run(*MADE, "--arrivals", "gamma", "--length-cv", "1", *options)[0] == 0
        files.append((table.read_bytes(), timeline.read_bytes()))
    assert files[0] == files[1]


def test_the_csv_has_one_line_a_request_and_the_timeline_its_slices(
    run: Run, tmp_path: Path
) -> None:
    table, timeline = tmp_path / "r.csv", tmp_path / "t.json.gz"
    code, _out, _err = run(*MADE, "--apart", "1:2", "-o", str(table), "--timeline", str(timeline))
    assert code == 0
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert len(rows) == 60
    assert all(float(r["ttft_ms"]) > 0 and float(r["tpot_ms"]) > 0 for r in rows)
    assert all(float(r["kv_ready_s"]) >= float(r["first_token_s"]) for r in rows)
    assert {r["replica"] for r in rows} == {"h100-sxm decode 0", "h100-sxm decode 1"}
    events = json.loads(gzip.decompress(timeline.read_bytes()))["traceEvents"]
    slices = [e for e in events if e["ph"] == "X"]
    assert {e["cat"] for e in slices} == {"prefill", "decode"}
    assert {e["args"]["name"] for e in events if e["name"] == "thread_name"} == {
        "h100-sxm prefill 0 (1 devices)",
        "h100-sxm decode 0 (1 devices)",
        "h100-sxm decode 1 (1 devices)",
    }


def test_a_log_is_read_scaled_and_cut(run: Run, tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    lines = ["arrived_at,num_prefill_tokens,num_decode_tokens"]
    log.write_text("\n".join([*lines, *(f"{i},100,{i % 3}" for i in range(30))]) + "\n")
    code, out, err = run(
        "--model", "llama2-7b", "--requests", str(log), "--rate-scale", "2", "--first", "10"
    )
    assert code == 0
    assert out.startswith("10 of 10 requests served, 1.")
    assert "10 rows of the log have no tokens on one side: left out" in err


def test_a_mooncake_log_finds_its_prefixes_cached(run: Run, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    rows = (
        {"timestamp": 500 * i, "input_length": 2000, "output_length": 8,
         "hash_ids": [i % 2, 10 + i % 2, 20 + i % 2, 100 + i]}
        for i in range(40)
    )  # fmt: skip
    log.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    options = ("--model", "llama3-8b", "--requests", str(log), "--prefix-cache", "--json")
    told = json.loads(run(*options)[1])["summary"]
    whole_blocks = 3 * 512  # the fourth block of each prompt is its own
    assert told["prefix_share"] == pytest.approx(38 / 40 * whole_blocks / 2000)
    text = run(*options[:-1])[1]
    assert "prompt tokens found cached" in text


def test_mixed_machines_serve_apart(run: Run) -> None:
    code, out, _err = run(
        *MADE, "--apart", "1:1", "--decode-hw", "a100-sxm-80gb", "--kv-transfer", "serial"
    )
    assert code == 0
    assert "a100-sxm-80gb decode 0" in out
    assert "KV link busy" in out


def test_a_cluster_that_falls_behind_is_told(run: Run) -> None:
    code, _out, err = run(
        "--model",
        "llama2-70b",
        "--tp",
        "2",
        "--rate",
        "50",
        "--count",
        "300",
        "--kv-blocks",
        "3000",
    )
    assert code == 0
    assert "warning: the cluster falls behind" in err


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("--model", "llama3-70b", "--rate", "1"), 1, "memory binds: tp 2 or more"),
        (("--model", "lama3-8b", "--rate", "1"), 3, "did you mean llama3-8b"),
        (("--model", "llama3-8b"), 2, "no requests"),
        ((*MADE, "--apart", "2-1"), 2, "expected X:Y"),
        ((*MADE, "--ttft", "1"), 2, "--ttft 1"),
        ((*MADE, "--kv-blocks", "5"), 1, "no request fits the KV cache"),
        ((*MADE, "--goodput", "0.9"), 2, "--goodput of what promise"),
        ((*MADE, "--ttft", "1ms", "--tpot", "1ms", "--goodput", "0.9"), 1, "at no rate 90%"),
        ((*MADE, "--requests", "x.csv"), 2, "--requests brings its own times"),
        (("--model", "llama3-8b", "--requests", "nolog.csv"), 3, "no such file"),
        ((*MADE, "--hw", "l4", "--tp", "64"), 1, ""),
    ],
)
def test_impossible_asks_get_one_line(
    run: Run, arguments: tuple[str, ...], code: int, told: str
) -> None:
    got, out, err = run(*arguments)
    if told:
        assert (got, out) == (code, "")
        (line,) = [x for x in err.splitlines() if x.startswith("error:")]
        assert told in line
    assert "Traceback" not in err


def test_the_published_form_and_the_roofline_can_be_asked_for(run: Run) -> None:
    texts = [run(*MADE, "--form", form, "--json")[1] for form in ("engine", "roofline", "sum")]
    medians = [json.loads(text)["summary"]["tpot"]["p50"] for text in texts]
    assert len(set(medians)) == 3


def test_goodput_is_the_rate_at_which_the_promise_begins_to_break(run: Run) -> None:
    options = (*MADE, "--ttft", "100ms", "--tpot", "12ms", "--goodput", "0.9", "--json")
    found = json.loads(run(*options)[1])["goodput"]
    assert found["share"] >= 0.9
    faster = ("--rate-scale", str(found["rate"] / 4 * 1.3))
    again = json.loads(run(*MADE, "--ttft", "100ms", "--tpot", "12ms", *faster, "--json")[1])
    assert again["summary"]["slo_share"] < 0.9


@pytest.mark.shared
def test_a_day_of_chat_is_served(run: Run, shared_data: Path) -> None:
    log = str(shared_data / "requests" / "azure_conv.csv.gz")
    code, out, _err = run("--model", "llama3-8b", "--requests", log, "--json")
    assert code == 0
    assert json.loads(out)["summary"]["served"] == 19366
