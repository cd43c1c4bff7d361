"""Files without etsim's attributes: what other tools write."""

from pathlib import Path

import pytest

from etsim.converters.chakra import read_graph
from etsim.models.errors import InputError, TraceFormatError
from etsim.models.graph import NONE, Category, EdgeKind, ExecutionGraph, LaneKind, NodeKind
from etsim.tests.converters.chakra.build import COLL, RECV, SEND, host, kernel, node, write_file


def edges(graph: ExecutionGraph) -> list[tuple[str, str, EdgeKind]]:
    """Give each edge by the names of its ends."""
    return [
        (graph.name_of(before), graph.name_of(row), kind)
        for row in range(len(graph))
        for before, kind, _ in graph.predecessors(row)
    ]


def test_a_kernel_follows_its_launch_and_its_stream(tmp_path: Path) -> None:
    """a --launch--> k0 --stream (added)--> k1 <--launch-- b <--host-- a"""
    path = write_file(
        tmp_path / "run.3.et",
        host(1, "a", duration_micros=5),
        kernel(2, "k0", data_deps=[1], duration_micros=20),
        host(3, "b", data_deps=[1], duration_micros=5),
        kernel(4, "k1", data_deps=[3], duration_micros=20),
    )
    graph = read_graph(path)
    assert edges(graph) == [
        ("a", "k0", EdgeKind.LAUNCH),
        ("a", "b", EdgeKind.HOST_ORDER),
        ("b", "k1", EdgeKind.LAUNCH),
        ("k0", "k1", EdgeKind.STREAM_ORDER),
    ]
    assert graph.meta.rank == 3
    assert any("1 edges of stream order" in note for note in graph.meta.notes)


def test_without_start_times_a_node_starts_when_its_last_dependency_ends(tmp_path: Path) -> None:
    """a (5 us) --> k0 (20 us)      a --> b (5 us)"""
    path = write_file(
        tmp_path / "run.et",
        host(1, "a", duration_micros=5),
        kernel(2, "k0", data_deps=[1], duration_micros=20),
        host(3, "b", ctrl_deps=[1], duration_micros=5),
    )
    graph = read_graph(path)
    assert graph.nodes.start_ns.tolist() == [0, 5000, 5000]
    assert graph.nodes.duration_ns.tolist() == [5000, 20_000, 5000]
    assert graph.nodes.parent.tolist() == [NONE, NONE, 0]
    assert any("no start times" in note for note in graph.meta.notes)


def test_start_times_count_from_the_first(tmp_path: Path) -> None:
    path = write_file(
        tmp_path / "run.et",
        host(1, start_time_micros=1_000_007, duration_micros=1),
        host(2, start_time_micros=1_000_009, duration_micros=1, data_deps=[1]),
    )
    graph = read_graph(path)
    assert graph.nodes.start_ns.tolist() == [0, 2000]
    assert graph.meta.clock_base_ns == 1_000_007_000


def test_nodes_in_any_order_with_any_ids_are_put_in_order(tmp_path: Path) -> None:
    """9 <-- 100 <-- 0, written backwards"""
    path = write_file(
        tmp_path / "run.et",
        host(0, "last", data_deps=[100]),
        host(100, "middle", ctrl_deps=[9]),
        host(9, "first"),
    )
    graph = read_graph(path)
    assert [graph.name_of(row) for row in range(3)] == ["first", "middle", "last"]


def test_chakras_own_dangling_dependency_is_dropped_and_counted(tmp_path: Path) -> None:
    """Chakra deletes the process node, id 0, and leaves the thread's dependency on it."""
    path = write_file(tmp_path / "run.et", host(1, ctrl_deps=[0]), host(2, data_deps=[1]))
    graph = read_graph(path)
    assert graph.edge_count == 1
    assert any("1 dependencies on nodes that are not" in note for note in graph.meta.notes)


def test_a_circle_is_refused_by_the_names_of_its_nodes(tmp_path: Path) -> None:
    path = write_file(
        tmp_path / "run.et", host(1, "a", data_deps=[2]), host(2, "b", ctrl_deps=[1]), host(3, "c")
    )
    with pytest.raises(InputError, match=r"circle: 2 \('b'\) -> 1 \('a'\) -> 2 \('b'\)") as error:
        read_graph(path)
    assert "\n" not in error.value.line()


def test_two_nodes_of_one_id_are_refused(tmp_path: Path) -> None:
    path = write_file(tmp_path / "run.et", host(5, "a"), host(5, "b"))
    with pytest.raises(InputError, match=r"nodes 1 \('a'\) and 2 \('b'\) both have id 5"):
        read_graph(path)


def test_communication_has_kind_bytes_group_peer_and_sequence(tmp_path: Path) -> None:
    device = {"is_cpu_op": ("bool_val", False)}
    size = {"comm_size": ("int64_val", 64)}
    reduce = {"comm_type": ("int64_val", 0), "pg_name": ("string_val", "2"), **size, **device}
    path = write_file(
        tmp_path / "run.et",
        node(1, "ar", type=COLL, **reduce),
        node(2, "ar", type=COLL, data_deps=[1], **reduce),
        node(3, "send", type=SEND, comm_dst=("int32_val", 5), **size, **device),
        node(4, "recv", type=RECV, comm_src=("int32_val", 6), **size, **device),
    )
    graph = read_graph(path)
    found = [graph.collectives[i] for i in graph.nodes.collective]
    assert [(c.kind, c.group, c.peer) for c in found] == [
        ("all_reduce", "2", NONE), ("all_reduce", "2", NONE), ("send", "", 5), ("recv", "", 6),
    ]  # fmt: skip
    assert {c.message_bytes for c in found} == {64}
    assert graph.nodes.sequence.tolist() == [0, 1, 0, 1]
    assert [Category(c) for c in graph.nodes.category] == [
        Category.COLLECTIVE, Category.COLLECTIVE, Category.SEND, Category.RECV,
    ]  # fmt: skip


def test_shapes_types_and_work_are_read(tmp_path: Path) -> None:
    path = write_file(
        tmp_path / "run.et",
        host(
            1,
            "aten::add",
            inputs={
                "values": "[[4, 5, 0, 6, 4, 'cpu'], 1, None]",
                "shapes": "[[2, 3], [], []]",
                "types": "['Tensor(float)', 'Int', 'None']",
            },
            outputs={"shapes": "[[[2, 3], [4]]]", "types": "['GenericList[Tensor(float)]']"},
            op_schema=("string_val", "aten::add(Tensor self)"),
            num_ops=("int64_val", 6),
            tensor_size=("uint64_val", 24),
        ),
        host(2, "odd", inputs={"values": "[<Object>]", "shapes": "[[]]", "types": "['Object']"}),
    )
    graph = read_graph(path)
    operator = graph.operators[graph.nodes.operator[0]]
    assert operator.input_shapes == ((2, 3), (), ())
    assert operator.concrete_inputs == ("", "1", "None")
    assert operator.output_shapes == (((2, 3), (4,)),)
    assert operator.schema == "aten::add(Tensor self)"
    assert (graph.nodes.flops[0], graph.nodes.bytes[0]) == (6, 24)
    assert any("1 texts of inputs" in note for note in graph.meta.notes)


def test_a_generators_file_without_any_attribute_reads_as_device_work(tmp_path: Path) -> None:
    path = write_file(tmp_path / "p.0.et", node(1, "COMP_NODE", duration_micros=5), version="")
    graph = read_graph(path)
    assert graph.lane_of(0).kind is LaneKind.DEVICE
    assert NodeKind(graph.nodes.kind[0]) is NodeKind.COMP


def test_gzip_is_told_by_content(tmp_path: Path) -> None:
    assert len(read_graph(write_file(tmp_path / "run.et", host(1), packed=True))) == 1


def test_a_number_beyond_64_bits_is_refused(tmp_path: Path) -> None:
    path = write_file(tmp_path / "run.et", host(1, "late", start_time_micros=2**63))
    with pytest.raises(TraceFormatError, match=r"node 1 \('late'\)"):
        read_graph(path)
