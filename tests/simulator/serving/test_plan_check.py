"""Trials of fleets: long enough for the steady state, large fleets by a slice."""

import numpy as np
import pytest

from etsim.benchmarks.bench_serving import setup_of
from etsim.models.serving.candidates import Fleet, curves_of, evaluate
from etsim.models.serving.curves import Ask
from etsim.models.serving.fleet import Slo
from etsim.models.serving.setup import Setup
from etsim.simulator.serving.plan_check import (
    LEAST_REQUESTS,
    MOST_REQUESTS,
    trial_requests,
    try_fleet,
)


def ask_of(rate: float) -> Ask:
    """Give requests of 11 s at most: 1 s to the first token, 500 of 20 ms."""
    return Ask(rate, np.array([2000.0]), 500.0, Slo(1.0, 0.02))


@pytest.mark.parametrize(
    ("rate", "count"),
    [
        (0.1, LEAST_REQUESTS),
        (10, 6 * 10 * 11),  # six lives
        (60, 3_000),  # between three and six
        (200, 3 * 200 * 11),  # three lives
        (1_000, MOST_REQUESTS),  # a whole fleet would need 33,000
    ],
)
def test_a_trial_lasts_as_many_lives_of_a_request_as_can_be_had(rate: float, count: int) -> None:
    assert len(trial_requests(ask_of(rate), 0)) == count


def test_a_slice_of_the_load_comes_at_its_share_of_the_rate() -> None:
    made = trial_requests(ask_of(1_000), 0, 0.1)
    seconds = (made.arrival_ns[-1] - made.arrival_ns[0]) / 1e9
    assert len(made) / seconds == pytest.approx(100, rel=0.05)


@pytest.fixture(scope="module")
def setup() -> Setup:
    return setup_of("llama3-8b", "h100-sxm")


def first_fleet(setup: Setup, ask: Ask) -> Fleet:
    return evaluate(setup, ask, curves_of(setup, ask)).fleet(0)


def test_a_small_fleet_is_tried_whole(setup: Setup) -> None:
    ask = ask_of(20)
    trial = try_fleet(setup, ask, first_fleet(setup, ask), trial_requests(ask, 0), 0)
    assert trial.slice == 1.0


def test_a_hundredfold_fleet_under_a_hundredfold_load_answers_alike(setup: Setup) -> None:
    """What it costs for each token, too: a slice has its share of the price."""
    few, many = ask_of(300), ask_of(30_000)
    trials = [
        try_fleet(setup, ask, first_fleet(setup, ask), trial_requests(ask, 0), 0)
        for ask in (few, many)
    ]
    assert trials[0].slice == 1.0
    assert trials[1].slice < 0.02
    assert trials[1].tpot_s == pytest.approx(trials[0].tpot_s, rel=0.1)
    prices = [trial.summary.usd_per_million_tokens for trial in trials]
    assert prices[0] is not None
    assert prices[1] == pytest.approx(prices[0], rel=0.2)
