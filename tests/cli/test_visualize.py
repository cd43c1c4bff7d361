"""`etsim visualize` as a user calls it: which files it writes, what it says, what it refuses."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from etsim.cli.main import main
from etsim.converters.chakra import write_graph
from etsim.models.graph import EdgeKind, ExecutionGraph, LaneKind
from etsim.models.graph_builder import GraphBuilder

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `etsim visualize ...`; give exit code, stdout and stderr."""

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["etsim", "visualize", *map(str, arguments)])
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        told = capsys.readouterr()
        return code, told.out, told.err

    return call


def chain(length: int) -> ExecutionGraph:
    """op0 > op1 > op2 > ..."""
    builder = GraphBuilder()
    lane = builder.lane(LaneKind.HOST, 1, 1)
    for row in range(length):
        after = [(row - 1, EdgeKind.HOST_ORDER, 0)] if row else []
        builder.add(f"op{row % 2}", lane, duration_ns=1000, start_ns=1000 * row, after=after)
    return builder.build()


@pytest.fixture
def et(tmp_path: Path) -> Path:
    path = tmp_path / "run.et"
    write_graph(chain(6), path)
    return path


@pytest.mark.parametrize(
    ("suffix", "start"),
    [("pdf", b"%PDF"), ("svg", b"<?xml"), ("dot", b"digraph"), ("graphml", b"<?xml")],
)
def test_each_suffix_gives_its_file(run: Run, et: Path, suffix: str, start: bytes) -> None:
    output = et.with_name(f"graph.{suffix}")
    code, out, err = run("--et", et, "-o", output)
    assert (code, err) == (0, "")
    assert out.startswith(f"wrote {output}: 6 ")
    assert output.read_bytes().startswith(start)


def test_a_large_graph_is_collapsed_and_says_so(run: Run, tmp_path: Path) -> None:
    et = tmp_path / "large.et"
    write_graph(chain(500), et)
    output = tmp_path / "graph.svg"
    code, out, err = run("--et", et, "-o", output)
    assert code == 0
    assert "250 boxes" in out
    told = "500 rows drawn as 250 boxes: runs of 2 operators"
    assert told in err
    assert told in output.read_text(encoding="utf-8")


def test_json_tells_all_of_it(run: Run, et: Path) -> None:
    output = et.with_name("graph.pdf")
    code, out, _ = run("--et", et, "-o", output, "--max-nodes", "3", "--json")
    assert code == 0
    told = json.loads(out)
    assert told["boxes"] <= 3
    assert (told["rows"], told["rows_chosen"], told["collapsed"]) == (6, 6, True)
    assert told["output"] == str(output)


def test_graphml_has_every_row_unless_a_level_is_asked_for(run: Run, tmp_path: Path) -> None:
    et = tmp_path / "large.et"
    write_graph(chain(500), et)
    output = tmp_path / "graph.graphml"
    assert "500 nodes, 499 arrows" in run("--et", et, "-o", output)[1]
    assert "250 nodes" in run("--et", et, "-o", output, "--collapse", "op")[1]


def test_what_is_around_a_node_is_drawn_alone(run: Run, et: Path) -> None:
    code, out, err = run("--et", et, "-o", et.with_name("g.svg"), "--around", "2", "--hops", "1")
    assert code == 0
    assert "3 boxes, 2 arrows" in out
    assert "within 1 hops of row 2 (op0)" in err


def test_graphviz_may_lay_out(run: Run, et: Path) -> None:
    pytest.importorskip("pygraphviz")
    output = et.with_name("graph.pdf")
    assert run("--et", et, "-o", output, "--layout", "dot")[0] == 0
    assert output.read_bytes().startswith(b"%PDF")


def test_without_pygraphviz_a_dot_file_is_left_for_it(
    run: Run, et: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("etsim.converters.draw.graphviz_layout._is_installed", lambda: False)
    code, out, err = run("--et", et, "-o", et.with_name("graph.pdf"), "--layout", "dot")
    assert (code, out) == (4, "")
    assert "pip install pygraphviz" in err
    assert f"wrote {et.with_name('graph.dot')} instead" in err
    assert sorted(path.name for path in et.parent.iterdir()) == ["graph.dot", "run.et"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("-o", "graph.png"), "end the name with .pdf, .svg, .dot or .graphml"),
        (("-o", "nowhere/graph.pdf"), "nowhere is not there"),
        (("-o", "graph.pdf", "--step", "3"), "this run has no marked steps"),
        (("-o", "graph.pdf", "--around", "9"), "the rows are 0 to 5"),
        (("-o", "graph.pdf", "--step", "1", "--around", "1"), "exclude each other"),
        (("-o", "graph.pdf", "--max-nodes", "1"), "--max-nodes"),
    ],
)
def test_what_cannot_be_drawn_is_told_and_leaves_no_file(
    run: Run, et: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], told: str
) -> None:
    monkeypatch.chdir(et.parent)
    code, out, err = run("--et", et, *arguments)
    assert (code, out) == (2, "")
    assert told in err
    assert "Traceback" not in err
    assert [path.name for path in et.parent.iterdir()] == ["run.et"]


def test_a_missing_file_is_bad_input(run: Run, tmp_path: Path) -> None:
    code, _, err = run("--et", tmp_path / "no.et", "-o", tmp_path / "graph.pdf")
    assert code == 3
    assert "no.et" in err
