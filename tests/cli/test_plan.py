"""`etsim plan` as a user calls it: the verdict, its arithmetic, and what cannot be."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from etsim.cli.main import main

Run = Callable[..., tuple[int, str, str]]
LOAD = ("--model", "qwen3-32b", "--rate", "10", "--isl", "4000", "--osl", "500")
SLO = ("--ttft", "1s", "--tpot", "20ms")
QUICK = ("--no-break-even", "--trials", "6")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["etsim", "plan", *arguments])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        told = capsys.readouterr()
        return code, told.out, told.err

    return call


def test_the_verdict_comes_first_with_its_arithmetic(run: Run) -> None:
    code, out, _err = run(*LOAD, *SLO, *QUICK, "--hw", "h100")
    assert code == 0
    first = out.splitlines()[0]
    assert first.startswith("apart, ")
    assert " h100-sxm, 1." in first
    assert "x fewer than together (" in first
    parts = ("tried of", "how it follows", "prefill: t_p", "decode: b", "KV: ", "Pareto front",
             "90 % interval: ", "rests on: ", "not modelled: ")  # fmt: skip
    places = [out.index(part) for part in parts]
    assert places == sorted(places)


def test_json_says_the_same_and_the_devices_add_up(run: Run) -> None:
    code, out, _err = run(*LOAD, *SLO, *QUICK, "--json")
    assert code == 0
    told = json.loads(out)
    best = told["best"]
    halves = [best["prefill"], best["decode"]]
    assert best["devices"] == sum(h["tp"] * h["replicas"] for h in halves)
    assert told["confirmed"]
    assert told["candidates"] > 4000
    low, high = told["devices_90"]
    assert low <= best["devices"] <= high
    assert all(t["ttft_s"] > 0 for t in told["trials"])
    tokens_per_hour = 10 * 4500 * 3600
    assert best["usd_per_million_tokens"] == pytest.approx(
        best["usd_per_hour"] / tokens_per_hour * 1e6
    )


def test_the_forms_are_near_the_simulation_at_the_asked_share(run: Run) -> None:
    told = json.loads(run(*LOAD, *SLO, "--no-break-even", "--json")[1])
    assert len(told["trials"]) == 20
    for trial in told["trials"]:
        assert trial["tpot_s"] == pytest.approx(trial["simulated_tpot_s"], rel=0.15)
        assert trial["ttft_s"] == pytest.approx(trial["simulated_ttft_s"], rel=0.5)


def test_break_even_along_rate_length_and_bandwidth(run: Run) -> None:
    told = json.loads(run(*LOAD, *SLO, "--trials", "2", "--json")[1])
    rate, length, bandwidth = told["break_even"]
    assert rate["apart_wins_here"]
    assert 0 < rate["at"] < 10
    assert 0 < length["at"] < 4000
    assert 0 < bandwidth["at"] < 50e9
    below = ("--rate", str(rate["at"] * 0.8), *SLO, *QUICK, "--json")
    model = ("--model", "qwen3-32b", "--isl", "4000", "--osl", "500")
    assert not json.loads(run(*model, *below)[1])["best"]["apart"]


def test_mixed_machines_are_compared_by_price(run: Run) -> None:
    code, out, _err = run(*LOAD, "--ttft", "2s", "--tpot", "50ms", *QUICK,
                          "--prefill-hw", "h100", "--decode-hw", "a100")  # fmt: skip
    assert code == 0
    assert "h100-sxm" in out
    assert "a100-sxm-80gb" in out


def test_a_log_gives_rate_and_lengths(run: Run, tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    rows = (f"{i / 2},{500 + 400 * (i % 4)},{20 + i % 5}" for i in range(200))
    log.write_text("\n".join(["arrived_at,num_prefill_tokens,num_decode_tokens", *rows]) + "\n")
    code, out, _err = run("--model", "llama3-8b", "--requests", str(log), *SLO, *QUICK)
    assert code == 0
    assert "2 requests/s of 1,100 in, 22 out" in out


def test_the_same_ask_gives_the_same_answer(run: Run) -> None:
    assert run(*LOAD, *SLO, *QUICK, "--json") == run(*LOAD, *SLO, *QUICK, "--json")


def test_a_log_of_one_request_has_no_rate(run: Run, tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("arrived_at,num_prefill_tokens,num_decode_tokens\n0,5,5\n")
    code, _out, err = run("--model", "llama3-8b", "--requests", str(log), *SLO)
    assert code == 2
    assert "one request has no rate" in err


@pytest.mark.parametrize(
    ("arguments", "code", "binds"),
    [
        ((*LOAD, "--ttft", "20ms", "--tpot", "20ms"), 1, "prefill binds"),
        ((*LOAD, "--ttft", "1s", "--tpot", "1ms"), 1, "decode binds"),
        ((*LOAD, *SLO, "--max-devices", "4"), 1, "--max-devices binds"),
        (
            ("--model", "deepseek-v3", "--hw", "l4", *LOAD[2:], *SLO),
            1,
            "memory binds",
        ),
        ((*LOAD, "--ttft", "91ms", "--tpot", "7.35ms"), 1, "binds"),
        (("--model", "qwen3-32b", *SLO), 2, "what load?"),
        ((*LOAD, "--ttft", "1", "--tpot", "1ms"), 2, "--ttft 1"),
    ],
)  # fmt: skip
def test_an_impossible_ask_is_told_with_what_would_make_it_possible(
    run: Run, arguments: tuple[str, ...], code: int, binds: str
) -> None:
    got, out, err = run(*arguments)
    assert (got, out) == (code, "")
    (line,) = [x for x in err.splitlines() if x.startswith("error:")]
    assert binds in line
    if code == 1:
        assert "possible" in line or "fit on" in line
