"""Edits keep order, bridge what they remove, and change nothing else.

host     L0 ---- L1 ---- L2          L launches k
stream   k0 ---> k1 ---> k2
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etsim.models.errors import AnalysisError
from etsim.models.graph import (
    Category,
    EdgeKind,
    ExecutionGraph,
    LaneKind,
    same_graph,
)
from etsim.models.graph_builder import GraphBuilder
from etsim.models.transforms.edit import scaled, sound, without
from etsim.models.transforms.insertion import Insertion
from etsim.simulator.replay import replay

LAUNCH_NS, KERNEL_NS, LATENCY_NS = 2, 10, 1


def launches_and_kernels(count: int = 3) -> ExecutionGraph:
    builder = GraphBuilder()
    virtual = builder.lane(LaneKind.VIRTUAL, 0, 0)
    host = builder.lane(LaneKind.HOST, 1, 1)
    stream = builder.lane(LaneKind.DEVICE, 0, 7)
    before = builder.add("window", virtual, category=Category.ORIGIN)
    kind, kernel = EdgeKind.EXTERNAL, -1
    for number in range(count):
        before = builder.add(
            f"L{number}",
            host,
            duration_ns=LAUNCH_NS,
            category=Category.LAUNCH,
            after=[(before, kind, 1)],
        )
        kind = EdgeKind.HOST_ORDER
        edges = [(before, EdgeKind.LAUNCH, LATENCY_NS)]
        if kernel >= 0:
            edges.append((kernel, EdgeKind.STREAM_ORDER, 0))
        kernel = builder.add(
            f"k{number}",
            stream,
            duration_ns=KERNEL_NS,
            category=Category.KERNEL,
            after=edges,
            parent=before,
        )
    return builder.build()


def row(graph: ExecutionGraph, name: str) -> int:
    return next(r for r in range(len(graph)) if graph.name_of(r) == name)


def mask(graph: ExecutionGraph, *names: str) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.array([graph.name_of(r) in names for r in range(len(graph))], dtype=bool)


def test_removing_nothing_gives_the_very_graph() -> None:
    graph = launches_and_kernels()
    assert same_graph(without(graph, np.zeros(len(graph), dtype=bool)), graph)


def test_what_waited_for_a_removed_kernel_waits_for_what_that_waited_for() -> None:
    graph = without(launches_and_kernels(), mask(launches_and_kernels(), "k1"))
    before = {(graph.name_of(p), kind) for p, kind, _ in graph.predecessors(row(graph, "k2"))}
    assert ("k0", EdgeKind.STREAM_ORDER) in before
    assert ("L2", EdgeKind.LAUNCH) in before
    assert replay(graph).makespan_ns == 1 + LAUNCH_NS + LATENCY_NS + 2 * KERNEL_NS


def test_a_removed_host_row_leaves_the_time_around_it() -> None:
    """window -1-> L0 -1-> L1 -1-> L2: without L1, L2 still follows L0 by the two gaps."""
    graph = without(launches_and_kernels(), mask(launches_and_kernels(), "L1", "k1"))
    edges = list(graph.predecessors(row(graph, "L2")))
    assert (row(graph, "L0"), EdgeKind.HOST_ORDER, 2) in edges


def test_the_origin_stays_whatever_is_asked() -> None:
    graph = launches_and_kernels()
    left = without(graph, np.ones(len(graph), dtype=bool))
    assert [left.name_of(r) for r in range(len(left))] == ["window"]


def test_an_inserted_row_stands_behind_its_anchor_and_delays_what_waits_for_it() -> None:
    graph = launches_and_kernels()
    insertion = Insertion(graph)
    stream = insertion.lane(LaneKind.DEVICE, 0, 20, "communication")
    reduce = insertion.row(row(graph, "k0"), "all_reduce", stream, Category.COLLECTIVE, 100)
    insertion.edge(row(graph, "k0"), reduce, EdgeKind.STREAM_WAIT)
    insertion.edge(reduce, row(graph, "k2"), EdgeKind.STREAM_WAIT)
    longer = sound(insertion.done(), "test")
    assert row(longer, "all_reduce") == row(longer, "k0") + 1
    k0_end = 1 + LAUNCH_NS + LATENCY_NS + KERNEL_NS
    assert replay(longer).makespan_ns == k0_end + 100 + KERNEL_NS
    assert longer.nodes.parent[row(longer, "k2")] == row(longer, "L2")


@given(st.integers(1, 6), st.sets(st.integers(0, 5)))
def test_removing_any_kernels_never_makes_a_run_longer(count: int, gone: set[int]) -> None:
    graph = launches_and_kernels(count)
    shorter = sound(without(graph, mask(graph, *(f"k{n}" for n in gone))), "test")
    assert replay(shorter).makespan_ns <= replay(graph).makespan_ns


@given(st.integers(1, 6), st.integers(1, 5))
def test_scaling_rows_scales_their_durations_alone(count: int, factor: int) -> None:
    graph = launches_and_kernels(count)
    kernels = graph.nodes.category == Category.KERNEL
    longer = scaled(graph, kernels, factor)
    assert set(longer.nodes.duration_ns[kernels].tolist()) == {factor * KERNEL_NS}
    assert np.array_equal(longer.nodes.duration_ns[~kernels], graph.nodes.duration_ns[~kernels])


def test_a_graph_with_an_orphan_is_told() -> None:
    graph = launches_and_kernels()
    insertion = Insertion(graph)
    insertion.row(1, "lost", 1, Category.HOST, 1)
    with pytest.raises(AnalysisError, match="without a predecessor"):
        sound(insertion.done(), "test")


def test_a_row_in_front_of_its_lane_waits_for_what_the_first_one_waited_for() -> None:
    """window --7--> L0 ...       becomes       window --7--> new --> L0"""
    graph = launches_and_kernels()
    first = next(iter(graph.predecessors(1)))
    insertion = Insertion(graph)
    lane = int(graph.nodes.lane[1])
    insertion.in_line(0, "new", lane, Category.HOST, 5)
    after = insertion.done()
    assert after.name_of(1) == "new"
    assert list(after.predecessors(1)) == [first]
    assert 1 in [row for row, _, _ in after.predecessors(2)]
    sound(after, "test")
