"""Prices of whole graphs: what moves, what stays, and where each figure comes from."""

from collections.abc import Callable
from time import perf_counter

import numpy as np

from etsim.models.costs.price import Bound, price
from etsim.models.graph import (
    Category,
    Collective,
    EdgeKind,
    ExecutionGraph,
    LaneKind,
    Operator,
    Provenance,
)
from etsim.models.graph_builder import GraphBuilder
from etsim.models.hardware import Hardware

Maker = Callable[..., Hardware]
MM = Operator("aten::mm", input_shapes=((4096, 4096), (4096, 4096)), input_types=("float", "float"))


def small_graph(operator: Operator = MM) -> ExecutionGraph:
    """Draw op --host order 10--> launch --launch 8000--> kernel --stream 1000--> all-reduce."""
    build = GraphBuilder()
    host = build.lane(LaneKind.HOST, group=1, number=1)
    stream = build.lane(LaneKind.DEVICE, group=0, number=7)
    op = build.add(operator.name, host, duration_ns=3000, operator=operator)
    launch = build.add(
        "cudaLaunchKernel", host, duration_ns=4000, category=Category.LAUNCH,
        after=[(op, EdgeKind.HOST_ORDER, 10)],
    )  # fmt: skip
    kernel = build.add(
        "sgemm", stream, duration_ns=8_000_000, category=Category.KERNEL, operator=operator,
        parent=op, after=[(launch, EdgeKind.LAUNCH, 8000)],
    )  # fmt: skip
    build.add(
        "ncclAllReduce", stream, duration_ns=500_000, category=Category.COLLECTIVE,
        collective=Collective("all_reduce", "0", (0, 1), "fp32", 64 << 20),
        after=[(kernel, EdgeKind.STREAM_ORDER, 1000)],
    )  # fmt: skip
    return build.build()


def test_source_as_target_keeps_every_time_as_measured(make_gpu: Maker) -> None:
    graph = small_graph()
    priced = price(graph, make_gpu("one"), make_gpu("one"))
    assert np.array_equal(priced.duration_ns, graph.nodes.duration_ns)
    assert np.array_equal(priced.lag_ns, graph.edge_lag_ns)
    assert set(priced.provenance.tolist()) == {Provenance.MEASURED}
    assert not priced.spread.any()


def test_a_device_twice_as_fast_halves_a_long_kernel_and_no_host_time(make_gpu: Maker) -> None:
    graph = small_graph()
    priced = price(graph, make_gpu("one"), make_gpu("two", factor=2))
    assert priced.duration_ns[0] == 3000
    assert priced.duration_ns[1] == 4000
    assert abs(priced.duration_ns[2] / 4_000_000 - 1) < 0.02
    assert priced.provenance[2] == Provenance.SCALED
    assert priced.bound[2] == Bound.COMPUTE
    assert priced.spread[2] > 0


def test_a_host_twice_as_fast_halves_host_time_and_no_kernel(make_gpu: Maker) -> None:
    priced = price(small_graph(), make_gpu("one"), make_gpu("two", host_speed=2))
    assert priced.duration_ns[:2].tolist() == [1500, 2000]
    assert abs(priced.duration_ns[2] / 8_000_000 - 1) < 1e-6
    assert priced.lag_ns[0] == 5


def test_a_link_twice_as_fast_nearly_halves_a_large_all_reduce(make_gpu: Maker) -> None:
    priced = price(small_graph(), make_gpu("one"), make_gpu("two", factor=2))
    assert 240_000 < priced.duration_ns[3] < 300_000
    assert priced.bound[3] == Bound.COMMUNICATION


def test_a_recording_on_a_cpu_is_priced_on_a_gpu_from_its_shapes(
    make_gpu: Maker, make_cpu: Maker
) -> None:
    priced = price(small_graph(), make_cpu("cpu"), make_gpu("one"))
    least_ns = 2 * 4096**3 / 20e12 * 1e9
    assert least_ns < priced.duration_ns[2] < 2 * least_ns
    assert priced.provenance[2] == Provenance.ROOFLINE


def test_an_operator_run_on_one_core_is_faster_on_four(make_cpu: Maker) -> None:
    build = GraphBuilder()
    host = build.lane(LaneKind.HOST, group=1, number=1)
    build.add("aten::mm", host, duration_ns=2_000_000_000, operator=MM)
    build.add("aten::view", host, duration_ns=1000, operator=Operator("aten::view"))
    priced = price(build.build(), make_cpu("one"), make_cpu("four", cores=4))
    assert abs(priced.duration_ns[0] / 500_000_000 - 1) < 0.02
    assert priced.duration_ns[1] == 1000


def test_an_unknown_source_is_said_and_priced_from_shapes(make_gpu: Maker) -> None:
    priced = price(small_graph(), None, make_gpu("one"))
    assert priced.provenance[2] == Provenance.ROOFLINE
    assert any("unknown" in warning for warning in priced.warnings)


def test_a_kernel_known_by_name_only_follows_the_memory_bandwidth(make_gpu: Maker) -> None:
    build = GraphBuilder()
    stream = build.lane(LaneKind.DEVICE, group=0, number=7)
    build.add("vectorized_elementwise_kernel", stream, duration_ns=10_000_000,
              category=Category.KERNEL)  # fmt: skip
    priced = price(build.build(), make_gpu("one"), make_gpu("two", factor=2))
    assert abs(priced.duration_ns[0] / 5_000_000 - 1) < 0.01
    assert priced.bound[0] == Bound.MEMORY


def test_a_kernel_without_operator_follows_its_namesakes_that_have_one(make_gpu: Maker) -> None:
    """Draw sgemm (mm, compute: half the time) and sgemm (no operator, its shapes unknown)."""
    build = GraphBuilder()
    stream = build.lane(LaneKind.DEVICE, group=0, number=7)
    build.add("sgemm", stream, duration_ns=8_000_000, category=Category.KERNEL, operator=MM)
    build.add("sgemm", stream, duration_ns=8_000_000, category=Category.KERNEL)
    priced = price(build.build(), make_gpu("one"), make_gpu("two", factor=2))
    assert priced.duration_ns[0] == priced.duration_ns[1]


def test_many_rows_cost_little_beyond_their_distinct_operators(make_gpu: Maker) -> None:
    build = GraphBuilder()
    stream = build.lane(LaneKind.DEVICE, group=0, number=7)
    for _ in range(20_000):
        build.add("sgemm", stream, duration_ns=1000, category=Category.KERNEL, operator=MM)
    graph = build.build()
    began = perf_counter()
    price(graph, make_gpu("one"), make_gpu("two", factor=2))
    assert perf_counter() - began < 1
