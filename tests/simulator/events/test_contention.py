"""Contention: a run with shared links beside the same without, on a graph worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest

from etsim.models.costs.collectives import transfer_ns
from etsim.models.costs.price import price
from etsim.models.graph import (
    Category,
    Collective,
    EdgeKind,
    ExecutionGraph,
    GraphMeta,
    LaneKind,
    Provenance,
)
from etsim.models.graph_builder import GraphBuilder
from etsim.models.hardware import Hardware, LinkTier
from etsim.models.specs import load
from etsim.models.transforms.scenario import Scenario
from etsim.simulator.events.contention import Contention, contention
from etsim.simulator.events.placement import USABLE
from etsim.simulator.predict import price_all
from etsim.tests.models.transforms.training_graph import BATCH, WIDTH, applied_to, training_run

H100 = load("h100")
US = 1000
FULL_NIC = 40_000  # bytes in a microsecond: 50 GB/s, 80 % of them usable


def data_and_pipeline_parallel(times: int = 1) -> ExecutionGraph:
    """Draw rank 0 of two nodes, an all-reduce beside a pipeline's send, both over its NIC.

    compute  [backward 100 us]──.──[backward 100 us]──.
    reduce                      `─>[all_reduce 60 us]─┼─>[optimizer 10 us]
    send                        `─>[send 40 us]───────'

    Alone both hide behind the second backward: 100 + 100 + 10. Together each goes at half speed:
    the send ends after 80 us, the all-reduce has 20 left then and ends after 100: still hidden.
    `times` as much to send takes as many times as long.
    """
    b = GraphBuilder(GraphMeta(world_size=2, source_device="NVIDIA H100 80GB HBM3"))
    compute, reduce, send = (b.lane(LaneKind.DEVICE, 0, number) for number in (7, 20, 30))

    def add(name: str, lane: int, us: int, *after: int, message: Collective | None = None) -> int:
        edges = [(row, EdgeKind.STREAM_WAIT, 0) for row in after]
        if message is None:
            return b.add(name, lane, duration_ns=us * US, after=edges, category=Category.KERNEL)
        category = Category.SEND if message.kind == "send" else Category.COLLECTIVE
        return b.add(name, lane, duration_ns=us * US, after=edges, category=category,
                     collective=message)  # fmt: skip

    first = add("backward", compute, 100)
    second = add("backward", compute, 100, first)
    gradients = Collective("all_reduce", "dp", (0, 1), "float", 60 * times * FULL_NIC)
    activations = Collective("send", "pp", (0, 1), "half", 40 * times * FULL_NIC, peer=1)
    reduced = add("all_reduce", reduce, 60 * times, first, message=gradients)
    sent = add("send", send, 40 * times, first, message=activations)
    add("optimizer", compute, 10, second, reduced, sent)
    return b.build()


def on_h100(graph: ExecutionGraph, placement: str) -> Contention:
    return contention(graph, price(graph, H100, H100), H100, placement)


def test_an_all_reduce_and_a_send_share_the_nic() -> None:
    found = on_h100(data_and_pipeline_parallel(), "ranks-per-node=1")
    assert (found.without_ns, found.shared_ns) == (210 * US, 210 * US)
    assert (found.flows, found.slowed_flows) == (2, 2)
    assert [(it.name, it.alone_ns, it.shared_ns) for it in found.slowed] == [
        ("all_reduce", 60 * US, 100 * US), ("send", 40 * US, 80 * US),
    ]  # fmt: skip
    assert {it.link for it in found.slowed} == {"InfiniBand NDR, rank 0, out"}
    assert found.priced_nearer == 0  # measured, so not priced at all


def test_twice_the_traffic_makes_the_run_longer() -> None:
    """120 and 80 us: at half speed until the send ends after 160, 40 left; both end by 200."""
    found = on_h100(data_and_pipeline_parallel(times=2), "ranks-per-node=1")
    assert found.without_ns == (100 + 120 + 10) * US
    assert found.shared_ns == (100 + 200 + 10) * US


def test_transfers_that_take_half_the_link_each_just_fit() -> None:
    graph = data_and_pipeline_parallel()
    priced = price(graph, H100, H100)
    priced.duration_ns[2:4] *= 2  # the same bytes in twice the time
    found = contention(graph, priced, H100, "ranks-per-node=1")
    assert found.shared_ns == found.without_ns == 230 * US
    assert found.slowed_flows == 0


def test_each_link_tells_what_it_carried() -> None:
    found = on_h100(data_and_pipeline_parallel(), "ranks-per-node=1")
    by_name = {link.name: link for link in found.links}
    out = by_name["InfiniBand NDR, rank 0, out"]
    assert found.links[0] == out or found.links[0].crowded_ns == out.crowded_ns
    assert out.carried_bytes == 100 * FULL_NIC
    assert (out.flows, out.busy_ns, out.crowded_ns) == (2, 100 * US, 80 * US)
    assert out.utilisation == pytest.approx(100 / 210)
    into = by_name["InfiniBand NDR, rank 0, in"]  # the send goes out only
    assert (into.flows, into.carried_bytes, into.crowded_ns) == (1, 60 * FULL_NIC, 0)


def test_on_a_switch_inside_a_node_the_same_two_hardly_meet() -> None:
    """60 us x 40 GB/s are a tenth of NVLink's rate: nothing is slowed."""
    found = on_h100(data_and_pipeline_parallel(), "")
    assert found.slowed == ()
    assert found.shared_ns == found.without_ns
    assert {link.tier for link in found.links} == {"node"}


def test_a_run_without_transfers_shares_nothing() -> None:
    b = GraphBuilder()
    b.add("k", b.lane(LaneKind.DEVICE, 0, 7), duration_ns=5)
    found = on_h100(b.build(), "")
    assert (found.flows, found.links, found.slowed) == (0, (), ())
    assert found.shared_ns == found.without_ns == 5


def test_measured_transfers_between_nodes_are_told_to_be_scaled_as_inside_one() -> None:
    graph = data_and_pipeline_parallel()
    found = contention(graph, price(graph, load("a100"), H100), H100, "ranks-per-node=1")
    assert (found.priced_nearer, found.repriced) == (2, 0)


def test_transfers_that_were_never_measured_take_the_price_of_where_they_stand() -> None:
    """Priced for two ranks they go over NVLink; on two nodes over the network, which is slower."""
    graph = data_and_pipeline_parallel()
    nodes = graph.nodes
    sends = np.isin(nodes.category, (Category.COLLECTIVE, Category.SEND))
    nodes.duration_ns[sends] = 0
    nodes.provenance[sends] = Provenance.ROOFLINE
    priced = price(graph, H100, H100)
    apart = contention(graph, priced, H100, "ranks-per-node=1")
    assert (apart.repriced, apart.priced_nearer) == (2, 0)
    assert apart.predicted_ns == 210 * US  # hidden behind the second backward
    together = contention(graph, priced, H100)
    assert together.repriced == 0
    assert together.without_ns == together.predicted_ns == 210 * US
    by_name = {it.name: it for it in apart.slowed}
    reduced = transfer_ns(on_the_network(H100), "all_reduce", 60 * FULL_NIC, 2)
    assert reduced is not None
    assert by_name["all_reduce"].alone_ns == round(reduced)
    assert by_name["all_reduce"].alone_ns > 60 * US


def on_the_network(hardware: Hardware) -> Hardware:
    (network,) = [link for link in hardware.links if link.tier is LinkTier.NETWORK]
    return replace(hardware, links=(network,))


def test_the_prices_are_left_as_they_are() -> None:
    graph = data_and_pipeline_parallel()
    priced = price(graph, H100, H100)
    before = priced.duration_ns.copy()
    contention(graph, priced, H100, "ranks-per-node=1")
    assert np.array_equal(priced.duration_ns, before)


def test_a_pipeline_on_one_nic_takes_at_least_its_bytes_over_the_nics_rate() -> None:
    """Four stages, eight micro-batches: 48 sends of 32 KiB, all out of and into one NIC."""
    on_a100 = Scenario(training_run(layers=4, device=True), load("a100"), load("a100"))
    cut = applied_to(on_a100, "pipeline:stages=4,micro=8,link=50MB/s")
    priced = price_all(cut.graph, cut.source, cut.target)
    found = {
        nics: contention(cut.graph, priced, cut.target, f"ranks-per-node=4,devices-per-nic={nics}")
        for nics in (1, 2, 4)
    }
    assert all(it.flows == 48 for it in found.values())
    at_least = 48 * 4 * BATCH * WIDTH / (50e6 * USABLE[LinkTier.NETWORK]) * 1e9
    assert at_least <= found[4].shared_ns < 1.1 * at_least
    assert found[4].links[0].utilisation > 0.9
    assert found[4].shared_ns > found[2].shared_ns > found[1].shared_ns >= found[1].without_ns
