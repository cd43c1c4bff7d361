"""Closed forms against the simulation, over utilisation: how far the means are apart.

    python -m etsim.benchmarks.serving_closed_forms          the table of docs/serving.md
    python -m etsim.benchmarks.serving_closed_forms 60       60 settings drawn at random

One co-located replica, one prompt at a time, prompts first, Poisson arrivals at the exact rate.
"mean field" is `interference.colocated`, "as seen" is `interference.colocated_seen`.
"""

import random
import sys

import numpy as np

from etsim.models.serving.interference import (
    Load,
    colocated,
    colocated_capacity,
    colocated_seen,
)
from etsim.models.serving.outcome import summarise
from etsim.models.serving.step_cost import FittedCost
from etsim.models.serving.step_time import LinearDecode
from etsim.simulator.serving.arrivals import Synthetic, generate
from etsim.simulator.serving.cluster import simulate
from etsim.simulator.serving.settings import Cluster, EngineSettings, Policy, Pool, Role

REQUESTS, SEEDS = 6000, 4
LARGEST_BATCH = 400  # beyond, 6000 requests do not settle
# (decode line, seconds of a prompt, answer tokens)
CASES = (
    (LinearDecode(50e-6, 20e-3), 0.1, 200),
    (LinearDecode(100e-6, 10e-3), 0.05, 400),
    (LinearDecode(200e-6, 30e-3), 0.3, 100),
)


def simulated(decode: LinearDecode, prefill_s: float, tokens: int, rate: float) -> list[float]:
    """Mean TBT, TTFT and e2e over the seeds."""
    cost = FittedCost(decode.gamma * 1e9, decode.alpha * 1e9, 0.0, prefill_s * 1e9, 0.0, 0.0)
    engine = EngineSettings(
        cost, 10**9, policy=Policy.PREFILL_FIRST, max_prompts=1, max_sequences=10**6
    )
    cluster = Cluster((Pool("both", Role.BOTH, engine, 1, 1),))
    means = []
    for seed in range(SEEDS):
        load = generate(Synthetic(rate, REQUESTS, 100, tokens + 1, seed=seed))
        found = summarise(simulate(cluster, load.scaled(rate / load.rate)), warmup=0.1)
        means.append((found.tpot.mean, found.ttft.mean, found.e2e.mean))
    averages: list[float] = np.mean(means, axis=0).tolist()
    return averages


def drawn(count: int) -> None:
    """Print the largest errors of settings drawn at random, log-uniform, one seed."""
    dice = random.Random(0)
    errors: dict[float, list[tuple[float, float, float]]] = {}
    while sum(map(len, errors.values())) < count:
        decode = LinearDecode(10 ** dice.uniform(-5, -3.3), 10 ** dice.uniform(-2.5, -1.3))
        prefill_s, tokens = 10 ** dice.uniform(-2, -0.2), dice.choice((2, 5, 10, 50, 200, 800))
        utilisation = dice.choice((0.2, 0.4, 0.6, 0.75, 0.85))
        rate = utilisation * colocated_capacity(Load(1, prefill_s, tokens), decode)
        load = Load(rate, prefill_s, tokens)
        seen = colocated_seen(load, decode.tbt)
        if seen.batch > LARGEST_BATCH:
            continue
        tbt, ttft, e2e = simulated(decode, prefill_s, tokens, rate)
        off = (seen.tbt_s / tbt - 1, seen.e2e_s(tokens) / e2e - 1, seen.ttft_s / ttft - 1)
        errors.setdefault(utilisation, []).append(off)
    for utilisation, found in sorted(errors.items()):
        tbt, e2e, ttft = np.max(np.abs(found), axis=0).tolist()
        told = f"largest error TBT {tbt:.1%}, e2e {e2e:.1%}, TTFT {ttft:.1%}"
        print(f"utilisation {utilisation:g}, {len(found)} settings: {told}")


def main() -> None:
    """Print the table."""
    if sys.argv[1:]:
        drawn(int(sys.argv[1]))
        return
    print("| t_p, n | utilisation | TBT mean field | as seen | e2e mean field | as seen | TTFT |")
    print("|---|---|---|---|---|---|---|")
    for decode, prefill_s, tokens in CASES:
        for utilisation in (0.2, 0.4, 0.6, 0.75, 0.85):
            rate = utilisation * colocated_capacity(Load(1, prefill_s, tokens), decode)
            tbt, ttft, e2e = simulated(decode, prefill_s, tokens, rate)
            load = Load(rate, prefill_s, tokens)
            field, seen = colocated(load, decode), colocated_seen(load, decode.tbt)
            cells = (
                field.tbt_s / tbt,
                seen.tbt_s / tbt,
                field.e2e_s(tokens) / e2e,
                seen.e2e_s(tokens) / e2e,
                field.ttft_s / ttft,
            )
            told = " | ".join(f"{ratio - 1:+.1%}" for ratio in cells)
            print(f"| {prefill_s:g} s, {tokens} | {utilisation:g} | {told} |")


if __name__ == "__main__":
    main()
