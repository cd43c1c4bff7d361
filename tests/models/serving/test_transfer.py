"""Carrying a measured step to other hardware: parts, calibration, ratios."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etsim.models.serving.card_files import load_card
from etsim.models.serving.group import Group, Precision
from etsim.models.serving.step_time import StepWork, decode_work, prefill_work
from etsim.models.serving.transfer import (
    PART_NAMES,
    PRIORS,
    MeasuredStep,
    Transfer,
    calibrate,
    nonnegative_least_squares,
    part_times,
)

CARD = load_card("llama3-8b")
FP16 = Precision("fp16")
SLOW = Group("slow", 2, 2e14, 2e12, 8e10, 1e11, 1e-6, host_speed=0.5)
FAST = Group("fast", 2, 8e14, 4e12, 8e10, 2e11, 1e-6, host_speed=1.0)
WORKS = [prefill_work(s) for s in (64, 512, 4096)] + [
    decode_work(b, context) for b in (1, 16, 128) for context in (200, 4000)
]


def measured(multipliers: list[float], group: Group = SLOW) -> list[MeasuredStep]:
    """Steps of a software that is exactly these multipliers from the ideal."""
    return [
        MeasuredStep(CARD, FP16, w, group, float(part_times(CARD, group, FP16, w) @ multipliers))
        for w in WORKS
    ]


def test_calibration_finds_the_software_it_was_measured_on() -> None:
    truth = [1.5, 1.1, 1.3, 2.5, 5.0, 80.0]
    found = calibrate(measured(truth))
    there = [part_times(CARD, FAST, FP16, work) for work in WORKS]
    np.testing.assert_allclose(
        [found.seconds(p) for p in there], [p @ truth for p in there], rtol=0.05
    )
    assert found.spread < 0.02


def test_one_measured_step_is_enough_to_begin() -> None:
    """One point cannot part six unknowns: all are pulled along from their priors."""
    double = [2 * value for value, _reason in PRIORS.values()]
    (step,) = measured(double)[:1]
    found = calibrate([step])
    assert found.seconds(step.parts()) == pytest.approx(step.seconds, rel=0.02)


def test_a_host_bound_step_scales_with_the_host_alone() -> None:
    only_host = calibrate(measured([0, 0, 0, 0, 0, 1e5]))
    move = Transfer(CARD, FP16, only_host, SLOW, FAST)
    assert move.ratio(decode_work(1, 100)) == pytest.approx(0.5, rel=0.01)


def test_a_memory_bound_step_scales_with_bandwidth() -> None:
    move = Transfer(CARD, FP16, calibrate(measured([0, 1, 0, 0, 0, 0])), SLOW, FAST)
    assert move.ratio(decode_work(1, 100)) == pytest.approx(0.5, rel=0.05)


def test_the_target_may_run_a_larger_batch() -> None:
    move = Transfer(CARD, FP16, calibrate(measured([1, 1, 1, 1, 1, 1])), SLOW, FAST)
    small, large = decode_work(8, 4000), decode_work(64, 4000)
    assert move.ratio(small, large) > move.ratio(small)


def test_shares_name_every_part_and_add_to_one() -> None:
    found = calibrate(measured([1.5, 1.1, 1.3, 2.5, 5.0, 80.0]))
    shares = found.shares(part_times(CARD, SLOW, FP16, StepWork(decode_batch=4, kv_tokens=100)))
    assert tuple(shares) == PART_NAMES
    assert sum(shares.values()) == pytest.approx(1)


@given(st.integers(0, 2**32 - 1))
def test_least_squares_is_never_negative_and_beats_its_neighbours(seed: int) -> None:
    random = np.random.default_rng(seed)
    matrix, wanted = random.normal(size=(9, 4)), random.normal(size=9)
    best = nonnegative_least_squares(matrix, wanted)
    assert np.all(best >= 0)
    error = np.sum((matrix @ best - wanted) ** 2)
    for _ in range(20):
        near = np.maximum(best + random.normal(scale=0.05, size=4), 0)
        assert np.sum((matrix @ near - wanted) ** 2) >= error - 1e-9
