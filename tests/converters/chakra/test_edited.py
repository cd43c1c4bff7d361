"""Files of etsim's that another tool changed, or a disk."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etsim.converters.chakra import read_graph, write_graph
from etsim.converters.chakra.edited import NOTE
from etsim.converters.chakra.frames import framed
from etsim.converters.chakra.schema import Node
from etsim.models.errors import EtsimError, TraceFormatError
from etsim.models.graph import NONE, EdgeKind, ExecutionGraph, LaneKind, same_graph
from etsim.models.graph_builder import GraphBuilder
from etsim.tests.converters.chakra import build
from etsim.tests.strategies import execution_graphs


def a_run() -> ExecutionGraph:
    """Give begin --5--> a --launch, 2--> k, a --7--> b --1--> end; step 0 from begin to end."""
    builder = GraphBuilder()
    main = builder.lane(LaneKind.HOST, group=1, number=1)
    stream = builder.lane(LaneKind.DEVICE, group=0, number=7)
    begin = builder.add("begin", main)
    a = builder.add("a", main, duration_ns=1999, step=0, after=[(begin, EdgeKind.HOST_ORDER, 5)])
    k = builder.add("k", stream, duration_ns=10_400, step=0, after=[(a, EdgeKind.LAUNCH, 2)])
    b = builder.add("b", main, step=0, parent=a, after=[(a, EdgeKind.HOST_ORDER, 7)])
    end = builder.add("end", main, after=[(b, EdgeKind.HOST_ORDER, 1)])
    builder.step("step 0", begin, end)
    assert k == 2
    return builder.build()


def changed(path: Path, change: Callable[[list[Any]], object]) -> ExecutionGraph:
    """Write the run, change its messages as a tool with protobuf would, and read it again."""
    write_graph(a_run(), path)
    frames = framed(path.read_bytes(), path)
    nodes: list[Any] = []
    for content in frames.contents():
        message = Node()
        message.ParseFromString(content)
        nodes.append(message)
    change(nodes)
    head = frames.data[: frames.metadata.stop]
    path.write_bytes(head + b"".join(build.framed(node) for node in nodes))
    return read_graph(path)


def edges(graph: ExecutionGraph) -> list[tuple[str, str, EdgeKind, int]]:
    return [
        (graph.name_of(before), graph.name_of(row), kind, lag_ns)
        for row in range(len(graph))
        for before, kind, lag_ns in graph.predecessors(row)
    ]


def test_a_changed_duration_counts_and_the_others_stay_exact(tmp_path: Path) -> None:
    graph = changed(tmp_path / "run.et", lambda nodes: setattr(nodes[2], "duration_micros", 5))
    assert graph.nodes.duration_ns.tolist() == [0, 1999, 5000, 0, 0]
    assert edges(graph) == edges(a_run())
    assert graph.steps == a_run().steps
    assert NOTE in graph.meta.notes


def test_a_changed_name_counts(tmp_path: Path) -> None:
    graph = changed(tmp_path / "run.et", lambda nodes: setattr(nodes[2], "name", "faster"))
    assert [graph.name_of(row) for row in range(5)] == ["begin", "a", "faster", "b", "end"]


def test_a_deleted_node_takes_its_edges_with_it(tmp_path: Path) -> None:
    """begin, k, b --1--> end; a was deleted, so what pointed to it points to none."""

    def without_a(nodes: list[Any]) -> None:
        del nodes[1]
        for node in nodes:
            if 2 in node.data_deps:
                node.data_deps.remove(2)
        nodes.append(nodes.pop(0))  # and the order of the file is another

    path = tmp_path / "run.et"
    with pytest.raises(TraceFormatError, match="cut after node 4 of 5"):
        changed(path, lambda nodes: nodes.pop())
    graph = changed(path, without_a)
    assert sorted(edges(graph)) == [("b", "end", EdgeKind.HOST_ORDER, 1)]
    assert graph.nodes.parent.tolist() == [NONE] * 4


def test_an_added_dependency_gets_the_kind_of_its_lanes(tmp_path: Path) -> None:
    graph = changed(tmp_path / "run.et", lambda nodes: nodes[4].data_deps.append(3))
    assert edges(graph)[-2:] == [
        ("b", "end", EdgeKind.HOST_ORDER, 1),
        ("k", "end", EdgeKind.SYNC, 0),
    ]


def test_with_an_added_node_the_file_is_read_as_any_other_tools(tmp_path: Path) -> None:
    graph = changed(tmp_path / "run.et", lambda nodes: nodes.append(Node(id=6, name="new")))  # type: ignore[call-arg]
    assert len(graph) == 6
    assert graph.nodes.duration_ns[1] == 1999
    assert any("not written by etsim" in note for note in graph.meta.notes)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_flipped_byte_is_noted_or_refused(data: st.DataObject) -> None:
    graph = a_run()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "run.et"
        write_graph(graph, path)
        content = bytearray(path.read_bytes())
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] ^= data.draw(st.integers(1, 255))
        path.write_bytes(content)
        with suppress(EtsimError):
            read = read_graph(path)
            assert read.meta.notes or same_graph(read, graph)


@settings(max_examples=20, deadline=None)
@given(execution_graphs())
def test_serialised_anew_by_protobuf_a_file_means_the_same(graph: ExecutionGraph) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "run.et"
        write_graph(graph, path)
        frames = framed(path.read_bytes(), path)
        nodes = []
        for content in frames.contents():
            message = Node()
            message.ParseFromString(content)
            nodes.append(build.framed(message))
        path.write_bytes(frames.data[: frames.metadata.stop] + b"".join(nodes))
        read = read_graph(path)
        for name in ("kind", "name", "duration_ns", "start_ns", "parent", "step", "sequence"):
            assert np.array_equal(getattr(read.nodes, name), getattr(graph.nodes, name)), name
        assert sorted(edges(read)) == sorted(edges(graph))
