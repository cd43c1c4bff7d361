"""Sensitivities: each resource moves what waits for it, and nothing that is hidden."""

import numpy as np
import pytest

from etsim.models.costs.bound import Bound
from etsim.models.graph import Category, Collective, EdgeKind, ExecutionGraph, LaneKind
from etsim.models.graph_builder import GraphBuilder
from etsim.models.specs import load
from etsim.simulator.replay import replay
from etsim.simulator.sensitivity import sensitivities


def delta_of(graph: ExecutionGraph, bounds: list[Bound], share: float = 0.25) -> dict[str, float]:
    found = sensitivities(
        replay(graph), graph.edge_lag_ns, np.array(bounds, np.uint8), load("h100"), share
    )
    assert found == sorted(found, key=lambda entry: (entry.delta, entry.resource))
    return {entry.resource: entry.delta for entry in found}


def run(host_ns: int) -> tuple[ExecutionGraph, list[Bound]]:
    """Draw a launch, then host work beside two kernels.

    host    [launch 100]-.    [work host_ns]
    stream               `-0->[gemm 500][copy 300, memory-bound]
    """
    builder = GraphBuilder()
    host = builder.lane(LaneKind.HOST, 1, 1)
    stream = builder.lane(LaneKind.DEVICE, 0, 7)
    launch = builder.add("launch", host, duration_ns=100, category=Category.LAUNCH)
    gemm = builder.add("gemm", stream, duration_ns=500, category=Category.KERNEL,
                       after=[(launch, EdgeKind.LAUNCH, 0)])  # fmt: skip
    builder.add("copy", stream, duration_ns=300, category=Category.KERNEL,
                after=[(gemm, EdgeKind.STREAM_ORDER, 0)])  # fmt: skip
    builder.add("work", host, duration_ns=host_ns, after=[(launch, EdgeKind.HOST_ORDER, 0)])
    return builder.build(), [Bound.HOST, Bound.COMPUTE, Bound.MEMORY, Bound.HOST]


def test_a_device_bound_run_follows_its_kernels_by_their_bounds() -> None:
    delta = delta_of(*run(host_ns=10))  # 900 in all
    assert delta["flops"] == pytest.approx(-100 / 900)  # 500 / 1.25
    assert delta["memory.bandwidth"] == pytest.approx(-60 / 900)
    assert delta["host.speed"] == pytest.approx(-20 / 900)  # the launch alone
    assert delta["launch.cost"] == pytest.approx(-25 / 900)  # 100 x 0.75


def test_a_host_bound_run_does_not_move_with_the_device() -> None:
    delta = delta_of(*run(host_ns=5000))
    assert delta["host.speed"] == pytest.approx(-0.2)
    assert delta["flops"] == delta["memory.bandwidth"] == 0


def test_a_change_stops_helping_where_something_else_binds() -> None:
    delta = delta_of(*run(host_ns=750))  # the host ends at 850, the device at 900
    assert delta["flops"] == pytest.approx(-50 / 900)


def collective(ranks: int) -> ExecutionGraph:
    builder = GraphBuilder()
    stream = builder.lane(LaneKind.DEVICE, 0, 7)
    reduce = Collective("all_reduce", "g", tuple(range(ranks)), "Float", 1 << 30)
    builder.add("nccl", stream, duration_ns=1000, category=Category.COLLECTIVE, collective=reduce)
    return builder.build()


def test_a_collective_depends_on_the_link_that_joins_its_ranks() -> None:
    delta = delta_of(collective(8), [Bound.COMMUNICATION])
    assert -0.21 < delta["link.node.bandwidth"] < -0.15
    assert set(delta) == {"link.node.bandwidth", "link.node.latency"}


def test_a_collective_of_more_ranks_than_any_link_joins_still_has_a_sensitivity() -> None:
    delta = delta_of(collective(100_000), [Bound.COMMUNICATION])
    assert any(resource.startswith("link") and d < -0.1 for resource, d in delta.items())


def test_steps_bound_what_is_counted() -> None:
    """[before 700][begin][step work 300][end]: only the step's 300 are the total."""
    builder = GraphBuilder()
    lane = builder.lane(LaneKind.HOST, 1, 1)
    before = builder.add("before", lane, duration_ns=700, category=Category.SYNC)
    begin = builder.add("step", lane, category=Category.ANNOTATION,
                        after=[(before, EdgeKind.HOST_ORDER, 0)])  # fmt: skip
    work = builder.add("work", lane, duration_ns=300, step=0,
                       after=[(begin, EdgeKind.HOST_ORDER, 0)])  # fmt: skip
    end = builder.add("end", lane, category=Category.ANNOTATION,
                      after=[(work, EdgeKind.HOST_ORDER, 0)])  # fmt: skip
    builder.step("step", begin, end)
    delta = delta_of(builder.build(), [Bound.HOST] * 4)
    assert delta["host.speed"] == pytest.approx(-0.2)
