"""Ascend's profiler folders: a drawn run, its faults, and two real ranks with their truths."""

import csv
import json
import tarfile
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest

from etsim.cli.inputs import load_graphs
from etsim.converters.ascend.convert import convert_ascend, convert_ascend_path
from etsim.converters.ascend.events import to_ns
from etsim.converters.ascend.folders import find_runs
from etsim.models.errors import NeedsRecordingError, TraceFormatError
from etsim.models.graph import Category, EdgeKind, ExecutionGraph, LaneKind
from etsim.models.timeline import measured
from etsim.simulator.breakdown.activity import activity_of
from etsim.simulator.breakdown.ascend_style import ASCEND_COLUMNS, ascend_rows
from etsim.simulator.breakdown.selection import Selection
from etsim.simulator.collective_skew import collective_skew
from etsim.simulator.replay import replay

Json: TypeAlias = dict[str, object]
PYTHON, CANN, HARDWARE, HCCL = 10, 20, 30, 40
MAIN, WORKER = 1, 2
BASE_US = 1736408883700000


def event(pid: int, tid: int, name: str, start_us: float, dur_us: float, **more: object) -> Json:
    return {
        "ph": "X", "pid": pid, "tid": tid, "name": name, "ts": f"{BASE_US + start_us:.3f}",
        "dur": dur_us, **more,
    }  # fmt: skip


def one_step() -> list[Json]:
    """
    main     |ProfilerStep#3 0-100: aten::mm 10-30 (Enqueue 20-25)|
    worker              Dequeue 30-40 (Node@launch 32-36)
    stream 2                             [MatMul 50-60] [EVENT_WAIT] [MEMCPY 70-75]
    group 0                                                  [hcom_allReduce 62-90]
    """
    names = {PYTHON: "Python", CANN: "CANN", HARDWARE: "Ascend Hardware", HCCL: "HCCL"}
    processes: list[Json] = [
        {"ph": "M", "pid": pid, "tid": 0, "name": "process_name", "args": {"name": name}}
        for pid, name in names.items()
    ]
    lane: Json = {
        "ph": "M", "pid": HCCL, "tid": 0, "name": "thread_name",
        "args": {"name": "Group 0 Communication"},
    }  # fmt: skip
    shapes = {"Input Dims": "2,3;\r\n3,4;\r\n", "Input type": "float;\r\nfloat;\r\nScalar"}
    task = {"Task Type": "AI_CORE", "connection_id": 7}
    message = {"connection_id": 8, "data_type": "FP32", "count": 1000}
    return [
        *processes,
        lane,
        event(PYTHON, MAIN, "ProfilerStep#3", 0, 100, cat="cpu_op", args={}),
        event(PYTHON, MAIN, "aten::mm", 10, 20, cat="cpu_op", args=shapes),
        event(PYTHON, MAIN, "Enqueue", 20, 5, cat="enqueue", args={"correlation_id": 5}),
        event(PYTHON, WORKER, "Dequeue@mm", 30, 10, cat="dequeue", args={"correlation_id": 5}),
        event(CANN, WORKER, "Node@launch", 32, 4, args={"connection_id": 7}),
        event(HARDWARE, 2, "MatMul", 50, 10, args=task),
        event(HARDWARE, 2, "EVENT_WAIT", 61, 1, args={"Task Type": "EVENT_WAIT_SQE"}),
        event(HARDWARE, 2, "MEMCPY_ASYNC", 70, 5, args={"Task Type": "PCIE_DMA_SQE"}),
        event(HCCL, 0, "hcom_allReduce__586_2_1", 62, 28, args=message),
        event(HCCL, 1, "Reduce_Inline", 62, 1, args={}),
    ]


def folder(tmp_path: Path, events: list[Json], rank: int = 3) -> Path:
    run = tmp_path / f"rank{rank}_ascend_pt"
    output = run / "ASCEND_PROFILER_OUTPUT"
    output.mkdir(parents=True)
    (output / "trace_view.json").write_text(json.dumps(events))
    (run / f"profiler_info_{rank}.json").write_text(json.dumps({"rank_id": rank}))
    return run


def graph_of(tmp_path: Path) -> ExecutionGraph:
    (graph,) = convert_ascend_path(folder(tmp_path, one_step()))
    return graph


def row_named(graph: ExecutionGraph, name: str) -> int:
    (row,) = (row for row in range(len(graph)) if graph.name_of(row) == name and row not in
              {step.end_row for step in graph.steps})  # fmt: skip
    return row


def test_times_are_exact_to_the_nanosecond() -> None:
    assert to_ns("1736408883700059.821") == 1736408883700059821
    assert to_ns(53.7410625) == 53741
    assert to_ns(None) == 0


def test_device_work_becomes_rows_and_the_rest_is_counted(tmp_path: Path) -> None:
    graph = graph_of(tmp_path)
    assert graph.meta.rank == 3
    category = {graph.name_of(r): Category(graph.nodes.category[r]) for r in range(len(graph))}
    assert category["MatMul"] is Category.KERNEL
    assert category["MEMCPY_ASYNC"] is Category.MEMCPY
    assert category["hcom_allReduce__586_2_1"] is Category.COLLECTIVE
    assert "EVENT_WAIT" not in category
    assert any("2 device tasks are events" in note for note in graph.meta.notes)


def test_a_collective_knows_its_message_and_its_place_in_the_group(tmp_path: Path) -> None:
    graph = graph_of(tmp_path)
    row = row_named(graph, "hcom_allReduce__586_2_1")
    what = graph.collectives[int(graph.nodes.collective[row])]
    assert (what.kind, what.group, what.message_bytes) == ("all_reduce", "586", 4000)
    assert graph.nodes.sequence[row] == 2


def test_a_kernel_belongs_to_the_operator_that_enqueued_it(tmp_path: Path) -> None:
    graph = graph_of(tmp_path)
    kernel = row_named(graph, "MatMul")
    operator = graph.operators[int(graph.nodes.operator[kernel])]
    assert (operator.name, operator.input_shapes) == ("aten::mm", ((2, 3), (3, 4), ()))
    assert graph.steps[int(graph.nodes.step[kernel])].name == "ProfilerStep#3"
    assert [kind for _, kind, _ in graph.predecessors(kernel)] == [EdgeKind.LAUNCH]
    assert graph.nodes.start_ns[kernel] == 50_000


def test_the_worker_waits_for_what_is_enqueued(tmp_path: Path) -> None:
    graph = graph_of(tmp_path)
    enqueue, dequeue = row_named(graph, "Enqueue"), row_named(graph, "Dequeue@mm")
    assert int(graph.nodes.parent[dequeue]) == enqueue
    kinds = {
        kind
        for row in range(len(graph))
        for source, kind, _ in graph.predecessors(row)
        if source == enqueue and graph.lane_of(row).number == WORKER
    }
    assert kinds == {EdgeKind.HANDOVER}


def test_python_and_cann_share_their_threads(tmp_path: Path) -> None:
    graph = graph_of(tmp_path)
    assert [lane.number for lane in graph.lanes if lane.kind is LaneKind.HOST] == [MAIN, WORKER]


def test_an_unchanged_run_replays_to_itself(tmp_path: Path) -> None:
    graph = graph_of(tmp_path)
    assert np.array_equal(replay(graph).start_ns, graph.nodes.start_ns)


def test_kernel_details_name_kernels_of_unknown_task_types(tmp_path: Path) -> None:
    events = one_step()
    odd = event(HARDWARE, 2, "NewOp", 80, 1, args={"Task Type": "NEW_ENGINE"})
    run = folder(tmp_path, [*events, odd])
    details = run / "ASCEND_PROFILER_OUTPUT" / "kernel_details.csv"
    start = f"{BASE_US + 80:.3f}"
    details.write_text(
        "Name,Type,Accelerator Core,Start Time(us),Input Shapes\n"
        f'NewOp,New,NEW,{start}\t,"""2,3;4"""\n'
        f"hcom_x,hcom,HCCL,{start}\t,N/A\n"
    )
    (graph,) = convert_ascend_path(run)
    assert Category(graph.nodes.category[row_named(graph, "NewOp")]) is Category.KERNEL


def test_details_without_their_columns_are_refused(tmp_path: Path) -> None:
    run = folder(tmp_path, one_step())
    (run / "ASCEND_PROFILER_OUTPUT" / "kernel_details.csv").write_text("Type\nx\n")
    with pytest.raises(TraceFormatError, match="has no column Name, Start Time"):
        convert_ascend_path(run)


def test_folders_are_found_from_above_inside_and_by_pattern(tmp_path: Path) -> None:
    for rank in (0, 1):
        folder(tmp_path, one_step(), rank)
    run = tmp_path / "rank0_ascend_pt"
    assert [r.rank for r in find_runs(tmp_path)] == [0, 1]
    assert [r.rank for r in find_runs(run)] == [0]
    view = str(run / "ASCEND_PROFILER_OUTPUT" / "trace_view.json")
    for spec in (str(tmp_path), str(tmp_path / "rank*")):
        assert [graph.meta.rank for graph in load_graphs([spec])] == [0, 1]
    assert [graph.meta.rank for graph in load_graphs([view])] == [0]


def test_raw_data_is_refused_with_what_to_run(tmp_path: Path) -> None:
    (tmp_path / "PROF_000").mkdir()
    with pytest.raises(NeedsRecordingError, match="analyse"):
        find_runs(tmp_path)


def test_output_without_text_is_refused_with_what_to_record(tmp_path: Path) -> None:
    (tmp_path / "ASCEND_PROFILER_OUTPUT").mkdir()
    with pytest.raises(NeedsRecordingError, match="export text"):
        find_runs(tmp_path)


def test_a_cut_trace_view_is_told(tmp_path: Path) -> None:
    run = folder(tmp_path, one_step())
    view = run / "ASCEND_PROFILER_OUTPUT" / "trace_view.json"
    view.write_text(view.read_text()[:-20])
    with pytest.raises(TraceFormatError, match="cut after"):
        convert_ascend_path(run)


@pytest.fixture(scope="module")
def real(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("ascend")
    name = "traces/ascend_2rank/ascend_level1_text_2ranks.tar.gz"
    with tarfile.open(shared_data / name) as archive:
        archive.extractall(target, filter="data")
    return target / "level1"


@pytest.mark.shared
def test_the_columns_of_a_real_run_are_ascends_own(real: Path) -> None:
    """Within 0.03 us in the sums; Stage and Preparing are stored with a quarter microsecond."""
    for run in find_runs(real):
        graph = convert_ascend(run)
        (row,) = ascend_rows(activity_of(measured(graph), graph.meta.rank), Selection())
        with run.trace_view.with_name("step_trace_time.csv").open() as text:
            (truth,) = csv.DictReader(text)
        found = dict(zip(ASCEND_COLUMNS, row.cells_us(), strict=True))
        assert found["Step"] == truth["Step"]
        for name in ASCEND_COLUMNS[1:]:
            coarse = name in ("Stage", "Preparing", "Bubble")
            assert found[name] == pytest.approx(float(truth[name]), abs=0.25 if coarse else 0.03)


@pytest.mark.shared
def test_a_real_run_is_linked_wholly_and_its_collectives_meet(real: Path) -> None:
    graphs = load_graphs([str(real)])
    for graph in graphs:
        on_device = graph.on_device()
        assert (graph.nodes.operator[on_device] >= 0).all()
        assert not activity_of(measured(graph), graph.meta.rank).unlinked.any()
        assert np.array_equal(replay(graph).start_ns, graph.nodes.start_ns)
    report = collective_skew([measured(graph) for graph in graphs])
    assert (len(report.collectives), report.alone) == (4, 0)
