"""Collectives: laws, fits and which link carries a group."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from etsim.models.costs.collectives import (
    CollectiveLaw,
    canonical_kind,
    fit_law,
    sent_share,
    transfer_ns,
)
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
    law = CollectiveLaw(5000, 900, 10, 200, 0.2)
    sent = np.tile(2.0 ** np.arange(10, 30, 2), 3)
    ranks = np.repeat([2.0, 4.0, 8.0], 10)
    found = fit_law(sent, ranks, law.time_ns(sent, ranks))
    assert np.allclose(found.time_ns(sent, ranks), law.time_ns(sent, ranks), rtol=1e-3)


def test_a_calibrated_law_comes_first(make_gpu: Maker) -> None:
    law = {"start_ns": 1.0, "step_ns": 0.0, "root": 0.0, "bytes_per_ns": 1.0, "growth": 0.0}
    gpu = replace(make_gpu("one"), calibration={"collectives": {"all_gather": law}})
    assert transfer_ns(gpu, "all_gather", 1000, 2) == pytest.approx(501)
