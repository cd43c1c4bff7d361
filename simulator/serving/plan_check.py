"""Tries planned fleets by simulation: what closed forms propose, requests dispose.

A large fleet is tried by a slice of it: fewer replicas of each kind under as much less load.
"""

from dataclasses import dataclass, replace
from math import ceil

import numpy as np

from ...models.serving.candidates import Fleet
from ...models.serving.curves import MAX_SEQUENCES, STEP_TOKENS, Ask, GroupCurve
from ...models.serving.outcome import Summary, summarise
from ...models.serving.setup import Setup
from ...models.serving.workload import Workload
from .arrivals import Synthetic, generate
from .cluster import simulate
from .settings import Cluster, EngineSettings, KvLink, Policy, Pool, Role

LEAST_REQUESTS, FAIR_REQUESTS, MOST_REQUESTS = 400, 3_000, 12_000
WARMUP = 0.25
# Lives of a request that a trial lasts, so that most of it is the steady state; and at least, where
# that takes more than FAIR_REQUESTS: the first is warm-up, and fills the batches.
LIVES, LEAST_LIVES = 6, 3


@dataclass(frozen=True, slots=True)
class Trial:
    """A fleet, simulated.

    Attributes:
        ttft_s, tpot_s: at the asked share of the requests.
        keeps: whether both promises are kept at that share.
        slice: the share of the fleet, and of the load, that was simulated.
    """

    fleet: Fleet
    ttft_s: float
    tpot_s: float
    keeps: bool
    summary: Summary
    slice: float = 1.0


def trial_requests(ask: Ask, seed: int, share: float = 1.0) -> Workload:
    """Make the requests of a trial: Poisson, lengths as asked, a share of the asked rate."""
    rate = ask.rate * share
    count = round(max(min(LIVES * _at_once(ask) * share, FAIR_REQUESTS),
                      min(LEAST_LIVES * _at_once(ask) * share, MOST_REQUESTS),
                      LEAST_REQUESTS))  # fmt: skip
    made = generate(Synthetic(rate, count, 1, max(1, round(ask.output)),
                              length_cv=ask.output_cv2**0.5, seed=seed))  # fmt: skip
    random = np.random.default_rng(seed + 1)
    drawn = random.choice(ask.prompts, count)
    prompts = np.maximum(1, np.rint(drawn)).astype(np.int64)
    return Workload(made.arrival_ns, prompts, made.output_tokens, origin=made.origin)


def _at_once(ask: Ask) -> float:
    """Give the requests in the fleet at once, by Little's law, if the promises are just kept."""
    return ask.rate * (ask.slo.ttft_s + ask.output * ask.slo.tpot_s)


def _sliced(ask: Ask, fleet: Fleet) -> tuple[Fleet, float]:
    """Give a part of a fleet that a trial's requests can fill, and its share of the load.

    Both kinds of replicas are cut alike, rounded up; the load follows the one cut more.
    """
    wanted = min(1.0, MOST_REQUESTS / (LEAST_LIVES * _at_once(ask)))
    if wanted == 1.0:
        return fleet, 1.0
    prefills, decodes = ceil(fleet.prefills * wanted), ceil(fleet.decodes * wanted)
    share = min(prefills / fleet.prefills, decodes / fleet.decodes)
    return replace(fleet, prefills=prefills, decodes=decodes), share


def cluster_of(setup: Setup, fleet: Fleet) -> Cluster:
    """Give the cluster that a fleet stands for."""
    if not fleet.apart:
        policy = Policy.PREFILL_FIRST if fleet.prompts_first else Policy.DECODE_FIRST
        return Cluster((_pool(setup, Role.BOTH, fleet.prefill, fleet.prefills, policy),))
    pools = (
        _pool(setup, Role.PREFILL, fleet.prefill, fleet.prefills, Policy.PREFILL_FIRST),
        _pool(setup, Role.DECODE, fleet.decode, fleet.decodes, Policy.PREFILL_FIRST),
    )
    flow = setup.network_bytes_per_s * min(fleet.prefill.tp, fleet.decode.tp)
    link = KvLink(
        bytes_per_s=flow * min(fleet.prefills, fleet.decodes),
        flow_bytes_per_s=flow,
        kv_bytes_per_token=setup.card.kv_bytes(setup.precision.kv_bytes),
        layers=setup.card.layers,
    )
    return Cluster(pools, link=link)


def _pool(setup: Setup, role: Role, group: GroupCurve, replicas: int, policy: Policy) -> Pool:
    engine = EngineSettings(
        cost=setup.cost(group.hardware, group.tp),
        kv_tokens=int(setup.budget(group.hardware, group.tp).tokens),
        step_tokens=STEP_TOKENS,
        max_sequences=MAX_SEQUENCES,
        max_prompts=0 if policy is Policy.DECODE_FIRST else 1,
        policy=policy,
    )
    return Pool(f"{group.hardware.name} {role}", role, engine, replicas, group.tp)


def try_fleet(setup: Setup, ask: Ask, fleet: Fleet, load: Workload, seed: int) -> Trial:
    """Simulate a fleet under the asked load.

    Args:
        setup: model, precision, step costs.
        ask: the load and the promises.
        fleet: to try; a large one by a slice.
        load: the requests for a whole fleet.
        seed: of a slice's own requests.
    """
    part, share = _sliced(ask, fleet)
    if share < 1.0:
        load = trial_requests(ask, seed, share)
    run = simulate(cluster_of(setup, part), load)
    price = None if fleet.usd_per_hour is None else fleet.usd_per_hour * share
    summary = summarise(run, slo=ask.slo, usd_per_hour=price, warmup=WARMUP)
    times = run.times.after_warmup(WARMUP)
    ttft, tpot = times.ttft_s(), times.tpot_s()
    all_served = bool(run.times.done.all())
    at_share = [float(np.quantile(v, ask.share)) if len(v) else 0.0 for v in (ttft, tpot)]
    keeps = all_served and at_share[0] <= ask.slo.ttft_s and at_share[1] <= ask.slo.tpot_s
    return Trial(fleet, at_share[0], at_share[1], keeps, summary, share)
