"""Ranks merged: collectives become rendezvous, waiting is computed and never kept.

rank 0   [a 10]--->[ all_reduce: 10 .. 60 ]        waits 30, transfers 20
rank 1   [   b 40   ]--->[all_reduce: 40 .. 60]    waits  0, transfers 20
"""

from collections.abc import Sequence
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etsim.models.errors import RankError
from etsim.models.graph import Category, Collective, EdgeKind, ExecutionGraph, GraphMeta, LaneKind
from etsim.models.graph_builder import GraphBuilder
from etsim.models.merge import merge_ranks
from etsim.simulator.replay import replay

REDUCE = Collective("all_reduce", message_bytes=64)


def rank_graph(
    rank: int, compute: Sequence[int], ends: Sequence[int], *, base_ns: int = 0,
    collectives: Sequence[Collective] = (), sequences: Sequence[int] = (), host: str = "",
) -> ExecutionGraph:  # fmt: skip
    """Give compute and a collective in turns; each collective ends when told."""
    meta = GraphMeta(rank=rank, world_size=2, clock_base_ns=base_ns,
                     properties=(("host_name", host),))  # fmt: skip
    b = GraphBuilder(meta)
    lane, stream = b.lane(LaneKind.HOST, rank, 1), b.lane(LaneKind.DEVICE, rank, 20)
    now = 0
    row = b.add("window", b.lane(LaneKind.VIRTUAL, 0, 0), category=Category.ORIGIN, rank=rank)
    for index, (length, end) in enumerate(zip(compute, ends, strict=True)):
        row = b.add(f"compute{index}", lane, duration_ns=length, start_ns=now, rank=rank,
                    after=[(row, EdgeKind.HOST_ORDER, 0)])  # fmt: skip
        now += length
        row = b.add(
            f"reduce{index}", stream, duration_ns=end - now, start_ns=now, rank=rank,
            category=Category.COLLECTIVE, after=[(row, EdgeKind.LAUNCH, 0)],
            collective=collectives[index] if collectives else REDUCE,
            sequence=sequences[index] if sequences else -1,
        )  # fmt: skip
        now = end
    return b.build()


def named(graph: ExecutionGraph, name: str) -> dict[int, int]:
    """Give the row of that name by rank."""
    return {
        int(graph.nodes.rank[row]): row
        for row in range(len(graph))
        if graph.name_of(row) == name
    }  # fmt: skip


def two() -> ExecutionGraph:
    return merge_ranks([rank_graph(0, [10], [60]), rank_graph(1, [40], [60])])


def joins(graph: ExecutionGraph) -> int:
    return int((graph.nodes.category == Category.JOIN).sum())


def test_a_collective_keeps_its_transfer_and_drops_its_waiting() -> None:
    graph = two()
    rows = named(graph, "reduce0")
    assert graph.nodes.duration_ns[[rows[0], rows[1]]].tolist() == [20, 20]
    assert graph.nodes.start_ns[[rows[0], rows[1]]].tolist() == [40, 40]
    assert replay(graph).makespan_ns == 60


@pytest.mark.parametrize(
    ("slower", "factor", "end"), [(0, 2, 60), (0, 4, 60), (0, 5, 70), (1, 2, 100)]
)
def test_the_others_wait_for_the_slowest(slower: int, factor: int, end: int) -> None:
    """Rank 0 has 30 ns to spare; rank 1 has none."""
    graph = two()
    durations = graph.nodes.duration_ns.copy()
    durations[named(graph, "compute0")[slower]] *= factor
    line = replay(graph, durations)
    rows = named(graph, "reduce0")
    assert line.end_ns[[rows[0], rows[1]]].tolist() == [end, end]


def test_a_single_rank_is_given_back_as_it_is() -> None:
    graph = rank_graph(3, [10], [60])
    assert merge_ranks([graph]) is graph


def test_one_rank_twice_is_refused() -> None:
    with pytest.raises(RankError, match="rank 1 is given twice"):
        merge_ranks([rank_graph(0, [1], [2]), rank_graph(1, [1], [2]), rank_graph(1, [1], [2])])


def test_clocks_of_one_host_are_trusted() -> None:
    """Rank 1's window starts 100 ns later; its collective starts at 140, rank 0 waits for it."""
    graph = merge_ranks([rank_graph(0, [10], [160]), rank_graph(1, [40], [60], base_ns=100)])
    assert graph.nodes.start_ns[named(graph, "compute0")[1]] == 100
    assert graph.nodes.duration_ns[named(graph, "reduce0")[0]] == 20
    assert replay(graph).start_ns.tolist() == graph.nodes.start_ns.tolist()
    assert any("recorded clocks" in note for note in graph.meta.notes)


def test_clocks_of_two_hosts_are_aligned_by_the_ends_of_collectives() -> None:
    """Rank 1's clock is off by 10 ms; the collectives ended together at 60."""
    first = rank_graph(0, [10], [60], host="a")
    second = rank_graph(1, [40], [60], host="b", base_ns=10_000_000)
    graph = merge_ranks([first, second])
    assert replay(graph).makespan_ns == 60
    assert any("ends of collectives" in note for note in graph.meta.notes)


@pytest.mark.parametrize(("apart_s", "how"), [(599, "recorded clocks"), (600, "ends of coll")])
def test_clocks_600_s_apart_are_no_clocks(apart_s: int, how: str) -> None:
    graph = merge_ranks(
        [rank_graph(0, [10], [60]), rank_graph(1, [40], [60], base_ns=apart_s * 10**9)]
    )
    assert any(how in note for note in graph.meta.notes)


def test_equal_sequences_meet_whatever_the_order() -> None:
    """Rank 1 recorded its two collectives the other way round; their numbers tell."""
    graph = merge_ranks([
        rank_graph(0, [10, 10], [40, 90], sequences=[1, 2]),
        rank_graph(1, [10, 10], [40, 90], sequences=[2, 3]),
    ])  # fmt: skip
    assert joins(graph) == 1
    assert any("2 collectives have no partner" in note for note in graph.meta.notes)


def test_without_sequences_the_order_of_equal_ones_tells() -> None:
    graph = merge_ranks([rank_graph(r, [10, 10, 10], [40, 70, 99]) for r in (0, 1)])
    assert joins(graph) == 3
    assert any("3 collectives meet across 2 ranks" in note for note in graph.meta.notes)


def two_kinds(left: Collective, right: Collective) -> int:
    graphs = [rank_graph(r, [10], [60], collectives=[c]) for r, c in enumerate((left, right))]
    return joins(merge_ranks(graphs))


def test_other_kinds_groups_and_sizes_do_not_meet() -> None:
    assert two_kinds(REDUCE, REDUCE) == 1
    assert two_kinds(REDUCE, Collective("broadcast", message_bytes=64)) == 0
    assert two_kinds(REDUCE, Collective("all_reduce", group="tp", message_bytes=64)) == 0
    assert two_kinds(REDUCE, Collective("all_reduce", message_bytes=128)) == 0


def test_groups_of_one_name_and_other_ranks_do_not_meet() -> None:
    """Two tensor-parallel groups side by side are both called `tp`."""
    left = Collective("all_reduce", "tp", (0, 2), message_bytes=64)
    right = Collective("all_reduce", "tp", (1, 3), message_bytes=64)
    assert two_kinds(left, right) == 0


def test_an_uneven_all_to_all_meets() -> None:
    """Each rank sends another amount: the size must not keep them apart."""
    assert two_kinds(Collective("all_to_all", message_bytes=10),
                     Collective("all_to_all", message_bytes=30)) == 1  # fmt: skip


def test_a_send_meets_its_receive() -> None:
    send, receive = Collective("send", peer=1, message_bytes=8), Collective("recv", peer=0)
    assert two_kinds(send, receive) == 1
    assert two_kinds(send, Collective("recv", peer=5)) == 0


def overlapping(rank: int, first: Collective, second: Collective) -> ExecutionGraph:
    """Give two collectives of which the second starts, on the same stream, inside the first."""
    b = GraphBuilder(GraphMeta(rank=rank, world_size=2))
    stream = b.lane(LaneKind.DEVICE, rank, 20)
    origin = b.add("window", stream, category=Category.ORIGIN, rank=rank)
    one = b.add("one", stream, duration_ns=90, start_ns=10, rank=rank, collective=first,
                category=Category.COLLECTIVE, after=[(origin, EdgeKind.EXTERNAL, 10)])  # fmt: skip
    b.add("two", stream, duration_ns=80, start_ns=20, rank=rank, collective=second,
          category=Category.COLLECTIVE, after=[(one, EdgeKind.STREAM_ORDER, -80)])  # fmt: skip
    return b.build()


def test_ranks_that_meet_in_opposite_orders_are_let_go_and_told() -> None:
    """Rank 0 reduces then broadcasts, rank 1 the other way: waiting for both would never end."""
    a, b = REDUCE, Collective("broadcast", message_bytes=64)
    graph = merge_ranks([overlapping(0, a, b), overlapping(1, b, a)])
    assert any(note.startswith("1 collectives contradict") for note in graph.meta.notes)
    assert replay(graph).makespan_ns > 0


def test_notes_name_their_rank_and_the_meta_tells_all_ranks() -> None:
    meta = two().meta
    assert meta.world_size == 2
    assert meta.property("ranks") == "0,1"


runs = st.lists(st.integers(1, 100), min_size=3, max_size=3)


@settings(max_examples=50, deadline=None)
@given(st.lists(runs, min_size=2, max_size=4), st.integers(0, 50))
def test_the_order_in_which_ranks_are_given_changes_nothing(
    computes: list[list[int]], transfer: int
) -> None:
    graphs = [timed(rank, computes, transfer) for rank in range(len(computes))]
    merged = [merge_ranks(list(order)) for order in list(permutations(graphs))[:6]]
    for other in merged[1:]:
        assert np.array_equal(other.nodes.start_ns, merged[0].nodes.start_ns)
        assert np.array_equal(other.edge_source, merged[0].edge_source)


@settings(max_examples=50, deadline=None)
@given(st.lists(runs, min_size=2, max_size=4), st.integers(0, 50))
def test_merged_ranks_replay_to_what_a_rendezvous_gives(
    computes: list[list[int]], transfer: int
) -> None:
    """By hand: round k ends at max over ranks of (end of round k-1 + compute) + transfer."""
    graph = merge_ranks([timed(rank, computes, transfer) for rank in range(len(computes))])
    expected = 0
    for round_ in range(3):
        expected += max(compute[round_] for compute in computes) + transfer
    assert replay(graph).makespan_ns == expected
    doubled = graph.nodes.duration_ns * np.where(graph.on_device(), 1, 2)
    assert replay(graph, doubled).makespan_ns == 2 * (expected - 3 * transfer) + 3 * transfer


def timed(rank: int, computes: list[list[int]], transfer: int) -> ExecutionGraph:
    """Give one rank's recording of a run in which all ranks met in every round."""
    ends, now = [], 0
    for round_ in range(3):
        now += max(compute[round_] for compute in computes) + transfer
        ends.append(now)
    return rank_graph(rank, computes[rank], ends)


def launching(rank: int, offset_ns: int) -> ExecutionGraph:
    """L0 L1 L2 on the host, k0 k1 k2 long after them on the stream; rows L0 k0 L1 k1 L2 k2."""
    builder = GraphBuilder(GraphMeta(rank=rank, world_size=2, clock_base_ns=10**9 + offset_ns))
    virtual = builder.lane(LaneKind.VIRTUAL, 0, 0)
    host, stream = builder.lane(LaneKind.HOST, 1, 1), builder.lane(LaneKind.DEVICE, 0, 7)
    before, kind = builder.add("window", virtual, category=Category.ORIGIN), EdgeKind.EXTERNAL
    kernel = -1
    for number in range(3):
        before = builder.add(
            f"L{number}", host, duration_ns=2, start_ns=2 * number, rank=rank,
            category=Category.LAUNCH, after=[(before, kind, 0)],
        )  # fmt: skip
        kind = EdgeKind.HOST_ORDER
        edges = [(before, EdgeKind.LAUNCH, 0)]
        edges += [(kernel, EdgeKind.STREAM_ORDER, 0)] if kernel >= 0 else []
        kernel = builder.add(
            f"k{number}", stream, duration_ns=100, start_ns=2 + 100 * number, rank=rank,
            category=Category.KERNEL, after=edges,
        )  # fmt: skip
    return builder.build()


@given(st.integers(0, 300))
def test_every_rank_keeps_its_order_so_kernels_stay_behind_their_launches(offset_ns: int) -> None:
    graph = merge_ranks([launching(0, 0), launching(1, offset_ns)])
    for rank in (0, 1):
        rows = np.flatnonzero(graph.nodes.rank == rank).tolist()
        names = [graph.name_of(row) for row in rows if graph.name_of(row) != "window"]
        assert names == ["L0", "k0", "L1", "k1", "L2", "k2"]


def test_a_rank_without_rows_is_refused() -> None:
    empty = GraphBuilder(GraphMeta(rank=1)).build()
    with pytest.raises(RankError, match="rank 1 has no rows"):
        merge_ranks([launching(0, 0), empty])
