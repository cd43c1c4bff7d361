"""Nsight Systems exports: a drawn one, its faults, and a real one with its truths."""

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from etsim.cli.inputs import load_graphs
from etsim.converters.nsys.convert import convert_nsys
from etsim.models.errors import NeedsRecordingError, TraceFormatError
from etsim.models.graph import Category, EdgeKind, ExecutionGraph
from etsim.models.timeline import measured
from etsim.simulator.breakdown.activity import activity_of
from etsim.simulator.replay import replay

TID_BITS = 24
STRINGS = {1: "cudaLaunchKernel_v7000", 2: "sgemm(float*)", 3: "memset_call_v3020"}
TABLES = {
    "StringIds": "id, value",
    "CUPTI_ACTIVITY_KIND_RUNTIME": "start, end, globalTid, correlationId, nameId",
    "CUPTI_ACTIVITY_KIND_KERNEL": "start, end, deviceId, streamId, correlationId, globalPid, "
    "demangledName, gridX, gridY, gridZ, blockX, blockY, blockZ",
    "CUPTI_ACTIVITY_KIND_MEMCPY": "start, end, deviceId, streamId, correlationId, globalPid, "
    "bytes, copyKind, srcKind, dstKind",
    "CUPTI_ACTIVITY_KIND_GRAPH_TRACE": "start, end, deviceId, streamId, correlationId, "
    "globalPid, graphId",
    "NVTX_EVENTS": "start, end, eventType, text, textId, globalTid",
    "TARGET_INFO_SESSION_START_TIME": "utcEpochNs",
}


def identity(process: int, thread: int = 0) -> int:
    return process << TID_BITS | thread


def export(path: Path, tables: dict[str, list[tuple[object, ...]]]) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        for name, rows in tables.items():
            connection.execute(f"CREATE TABLE {name} ({TABLES.get(name, 'x')})")
            for row in rows:
                marks = ", ".join("?" for _ in row)
                connection.execute(f"INSERT INTO {name} VALUES ({marks})", row)
        connection.commit()
    return path


def two_processes() -> dict[str, list[tuple[object, ...]]]:
    """
    process 5   aten::mm 0-100 > launch 10-20, correlation 1    device 0 [sgemm 150-250]
    process 6                    launch 12-22, correlation 1    device 1 [sgemm 160-260]
    process 5                    launch 30-31, correlation 2    device 0 [copy 260-270]
    """
    mm = "aten::mm, seq = 4, op_id = 12, sizes = [[2, 3], [3, 4]]"
    shape = (2, 1, 1, 32, 1, 1)
    return {
        "StringIds": list(STRINGS.items()),
        "CUPTI_ACTIVITY_KIND_RUNTIME": [
            (10, 20, identity(5, 50), 1, 1),
            (12, 22, identity(6, 60), 1, 1),
            (30, 31, identity(5, 50), 2, 3),
        ],
        "CUPTI_ACTIVITY_KIND_KERNEL": [
            (150, 250, 0, 7, 1, identity(5), 2, *shape),
            (160, 260, 1, 7, 1, identity(6), 2, *shape),
        ],
        "CUPTI_ACTIVITY_KIND_MEMCPY": [(260, 270, 0, 7, 2, identity(5), 64, 1, 1, 2)],
        "NVTX_EVENTS": [
            (0, 100, 59, mm, None, identity(5, 50)),
            (0, None, 34, "mark", None, identity(5, 50)),
        ],
        "TARGET_INFO_SESSION_START_TIME": [(1_000_000,)],
    }


@pytest.fixture
def graphs(tmp_path: Path) -> list[ExecutionGraph]:
    return [r.graph for r in convert_nsys(export(tmp_path / "r.sqlite", two_processes()))]


def device_rows(graph: ExecutionGraph) -> list[int]:
    rows: list[int] = np.flatnonzero(graph.on_device()).tolist()
    return rows


def test_each_process_is_a_rank_of_its_own(graphs: list[ExecutionGraph]) -> None:
    assert [graph.meta.rank for graph in graphs] == [0, 1]
    assert [len(device_rows(graph)) for graph in graphs] == [2, 1]
    assert [graph.meta.clock_base_ns for graph in graphs] == [1_000_000, 1_000_012]


def test_equal_correlations_of_two_processes_are_kept_apart(graphs: list[ExecutionGraph]) -> None:
    for graph in graphs:
        kernel = device_rows(graph)[0]
        ((call, kind, _),) = graph.predecessors(kernel)
        assert kind is EdgeKind.LAUNCH
        assert graph.name_of(call) == "cudaLaunchKernel"
        assert graph.lane_of(call).group in (5, 6)


def test_ranges_of_torch_become_operators_with_shapes(graphs: list[ExecutionGraph]) -> None:
    kernel = device_rows(graphs[0])[0]
    operator = graphs[0].operators[int(graphs[0].nodes.operator[kernel])]
    assert (operator.name, operator.input_shapes) == ("aten::mm", ((2, 3), (3, 4)))
    assert any("1 NVTX marks" in note for note in graphs[0].meta.notes)


def test_copies_have_their_direction_and_bytes(graphs: list[ExecutionGraph]) -> None:
    copy = device_rows(graphs[0])[1]
    assert graphs[0].name_of(copy) == "Memcpy HtoD (Pinned -> Device)"
    assert Category(graphs[0].nodes.category[copy]) is Category.MEMCPY
    assert graphs[0].nodes.bytes[copy] == 64


def test_graph_replays_without_kernels_keep_the_device_busy_and_are_told(tmp_path: Path) -> None:
    tables = two_processes()
    tables["CUPTI_ACTIVITY_KIND_GRAPH_TRACE"] = [(300, 400, 0, 7, 9, identity(5), 3)]
    first = convert_nsys(export(tmp_path / "r.sqlite", tables))[0].graph
    assert first.name_of(device_rows(first)[-1]) == "CUDA graph 3"
    assert any("--cuda-graph-trace=node" in note for note in first.meta.notes)


def test_missing_tables_and_columns_are_no_fault(tmp_path: Path) -> None:
    tables = two_processes()
    kept = {k: tables[k] for k in ("StringIds", "CUPTI_ACTIVITY_KIND_KERNEL")}
    assert len(convert_nsys(export(tmp_path / "r.sqlite", kept))) == 2


def test_an_empty_export_says_what_to_record(tmp_path: Path) -> None:
    with pytest.raises(NeedsRecordingError, match="--trace=cuda,nvtx"):
        convert_nsys(export(tmp_path / "r.sqlite", {"StringIds": []}))


def test_other_sqlite_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TraceFormatError, match="not Nsight Systems' export"):
        convert_nsys(export(tmp_path / "r.sqlite", {"other": []}))


def test_a_damaged_file_is_told_in_one_line(tmp_path: Path) -> None:
    path = export(tmp_path / "r.sqlite", two_processes())
    path.write_bytes(path.read_bytes()[:100] + b"\xff" * 400)
    with pytest.raises(TraceFormatError, match="damaged"):
        convert_nsys(path)


@pytest.mark.shared
def test_a_real_export_has_its_known_counts(shared_data: Path) -> None:
    """3442 kernels, of which 1632 have their launch in the file; two processes, a GPU each."""
    found = load_graphs([str(shared_data / "traces/nsys_h100/h100_2gpu_1s.sqlite")])
    activities = [activity_of(measured(graph), graph.meta.rank) for graph in found]
    kernels = [a.where(a.graph.nodes.category[a.row] == Category.KERNEL) for a in activities]
    assert sum(len(kernel) for kernel in kernels) == 3442
    assert sum(int((~kernel.unlinked).sum()) for kernel in kernels) == 1632
    for graph in found:
        assert np.array_equal(replay(graph).start_ns, graph.nodes.start_ns)
        assert any(operator.name.startswith("aten::") for operator in graph.operators)
