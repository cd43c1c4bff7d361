"""The graph keeps its own rules, and says which row breaks them."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etsim.models.errors import InputError
from etsim.models.graph import (
    COLUMN_TYPES,
    NONE,
    Category,
    Collective,
    Columns,
    EdgeKind,
    ExecutionGraph,
    GraphMeta,
    Lane,
    LaneKind,
    LaunchConfig,
    NodeKind,
    Operator,
    Step,
    same_graph,
)
from etsim.models.graph_builder import GraphBuilder, Interner
from etsim.models.timeline import Timeline, measured
from etsim.tests.strategies import execution_graphs


def small() -> ExecutionGraph:
    """Draw a launch and its kernel.

    host    [op 5] -2-> [launch 3]
    stream                  `-4-> [kernel 10]
    """
    b = GraphBuilder(GraphMeta(rank=2))
    host, stream = b.lane(LaneKind.HOST, 1, 1), b.lane(LaneKind.DEVICE, 0, 7)
    op = b.add("op", host, duration_ns=5, operator=Operator("op"), module="Net", phase="forward")
    launch = b.add("launch", host, duration_ns=3, start_ns=7, category=Category.LAUNCH,
                   after=[(op, EdgeKind.HOST_ORDER, 2)])  # fmt: skip
    b.add("kernel", stream, duration_ns=10, start_ns=14, category=Category.KERNEL,
          launch_config=LaunchConfig((1,)), after=[(launch, EdgeKind.LAUNCH, 4)])  # fmt: skip
    b.step("step", op, launch)
    return b.build()


def test_columns_have_the_types_they_promise() -> None:
    graph = small()
    for column in fields(Columns):
        assert getattr(graph.nodes, column.name).dtype == COLUMN_TYPES[column.name], column.name
    assert set(COLUMN_TYPES) == {column.name for column in fields(Columns)}


def test_a_row_tells_its_name_lane_and_predecessors() -> None:
    graph = small()
    assert (len(graph), graph.edge_count) == (3, 2)
    assert graph.name_of(2) == "kernel"
    assert graph.lane_of(2) == Lane(LaneKind.DEVICE, 0, 7)
    assert list(graph.predecessors(2)) == [(1, EdgeKind.LAUNCH, 4)]
    assert list(graph.predecessors(0)) == []
    assert graph.on_device().tolist() == [False, False, True]
    assert graph.edge_target().tolist() == [1, 2]


def test_columns_can_be_taken_and_appended() -> None:
    nodes = small().nodes
    again = nodes.take(np.array([2, 0])).followed_by(nodes.take(np.array([1])))
    assert again.duration_ns.tolist() == [10, 5, 3]


def test_a_property_that_is_not_there_is_empty() -> None:
    meta = GraphMeta(properties=(("pid", "7"),))
    assert (meta.property("pid"), meta.property("host_name")) == ("7", "")


def broken(**columns: list[int]) -> ExecutionGraph:
    """Give the small graph with columns overwritten, edge columns included."""
    graph = small()
    edges: dict[str, Any] = {k: np.array(v) for k, v in columns.items() if k.startswith("edge_")}
    nodes = {k: np.array(v) for k, v in columns.items() if not k.startswith("edge_")}
    return replace(graph, nodes=replace(graph.nodes, **nodes), **edges)


@pytest.mark.parametrize(
    ("graph", "told"),
    [
        (broken(duration_ns=[1, 2]), "column duration_ns has another length than 3"),
        (broken(edge_start=[0, 1, 2]), "the edge index does not fit the rows"),
        (broken(edge_start=[0, 0, 1, 3]), "the edge index does not fit the rows"),
        (broken(edge_source=[0, 2]), "row 2 has predecessor 2, which does not stand before it"),
        (broken(edge_source=[-1, 1]), "row 1 has predecessor -1"),
        (broken(lane=[0, 0, 2]), "row 2: lane 2 is not in its table"),
        (broken(name=[0, -1, 1]), "row 1: name -1 is not in its table"),
        (broken(operator=[1, NONE, NONE]), "row 0: operator 1 is not in its table"),
        (broken(collective=[NONE, 0, NONE]), "row 1: collective 0 is not in its table"),
        (broken(parent=[NONE, 3, NONE]), "row 1: parent 3 is not in its table"),
        (broken(fw_parent=[NONE, -2, NONE]), "row 1: fw_parent -2 is not in its table"),
        (broken(category=[0, 12, 0]), "row 1: category 12 is not in its table"),
        (broken(kind=[8, 4, 4]), "row 0: kind 8 is not in its table"),
        (broken(provenance=[0, 0, 5]), "row 2: provenance 5 is not in its table"),
        (broken(edge_kind=[10, 0]), "an edge is of no known kind"),
        (broken(step=[0, 0, 1]), "row 2: step 1 is not in its table"),
        (replace(small(), steps=(Step("s", 1, 0),)), "step 's' has marks outside the rows"),
        (replace(small(), steps=(Step("s", 0, 3),)), "step 's' has marks outside the rows"),
    ],
)
def test_a_broken_rule_is_told_with_its_row(graph: ExecutionGraph, told: str) -> None:
    with pytest.raises(InputError) as caught:
        graph.checked()
    assert told in caught.value.line()


def test_a_parent_may_stand_after_its_children() -> None:
    broken(parent=[2, 2, NONE]).checked()


def test_the_builder_refuses_a_predecessor_that_comes_later() -> None:
    b = GraphBuilder()
    lane = b.lane(LaneKind.HOST, 1, 1)
    b.add("a", lane, after=[(1, EdgeKind.HOST_ORDER, 0)])
    b.add("b", lane)
    with pytest.raises(InputError, match="row 0 has predecessor 1"):
        b.build()


def test_the_builder_interns_what_rows_share() -> None:
    b = GraphBuilder()
    lane = b.lane(LaneKind.HOST, 1, 1)
    assert b.lane(LaneKind.HOST, 1, 1) == lane
    for _ in range(3):
        b.add("mm", lane, operator=Operator("mm"), collective=Collective("all_reduce"))
    graph = b.build()
    assert (graph.names, graph.operators) == (("mm",), (Operator("mm"),))
    assert graph.nodes.operator.tolist() == [0, 0, 0]


def test_the_builder_gives_chakras_kind_by_category() -> None:
    b = GraphBuilder()
    lane = b.lane(LaneKind.VIRTUAL, 0, 0)
    for category in (Category.ORIGIN, Category.HOST, Category.KERNEL, Category.COLLECTIVE,
                     Category.SEND, Category.RECV, Category.JOIN):  # fmt: skip
        b.add("x", lane, category=category)
    assert b.build().nodes.kind.tolist() == [
        NodeKind.METADATA, NodeKind.COMP, NodeKind.COMP, NodeKind.COMM_COLL,
        NodeKind.COMM_SEND, NodeKind.COMM_RECV, NodeKind.METADATA,
    ]  # fmt: skip


def test_an_empty_graph_is_a_graph() -> None:
    graph = GraphBuilder().build()
    assert len(graph) == 0
    assert graph.on_device().tolist() == []
    assert measured(graph).makespan_ns == 0


def test_equal_graphs_are_the_same_and_any_change_is_seen() -> None:
    graph = small()
    assert same_graph(graph, small())
    for column in fields(Columns):
        values = getattr(graph.nodes, column.name).copy()
        values[0] = values[0] + 1
        other = replace(graph, nodes=replace(graph.nodes, **{column.name: values}))
        assert not same_graph(graph, other), column.name
    for name in ("edge_source", "edge_kind", "edge_lag_ns"):
        assert not same_graph(graph, replace(graph, **{name: getattr(graph, name) + 1}))
    assert not same_graph(graph, replace(graph, names=("a", "b", "c")))
    assert not same_graph(graph, replace(graph, meta=GraphMeta(rank=3)))


@settings(max_examples=20, deadline=None)
@given(execution_graphs())
def test_any_graph_is_the_same_as_itself(graph: ExecutionGraph) -> None:
    assert same_graph(graph, graph.checked())


@given(st.lists(st.text(max_size=2)))
def test_an_interner_counts_in_order_of_first_sight(values: list[str]) -> None:
    pool: Interner[str] = Interner()
    indices = [pool[value] for value in values]
    assert [list(pool)[index] for index in indices] == values
    assert list(pool) == list(dict.fromkeys(values))


def test_a_timeline_ends_with_its_last_row() -> None:
    graph = small()
    line = Timeline(graph, np.array([0, 7, 14]), np.array([5, 30, 10]))
    assert line.end_ns.tolist() == [5, 37, 24]
    assert line.makespan_ns == 37
    assert measured(graph).start_ns.tolist() == [0, 7, 14]
