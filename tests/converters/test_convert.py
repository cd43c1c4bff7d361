"""From files to graphs: the report adds up, ranks are found, nothing of the device is lost."""

from pathlib import Path
from typing import Any

import pytest

from etsim.converters.convert import Sources, convert, convert_kineto, find_sources
from etsim.models.errors import InputError, JoinError, NeedsRecordingError, RankError
from etsim.models.graph import Category
from etsim.tests.kineto_maker import Recording, write_json


def gpu_run(**about: Any) -> Recording:
    """Draw an operator with a launch, a graph launch of two kernels, and one kernel from before."""
    run = Recording(**about)
    run.op("aten::mm", 0, 30, shapes=[[2, 3], [3, 4]], types=["float", "float"])
    run.kernel("sgemm", 40, 50, by=run.launch(5, 10))
    graph = run.launch(31, 35, name="cudaGraphLaunch")
    run.kernel("g1", 60, 70, by=graph)
    run.kernel("g2", 70, 80, by=graph)
    run.kernel("old", 0, 20)
    run.kernel("copy", 80, 90, by=run.call("cudaMemcpyAsync", 36, 40), cat="gpu_memcpy")
    return run


def pair(folder: Path, run: Recording, name: str = "run") -> Sources:
    et, trace = run.write(folder, name)
    return Sources(0, et, trace)


def test_the_report_adds_up(tmp_path: Path) -> None:
    report = convert(pair(tmp_path, gpu_run())).report
    assert report.joined_by == "Record function id"
    assert (report.et_nodes, report.et_matched) == (1, 1)
    assert (report.kineto_events, report.kineto_matched) == (1, 1)
    assert report.time_covered == 1
    assert (report.device_events, report.device_kept) == (5, 5)


def test_the_execution_trace_adds_schema_outputs_and_ids(tmp_path: Path) -> None:
    run = gpu_run()
    run.events[0]["args"]["schema"] = "aten::mm(Tensor a, Tensor b) -> Tensor"
    joined = convert(pair(tmp_path, run)).graph
    (operator,) = joined.operators
    assert operator.schema == "aten::mm(Tensor a, Tensor b) -> Tensor"
    assert operator.output_shapes == ((2, 2),)
    assert operator.input_shapes == ((2, 3), (3, 4))
    assert joined.meta.property("schema").startswith("1.1.1")
    alone = convert(Sources(0, None, tmp_path / "run.trace.json")).graph
    assert alone.operators[0].schema == ""
    assert len(alone) == len(joined)


def test_a_profile_alone_converts_with_all_its_times(tmp_path: Path) -> None:
    converted = convert(Sources(0, None, pair(tmp_path, gpu_run()).trace))
    assert converted.graph.meta.has_times
    assert converted.report.joined_by == ""
    assert converted.report.device_kept == 5


def test_an_execution_trace_alone_converts_and_says_that_it_has_no_times(tmp_path: Path) -> None:
    run = Recording()
    run.mark("layer", 0, 100)
    run.op("aten::linear", 10, 90, shapes=[[2, 3]])
    run.op("worker", 20, 30, thread=2)
    converted = convert(Sources(3, pair(tmp_path, run).et, None))
    graph = converted.graph
    assert not graph.meta.has_times
    assert any("has no times" in note for note in graph.meta.notes)
    assert [graph.name_of(row) for row in range(1, 4)] == ["layer", "aten::linear", "worker"]
    assert graph.nodes.parent.tolist() == [-1, -1, 1, -1]
    assert graph.nodes.rank.tolist() == [3] * 4
    assert graph.nodes.category.tolist() == [
        Category.ORIGIN, Category.ANNOTATION, Category.HOST, Category.HOST
    ]  # fmt: skip
    assert graph.operators[int(graph.nodes.operator[2])].input_shapes == ((2, 3),)


def test_an_unfinished_execution_trace_is_told(tmp_path: Path) -> None:
    run = gpu_run()
    document = run.execution_trace()
    del document["finish_ts"]
    et = write_json(tmp_path / "et.json", document)
    trace = write_json(tmp_path / "tr.json", run.kineto())
    notes = convert(Sources(0, et, trace)).graph.meta.notes
    assert "the observer was not stopped: the execution trace may lack its end" in notes


@pytest.mark.parametrize("events", [[], [{"ph": "i", "name": "x"}]])
def test_a_trace_without_any_work_says_what_to_record(
    tmp_path: Path, events: list[dict[str, Any]]
) -> None:
    path = write_json(tmp_path / "tr.json", {"traceEvents": events})
    with pytest.raises(NeedsRecordingError, match="record with activities"):
        convert_kineto(path)


def test_a_pair_of_two_runs_is_refused(tmp_path: Path) -> None:
    other = Recording(pid=7)
    other.op("aten::conv2d", 0, 30)
    et, _ = gpu_run().write(tmp_path, "one")
    _, trace = other.write(tmp_path, "two")
    with pytest.raises(JoinError, match="two runs"):
        convert(Sources(0, et, trace))
    assert len(convert(Sources(0, et, trace), allow_partial=True).graph) == 2


# ranks


def of_ranks(folder: Path, *ranks: int, et: bool = True, trace: bool = True) -> None:
    for rank in ranks:
        run = gpu_run(rank=rank, world_size=len(ranks))
        if et:
            write_json(folder / f"et_r{rank}.json", run.execution_trace())
        if trace:
            write_json(folder / f"tr_r{rank}.json", run.kineto())


def sources(folder: Path, et: str = "et_r*.json", trace: str = "tr_r*.json") -> list[Sources]:
    return find_sources([str(folder / et)] if et else [], [str(folder / trace)] if trace else [])


def test_patterns_pair_the_files_of_each_rank(tmp_path: Path) -> None:
    of_ranks(tmp_path, 0, 1, 10)
    found = sources(tmp_path)
    assert [source.rank for source in found] == [0, 1, 10]
    assert all(
        source.et is not None and source.trace is not None
        and source.et.name[3:] == source.trace.name[3:]
        for source in found
    )  # fmt: skip
    assert [convert(source).report.rank for source in found] == [0, 1, 10]


@pytest.mark.parametrize("side", ["et", "trace"])
def test_one_side_alone_serves_many_ranks_too(tmp_path: Path, side: str) -> None:
    of_ranks(tmp_path, 0, 1)
    found = sources(tmp_path, **{"et" if side == "trace" else "trace": ""})
    assert [(s.rank, s.et is None, s.trace is None) for s in found] == [
        (rank, side == "trace", side == "et") for rank in (0, 1)
    ]


def test_a_rank_that_one_side_lacks_is_told(tmp_path: Path) -> None:
    of_ranks(tmp_path, 0, 1)
    of_ranks(tmp_path, 2, trace=False)
    with pytest.raises(RankError, match="rank 2 has no file among --trace"):
        sources(tmp_path)


def test_a_single_pair_needs_no_rank_in_its_names(tmp_path: Path) -> None:
    run = gpu_run(rank=5, world_size=8)
    source = pair(tmp_path, run)
    (found,) = find_sources([str(source.et)], [str(source.trace)])
    assert convert(found).graph.meta.rank == 5


def test_the_name_tells_the_rank_where_the_trace_does_not(tmp_path: Path) -> None:
    path = write_json(tmp_path / "trace_rank6.json", gpu_run().kineto())
    assert convert_kineto(path).graph.meta.rank == 6


def test_nothing_given_matches_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file matches"):
        sources(tmp_path)


def test_converting_twice_gives_the_same(tmp_path: Path) -> None:
    source = pair(tmp_path, gpu_run())
    first, second = convert(source), convert(source)
    assert first.report == second.report
    assert first.graph.edge_lag_ns.tolist() == second.graph.edge_lag_ns.tolist()
