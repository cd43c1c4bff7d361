"""`etsim convert` as a user calls it: what it writes, and what it says of it."""

import json
import re
from pathlib import Path

import pytest

from etsim.converters.chakra import read_graph
from etsim.models.graph import same_graph
from etsim.tests.cli.caller import RECORDED, Said, call
from etsim.tests.kineto_maker import Recording, write_json

MLP = ("--et", RECORDED / "mlp.et.json.gz", "--trace", RECORDED / "mlp.trace.json.gz")
DDP = ("--et", RECORDED / "ddp.et.*.json.gz", "--trace", RECORDED / "ddp.trace.*.json.gz")


def test_a_pair_becomes_one_file_and_a_report(tmp_path: Path) -> None:
    said = call("convert", *MLP, "-o", tmp_path / "mlp.et")
    assert (said.code, said.err) == (0, "")
    first, joined = said.out.splitlines()
    graph = read_graph(tmp_path / "mlp.et")
    assert first == (
        f"{tmp_path / 'mlp.et'}: {len(graph):,} nodes, {graph.edge_count:,} dependencies, 3 steps."
    )
    assert re.search(r"joined by Record function id: ([\d,]+) of \1 execution-trace", joined)
    assert "100.0 % of the time" in joined
    assert [p.name for p in tmp_path.iterdir()] == ["mlp.et"]


def test_many_ranks_become_one_file_each(tmp_path: Path) -> None:
    said = call("convert", *DDP, "-o", tmp_path / "ddp.et")
    assert said.code == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"ddp.{r}.et" for r in range(4)]
    assert [read_graph(tmp_path / f"ddp.{r}.et").meta.rank for r in range(4)] == [0, 1, 2, 3]


def test_json_tells_the_same(tmp_path: Path) -> None:
    said = call("convert", *MLP, "-o", tmp_path / "mlp.et", "--json")
    (report,) = json.loads(said.out)
    assert report["file"] == str(tmp_path / "mlp.et")
    assert report["et_matched"] == report["et_nodes"] > 1000
    assert report["time_covered"] == 1
    assert report["joined_by"] == "Record function id"


def test_an_execution_trace_alone_says_that_it_has_no_times(tmp_path: Path) -> None:
    said = call("convert", *MLP[:2], "-o", tmp_path / "mlp.et")
    assert said.code == 0
    assert "no times" in said.out
    assert not read_graph(tmp_path / "mlp.et").meta.has_times


def test_a_profile_alone_converts(tmp_path: Path) -> None:
    said = call("convert", *MLP[2:], "-o", tmp_path / "mlp.et")
    assert said.code == 0
    assert read_graph(tmp_path / "mlp.et").meta.has_times


def test_converting_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        call("convert", *MLP, "-o", tmp_path / f"{name}.et")
    assert (tmp_path / "a.et").read_bytes() == (tmp_path / "b.et").read_bytes()


def test_device_events_and_notes_are_told(tmp_path: Path) -> None:
    run = Recording()
    run.op("aten::mm", 0, 10)
    run.kernel("old", 0, 20)
    run.kernel("new", 20, 30, by=run.launch(2, 4))
    et, trace = run.write(tmp_path)
    said = call("convert", "--et", et, "--trace", trace, "-o", tmp_path / "run.et")
    assert "2 of 2 device events kept" in said.out
    assert "note: 1 device events have no launch in the file (backlog)" in said.err


def partial(folder: Path, *more: str) -> Said:
    """Convert a pair of which half was found."""
    run = Recording()
    for index in range(4):
        run.op(f"aten::op{index}", 10 * index, 10 * index + 8)
    et = write_json(folder / "et.json", run.execution_trace())
    del run.events[2:]
    trace = write_json(folder / "tr.json", run.kineto())
    return call("convert", "--et", et, "--trace", trace, "-o", folder / "run.et", *more)


def test_half_a_join_is_an_error_unless_allowed(tmp_path: Path) -> None:
    assert "only 50 %" in partial(tmp_path).fault(3)
    assert not (tmp_path / "run.et").exists()
    said = partial(tmp_path, "--allow-partial")
    assert said.code == 0
    assert "2 of 4 execution-trace nodes" in said.out


def test_ids_with_other_names_are_told(tmp_path: Path) -> None:
    run = Recording()
    for index in range(10):
        run.op(f"aten::op{index}", 10 * index, 10 * index + 8)
    et = write_json(tmp_path / "et.json", run.execution_trace())
    run.events[3]["name"] = "renamed"
    trace = write_json(tmp_path / "tr.json", run.kineto())
    said = call("convert", "--et", et, "--trace", trace, "-o", tmp_path / "run.et")
    assert "note: 1 equal ids have different names and were not joined" in said.err


@pytest.mark.parametrize("side", ["et", "tr"])
def test_a_recording_is_never_written_over(tmp_path: Path, side: str) -> None:
    run = Recording()
    run.op("aten::mm", 0, 10)
    et, trace = write_json(tmp_path / "et", run.execution_trace()), tmp_path / "tr"
    write_json(trace, run.kineto())
    before = (tmp_path / side).read_bytes()
    said = call("convert", "--et", et, "--trace", trace, "-o", tmp_path / side)
    assert "is one of the inputs" in said.fault(2)
    assert (tmp_path / side).read_bytes() == before


def test_an_older_result_is_replaced_whole(tmp_path: Path) -> None:
    (tmp_path / "mlp.et").write_bytes(b"old")
    call("convert", *MLP, "-o", tmp_path / "mlp.et")
    again = tmp_path / "again.et"
    call("convert", *MLP, "-o", again)
    assert same_graph(read_graph(tmp_path / "mlp.et"), read_graph(again))
