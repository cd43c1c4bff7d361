"""What ASTRA-sim needs of its files (reference: its feeder's and workload's own checks)."""

import json
from pathlib import Path
from typing import Any

import pytest

from etsim.converters.chakra import read_graph
from etsim.converters.chakra.astra import IDLE_NAME, AstraReport, write_astra
from etsim.converters.chakra.frames import framed
from etsim.converters.chakra.messages import Attributes, read_attributes
from etsim.converters.chakra.schema import Node
from etsim.models.errors import RankError
from etsim.models.graph import NONE, Category, Collective, EdgeKind, ExecutionGraph, LaneKind
from etsim.models.graph_builder import GraphBuilder

US = 1000
WORLD_REDUCE = Collective("all_reduce", "0", (0, 1), "float", 4096)


def a_rank(rank: int, collective: Collective = WORLD_REDUCE) -> ExecutionGraph:
    """Give launch --> k0 --stream--> coll --stream--> k1, k1 5 us after coll ended.

    host    |launch 0-1|                         |late 13-18|
    device       |k0 2-4|coll 4-13|                          |k1 18-20|
    """
    builder = GraphBuilder()
    main = builder.lane(LaneKind.HOST, group=1, number=1)
    stream = builder.lane(LaneKind.DEVICE, group=0, number=7)
    launch = builder.add("launch", main, duration_ns=US, rank=rank)
    k0 = builder.add(
        "k0", stream, duration_ns=2 * US, start_ns=2 * US, category=Category.KERNEL, rank=rank,
        flops=100, bytes=10, after=[(launch, EdgeKind.LAUNCH, US)],
    )  # fmt: skip
    coll = builder.add(
        "coll", stream, duration_ns=9 * US, start_ns=4 * US, category=Category.COLLECTIVE,
        rank=rank, collective=collective, after=[(k0, EdgeKind.STREAM_ORDER, 0)],
    )  # fmt: skip
    late = builder.add(
        "late", main, duration_ns=5 * US, start_ns=13 * US, rank=rank,
        after=[(coll, EdgeKind.SYNC, 0), (launch, EdgeKind.HOST_ORDER, 0)],
    )  # fmt: skip
    builder.add(
        "k1", stream, duration_ns=2 * US, start_ns=18 * US, category=Category.KERNEL, rank=rank,
        after=[(late, EdgeKind.LAUNCH, 0), (coll, EdgeKind.STREAM_ORDER, 0)],
    )  # fmt: skip
    return builder.build()


def nodes_of(path: Path) -> list[Any]:
    nodes = []
    for content in framed(path.read_bytes(), path).contents():
        message = Node()
        message.ParseFromString(content)
        nodes.append(message)
    return nodes


def attributes_of(path: Path, name: str) -> Attributes:
    return next(read_attributes(node.attr) for node in nodes_of(path) if node.name == name)


def written(tmp_path: Path, *collectives: Collective) -> AstraReport:
    graphs = [a_rank(rank, what) for rank, what in enumerate(collectives)]
    return write_astra(graphs, tmp_path / "run")


def test_each_rank_has_its_file_and_no_partial_group_needs_no_group_file(tmp_path: Path) -> None:
    report = written(tmp_path, WORLD_REDUCE, WORLD_REDUCE)
    assert [path.name for path in report.files] == ["run.0.et", "run.1.et"]
    assert report.group_file is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.0.et", "run.1.et"]


def test_host_rows_go_and_the_time_the_device_waits_for_them_stays(tmp_path: Path) -> None:
    """idle 2 us --> k0 --> coll --> idle 5 us --> k1"""
    report = written(tmp_path, WORLD_REDUCE, WORLD_REDUCE)
    nodes = nodes_of(report.files[0])
    assert [(n.id, n.name, n.duration_micros, list(n.data_deps)) for n in nodes] == [
        (1, IDLE_NAME, 2, []), (2, "k0", 2, [1]), (3, "coll", 9, [2]),
        (4, IDLE_NAME, 5, [3]), (5, "k1", 2, [3, 4]),
    ]  # fmt: skip
    assert (report.nodes, report.idle_nodes, report.idle_ns) == (10, 4, 14 * US)


def test_nodes_have_what_astra_sim_requires_of_them(tmp_path: Path) -> None:
    report = written(tmp_path, WORLD_REDUCE, WORLD_REDUCE)
    for node in nodes_of(report.files[1]):
        told = read_attributes(node.attr)
        assert told["is_cpu_op"] is False
        assert not node.ctrl_deps
        assert not [name for name in told if name.startswith("etsim")]
        if node.name == "coll":
            assert (told["comm_type"], told["comm_size"], told["pg_name"]) == (0, 4096, "0")
        else:
            assert told["num_ops"]
            assert told["tensor_size"]
    no_work = "2 x compute nodes have no known work"  # k1 of either rank
    assert any(text.startswith(no_work) for text in report.approximations)


@pytest.mark.parametrize(
    ("kind", "number", "told"),
    [
        ("all_gather", 2, ""),
        ("reduce_scatter", 7, ""),
        ("all_to_all", 6, ""),
        ("broadcast", 5, "broadcast takes its recorded time"),
        ("reduce", 0, "reduce is written as all_reduce"),
        ("barrier", 0, "barrier is written as all_reduce"),
        ("gather", 2, "gather is written as all_gather"),
        ("scatter", 5, "scatter is written as broadcast"),
    ],
)
def test_kinds_that_astra_sim_lacks_are_replaced_and_told(
    tmp_path: Path, kind: str, number: int, told: str
) -> None:
    what = Collective(kind, "0", (0, 1), "float", 4096)
    report = written(tmp_path, what, what)
    assert attributes_of(report.files[0], "coll")["comm_type"] == number
    assert any(told in text for text in report.approximations)


def test_an_unknown_kind_is_replayed_as_computing(tmp_path: Path) -> None:
    what = Collective("telepathy", "0", (0, 1))
    report = written(tmp_path, what, what)
    node = next(node for node in nodes_of(report.files[0]) if node.name == "coll")
    assert (node.type, node.duration_micros) == (4, 9)
    assert any("kind 'telepathy' are replayed" in text for text in report.approximations)


def test_an_all_gather_is_told_by_what_one_rank_puts_in(tmp_path: Path) -> None:
    what = Collective("all_gather", "0", (0, 1), "float", 4096)
    report = written(tmp_path, what, what)
    assert attributes_of(report.files[0], "coll")["comm_size"] == 2048


def test_a_barriers_empty_message_gets_some_bytes(tmp_path: Path) -> None:
    what = Collective("barrier", "0", (0, 1))
    report = written(tmp_path, what, what)
    assert attributes_of(report.files[0], "coll")["comm_size"] == 128


def test_partial_groups_are_numbered_in_their_own_file(tmp_path: Path) -> None:
    pair = [Collective("all_reduce", name, ranks, "float", 4096)
            for name, ranks in (("tp_b", (2, 3)), ("tp_a", (0, 1)))]  # fmt: skip
    report = written(tmp_path, pair[1], pair[1], pair[0], pair[0])
    assert report.group_file is not None
    assert json.loads(report.group_file.read_text()) == {"1": [0, 1], "2": [2, 3]}
    assert attributes_of(report.files[3], "coll")["pg_name"] == "2"


def test_the_nth_message_of_a_pair_carries_the_same_tag_on_both_sides(tmp_path: Path) -> None:
    def rank_with(category: Category, rank: int) -> ExecutionGraph:
        builder = GraphBuilder()
        lane = builder.lane(LaneKind.DEVICE, group=0, number=7)
        what = Collective(category.name.lower(), "0", (0, 1), "float", 64, peer=1 - rank)
        builder.add("work", lane, duration_ns=US, category=Category.KERNEL, rank=rank)
        for sequence in (10, 11):
            builder.add("p2p", lane, category=category, collective=what, rank=rank,
                        sequence=sequence + rank)  # fmt: skip
        return builder.build()

    graphs = [rank_with(Category.SEND, 0), rank_with(Category.RECV, 1)]
    report = write_astra(graphs, tmp_path / "run")
    for path in report.files:
        told = [read_attributes(node.attr) for node in nodes_of(path) if node.name == "p2p"]
        assert [(t["comm_src"], t["comm_dst"], t["comm_tag"]) for t in told] == [
            (0, 1, 0),
            (0, 1, 1),
        ]


def test_ranks_that_disagree_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    other = Collective("all_gather", "0", (0, 1), "float", 4096)
    with pytest.raises(RankError, match="is all_reduce on rank 0 and all_gather on rank 1"):
        written(tmp_path, WORLD_REDUCE, other)
    assert not list(tmp_path.iterdir())


def test_a_missing_rank_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RankError, match=r"needs the ranks \[0, 1\], of which \[1\] are not given"):
        written(tmp_path, WORLD_REDUCE)
    with pytest.raises(RankError, match=r"ranks 0 to N-1, each once; there are \[1\]"):
        write_astra([a_rank(1)], tmp_path / "run")


def test_a_run_without_a_device_gives_its_host_rows(tmp_path: Path) -> None:
    """a 3 us, gloo on another thread 4 us, b 2 us after both"""
    builder = GraphBuilder()
    main = builder.lane(LaneKind.HOST, group=1, number=1)
    worker = builder.lane(LaneKind.HOST, group=1, number=2)
    a = builder.add("a", main, duration_ns=3 * US)
    coll = builder.add(
        "gloo", worker, duration_ns=4 * US, start_ns=3 * US, category=Category.COLLECTIVE,
        collective=Collective("all_reduce", message_bytes=256), after=[(a, EdgeKind.HANDOVER, 0)],
    )  # fmt: skip
    builder.add(
        "b", main, duration_ns=2 * US, start_ns=7 * US,
        after=[(a, EdgeKind.HOST_ORDER, 0), (coll, EdgeKind.SYNC, 0)],
    )  # fmt: skip
    report = write_astra([builder.build()], tmp_path / "run")
    graph = read_graph(report.files[0])
    assert [graph.name_of(row) for row in range(3)] == ["a", "gloo", "b"]
    assert list(graph.on_device()) == [True] * 3
    assert graph.nodes.collective.tolist() == [NONE, 0, NONE]


def test_ranks_of_a_merged_graph_get_their_own_files(tmp_path: Path) -> None:
    builder = GraphBuilder()
    lane = builder.lane(LaneKind.DEVICE, group=0, number=7)
    for rank in (0, 1):
        builder.add(f"k{rank}", lane, duration_ns=US, category=Category.KERNEL, rank=rank)
    report = write_astra([builder.build()], tmp_path / "run")
    assert [[node.name for node in nodes_of(path)] for path in report.files] == [["k0"], ["k1"]]
