"""Rows are drawn together level by level, never in a circle, and never as too many boxes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etsim.converters.draw import Detail, Picture, Wish, around, compose, everything, of_step
from etsim.models.errors import AnalysisError, UsageError
from etsim.models.graph import Category, EdgeKind, ExecutionGraph, GraphMeta, LaneKind
from etsim.models.graph_builder import GraphBuilder
from etsim.tests.strategies import execution_graphs

HOST, LAUNCH, STREAM, SYNC = (
    EdgeKind.HOST_ORDER,
    EdgeKind.LAUNCH,
    EdgeKind.STREAM_ORDER,
    EdgeKind.SYNC,
)


class Thread:
    """Adds rows to a graph one after the other on one host thread."""

    def __init__(self, builder: GraphBuilder, number: int = 1, rank: int = 0) -> None:
        self._builder = builder
        self._rank = rank
        self._lane = builder.lane(LaneKind.HOST, rank, number)
        self.last = -1

    def add(
        self,
        name: str,
        *,
        parent: int = -1,
        category: Category = Category.HOST,
        after: tuple[tuple[int, EdgeKind, int], ...] = (),
        module: str = "",
        step: int = -1,
    ) -> int:
        order = () if self.last < 0 else ((self.last, HOST, 0),)
        more: dict[str, int | str] = {"module": module} if module else {}
        self.last = self._builder.add(
            name,
            self._lane,
            duration_ns=10,
            category=category,
            after=(*order, *after),
            parent=parent,
            rank=self._rank,
            step=step,
            **more,
        )
        return self.last


def draw(graph: ExecutionGraph, detail: Detail = Detail.AUTO, most: int = 400) -> Picture:
    return compose(graph, everything(graph), Wish(detail, most))


def told(picture: Picture) -> list[tuple[str, int, int]]:
    return [(box.name, box.repeats, box.duration_ns) for box in picture.boxes]


def test_a_small_graph_is_drawn_row_by_row() -> None:
    """a > b"""
    builder = GraphBuilder()
    thread = Thread(builder)
    thread.add("a")
    thread.add("b")
    picture = draw(builder.build())
    assert told(picture) == [("a", 1, 10), ("b", 1, 10)]
    assert [(arrow.source, arrow.target) for arrow in picture.arrows] == [(0, 1)]
    assert picture.remarks == ()


def test_children_are_drawn_with_the_operator_around_them() -> None:
    """linear { t, addmm } > relu"""
    builder = GraphBuilder()
    thread = Thread(builder)
    linear = thread.add("linear")
    inner = thread.add("t", parent=linear)
    thread.add("transpose", parent=inner)
    thread.add("relu")
    picture = draw(builder.build(), Detail.OPERATORS)
    assert told(picture) == [("linear", 1, 30), ("relu", 1, 10)]
    assert picture.remarks == (
        "4 rows drawn as 2 boxes: top-level operators; ×N: N of them in one box; times are sums",
    )


def test_siblings_of_one_name_become_one_box_with_their_number() -> None:
    """add > add > add > mul"""
    builder = GraphBuilder()
    thread = Thread(builder)
    for name in ("add", "add", "add", "mul"):
        thread.add(name)
    assert told(draw(builder.build(), Detail.OPERATORS)) == [("add", 3, 30), ("mul", 1, 10)]


def test_a_kernel_is_drawn_with_what_launched_it() -> None:
    """linear { launch } --launch--> sgemm; the kernel itself has no parent."""
    builder = GraphBuilder()
    thread = Thread(builder)
    stream = builder.lane(LaneKind.DEVICE, 0, 7)
    for name in ("linear", "linear", "relu"):
        parent = thread.add(name)
        launch = thread.add("launch", parent=parent, category=Category.LAUNCH)
        builder.add(name + "_kernel", stream, duration_ns=5, after=[(launch, LAUNCH, 0)])
    picture = draw(builder.build(), Detail.OPERATORS)
    assert sorted(told(picture)) == [
        ("linear", 2, 40),
        ("linear_kernel", 2, 10),
        ("relu", 1, 20),
        ("relu_kernel", 1, 5),
    ]
    assert sorted((arrow.kind, arrow.count) for arrow in picture.arrows) == [
        (HOST, 1),
        (LAUNCH, 1),
        (LAUNCH, 2),
    ]


def test_merging_never_makes_a_circle() -> None:
    """op { a > wait } and a --launch--> k --sync--> wait: k stands between the two halves of op."""
    builder = GraphBuilder()
    thread = Thread(builder)
    stream = builder.lane(LaneKind.DEVICE, 0, 7)
    op = thread.add("op")
    launch = thread.add("launch", parent=op, category=Category.LAUNCH)
    kernel = builder.add("k", stream, duration_ns=5, after=[(launch, LAUNCH, 0)])
    thread.add("wait", parent=op, after=((kernel, SYNC, 0),))
    picture = draw(builder.build(), Detail.OPERATORS)
    assert [box.name for box in picture.boxes] == ["op", "k", "wait"]
    assert all(arrow.source < arrow.target for arrow in picture.arrows)


def test_modules_come_before_ranges_and_lose_their_numbers_before_their_depth() -> None:
    """Net/block.0/fc > Net/block.1/fc > Net/block.2/fc, two rows each."""
    builder = GraphBuilder()
    thread = Thread(builder)
    for block in range(3):
        for name in ("mm", "add"):
            thread.add(name, module=f"Net/block.{block}/fc")
    graph = builder.build()
    assert told(draw(graph, Detail.MODULES, 3)) == [("fc", 1, 20)] * 3
    coarser = draw(graph, Detail.MODULES, 2)
    assert coarser.level == "modules to depth 3, their numbers taken as one"
    assert told(coarser) == [("fc", 3, 60)]
    assert coarser.boxes[0].detail == "6 rows, mostly mm"


def test_ranges_are_drawn_where_there_are_no_modules() -> None:
    """epoch_0 { a b } > epoch_1 { a b }, and each range's own row is in its box."""
    builder = GraphBuilder()
    thread = Thread(builder)
    for epoch in range(2):
        mark = thread.add(f"epoch_{epoch}", category=Category.ANNOTATION)
        thread.add("a", parent=mark)
        thread.add("b", parent=mark)
    graph = builder.build()
    assert told(draw(graph, most=3)) == [("epoch_0", 1, 30), ("epoch_1", 1, 30)]
    assert told(draw(graph, most=1)) == [("epoch_*", 2, 60)]


def test_without_modules_and_ranges_operators_go_in_runs() -> None:
    builder = GraphBuilder()
    thread = Thread(builder)
    for index in range(8):
        thread.add("even" if index % 2 else "odd")
    picture = draw(builder.build(), most=4)
    assert picture.level == "runs of 2 operators"
    assert told(picture) == [("2 rows", 1, 20)] * 4


def test_ranks_are_drawn_as_one_before_rows_are_cut_into_slices() -> None:
    """Four ranks with a thread each and one operator: four strips, or one."""
    builder = GraphBuilder(GraphMeta(world_size=4))
    for rank in range(4):
        thread = Thread(builder, number=100 + rank, rank=rank)
        thread.add("a")
        thread.add("b")
    graph = builder.build()
    assert len(draw(graph, most=8).strips) == 4
    folded = draw(graph, Detail.OPERATORS, most=3)
    assert [strip.label for strip in folded.strips] == ["4 ranks · host thread 100"]
    assert told(folded) == [("a", 4, 40), ("b", 4, 40)]
    assert "the 4 ranks are drawn as one" in folded.remarks


def test_rows_that_no_level_holds_together_are_cut_into_slices() -> None:
    """Host and stream wait for each other 20 times: every level has at least 40 boxes."""
    builder = GraphBuilder()
    thread = Thread(builder)
    stream = builder.lane(LaneKind.DEVICE, 0, 7)
    after: tuple[tuple[int, EdgeKind, int], ...] = ()
    for _ in range(20):
        launch = thread.add("launch", category=Category.LAUNCH, after=after)
        kernel = builder.add("k", stream, duration_ns=5, after=[(launch, LAUNCH, 0)])
        after = ((kernel, SYNC, 0),)
    picture = draw(builder.build(), most=10)
    assert len(picture.boxes) == 10
    assert sum(box.duration_ns for box in picture.boxes) == 20 * 15
    assert "5 slices of equal numbers of rows" in picture.remarks[0]


def test_nothing_is_collapsed_when_none_is_asked_for() -> None:
    builder = GraphBuilder()
    thread = Thread(builder)
    for _ in range(20):
        thread.add("add")
    assert len(draw(builder.build(), Detail.ROWS, most=3).boxes) == 20


def test_parents_in_a_circle_do_not_hang() -> None:
    builder = GraphBuilder()
    thread = Thread(builder)
    thread.add("a", parent=1)
    thread.add("b", parent=0)
    assert sum(box.rows for box in draw(builder.build(), Detail.OPERATORS).boxes) == 2


def test_a_box_is_coloured_by_what_takes_most_of_its_time() -> None:
    builder = GraphBuilder()
    lane = builder.lane(LaneKind.HOST, 1, 1)
    op = builder.add("op", lane, duration_ns=2)
    builder.add(
        "wait", lane, duration_ns=8, category=Category.SYNC, after=[(op, HOST, 0)], parent=op
    )
    (box,) = draw(builder.build(), Detail.OPERATORS).boxes
    assert box.category is Category.SYNC
    assert box.shares == ((Category.SYNC, 8), (Category.HOST, 2))


def two_steps() -> ExecutionGraph:
    """Rank 0: step s0 { a } > step s1 { b }, with begin and end marks."""
    builder = GraphBuilder()
    thread = Thread(builder)
    rows = []
    for step, name in enumerate("ab"):
        begin = thread.add(f"s{step}", category=Category.ANNOTATION, step=step)
        thread.add(name, step=step)
        rows.append((begin, thread.add(f"s{step}", category=Category.ANNOTATION, step=step)))
    for step, (begin, end) in enumerate(rows):
        builder.step(f"s{step}", begin, end)
    return builder.build()


@pytest.mark.parametrize("wanted", ["s1", "1"])
def test_a_step_is_chosen_by_name_or_number(wanted: str) -> None:
    graph = two_steps()
    picture = compose(graph, of_step(graph, wanted))
    assert [box.name for box in picture.boxes] == ["s1 begins", "b", "s1 ends"]
    assert picture.remarks == (
        "only step s1",
        "left out, as they come from rows that are not drawn: 1 edges",
    )


def test_where_ranks_meet_is_drawn_with_the_step_that_meets() -> None:
    """Rank 0's s0 { a } and rank 1's s0 { a } --rendezvous--> join, which is of no step."""
    builder = GraphBuilder(GraphMeta(world_size=2))
    ends = []
    for rank in range(2):
        thread = Thread(builder, rank=rank)
        begin = thread.add("s0", category=Category.ANNOTATION, step=rank)
        ends.append((begin, thread.add("a", step=rank)))
    for begin, end in ends:
        builder.step("s0", begin, end)
    before = [(end, EdgeKind.RENDEZVOUS, 0) for _, end in ends]
    meeting = builder.lane(LaneKind.VIRTUAL, 0, 0)
    builder.add("join", meeting, category=Category.JOIN, after=before)
    graph = builder.build()
    assert of_step(graph, "s0").rows.all()


def test_a_step_that_is_not_there_lists_the_steps() -> None:
    with pytest.raises(UsageError, match="steps: s0, s1"):
        of_step(two_steps(), "s7")


@pytest.mark.parametrize(
    ("node", "hops", "rows"), [("4", 1, [3, 4, 5]), ("b", 0, [4]), ("s1", 1, [2, 3, 4])]
)
def test_what_is_around_a_row_lies_within_so_many_edges(
    node: str, hops: int, rows: list[int]
) -> None:
    chosen = around(two_steps(), node, hops)
    assert np.flatnonzero(chosen.rows).tolist() == rows


@pytest.mark.parametrize("node", ["6", "nowhere"])
def test_around_a_row_that_is_not_there_is_a_fault_of_usage(node: str) -> None:
    with pytest.raises(UsageError, match=r"there is no row 6|no row is called 'nowhere'"):
        around(two_steps(), node, 1)


def test_an_empty_graph_has_nothing_to_draw() -> None:
    graph = GraphBuilder().build()
    with pytest.raises(AnalysisError, match="nothing to draw"):
        compose(graph, everything(graph))


@settings(deadline=None, max_examples=60)
@given(execution_graphs(min_rows=1), st.sampled_from(Detail), st.integers(3, 12))
def test_every_row_is_in_one_box_and_every_edge_in_one_arrow(
    graph: ExecutionGraph, detail: Detail, most: int
) -> None:
    picture = compose(graph, everything(graph), Wish(detail, most))
    assert len(picture.boxes) <= (len(graph) if detail is Detail.ROWS else most)
    assert sum(box.rows for box in picture.boxes) == len(graph)
    assert sum(box.duration_ns for box in picture.boxes) == int(graph.nodes.duration_ns.sum())
    assert sum(arrow.count for arrow in picture.arrows) <= graph.edge_count
    if all(box.slice < 0 for box in picture.boxes):
        assert all(arrow.source < arrow.target for arrow in picture.arrows)
