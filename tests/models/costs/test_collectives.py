"""Collectives: laws, fits and which link carries a group."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from etsim.models.costs.collective_law import CollectiveLaw, LeftOver, fit_law
from etsim.models.costs.collectives import canonical_kind, sent_share, transfer_ns
from etsim.models.errors import SpecError
from etsim.models.hardware import Hardware, Link, LinkTier
from etsim.models.specs import load

Maker = Callable[..., Hardware]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("ncclDevKernel_AllReduce_Sum_f32_RING_LL(x)", "all_reduce"),
        ("all_gather", "all_gather"), ("reduce_scatter", "reduce_scatter"),
        ("alltoall", "all_to_all"), ("nccl:send", "send_recv"),
    ],
)  # fmt: skip
def test_kinds_are_known_by_any_of_their_names(name: str, kind: str) -> None:
    assert canonical_kind(name) == kind


def test_an_all_reduce_among_four_sends_three_halves_of_its_message() -> None:
    assert sent_share("all_reduce", 4) == 1.5
    assert sent_share("all_gather", 4) == 0.75


def test_a_large_all_reduce_approaches_the_links_bandwidth(make_gpu: Maker) -> None:
    taken = transfer_ns(make_gpu("one"), "all_reduce", 1 << 30, 8)
    assert taken is not None
    bus_gbps = 1.75 * (1 << 30) / taken
    assert 150 < bus_gbps < 300


def test_a_group_larger_than_any_link_has_no_price(make_gpu: Maker) -> None:
    assert transfer_ns(make_gpu("one"), "all_reduce", 1024, 64) is None


def over_network(gpu: Hardware, kind: str, size: int, ranks: int) -> float:
    """Give the time with an adapter of 25 GB/s a device between machines of eight."""
    far = replace(gpu, links=(*gpu.links, Link("IB", LinkTier.NETWORK, 25, 5000, 1024)))
    taken = transfer_ns(far, kind, size, ranks)
    assert taken is not None
    return taken


def test_two_machines_are_slower_than_one(make_gpu: Maker) -> None:
    near_ns, far_ns = (over_network(make_gpu("one"), "all_reduce", 1 << 26, n) for n in (8, 16))
    assert far_ns > 1.3 * near_ns


def test_rings_between_machines_use_all_adapters_at_once(make_gpu: Maker) -> None:
    """16 ranks: 8 rings over 8 adapters of 0.8 x 25 GB/s. 9 ranks: the ninth has one adapter."""
    size = 1 << 30
    full = over_network(make_gpu("one"), "all_reduce", size, 16)
    assert 2 * 15 / 16 * size / full == pytest.approx(8 * 0.8 * 25, rel=0.15)
    lone = over_network(make_gpu("one"), "all_reduce", size, 9)
    assert 2 * 8 / 9 * size / lone == pytest.approx(0.8 * 25, rel=0.15)


def test_a_pair_between_machines_has_one_adapter(make_gpu: Maker) -> None:
    size = 1 << 30
    taken = over_network(make_gpu("one"), "all_to_all", size, 16)
    assert 15 / 16 * size / taken == pytest.approx(0.8 * 25, rel=0.15)


def test_processes_of_a_cpu_meet_by_wake_ups_of_threads() -> None:
    cpu = load("cpu-cloud-2core")
    small, large = (transfer_ns(cpu, "all_reduce", size, 2) for size in (1024, 1 << 26))
    assert small is not None
    assert large is not None
    assert small == pytest.approx(200_000, rel=0.01)
    assert (1 << 26) / (large - small) == pytest.approx(1.5, rel=0.01)


def test_a_law_is_found_again_in_its_own_times() -> None:
    law = CollectiveLaw(5000, 900, 10, 200, local=0.5)
    sent = np.tile(2.0 ** np.arange(10, 30, 2), 3)
    ranks = np.repeat([2.0, 4.0, 8.0], 10)
    found = fit_law(sent, ranks, law.time_ns(sent, ranks))
    assert np.allclose(found.time_ns(sent, ranks), law.time_ns(sent, ranks), rtol=1e-3)


def test_a_calibrated_law_comes_first(make_gpu: Maker) -> None:
    law = {"start_ns": 1.0, "step_ns": 0.0, "root": 0.0, "bytes_per_ns": 1.0, "growth": 0.0}
    gpu = replace(make_gpu("one"), calibration={"collectives": {"all_gather": law}})
    assert transfer_ns(gpu, "all_gather", 1000, 2) == pytest.approx(501)


def test_the_bus_bandwidth_of_a_switched_ring_levels_off() -> None:
    law = CollectiveLaw(0, 0, 0, 200, local=0.5)
    two, four, eight = (
        1e9 / law.time_ns(np.array([1e9]), np.array([n]))[0] for n in (2.0, 4.0, 8.0)
    )
    assert two < four < eight < 200
    assert eight - four < (four - two) / 2


def test_what_a_law_leaves_holds_for_its_group_and_by_half_for_others() -> None:
    law = CollectiveLaw(0, 0, 0, 1.0, left=LeftOver(4.0, (1.0, 1e9), (0.2, 0.2)))
    plain = CollectiveLaw(0, 0, 0, 1.0)
    sent, four, eight = np.array([3e6]), np.array([4.0]), np.array([8.0])
    assert law.time_ns(sent, four) == pytest.approx(plain.time_ns(sent, four) * np.exp(0.2))
    assert law.time_ns(sent, eight) == pytest.approx(plain.time_ns(sent, eight) * np.exp(0.1))


def test_one_wild_message_bends_no_law() -> None:
    law = CollectiveLaw(5000, 900, 10, 200, local=0.5)
    sent = np.tile(2.0 ** np.arange(10, 30, 2), 2)
    ranks = np.repeat([2.0, 4.0], 10)
    times = law.time_ns(sent, ranks)
    times[3] *= 3
    found = fit_law(sent, ranks, times)
    eight = np.full(10, 8.0)
    assert np.allclose(found.plain_ns(sent[:10], eight), law.time_ns(sent[:10], eight), rtol=0.05)


def test_a_leftover_of_another_form_is_refused(make_gpu: Maker) -> None:
    law = {"start_ns": 1.0, "step_ns": 0.0, "root": 0.0, "bytes_per_ns": 1.0, "left": {"ranks": 4}}
    gpu = replace(make_gpu("one"), calibration={"collectives": {"all_gather": law}})
    with pytest.raises(SpecError, match="left"):
        transfer_ns(gpu, "all_gather", 1000, 2)
