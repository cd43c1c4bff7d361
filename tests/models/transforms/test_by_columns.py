"""Edits by columns give what edits row by row give, and take no Python step for each row."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import FrameType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etsim.models.graph import (
    NONE,
    Category,
    EdgeKind,
    ExecutionGraph,
    LaneKind,
    Operator,
    same_graph,
)
from etsim.models.graph_builder import GraphBuilder
from etsim.models.transforms.edit import without
from etsim.models.transforms.gradients import Gradients, find_gradients
from etsim.models.transforms.insertion import Insertion
from etsim.models.transforms.lanes import Latest, before_on_lane
from etsim.models.transforms.splice import spliced

from .row_by_row import Layout, Placed, edges_of, edges_without
from .training_graph import applied, training_run

CROSSING = (
    EdgeKind.LAUNCH, EdgeKind.SYNC, EdgeKind.STREAM_WAIT, EdgeKind.HANDOVER, EdgeKind.RENDEZVOUS,
)  # fmt: skip
ORDER = (EdgeKind.HOST_ORDER, EdgeKind.HOST_ORDER, EdgeKind.STREAM_ORDER)
LANES = 3


@st.composite
def runs(draw: st.DrawFn) -> ExecutionGraph:
    """Two threads and a stream; each row follows its lane, or not, and waits for some others."""
    builder = GraphBuilder()
    virtual = builder.lane(LaneKind.VIRTUAL, 0, 0)
    lanes = [builder.lane(LaneKind.HOST, 1, n) for n in (1, 2)]
    lanes.append(builder.lane(LaneKind.DEVICE, 0, 7))
    builder.add("window", virtual, category=Category.ORIGIN)
    last: dict[int, int] = {}
    count = draw(st.integers(1, 12))
    for row in range(1, count + 1):
        lane = draw(st.integers(0, LANES - 1))
        after = []
        if lane in last and draw(st.integers(0, 4)):
            after.append((last[lane], ORDER[lane], draw(st.integers(-2, 5))))
        crossing = st.tuples(st.integers(0, row - 1), st.sampled_from(CROSSING), st.integers(-2, 5))
        after += draw(st.lists(crossing, max_size=3))
        after = after or [(0, EdgeKind.EXTERNAL, 0)]
        category = draw(st.sampled_from((Category.HOST, Category.KERNEL, Category.JOIN)))
        builder.add(
            f"r{row}", lanes[lane], duration_ns=1, after=after, category=category,
            parent=draw(st.integers(NONE, count)),
        )  # fmt: skip
        last[lane] = row
    return builder.build()


@settings(max_examples=40)
@given(runs(), st.data())
def test_rows_removed_at_once_leave_what_rows_removed_one_by_one_leave(
    graph: ExecutionGraph, data: st.DataObject
) -> None:
    wanted = st.lists(st.booleans(), min_size=len(graph), max_size=len(graph))
    gone = np.array(data.draw(wanted))
    gone &= ~np.isin(graph.nodes.category, (Category.ORIGIN, Category.JOIN))
    left = without(graph, gone)
    if gone.any():
        assert edges_of(left) == edges_without(graph, gone.tolist())
    assert [left.name_of(r) for r in range(len(left))] == [
        graph.name_of(r) for r in range(len(graph)) if not gone[r]
    ]


@settings(max_examples=40)
@given(runs(), st.data())
def test_rows_laid_out_at_once_wait_for_what_they_wait_for_one_by_one(
    graph: ExecutionGraph, data: st.DataObject
) -> None:
    every = [(row, copy) for row in range(1, len(graph)) for copy in range(3)]
    chosen = data.draw(st.lists(st.sampled_from(every), unique=True, max_size=20))
    order: list[Placed] = [(0, 0), *chosen]
    moves = data.draw(st.lists(st.integers(NONE, LANES), min_size=len(order), max_size=len(order)))
    moved = np.array([NONE, *moves[1:]])
    lanes = [
        int(graph.nodes.lane[r]) if m == NONE else m
        for (r, _), m in zip(order, moved.tolist(), strict=True)
    ]
    laid_out = spliced(graph, order, moved)
    if laid_out is not graph:
        assert edges_of(laid_out) == Layout(graph, order, lanes).run()
        assert laid_out.nodes.lane.tolist() == lanes
        place = {placed: new for new, placed in enumerate(order)}
        old = graph.nodes.parent.tolist()
        assert laid_out.nodes.parent.tolist() == [
            place.get((old[r], copy), place.get((old[r], 0), NONE)) for r, copy in order
        ]


def test_a_long_run_of_rows_is_bridged_with_all_its_lags() -> None:
    """window -1-> r1 -1-> ... -1-> r1000 -1-> end       becomes       window -1001-> end"""
    builder = GraphBuilder()
    lane = builder.lane(LaneKind.HOST, 1, 1)
    before = builder.add("window", lane, category=Category.ORIGIN)
    for _ in range(1000):
        before = builder.add("r", lane, after=[(before, EdgeKind.HOST_ORDER, 1)])
    builder.add("end", lane, after=[(before, EdgeKind.HOST_ORDER, 1)])
    graph = builder.build()
    gone = np.array([graph.name_of(row) == "r" for row in range(len(graph))])
    assert edges_of(without(graph, gone)) == [(1, 0, EdgeKind.HOST_ORDER, 1001)]


def test_a_stream_and_its_launches_are_bridged_by_all_their_ways() -> None:
    """Kernels wait for their launch and the kernel before: as many lengths of ways as rows."""
    graph = training_run(layers=20, steps=3, device=True)
    gone = ~np.isin(graph.nodes.category, (Category.ORIGIN, Category.ANNOTATION, Category.SYNC))
    assert edges_of(without(graph, gone)) == edges_without(graph, gone.tolist())


@settings(max_examples=25)
@given(runs(), st.lists(st.tuples(st.integers(0, 12), st.integers(0, 5)), min_size=1, max_size=5))
def test_rows_put_in_together_are_rows_put_in_one_by_one(
    graph: ExecutionGraph, wanted: list[tuple[int, int]]
) -> None:
    after = np.array([row % len(graph) for row, _ in wanted])
    lag = np.array([lag for _, lag in wanted])
    operator = Operator("aten::new")
    single, together = Insertion(graph), Insertion(graph)
    for row, gap in zip(after.tolist(), lag.tolist(), strict=True):
        number = single.in_line(row, "new", 1, Category.HOST, 3, gap, operator=operator)
        single.edge(row, number, EdgeKind.HANDOVER, 2)
    numbers = together.reserve(len(after))
    together.put(
        numbers, after, lag, name="new", lane=1, category=int(Category.HOST), duration_ns=3,
        operator=operator,
    )  # fmt: skip
    together.edges(after, numbers, EdgeKind.HANDOVER, 2)
    assert same_graph(single.done(), together.done())
    assert np.array_equal(single.places(), together.places())


@given(st.lists(st.integers(0, 3), min_size=1, max_size=20), st.integers(0, 3), st.integers(0, 19))
def test_the_rows_before_and_behind_a_row_on_a_lane(lanes: list[int], lane: int, row: int) -> None:
    column = np.array(lanes)
    latest = Latest.of(column)
    at = row % len(lanes)
    before = [k for k, other in enumerate(lanes) if other == lane and k <= at]
    behind = [k for k, other in enumerate(lanes) if other == lane and k > at]
    assert latest.last(lane, at) == (before[-1] if before else NONE)
    assert latest.next(lane, at) == (behind[0] if behind else NONE)
    mine = [k for k, other in enumerate(lanes[:at]) if other == lanes[at]]
    assert before_on_lane(column)[at] == (mine[-1] if mine else NONE)


def test_gradients_are_values_for_people_and_columns_for_numpy() -> None:
    found = find_gradients(training_run(layers=3))
    again = Gradients.of(list(found))
    assert list(again) == list(found)
    assert [gradient.row for gradient in found[1:]] == found.rows[1:].tolist()
    assert found.bytes.tolist() == [gradient.bytes for gradient in found]


@dataclass
class Calls:
    """Counts the Python functions that run."""

    count: int = 0

    def __call__(self, _frame: FrameType, event: str, _argument: object) -> None:
        self.count += event == "call"


def calls_of(job: Callable[[], object]) -> int:
    """How many Python functions a job calls, generators' steps included."""
    calls = Calls()
    sys.setprofile(calls)
    try:
        job()
    finally:
        sys.setprofile(None)
    return calls.count


@pytest.mark.parametrize(
    "asked",
    [
        "remove:name=aten::mm", "fuse:name=aten::*", "scale:name=aten::mm,factor=2",
        "launch:cost=0.5", "host:speed=2", "quantise:bits=8", "batch:from=16,to=32", "amp",
        "cuda-graphs", "data-loader:name=Optimizer*",
        "accumulate:steps=2", "ddp:ranks=2,link=1GB/s,bucket=1GB",
    ],
)  # fmt: skip
def test_a_run_of_ten_times_the_layers_takes_about_as_many_python_steps(asked: str) -> None:
    """The steps of training and the kinds of operators are the same; only the rows are more.

    Runs of removed rows are ten times as long: they take log2(10) rounds more.
    """
    applied(training_run(device=True), asked)  # what is read once
    few, many = (
        calls_of(partial(applied, graph, asked))
        for graph in (training_run(layers, device=True, modules=False) for layers in (6, 60))
    )
    assert many < 1.4 * few


def test_four_times_the_steps_take_less_than_twice_the_python_steps() -> None:
    """Layers are found by their modules, the optimizer's share by its operators."""
    applied(training_run(4, device=True), "layers:to=6")  # what is read once
    few, many = (
        calls_of(partial(applied, training_run(4, steps, device=True), "layers:to=6"))
        for steps in (2, 8)
    )
    assert many < 2 * few
