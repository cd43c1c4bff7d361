"""`etsim timeline` as a user calls it."""

import gzip
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from etsim.cli.main import main
from etsim.converters.chakra import write_graph
from etsim.models.graph import EdgeKind, GraphMeta, LaneKind
from etsim.models.graph_builder import GraphBuilder

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `etsim timeline ...`; give exit code, stdout and stderr."""

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["etsim", "timeline", *map(str, arguments)])
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        told = capsys.readouterr()
        return code, told.out, told.err

    return call


@pytest.fixture
def et(tmp_path: Path) -> Path:
    """a (2 ms) > b (3 ms)"""
    return _write(tmp_path / "run.et", GraphMeta())


def _write(path: Path, meta: GraphMeta) -> Path:
    builder = GraphBuilder(meta)
    lane = builder.lane(LaneKind.HOST, 1, 1)
    a = builder.add("a", lane, duration_ns=2_000_000)
    after = [(a, EdgeKind.HOST_ORDER, 0)]
    builder.add("b", lane, start_ns=2_000_000, duration_ns=3_000_000, after=after)
    write_graph(builder.build(), path)
    return path


def test_a_run_is_written_as_measured(run: Run, et: Path) -> None:
    output = et.with_name("t.json.gz")
    code, out, err = run("--et", et, "-o", output)
    assert (code, err) == (0, "")
    assert out.startswith(f"wrote {output}: measured 5.000 ms; 2 slices.")
    assert len(json.loads(gzip.decompress(output.read_bytes()))["traceEvents"]) > 2


def test_a_prediction_stands_beside_it(run: Run, et: Path) -> None:
    output = et.with_name("t.json")
    code, out, _ = run("--et", et, "-o", output, "--hw", "source", "--scale", "host=0.5", "--json")
    assert code == 0
    told = json.loads(out)
    assert [track["makespan_ns"] for track in told["tracks"]] == [5_000_000, 2_500_000]
    assert told["slices"] == 4


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("-o", "t.pdf"), "end it with .json.gz or .json"),
        (("-o", "t.json", "--scale", "host=2"), "give --hw, too"),
        (("-o", "nowhere/t.json"), "nowhere is not there"),
    ],
)
def test_what_cannot_be_written_is_told_and_leaves_no_file(
    run: Run, et: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], told: str
) -> None:
    monkeypatch.chdir(et.parent)
    code, out, err = run("--et", et, *arguments)
    assert (code, out) == (2, "")
    assert told in err
    assert [path.name for path in et.parent.iterdir()] == ["run.et"]


def test_a_run_without_times_has_no_timeline(run: Run, tmp_path: Path) -> None:
    et = _write(tmp_path / "untimed.et", GraphMeta(has_times=False))
    code, _, err = run("--et", et, "-o", tmp_path / "t.json")
    assert code == 3
    assert "needs times" in err
