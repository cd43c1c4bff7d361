"""What stands on the wire, read with protobuf itself."""

import ast
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings

from etsim.converters.chakra import is_chakra, read_graph, write_graph
from etsim.converters.chakra.frames import framed
from etsim.converters.chakra.messages import Attributes, read_attributes, read_metadata
from etsim.converters.chakra.schema import Node
from etsim.converters.chakra.write import encode_graph
from etsim.models.errors import InputError
from etsim.models.graph import (
    NONE,
    Category,
    Collective,
    EdgeKind,
    ExecutionGraph,
    GraphMeta,
    LaneKind,
    Operator,
    same_graph,
)
from etsim.models.graph_builder import GraphBuilder
from etsim.tests.strategies import execution_graphs

HERE = Path("run.et")


def on_wire(graph: ExecutionGraph) -> tuple[Attributes, list[Any]]:
    """Give the metadata and the nodes as protobuf reads them."""
    frames = framed(b"".join(encode_graph(graph)), HERE)
    nodes = []
    for content in frames.contents():
        message = Node()
        message.ParseFromString(content)
        nodes.append(message)
    return read_metadata(frames.data[frames.metadata], HERE), nodes


def kinds_of_values(node: Any) -> dict[str, str]:
    return {attribute.name: attribute.WhichOneof("value") for attribute in node.attr}


def a_run() -> ExecutionGraph:
    """Give mm --launch, data--> gemm --stream--> all_reduce --sync--> wait <--host-- mm"""
    builder = GraphBuilder(
        GraphMeta(properties=(("schema", "1.1.1-chakra.0.0.4"), ("pid", "42"), ("time", "now")))
    )
    main = builder.lane(LaneKind.HOST, group=42, number=3)
    stream = builder.lane(LaneKind.DEVICE, group=0, number=7)
    mm = builder.add(
        "aten::mm", main, duration_ns=1500, rf_id=9, seq_id=4, flops=12, bytes=96,
        operator=Operator("aten::mm", "aten::mm(Tensor a)", ((2, 3), ()), ("Tensor", "Int"),
                          ("", "1"), output_shapes=(((2, 2),),), output_types=("List[Tensor]",)),
    )  # fmt: skip
    gemm = builder.add(
        "gemm", stream, duration_ns=700, category=Category.KERNEL, start_ns=2499,
        after=[(mm, EdgeKind.LAUNCH, -5), (mm, EdgeKind.DATA, 0)],
    )  # fmt: skip
    reduce = builder.add(
        "nccl", stream, duration_ns=700, category=Category.COLLECTIVE, sequence=1,
        collective=Collective("all_reduce", "pg", (0, 1), "float", 4096),
        after=[(gemm, EdgeKind.STREAM_ORDER, 0)],
    )  # fmt: skip
    builder.add(
        "wait", main, category=Category.SYNC, fw_parent=mm,
        after=[(mm, EdgeKind.HOST_ORDER, 3), (reduce, EdgeKind.SYNC, 0)],
    )  # fmt: skip
    builder.add(
        "send", stream, category=Category.SEND, sequence=6,
        collective=Collective("send", "pg", (0, 1), "float", 8, peer=1),
    )  # fmt: skip
    return builder.build()


@settings(max_examples=40, deadline=None)
@given(execution_graphs())
def test_what_is_written_is_read_back_to_the_last_nanosecond(graph: ExecutionGraph) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "run.0.et"
        write_graph(graph, path)
        assert is_chakra(path.read_bytes()[:300])
        assert same_graph(read_graph(path), graph)


@settings(max_examples=30, deadline=None)
@given(execution_graphs())
def test_any_file_keeps_chakras_rules(graph: ExecutionGraph) -> None:
    metadata, nodes = on_wire(graph)
    assert metadata["version"]
    assert [node.id for node in nodes] == list(range(1, len(graph) + 1))
    for row, node in enumerate(nodes):
        edges = slice(graph.edge_start[row], graph.edge_start[row + 1])
        assert sorted(node.data_deps) == sorted(set((graph.edge_source[edges] + 1).tolist()))
        assert not node.ctrl_deps
        assert node.name == graph.name_of(row)
        assert node.type == graph.nodes.kind[row]
        for info in (node.inputs, node.outputs):
            assert all(isinstance(ast.literal_eval(x), list) for x in (info.values, info.shapes))
        attributes = read_attributes(node.attr)
        assert len(attributes) == len(node.attr)
        assert attributes["etsim_start_ns"] == graph.nodes.start_ns[row]
        assert attributes["etsim_dur_ns"] == graph.nodes.duration_ns[row]
        assert attributes["fw_parent"] == graph.nodes.fw_parent[row] + 1


def test_a_nodes_fields_are_those_of_its_row() -> None:
    _, nodes = on_wire(a_run())
    mm, gemm, _, wait, _ = nodes
    assert (mm.start_time_micros, mm.duration_micros) == (0, 2)
    assert (gemm.start_time_micros, gemm.duration_micros) == (2, 1)
    assert mm.inputs.values == "['', '1']"
    assert mm.inputs.shapes == "[[2, 3], []]"
    assert mm.inputs.types == "['Tensor', 'Int']"
    assert mm.outputs.shapes == "[[[2, 2]]]"
    assert list(gemm.data_deps) == [1]
    assert list(wait.data_deps) == [1, 3]
    assert read_attributes(gemm.attr)["stream"] == 7
    told = read_attributes(wait.attr)
    assert (told["tid"], told["fw_parent"], told["fw_tid"], told["seq_id"]) == (3, 1, 3, NONE)


def test_attributes_have_the_types_that_chakras_readers_expect() -> None:
    _, nodes = on_wire(a_run())
    expected = {
        "is_cpu_op": "bool_val", "stream": "int64_val", "tid": "int64_val", "rf_id": "int64_val",
        "fw_parent": "int64_val", "seq_id": "int64_val", "scope": "int64_val",
        "fw_tid": "int64_val", "op_schema": "string_val", "num_ops": "int64_val",
        "tensor_size": "uint64_val", "etsim_start_ns": "int64_val", "etsim_dur_ns": "int64_val",
        "etsim_edges": "bytes_val", "etsim_row": "bytes_val",
    }  # fmt: skip
    assert kinds_of_values(nodes[0]) == expected
    reduce = kinds_of_values(nodes[2])
    assert {key: reduce[key] for key in ("comm_type", "comm_size", "pg_name")} == {
        "comm_type": "int64_val", "comm_size": "int64_val", "pg_name": "string_val",
    }  # fmt: skip
    send = kinds_of_values(nodes[4])
    assert {send[key] for key in ("comm_src", "comm_dst", "comm_tag")} == {"int32_val"}


def test_messages_say_who_sends_what_to_whom() -> None:
    _, nodes = on_wire(a_run())
    reduce, send = read_attributes(nodes[2].attr), read_attributes(nodes[4].attr)
    assert (reduce["comm_type"], reduce["comm_size"], reduce["pg_name"]) == (0, 4096, "pg")
    assert (send["comm_src"], send["comm_dst"], send["comm_tag"], send["comm_size"]) == (0, 1, 6, 8)


def test_the_metadata_has_what_chakra_writes_there() -> None:
    metadata, _ = on_wire(a_run())
    assert metadata["schema"] == "1.1.1-chakra.0.0.4"
    assert (metadata["pid"], metadata["time"]) == (42, "now")


def test_a_graph_of_many_blocks_is_read_back(tmp_path: Path) -> None:
    rows = 10_000
    builder = GraphBuilder()
    lane = builder.lane(LaneKind.HOST, group=1, number=1)
    for row in range(rows):
        after = [(row - 1, EdgeKind.HOST_ORDER, row)] if row else []
        builder.add(f"op{row % 7}", lane, duration_ns=row, start_ns=row * row, after=after)
    graph = builder.build()
    write_graph(graph, tmp_path / "run.et")
    assert same_graph(read_graph(tmp_path / "run.et"), graph)


def test_several_ranks_in_one_file_are_refused(tmp_path: Path) -> None:
    builder = GraphBuilder()
    lane = builder.lane(LaneKind.HOST, group=1, number=1)
    builder.add("a", lane, rank=0)
    builder.add("b", lane, rank=2)
    with pytest.raises(InputError, match=r"holds one rank, this graph holds 2: \[0, 2\]"):
        write_graph(builder.build(), tmp_path / "run.et")
    assert not list(tmp_path.iterdir())


def test_half_a_surrogate_pair_is_refused_and_leaves_no_file(tmp_path: Path) -> None:
    builder = GraphBuilder()
    builder.add("\ud800", builder.lane(LaneKind.HOST, group=1, number=1))
    with pytest.raises(InputError, match="surrogate"):
        write_graph(builder.build(), tmp_path / "run.et")
    assert not list(tmp_path.iterdir())


def test_a_row_that_waits_for_many_shares_its_block_with_others() -> None:
    """300 rows in a chain, the last waits for all: more edges than a block has room for."""
    builder = GraphBuilder()
    main = builder.lane(LaneKind.HOST, group=1, number=1)
    for row in range(300):
        before = range(row) if row == 299 else range(max(0, row - 1), row)
        after = [(source, EdgeKind.HOST_ORDER, source % 7) for source in before]
        builder.add("op", main, duration_ns=1, after=after)
    graph = builder.build()
    _, nodes = on_wire(graph)
    assert [list(node.data_deps) for node in nodes[1:299]] == [[row] for row in range(1, 299)]
    assert list(nodes[299].data_deps) == list(range(1, 300))
