"""`etsim merge` as a user calls it."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from etsim.cli.main import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `etsim merge ...`; give exit code, stdout and stderr."""

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["etsim", "merge", *map(str, arguments)])
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        told = capsys.readouterr()
        return code, told.out, told.err

    return call


def write(path: Path, rank: int, host: str, end_us: float) -> Path:
    """Write a rank whose one NCCL all-reduce ends then."""
    launch = {"ph": "X", "cat": "cuda_runtime", "name": "cudaLaunchKernel", "pid": 1, "tid": 1,
              "ts": 1, "dur": 1, "args": {"correlation": 1}}  # fmt: skip
    kernel = {
        "ph": "X", "cat": "kernel", "name": "ncclDevKernel_AllReduce_Sum_f32_RING_LL(int)",
        "pid": 0, "tid": 7, "ts": end_us - 5, "dur": 5,
        "args": {"device": 0, "stream": 7, "correlation": 1, "Collective name": "allreduce",
                 "Process Group Name": "0", "dtype": "Float", "In msg nelems": 4, "Group size": 2},
    }  # fmt: skip
    document = {
        "distributedInfo": {"rank": rank, "world_size": 2, "backend": "nccl"},
        "host_name": host,
        "baseTimeNanoseconds": 0,
        "traceEvents": [launch, kernel],
    }
    path.write_text(json.dumps(document))
    return path


def test_ranks_of_one_host_keep_their_clocks(run: Run, tmp_path: Path) -> None:
    traces = [write(tmp_path / f"r{rank}.json", rank, "a", 20 + rank) for rank in range(2)]
    code, out, err = run(*traces, "-o", tmp_path / "m.json")
    assert (code, err) == (0, "")
    assert "2 ranks, 4 events; clocks as recorded, on one host" in out


def test_ranks_of_several_hosts_are_aligned_by_their_collectives(run: Run, tmp_path: Path) -> None:
    """Rank 1's clock is 100 µs ahead: each is moved by half of that."""
    traces = [
        write(tmp_path / "r0.json", 0, "a", 20),
        write(tmp_path / "r1.json", 1, "b", 120),
    ]
    code, out, _ = run(*traces, "-o", tmp_path / "m.json.gz", "--json")
    assert code == 0
    told = json.loads(out)
    assert told["clocks"] == "by the ends of collectives"
    assert [rank["correction_ns"] for rank in told["ranks"]] == [50_000, -50_000]
    assert [rank["shift_ns"] for rank in told["ranks"]] == [100_000, 0]


def test_clocks_stay_when_that_is_asked_for(run: Run, tmp_path: Path) -> None:
    traces = [write(tmp_path / f"r{rank}.json", rank, f"h{rank}", 20) for rank in range(2)]
    assert "clocks as recorded\n" in run(*traces, "-o", tmp_path / "m.json", "--align", "none")[1]


def test_a_pattern_names_many_and_a_wrong_suffix_none(run: Run, tmp_path: Path) -> None:
    for rank in range(2):
        write(tmp_path / f"r{rank}.json", rank, "a", 20)
    assert run(tmp_path / "r*.json", "-o", tmp_path / "m.json.gz")[0] == 0
    code, _, err = run(tmp_path / "r*.json", "-o", tmp_path / "m.pdf")
    assert code == 2
    assert "end it with .json.gz or .json" in err


def test_a_missing_trace_is_bad_input(run: Run, tmp_path: Path) -> None:
    code, _, err = run(tmp_path / "no.json", "-o", tmp_path / "m.json")
    assert code == 3
    assert "no.json" in err
