"""`etsim phases` as a user calls it, and the way from a trace to a plan."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from etsim.cli.main import main
from etsim.models.serving.step_fit import read_fit

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["etsim", *arguments])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        told = capsys.readouterr()
        return code, told.out, told.err

    return call


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """Five decode steps whose time is 10 us + 1 us x batch + 0.01 us x KV, and two prompts."""
    events: list[dict[str, object]] = []
    loads = [(2, 200), (4, 900), (8, 800), (16, 4000), (32, 5000)]
    names = [
        (10 + b + kv / 100, f"step[DECODE bs={b} g_sq={b} g_sk={kv} g_sqsq={b} g_sqsk={kv}]")
        for b, kv in loads
    ] + [(20 + s / 10, f"step[EXTEND bs=1 toks={s}]") for s in (100, 1000)]
    for i, (duration, name) in enumerate(names):
        start = 1000.0 * i
        events += [
            {"ph": "X", "cat": "user_annotation", "name": name, "pid": 1, "tid": 1, "ts": start,
             "dur": 5, "args": {}},
            {"ph": "X", "cat": "cuda_runtime", "name": "cudaLaunchKernel", "pid": 1, "tid": 1,
             "ts": start + 1, "dur": 2, "args": {"correlation": i + 1}},
            {"ph": "X", "cat": "kernel", "name": "flash_fwd", "pid": 0, "tid": 7,
             "ts": start + 10, "dur": duration,
             "args": {"correlation": i + 1, "stream": 7, "device": 0}},
        ]  # fmt: skip
    path = tmp_path / "trace.json"
    path.write_text(json.dumps({"schemaVersion": 1, "traceEvents": events}))
    return path


def test_steps_and_laws_are_told(run: Run, trace: Path) -> None:
    code, out, _err = run("phases", str(trace))
    assert code == 0
    assert out.startswith("7 steps (2 prefill, 5 decode); TTFT without a queue ")
    assert "TBT = 0.01 ms + 1 us x batch + 10 ns x KV" in out
    assert "prefill = 0.02 ms + 0.1 us x tokens" in out


def test_the_fit_goes_on_to_serve_and_plan(run: Run, trace: Path, tmp_path: Path) -> None:
    fit = tmp_path / "fit.yaml"
    options = ("--hw", "h100-sxm", "--tp", "1", "--model", "llama3-8b", "-o", str(fit))
    assert run("phases", str(trace), *options)[0] == 0
    assert len(read_fit(fit).steps) == 7
    load = ("--model", "llama3-8b", "--rate", "5", "--isl", "200", "--osl", "20")
    code, out, _err = run("serve", *load, "--count", "50", "--steps", str(fit))
    assert code == 0
    assert "rests on: " in out
    assert "measured in" in out
    code, out, _err = run("serve", *load, "--count", "50", "--steps", str(fit), "--hw", "a100")
    assert code == 0
    assert "rests on: scaled: " in out
    slo = ("--ttft", "1s", "--tpot", "20ms", "--no-break-even", "--trials", "2")
    code, out, _err = run("plan", *load, *slo, "--steps", str(fit))
    assert code == 0
    assert "measured in" in out


def test_steps_carried_by_the_cost_model_go_on_as_scaled(
    run: Run, trace: Path, tmp_path: Path
) -> None:
    fit = tmp_path / "fit.yaml"
    options = ("--hw", "a100", "--on", "h100-sxm", "--tp", "1", "-o", str(fit))
    code, _out, err = run("phases", str(trace), *options)
    assert code == 0
    assert "carried to h100-sxm" in err
    told = read_fit(fit)
    assert (told.hardware, told.carried_from) == ("h100-sxm", "a100")
    assert len(told.steps) == 7
    load = ("--model", "llama3-8b", "--rate", "5", "--isl", "200", "--osl", "20", "--count", "50")
    out = run("serve", *load, "--steps", str(fit))[1]
    assert "rests on: scaled: " in out
    assert "on a100, carried kernel by kernel to h100-sxm" in out


@pytest.mark.shared
def test_an_h100_prefill_carried_to_mi300x_is_near_the_one_measured_there(
    run: Run, shared_data: Path
) -> None:
    folder = shared_data / "traces" / "pair_h100_mi300"
    there = ("phases", str(folder / "mi300_qwen0.5b.json.gz"), "--json")
    carried = ("phases", str(folder / "h100_qwen0.5b.json.gz"), "--on", "mi300x", "--json")
    measured, predicted = (json.loads(run(*c)[1])["steps"][0] for c in (there, carried))
    assert predicted["prefill"]["tokens"] == measured["prefill"]["tokens"] == 8944
    assert predicted["step_ns"] == pytest.approx(measured["step_ns"], rel=0.15)


def test_json_and_csv_have_every_step(run: Run, trace: Path) -> None:
    told = json.loads(run("phases", str(trace), "--json")[1])
    assert len(told["steps"]) == 7
    assert told["steps"][0]["decode"]["kv"] == 200
    assert sum(told["steps"][0]["split_ns"].values()) == told["steps"][0]["step_ns"]
    assert len(run("phases", str(trace), "--csv")[1].splitlines()) == 8


def test_a_trace_without_steps_is_refused_in_a_line(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_text('{"schemaVersion": 1, "traceEvents": []}')
    code, out, err = run("phases", str(path))
    assert code == 3
    assert out == ""
    assert len([line for line in err.splitlines() if line.startswith("error:")]) == 1
