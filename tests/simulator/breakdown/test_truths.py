"""Measured truths of real traces: busy times, windows, idle causes, skew."""

import tarfile
from pathlib import Path

import pytest

from etsim.converters.convert import convert_kineto
from etsim.models.timeline import Timeline, measured
from etsim.simulator.breakdown.groups import Grouping
from etsim.simulator.breakdown.report import RankBreakdown, Wanted, break_down
from etsim.simulator.breakdown.selection import Selection
from etsim.simulator.collective_skew import collective_skew
from etsim.simulator.idle import IdleCause

pytestmark = pytest.mark.shared

TRACES = (
    "pair_h100_mi300/h100_bert_small.json.gz",
    "pair_h100_mi300/h100_qwen0.5b.json.gz",
    "pair_h100_mi300/mi300_bert_small.json.gz",
    "pair_h100_mi300/mi300_qwen0.5b.json.gz",
    "ddp_a100/nccl_data.json.gz",
    "hta_sync_a100/alexnet_trace.json.gz",
    "vllm_mi/vllm_decode_full.json.gz",
    "vllm_mi/vllm_prefilldecode_piecewise.json.gz",
)


def timeline(shared_data: Path, name: str) -> Timeline:
    return measured(convert_kineto(shared_data / "traces" / name).graph)


def found(shared_data: Path, name: str, wanted: Wanted) -> RankBreakdown:
    return break_down([timeline(shared_data, name)], wanted)[0]


@pytest.mark.parametrize("name", TRACES)
def test_parts_of_real_traces_add_up_in_every_grouping(shared_data: Path, name: str) -> None:
    run = timeline(shared_data, name)
    for by in Grouping:
        (whole,) = break_down([run], Wanted(by))
        parts = [whole.parts, *(group.parts for group in whole.groups)]
        assert [p.residual_ns for p in parts] == [0] * len(parts)
        assert sum(whole.idle_by_cause.values()) == whole.parts.idle_ns
        if by in (Grouping.PHASE, Grouping.MODULE):
            assert sum(p.window_ns for p in parts[1:]) == whole.parts.window_ns


@pytest.mark.parametrize(
    ("name", "busy_ms"),
    [
        ("h100_bert_small", 0.309),
        ("mi300_bert_small", 0.391),
        ("h100_qwen0.5b", 31.905),
        ("mi300_qwen0.5b", 29.744),
    ],
)
def test_busy_time_of_correlated_events(shared_data: Path, name: str, busy_ms: float) -> None:
    linked = Wanted(selection=Selection(include_unlinked=False))
    parts = found(shared_data, f"pair_h100_mi300/{name}.json.gz", linked).parts
    busy_ns = parts.computing_ns + parts.exposed_memcpy_ns
    assert round(busy_ns / 1e6, 3) == pytest.approx(busy_ms, abs=0.0011)


@pytest.mark.parametrize(
    ("name", "span_ms", "busy_ms"),
    [("vllm_decode_full", 10.743, 10.718), ("vllm_prefilldecode_piecewise", 156.47, 156.09)],
)
def test_span_and_busy_time_of_a_serving_step(
    shared_data: Path, name: str, span_ms: float, busy_ms: float
) -> None:
    parts = found(shared_data, f"vllm_mi/{name}.json.gz", Wanted()).parts
    assert parts.window_ns / 1e6 == pytest.approx(span_ms, abs=0.006)
    busy_ns = parts.computing_ns + parts.exposed_communication_ns + parts.exposed_memcpy_ns
    assert busy_ns / 1e6 == pytest.approx(busy_ms, abs=0.006)


def test_the_idle_time_of_a_prefill_has_its_known_causes(shared_data: Path) -> None:
    """Published: 4.0 ms idle: 32 % host, 26 % dependency, 17 % back to back, 18 % unlinked."""
    whole = found(shared_data, "pair_h100_mi300/h100_qwen0.5b.json.gz", Wanted())
    share = {c: round(100 * t / whole.parts.idle_ns) for c, t in whole.idle_by_cause.items()}
    assert whole.parts.idle_ns / 1e6 == pytest.approx(4.0, abs=0.05)
    assert share[IdleCause.HOST] == 32
    assert share[IdleCause.DEPENDENCY] == pytest.approx(26, abs=1)
    assert share[IdleCause.BACK_TO_BACK] == 17
    assert share[IdleCause.UNLINKED] == 18


def test_a_host_bound_training_run_is_told_as_such(shared_data: Path) -> None:
    """Published: 503 ms idle, 94 % host; 38 % of kernels shorter than their launch."""
    whole = found(shared_data, "ddp_a100/nccl_data.json.gz", Wanted())
    assert whole.parts.idle_ns / 1e6 == pytest.approx(503, abs=0.5)
    assert whole.idle_by_cause[IdleCause.HOST] / whole.parts.idle_ns == pytest.approx(
        0.94, abs=0.005
    )
    assert whole.launches is not None
    assert whole.launches.index == pytest.approx(0.38, abs=0.005)


@pytest.mark.parametrize(
    ("name", "steps_ms"),
    [
        ("gpubound_v100/rank-0.Apr_03_18_51_38.1102.pt.trace.json.gz", [35, 72, 96, 96, 96]),
        ("ddp_a100/nccl_data.json.gz", [222, 220, 225]),
    ],
)
def test_steps_take_their_known_time_on_the_host(
    shared_data: Path, name: str, steps_ms: list[int]
) -> None:
    steps = found(shared_data, name, Wanted(Grouping.STEP)).steps
    assert steps is not None
    assert steps.host is not None
    assert steps.host.count == len(steps_ms)
    assert steps.host.min_ns / 1e6 == pytest.approx(min(steps_ms), abs=1)
    assert steps.host.mean_ns / 1e6 == pytest.approx(sum(steps_ms) / len(steps_ms), abs=1)


def test_the_collectives_of_eight_ranks_end_together(shared_data: Path, tmp_path: Path) -> None:
    """Published: ends within 1-7 us of each other, starts spread by up to 7.6 ms."""
    with tarfile.open(shared_data / "traces/dlrm_8rank_v100/dlrm_kineto.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    paths = sorted(tmp_path.rglob("*.json"))
    report = collective_skew([measured(convert_kineto(path).graph) for path in paths])
    assert len(report.collectives) == 8
    assert report.alone == 0
    assert max(one.end_spread_ns for one in report.collectives) <= 7_000
    assert max(one.start_skew_ns for one in report.collectives) == pytest.approx(7.6e6, abs=5e4)
    assert report.straggler == 7
