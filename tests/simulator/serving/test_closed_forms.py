"""Closed forms against the simulation: the two ways to an answer must agree."""

import numpy as np
import pytest

from etsim.models.serving.fleet import Slo, goodput_colocated, goodput_disaggregated
from etsim.models.serving.interference import (
    Load,
    colocated,
    colocated_capacity,
    colocated_seen,
    decode_only,
    disaggregated_e2e,
)
from etsim.models.serving.outcome import Summary, summarise
from etsim.models.serving.step_cost import FittedCost
from etsim.models.serving.step_time import LinearDecode
from etsim.simulator.serving.arrivals import Synthetic, generate
from etsim.simulator.serving.cluster import simulate
from etsim.simulator.serving.settings import Cluster, EngineSettings, Policy, Pool, Role

V5 = LinearDecode(50e-6, 20e-3)
REQUESTS, SEEDS = 2000, 2


def engine(decode: LinearDecode, prefill_s: float) -> EngineSettings:
    """One prompt at a time, prompts first, no limit on the batch: what the forms assume."""
    cost = FittedCost(decode.gamma * 1e9, decode.alpha * 1e9, 0.0, prefill_s * 1e9, 0.0, 0.0)
    return EngineSettings(
        cost, 10**9, policy=Policy.PREFILL_FIRST, max_prompts=1, max_sequences=10**6
    )


def simulated(
    pools: tuple[Pool, ...], rate: float, tokens: int, requests: int = REQUESTS
) -> tuple[float, float, float]:
    """Mean TPOT, TTFT and e2e over some seeds, each log brought to the exact rate."""
    found: list[Summary] = []
    for seed in range(SEEDS):
        load = generate(Synthetic(rate, requests, 100, tokens + 1, seed=seed))
        run = simulate(Cluster(pools), load.scaled(rate / load.rate))
        found.append(summarise(run, warmup=0.1))
    means = [(s.tpot.mean, s.ttft.mean, s.e2e.mean) for s in found]
    tpot, ttft, e2e = np.mean(means, axis=0).tolist()
    return tpot, ttft, e2e


def together(decode: LinearDecode, prefill_s: float) -> tuple[Pool, ...]:
    return (Pool("both", Role.BOTH, engine(decode, prefill_s), 1, 1),)


def apart(decode: LinearDecode, prefill_s: float) -> tuple[Pool, ...]:
    one = engine(decode, prefill_s)
    return (Pool("p", Role.PREFILL, one, 1, 1), Pool("d", Role.DECODE, one, 1, 1))


@pytest.mark.parametrize(
    ("utilisation", "within"), [(0.2, 0.03), (0.4, 0.03), (0.6, 0.03), (0.75, 0.1), (0.85, 0.1)]
)
def test_the_colocated_form_holds(utilisation: float, within: float) -> None:
    load = Load(utilisation * colocated_capacity(Load(1, 0.1, 200), V5), 0.1, 200)
    tpot, ttft, e2e = simulated(together(V5, 0.1), load.rate, 200)
    form = colocated(load, V5)
    assert form.tbt_s == pytest.approx(tpot, rel=within)
    assert form.e2e_s(200) == pytest.approx(e2e, rel=within)
    assert form.ttft_s == pytest.approx(ttft, rel=0.05)


@pytest.mark.parametrize(
    ("decode", "prefill_s", "tokens"),
    [
        (V5, 0.1, 200),
        (LinearDecode(100e-6, 10e-3), 0.05, 400),
        (LinearDecode(200e-6, 30e-3), 0.3, 100),  # where the mean-field form is 11 % off at 0.6
    ],
)
@pytest.mark.parametrize(("utilisation", "within"), [(0.4, 0.02), (0.6, 0.03), (0.75, 0.06)])
def test_the_form_as_requests_see_it_holds_closer(
    decode: LinearDecode, prefill_s: float, tokens: int, utilisation: float, within: float
) -> None:
    rate = utilisation * colocated_capacity(Load(1, prefill_s, tokens), decode)
    tpot, ttft, e2e = simulated(together(decode, prefill_s), rate, tokens)
    seen = colocated_seen(Load(rate, prefill_s, tokens), decode.tbt)
    assert seen.tbt_s == pytest.approx(tpot, rel=within)
    assert seen.e2e_s(tokens) == pytest.approx(e2e, rel=within)
    assert seen.ttft_s == pytest.approx(ttft, rel=0.05)


@pytest.mark.parametrize(
    ("decode", "prefill_s", "tokens", "utilisation", "within"),
    [  # drawn at random; those that looked furthest off while b + 1 stood for what joins together
        (LinearDecode(250e-6, 4.3e-3), 0.071, 20, 0.6, 0.03),  # was 10 % off
        (LinearDecode(229e-6, 5.1e-3), 0.040, 10, 0.6, 0.03),  # 8 %
        (LinearDecode(107e-6, 3.4e-3), 0.556, 800, 0.6, 0.03),  # 7 %
        (LinearDecode(464e-6, 19.4e-3), 0.175, 10, 0.75, 0.1),
        (LinearDecode(27e-6, 25.7e-3), 0.084, 2, 0.2, 0.03),  # TTFT was 12 % off: no step runs
    ],
)
def test_the_form_as_requests_see_it_holds_at_other_settings(
    decode: LinearDecode, prefill_s: float, tokens: int, utilisation: float, within: float
) -> None:
    rate = utilisation * colocated_capacity(Load(1, prefill_s, tokens), decode)
    tpot, ttft, e2e = simulated(together(decode, prefill_s), rate, tokens, 6000)
    seen = colocated_seen(Load(rate, prefill_s, tokens), decode.tbt)
    assert seen.tbt_s == pytest.approx(tpot, rel=within)
    assert seen.e2e_s(tokens) == pytest.approx(e2e, rel=within)
    assert seen.ttft_s == pytest.approx(ttft, rel=0.05)


@pytest.mark.parametrize("rate", [1.0, 4.0, 6.0])
def test_the_disaggregated_form_holds(rate: float) -> None:
    tpot, _ttft, e2e = simulated(apart(V5, 0.1), rate, 200)
    assert decode_only(rate, 200, V5).tbt_s == pytest.approx(tpot, rel=0.03)
    got = disaggregated_e2e(Load(rate, 0.1, 200), V5, exposed_kv_s=0.0)
    assert got == pytest.approx(e2e, rel=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("prefill_s", [0.05, 0.1, 0.2])
def test_v12_has_the_same_verdicts_in_the_simulation(prefill_s: float) -> None:
    """Each split keeps the means just under its closed-form rate and breaks them just above.

    The splits' rates lie further apart than the margin, so their order is the same too.
    """
    slo, load, few = Slo(0.3, 0.03), Load(1, prefill_s, 200), 1000

    def keeps(x: int, rate: float) -> bool:
        if x == 0:
            tpot, ttft, _e2e = simulated(together(V5, prefill_s), rate / 4, 200, few)
        else:
            _tpot, ttft, _e2e = simulated(apart(V5, prefill_s), rate / x, 5, few)
            tpot, _ttft, _e2e = simulated(apart(V5, 1e-4), rate / (4 - x), 200, few)
        return tpot <= slo.tpot_s and ttft <= slo.ttft_s

    for x in range(4):
        if x == 0:
            limit = goodput_colocated(load, V5, slo, 4)
        else:
            limit = goodput_disaggregated(load, V5, slo, prefills=x, decodes=4 - x)
        assert keeps(x, 0.9 * limit)
        assert not keeps(x, 1.1 * limit)
