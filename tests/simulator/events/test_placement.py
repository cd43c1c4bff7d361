"""Placement: which ports a transfer crosses, by where its ranks stand."""

import pytest

from etsim.models.errors import UsageError
from etsim.models.graph import Collective
from etsim.models.hardware import LinkTier
from etsim.models.specs import load
from etsim.simulator.events.placement import (
    Placement,
    Port,
    Way,
    placement_for,
    ports_of_copy,
    ports_of_message,
)

H100, L40S, CPU = load("h100"), load("l40s"), load("cpu-cloud-2core")
NODE, HOST, NETWORK = LinkTier.NODE, LinkTier.HOST, LinkTier.NETWORK
OUT, IN = Way.OUT, Way.IN
TWO_NODES = Placement(4, {})


def both(node: int, tier: LinkTier, *numbers: int) -> set[Port]:
    return {Port(node, tier, number, way) for number in numbers for way in (OUT, IN)}


def reduce_over(*ranks: int) -> Collective:
    return Collective("all_reduce", "g", ranks, "float", 1000)


def test_ranks_fill_the_nodes_that_the_nearest_link_makes() -> None:
    assert placement_for(H100).ranks_per_node == 8
    assert placement_for(H100).told() == (
        "ranks-per-node=8,devices-per-port=1,devices-per-switch=1,devices-per-nic=1"
    )


def test_a_placement_is_read_as_it_is_told() -> None:
    text = "ranks-per-node=4,devices-per-port=1,devices-per-switch=2,devices-per-nic=4"
    assert placement_for(H100, text) == Placement(4, {NODE: 1, HOST: 2, NETWORK: 4})
    assert placement_for(H100, text).told() == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nics=2", "no key 'nics'"),
        ("devices-per-nic=0", "must be a whole number, 1 or more, not '0'"),
        ("devices-per-nic", "must be a whole number, 1 or more, not ''"),
        ("ranks-per-node=two", "not 'two'"),
    ],
)
def test_a_placement_that_cannot_be_read_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        placement_for(H100, text)


def test_a_collective_inside_a_node_crosses_the_ports_of_its_ranks_both_ways() -> None:
    found = ports_of_message(reduce_over(1, 2), 1, H100, TWO_NODES)
    assert set(found) == both(0, NODE, 1, 2)


def test_disjoint_pairs_on_a_switch_share_no_port() -> None:
    left = ports_of_message(reduce_over(0, 1), 0, H100, TWO_NODES)
    right = ports_of_message(reduce_over(2, 3), 2, H100, TWO_NODES)
    assert not set(left) & set(right)


def test_without_a_device_link_ranks_meet_over_pcie() -> None:
    found = ports_of_message(reduce_over(0, 3), 0, L40S, TWO_NODES)
    assert set(found) == both(0, HOST, 0, 3)


def test_a_collective_between_nodes_crosses_nics_and_goes_round_inside() -> None:
    found = ports_of_message(reduce_over(0, 1, 4), 0, H100, TWO_NODES)
    assert set(found) == both(0, NETWORK, 0, 1) | both(1, NETWORK, 0) | both(0, NODE, 0, 1)


def test_groups_of_one_node_meet_on_its_shared_nic() -> None:
    shared = Placement(4, {NETWORK: 4})
    first = ports_of_message(reduce_over(0, 4), 0, H100, shared)
    second = ports_of_message(reduce_over(3, 7), 3, H100, shared)
    assert set(first) == set(second) == both(0, NETWORK, 0) | both(1, NETWORK, 0)


def test_a_send_goes_out_of_its_rank_and_into_its_peer() -> None:
    send = Collective("send", "pp", (0, 4), "half", 10, peer=4)
    assert ports_of_message(send, 0, H100, TWO_NODES) == (
        Port(0, NETWORK, 0, OUT), Port(1, NETWORK, 0, IN),
    )  # fmt: skip


def test_a_receive_is_the_same_transfer_seen_from_the_other_end() -> None:
    received = Collective("recv", "pp", (0, 4), "half", 10, peer=0)
    assert set(ports_of_message(received, 4, H100, TWO_NODES)) == {
        Port(0, NETWORK, 0, OUT), Port(1, NETWORK, 0, IN),
    }  # fmt: skip


def test_a_send_to_nobody_known_crosses_its_own_port_only() -> None:
    send = Collective("send", "pp", (0, 1), "half", 10)
    assert ports_of_message(send, 0, H100, TWO_NODES) == (Port(0, NODE, 0, OUT),)


def test_copies_cross_the_host_link_one_way_each() -> None:
    behind_one_switch = Placement(8, {HOST: 4})
    assert ports_of_copy(5, IN, H100, behind_one_switch) == (Port(0, HOST, 1, IN),)
    assert ports_of_copy(9, OUT, H100, TWO_NODES) == (Port(2, HOST, 1, OUT),)
    assert ports_of_copy(0, IN, CPU, TWO_NODES) == ()
