"""Demand: the transfers of a priced graph as flows over links."""

import numpy as np

from etsim.models.graph import Category, Collective, EdgeKind, ExecutionGraph, GraphMeta, LaneKind
from etsim.models.graph_builder import GraphBuilder
from etsim.models.hardware import LinkTier
from etsim.models.merge import merge_ranks
from etsim.models.specs import load
from etsim.simulator.events.demand import Demand, demand_of
from etsim.simulator.events.placement import USABLE, Placement

H100, CPU = load("h100"), load("cpu-cloud-2core")
NIC_BYTES_PER_S = round(50e9 * USABLE[LinkTier.NETWORK])
A_MS = 1_000_000
ONE_A_NODE = Placement(1, {})


def one_row(category: Category, name: str = "k", **columns: int | Collective) -> ExecutionGraph:
    builder = GraphBuilder(GraphMeta(world_size=2))
    lane = builder.lane(LaneKind.DEVICE, 0, 7)
    builder.add("window", lane, category=Category.ORIGIN)
    builder.add(name, lane, category=category, duration_ns=A_MS, **columns,
                after=[(0, EdgeKind.EXTERNAL, 0)])  # fmt: skip
    return builder.build()


def demand(graph: ExecutionGraph, placement: Placement = ONE_A_NODE) -> Demand:
    return demand_of(graph, graph.nodes.duration_ns, H100, placement)


def test_a_transfer_takes_what_its_bytes_over_its_time_come_to() -> None:
    """Two ranks send a message once each: 20 MB in 1 ms are 20 GB/s of 40."""
    message = Collective("all_reduce", "g", (0, 1), "float", 20_000_000)
    found = demand(one_row(Category.COLLECTIVE, collective=message))
    (uses,) = found.traffic.flows
    assert {use.bytes_per_s for use in uses} == {20 * 10**9}
    assert [link.name for link in found.traffic.links] == [
        "InfiniBand NDR, rank 0, in", "InfiniBand NDR, rank 0, out",
        "InfiniBand NDR, rank 1, in", "InfiniBand NDR, rank 1, out",
    ]  # fmt: skip
    assert {link.bytes_per_s for link in found.traffic.links} == {NIC_BYTES_PER_S}
    assert found.rows == ((1,),)
    assert found.traffic.flow_of_row.tolist() == [-1, 0]


def test_a_transfer_takes_all_of_a_link_at_most() -> None:
    message = Collective("all_reduce", "g", (0, 1), "float", 10**9)
    (uses,) = demand(one_row(Category.COLLECTIVE, collective=message)).traffic.flows
    assert {use.bytes_per_s for use in uses} == {NIC_BYTES_PER_S}


def test_a_transfer_of_unknown_size_fills_its_links_and_is_counted() -> None:
    found = demand(one_row(Category.COLLECTIVE, "ncclDevKernel_AllReduce"))
    assert found.unknown_sizes == 1
    assert {use.bytes_per_s for uses in found.traffic.flows for use in uses} == {NIC_BYTES_PER_S}


def test_a_barrier_moves_nothing() -> None:
    found = demand(one_row(Category.COLLECTIVE, collective=Collective("barrier", "g", (0, 1))))
    assert (found.rows, found.unplaced, found.unknown_sizes) == ((), 0, 0)


def test_copies_go_over_pcie_by_what_their_name_tells() -> None:
    into = demand(one_row(Category.MEMCPY, "Memcpy HtoD (Pageable -> Device)", bytes=1000))
    assert [link.name for link in into.traffic.links] == ["PCIe 5.0 x16, rank 0, in"]
    out = demand(one_row(Category.MEMCPY, "Memcpy DtoH (Device -> Pinned)", bytes=1000))
    assert [link.name for link in out.traffic.links] == ["PCIe 5.0 x16, rank 0, out"]
    inside = demand(one_row(Category.MEMCPY, "Memcpy DtoD (Device -> Device)", bytes=1000))
    assert inside.rows == ()


def test_what_the_machine_has_no_link_for_is_counted() -> None:
    graph = one_row(Category.MEMCPY, "Memcpy HtoD", bytes=1000)
    found = demand_of(graph, graph.nodes.duration_ns, CPU, ONE_A_NODE)
    assert (found.rows, found.unplaced) == ((), 1)


def test_ranks_placed_further_apart_than_they_are_priced_are_told() -> None:
    message = Collective("all_reduce", "g", (0, 1), "float", 1000)
    graph = one_row(Category.COLLECTIVE, collective=message)
    assert demand(graph, ONE_A_NODE).further == (True,)
    assert demand(graph, Placement(8, {})).further == (False,)


def test_the_ranks_of_one_collective_are_one_flow() -> None:
    """Three ranks: all meet; then a send of rank 0 and its receive at rank 1 meet."""
    merged = merge_ranks([with_a_send(rank) for rank in range(3)])
    found = demand(merged)
    assert [len(rows) for rows in found.rows] == [3, 2]
    names = [{merged.name_of(row) for row in rows} for rows in found.rows]
    assert names == [{"all_reduce"}, {"send", "recv"}]
    crossed = [found.traffic.links[use.link].name for use in found.traffic.flows[1]]
    assert crossed == ["InfiniBand NDR, rank 0, out", "InfiniBand NDR, rank 1, in"]


def with_a_send(rank: int) -> ExecutionGraph:
    builder = GraphBuilder(GraphMeta(rank=rank, world_size=3))
    lane = builder.lane(LaneKind.DEVICE, rank, 7)
    builder.add("window", lane, category=Category.ORIGIN, rank=rank)
    message = Collective("all_reduce", "g", (0, 1, 2), "float", 1000)
    builder.add("all_reduce", lane, category=Category.COLLECTIVE, duration_ns=A_MS, rank=rank,
                collective=message, after=[(0, EdgeKind.EXTERNAL, 0)])  # fmt: skip
    if rank == 2:
        return builder.build()
    kind, category = ("send", Category.SEND) if rank == 0 else ("recv", Category.RECV)
    builder.add(kind, lane, category=category, duration_ns=A_MS, rank=rank, start_ns=A_MS,
                collective=Collective(kind, "pp", (0, 1), "float", 1000, peer=1 - rank),
                after=[(1, EdgeKind.STREAM_ORDER, 0)])  # fmt: skip
    return builder.build()


def test_rows_without_time_are_no_transfers() -> None:
    graph = one_row(Category.RECV, collective=Collective("recv", "pp", (0, 1), "half", 10, 1))
    found = demand_of(graph, np.zeros(len(graph), dtype=np.int64), H100, ONE_A_NODE)
    assert found.rows == ()
