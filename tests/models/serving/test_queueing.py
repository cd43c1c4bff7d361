"""Queues: limits and orders that every formula must keep (the vectors hold the values)."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etsim.models.serving import queueing
from etsim.models.serving.interference import Load, chunked_step, colocated, colocated_seen
from etsim.models.serving.kv_transfer import KvTransfer, TransferMode, link_utilisation, link_wait
from etsim.models.serving.step_time import LinearDecode

loads = st.floats(0.05, 0.9)


@given(st.integers(1, 40), st.floats(0.01, 0.95))
def test_erlang_c_is_a_probability_and_falls_with_servers(servers: int, share: float) -> None:
    offered = share * servers
    waits = queueing.erlang_c(servers, offered)
    assert 0 <= waits <= 1
    assert queueing.erlang_c(servers + 1, offered) <= waits


@given(loads)
def test_one_of_many_servers_is_the_single_queue(rho: float) -> None:
    assert queueing.many_servers_wait(1, rho, 1.0) == pytest.approx(queueing.md1_wait(rho, 1.0))


def test_a_full_queue_waits_for_ever() -> None:
    assert queueing.many_servers_wait(2, 2.0, 1.0) == math.inf
    assert queueing.erlang_c(2, 2.5) == 1
    assert queueing.md1_wait_cdf(1.0, 1.2, 1.0) == 0


@given(loads, st.floats(0, 4))
def test_variation_makes_waiting_longer(rho: float, cv2: float) -> None:
    plain = queueing.mg1_wait_cv(rho, 1.0, 0.0)
    assert plain == pytest.approx(queueing.md1_wait(rho, 1.0))
    assert queueing.mg1_wait_cv(rho, 1.0, cv2) >= plain
    moment = queueing.mg1_wait(rho, 1.0, 1.0 + cv2)
    assert moment == pytest.approx(queueing.mg1_wait_cv(rho, 1.0, cv2))


@given(loads)
def test_the_exact_distribution_has_the_mean_of_the_formula(rho: float) -> None:
    """E[W] = ∫ P(W > t) dt, up to where the exact sum keeps its digits."""
    step = 0.05
    times = np.arange(0, 14, step) + step / 2
    over = [1 - queueing.md1_wait_cdf(float(t), rho, 1.0) for t in times]
    if rho < 0.7:  # beyond, the tail past 14 service times still counts
        assert sum(over) * step == pytest.approx(queueing.md1_wait(rho, 1.0), rel=0.01)
    assert all(a >= b - 1e-9 for a, b in pairwise(over))


def test_the_tail_and_its_quantile_undo_each_other() -> None:
    wait = queueing.tail_quantile(0.99, 0.8, 2.0)
    assert queueing.tail_probability(wait, 0.8, 2.0) == pytest.approx(0.01)
    assert queueing.tail_quantile(0.5, 0.2, 1.0) == 0  # most do not wait at all


@given(loads, st.floats(0.01, 0.5), st.integers(10, 500))
def test_what_a_request_sees_is_never_less_than_the_mean_field(
    share: float, prefill_s: float, tokens: int
) -> None:
    line = LinearDecode(50e-6, 20e-3)
    load = Load(share / (prefill_s + tokens * line.alpha), prefill_s, tokens)
    field, seen = colocated(load, line), colocated_seen(load, line.tbt)
    assert field.stable
    if seen.stable:
        assert seen.tbt_s >= field.tbt_s * (1 - 1e-9)


def test_an_overloaded_replica_is_not_stable() -> None:
    line = LinearDecode(50e-6, 20e-3)
    assert not colocated(Load(20, 0.1, 200), line).stable
    assert not colocated_seen(Load(20, 0.1, 200), line.tbt).stable
    assert chunked_step(50, 1000, 512, mixed_s=0.06, decode_s=0.025) == math.inf


@given(st.floats(1e3, 1e12), st.integers(1, 200), st.floats(1e-4, 10))
def test_a_layered_transfer_is_never_slower_than_a_serial_one(
    size: float, layers: int, prefill_s: float
) -> None:
    move = KvTransfer(size, 1e10, layers, prefill_s)
    layered = move.delay_s(TransferMode.LAYERED)
    assert layered <= move.delay_s(TransferMode.SERIAL) + prefill_s / layers + 1e-9
    assert layered >= move.serial_s / layers * (1 - 1e-9)


def test_a_link_that_cannot_keep_up_waits_for_ever() -> None:
    assert link_utilisation(2, 1e9, 4e9) == 0.5
    assert link_wait(2, 1e9, 4e9) == pytest.approx(0.125)
    assert link_wait(5, 1e9, 4e9) == math.inf
