"""Collectives: laws, fits and which link carries a group."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from etsim.models.costs.collective_law import CollectiveLaw, LeftOver, fit_law
from etsim.models.costs.collectives import canonical_kind, sent_share, transfer_ns
from etsim.models.errors import SpecError
from etsim.models.hardware import Hardware, Link, LinkTier

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


def test_two_machines_are_slower_than_one(make_gpu: Maker) -> None:
    gpu = make_gpu("one")
    far = replace(gpu, links=(*gpu.links, Link("IB", LinkTier.NETWORK, 25, 5000, 1024)))
    near_ns, far_ns = (transfer_ns(far, "all_reduce", 1 << 26, n) for n in (8, 16))
    assert near_ns is not None
    assert far_ns is not None
    assert far_ns > 2 * near_ns


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
