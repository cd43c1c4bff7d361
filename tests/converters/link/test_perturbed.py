"""Linked traces answer to changes as a run would: longer never ends sooner, all times c ends c."""

import tarfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from etsim.converters.convert import convert_kineto
from etsim.models.graph import EdgeKind, ExecutionGraph, Int64s
from etsim.simulator.replay import replay

ROOT = Path(__file__).resolve().parents[3]
TRACES = ROOT.parent / "shared" / "data" / "traces"
SHARED = (
    "ddp_a100/nccl_data.json.gz", "gpubound_v100/rank-0.Apr_03_18_51_38.1102.pt.trace.json.gz",
    "hta_sync_a100/alexnet_trace.json.gz", "hta_sync_a100/event_sync.json.gz",
    "hta_sync_a100/event_sync_multi_stream.json.gz", "pair_h100_mi300/h100_bert_small.json.gz",
    "pair_h100_mi300/h100_qwen0.5b.json.gz", "pair_h100_mi300/mi300_bert_small.json.gz",
    "pair_h100_mi300/mi300_qwen0.5b.json.gz", "vllm_mi/vllm_decode_full.json.gz",
    "vllm_mi/vllm_prefilldecode_piecewise.json.gz",
)  # fmt: skip
ALL = (
    ROOT / "examples" / "recorded" / "transformer.trace.json.gz",
    ROOT / "examples" / "recorded" / "ddp.trace.1.json.gz",
    *(pytest.param(TRACES / name, marks=pytest.mark.shared) for name in SHARED),
)


@cache
def graph_of(path: Path) -> ExecutionGraph:
    return convert_kineto(path).graph


def end_ns(graph: ExecutionGraph, duration_ns: Int64s, lag_ns: Int64s | None = None) -> int:
    start = replay(graph, duration_ns, lag_ns).start_ns
    return int((start + duration_ns).max())


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_the_replay_of_an_unchanged_trace_is_exact(path: Path) -> None:
    graph = graph_of(path).checked()
    np.testing.assert_array_equal(replay(graph).start_ns, graph.nodes.start_ns)


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_a_longer_row_never_makes_any_row_start_sooner(path: Path) -> None:
    graph, random = graph_of(path), np.random.default_rng(7)
    before = replay(graph).start_ns
    for _ in range(4):
        duration = graph.nodes.duration_ns.copy()
        duration[random.integers(0, len(graph), 20)] += random.integers(1, 1_000_000, 20)
        assert (replay(graph, duration).start_ns >= before).all()


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
@pytest.mark.parametrize("factor", [0.5, 4])
def test_all_times_by_a_factor_give_the_end_by_that_factor(path: Path, factor: float) -> None:
    graph = graph_of(path)
    duration, lag = graph.nodes.duration_ns, graph.edge_lag_ns
    scaled = end_ns(graph, (duration * factor).astype(np.int64), (lag * factor).astype(np.int64))
    assert scaled == pytest.approx(factor * end_ns(graph, duration), rel=1e-3)


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_no_thread_or_stream_waits_long_after_what_it_waited_for(path: Path) -> None:
    """A lag of ms on an edge between lanes stands for a reason that was not found."""
    graph = graph_of(path)
    kinds = (EdgeKind.HANDOVER, EdgeKind.SYNC, EdgeKind.STREAM_WAIT, EdgeKind.LAUNCH)
    between = np.isin(graph.edge_kind, kinds)
    assert int(graph.edge_lag_ns[between].max(initial=0)) < 10_000_000


@pytest.mark.shared
def test_ranks_of_a_tar_as_well(shared_data: Path, tmp_path: Path) -> None:
    with tarfile.open(shared_data / "traces" / "dlrm_8rank_v100" / "dlrm_kineto.tar.gz") as packed:
        packed.extractall(tmp_path, filter="data")
    path = min(path for path in tmp_path.rglob("*.json*") if path.is_file())
    test_the_replay_of_an_unchanged_trace_is_exact(path)
    test_a_longer_row_never_makes_any_row_start_sooner(path)
    test_no_thread_or_stream_waits_long_after_what_it_waited_for(path)
