"""Predict: the region asked about, the self-check, warnings and the interval."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etsim.models.costs.price import Priced, price
from etsim.models.errors import NeedsRecordingError, RankError
from etsim.models.graph import (
    HOST_TIME_EDGES,
    Category,
    Collective,
    EdgeKind,
    ExecutionGraph,
    GraphMeta,
    LaneKind,
    Operator,
)
from etsim.models.graph_builder import GraphBuilder
from etsim.models.specs import load
from etsim.models.timeline import Timeline, measured
from etsim.simulator.predict import HOST_CLASS, Z_90, interval, predict, region, total_ns
from etsim.simulator.replay import replay
from etsim.simulator.scaling import parse_scale
from etsim.simulator.summary import summarise
from etsim.tests.simulator.small_graphs import small_graphs

A100, H100, CPU = load("a100"), load("h100"), load("cpu-cloud-2core")
MM = Operator("aten::mm", input_shapes=((4096, 4096), (4096, 4096)), input_types=("half", "half"))


def gpu_run(rank: int = 0, *, meta: GraphMeta | None = None, collective: bool = False
) -> ExecutionGraph:  # fmt: skip
    """Draw warm-up, then a step with a launch; the kernel outlasts the step's end mark.

    host     [warm-up 100] begin [launch 10]  end
    stream                           [kernel 500_000]
    """
    b = GraphBuilder(meta or GraphMeta(rank=rank, source_device="NVIDIA A100-SXM4-80GB"))
    host, stream = b.lane(LaneKind.HOST, 1, 1), b.lane(LaneKind.DEVICE, 0, 7)
    w = b.add("warm-up", host, duration_ns=100, rank=rank)
    step = b.step("step", 1, 4)
    begin = b.add("begin", host, start_ns=100, rank=rank, step=step,
                  category=Category.ANNOTATION, after=[(w, EdgeKind.HOST_ORDER, 0)])  # fmt: skip
    launch = b.add("launch", host, start_ns=150, duration_ns=10, rank=rank, step=step,
                   category=Category.LAUNCH, after=[(begin, EdgeKind.HOST_ORDER, 50)])  # fmt: skip
    kernel = b.add("gemm", stream, start_ns=170, duration_ns=500_000, rank=rank, step=step,
                   category=Category.KERNEL, operator=MM,
                   after=[(launch, EdgeKind.LAUNCH, 10)])  # fmt: skip
    b.add("end", host, start_ns=200, rank=rank, step=step, category=Category.ANNOTATION,
          after=[(launch, EdgeKind.HOST_ORDER, 40)])  # fmt: skip
    if collective:
        b.add("nccl", stream, start_ns=500_170, duration_ns=30, rank=rank,
              collective=Collective("all_reduce", message_bytes=8),
              category=Category.COLLECTIVE,
              after=[(kernel, EdgeKind.STREAM_ORDER, 0)])  # fmt: skip
    return b.build()


def test_the_region_is_the_steps_with_the_device_work_they_issued() -> None:
    """From the begin mark at 100 to the kernel's end, not to the end mark at 200."""
    assert region(measured(gpu_run())) == (100, 500_170)
    assert total_ns(measured(gpu_run())) == 500_070


def test_without_steps_the_region_is_everything() -> None:
    graph = gpu_run()
    unmarked = replace(
        graph, steps=(), nodes=replace(graph.nodes, step=np.full(len(graph), -1, np.int32))
    )
    assert region(measured(unmarked)) == (0, 500_170)


def test_the_region_of_one_rank_is_its_own() -> None:
    line = measured(gpu_run())
    assert region(line, 0) == (100, 500_170)
    assert region(line, 1) == (0, 0)


def test_the_source_itself_gives_the_measured_time_from_a_replay() -> None:
    found = predict([gpu_run()], A100, A100)
    assert total_ns(found.timeline) == total_ns(found.measured) == 500_070
    assert found.interval_ns == (500_070, 500_070)
    assert not found.offloaded
    assert summarise(found).provenance == {"measured": 1.0}


def test_another_device_is_scaled_from_the_measurement() -> None:
    found = predict([gpu_run()], A100, H100)
    assert total_ns(found.timeline) < 500_070
    low, high = found.interval_ns
    assert low < total_ns(found.timeline) < high
    assert "scaled" in summarise(found).provenance


@pytest.mark.parametrize(("factor", "kernel_ns"), [(0.5, 250_000), (2, 1_000_000)])
def test_scales_change_costs_on_the_way(factor: float, kernel_ns: int) -> None:
    found = predict([gpu_run()], A100, A100, [parse_scale(f"kernel={factor}")])
    assert total_ns(found.timeline) == 70 + kernel_ns


def test_ranks_that_are_missing_are_named_where_they_would_communicate() -> None:
    meta = GraphMeta(rank=1, world_size=4)
    (warning,) = predict([gpu_run(1, meta=meta, collective=True)], A100, A100).warnings
    assert warning.startswith("ranks 0, 2, 3 of 4 are not given")
    assert predict([gpu_run(1, meta=meta)], A100, A100).warnings == ()


def test_many_missing_ranks_are_named_in_part() -> None:
    meta = GraphMeta(rank=0, world_size=64)
    (warning,) = predict([gpu_run(meta=meta, collective=True)], A100, A100).warnings
    assert "1, 2, 3, 4, 5, 6, 7, 8 ..." in warning


def test_one_rank_twice_is_refused() -> None:
    with pytest.raises(RankError):
        predict([gpu_run(), gpu_run()], A100, A100)


def cpu_run(*, shapes: bool = True, has_times: bool = True) -> ExecutionGraph:
    b = GraphBuilder(GraphMeta(has_times=has_times))
    b.add("window", b.lane(LaneKind.VIRTUAL, 0, 0), category=Category.ORIGIN)
    lane = b.lane(LaneKind.HOST, 1, 1)
    operator = MM if shapes else Operator("aten::mm")
    b.add("aten::mm", lane, duration_ns=10_000_000, operator=operator,
          after=[(0, EdgeKind.EXTERNAL, 0)])  # fmt: skip
    return b.build()


def test_a_cpu_run_on_an_accelerator_says_that_it_is_a_roofline() -> None:
    found = predict([cpu_run()], None, A100)
    assert found.offloaded
    assert "priced by a roofline" in found.warnings[0]
    shares = summarise(found).provenance
    assert shares["roofline"] > 0.5
    low, high = found.interval_ns
    assert low < total_ns(found.timeline) < high


def test_a_large_matrix_product_is_priced_near_the_devices_peak() -> None:
    """2 x 4096^3 FLOPs in half precision on an A100: 0.44 ms at its peak of 312 TFLOP/s."""
    total = total_ns(predict([cpu_run()], None, A100).timeline)
    at_peak = 2 * 4096**3 / 312e12 * 1e9
    assert at_peak < total < 2 * at_peak + 20_000


def test_a_cpu_run_on_another_cpu_stays_on_the_cpu() -> None:
    assert not predict([cpu_run()], None, CPU).offloaded


def test_a_run_without_shapes_cannot_move_to_a_device() -> None:
    with pytest.raises(NeedsRecordingError, match="no operator has shapes"):
        predict([cpu_run(shapes=False)], None, A100)


def test_a_run_without_times_is_told() -> None:
    found = predict([cpu_run(has_times=False)], None, A100)
    assert any("has no times" in warning for warning in found.warnings)
    assert summarise(found).measured_ns == 0


def test_replay_takes_the_latest_predecessor_and_its_lag() -> None:
    """Two predecessors: 10 + 5 against 12 + 1."""
    b = GraphBuilder()
    lane = b.lane(LaneKind.HOST, 1, 1)
    p, q = b.add("p", lane, duration_ns=10), b.add("q", lane, duration_ns=12)
    b.add("v", lane, duration_ns=1, after=[(p, EdgeKind.DATA, 5), (q, EdgeKind.DATA, 1)])
    line: Timeline = replay(b.build())
    assert line.start_ns.tolist() == [0, 0, 15]
    assert line.makespan_ns == 16


def test_replay_never_starts_before_the_window() -> None:
    b = GraphBuilder()
    lane = b.lane(LaneKind.HOST, 1, 1)
    p = b.add("p", lane, duration_ns=10)
    b.add("v", lane, after=[(p, EdgeKind.LAUNCH, -50)])
    assert replay(b.build()).start_ns.tolist() == [0, 0]


def interval_class_by_class(
    graph: ExecutionGraph, priced: Priced, timeline: Timeline
) -> tuple[int, int]:
    """The plain way: one replay for each class and sign."""
    base = total_ns(timeline)
    squares = {1: 0.0, -1: 0.0}
    for index, name in enumerate(priced.classes):
        rows = (priced.cost_class == index) & (priced.spread > 0)
        for sign in squares if rows.any() else ():
            factor = np.exp(sign * Z_90 * np.where(rows, priced.spread, 0.0))
            lag = priced.lag_ns.copy()
            if name == HOST_CLASS:
                by_row = np.exp(sign * Z_90 * np.median(priced.spread[rows]))
                host = np.isin(graph.edge_kind, HOST_TIME_EDGES)
                lag[host] = np.rint(lag[host] * by_row).astype(np.int64)
            duration = np.rint(priced.duration_ns * factor).astype(np.int64)
            squares[sign] += (total_ns(replay(graph, duration, lag)) - base) ** 2
    return max(0, round(base - squares[-1] ** 0.5)), round(base + squares[1] ** 0.5)


@given(small_graphs(), st.data())
@settings(max_examples=60)
def test_the_interval_is_that_of_replays_class_by_class(
    graph: ExecutionGraph, data: st.DataObject
) -> None:
    count = len(graph)
    spreads = st.sampled_from([0.0, 0.05, 0.3, 0.71])
    priced = replace(
        price(graph, A100, A100),
        classes=("fixed", "matmul", HOST_CLASS, "never met"),
        cost_class=np.array(data.draw(st.lists(st.integers(0, 2), min_size=count, max_size=count))),
        spread=np.array(data.draw(st.lists(spreads, min_size=count, max_size=count))),
    )
    line = replay(graph, priced.duration_ns, priced.lag_ns)
    assert interval(graph, priced, line) == interval_class_by_class(graph, priced, line)
