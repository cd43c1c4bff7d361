"""Tries planned fleets by simulation: what closed forms propose, requests dispose."""

from dataclasses import dataclass

import numpy as np

from ...models.serving.candidates import Fleet
from ...models.serving.curves import MAX_SEQUENCES, STEP_TOKENS, Ask, GroupCurve
from ...models.serving.outcome import Summary, summarise
from ...models.serving.setup import Setup
from ...models.serving.workload import Workload
from .arrivals import Synthetic, generate
from .cluster import simulate
from .settings import Cluster, EngineSettings, KvLink, Policy, Pool, Role

LEAST_REQUESTS, MOST_REQUESTS = 400, 3000
WARMUP = 0.25
# Lives of a request that a trial lasts, so that most of it is the steady state.
LIVES = 6


@dataclass(frozen=True, slots=True)
class Trial:
    """A fleet, simulated.

    Attributes:
        ttft_s, tpot_s: at the asked share of the requests.
        keeps: whether both promises are kept at that share.
    """

    fleet: Fleet
    ttft_s: float
    tpot_s: float
    keeps: bool
    summary: Summary


def trial_requests(ask: Ask, seed: int) -> Workload:
    """Make the requests of all trials of a plan: Poisson, lengths as asked."""
    life = ask.slo.ttft_s + ask.output * ask.slo.tpot_s
    count = int(min(MOST_REQUESTS, max(LEAST_REQUESTS, LIVES * ask.rate * life)))
    made = generate(Synthetic(ask.rate, count, 1, max(1, round(ask.output)),
                              length_cv=ask.output_cv2**0.5, seed=seed))  # fmt: skip
    random = np.random.default_rng(seed + 1)
    drawn = random.choice(ask.prompts, count)
    prompts = np.maximum(1, np.rint(drawn)).astype(np.int64)
    return Workload(made.arrival_ns, prompts, made.output_tokens, origin=made.origin)


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


def try_fleet(setup: Setup, ask: Ask, fleet: Fleet, load: Workload) -> Trial:
    """Simulate a fleet under the asked load."""
    run = simulate(cluster_of(setup, fleet), load)
    summary = summarise(run, slo=ask.slo, usd_per_hour=fleet.usd_per_hour, warmup=WARMUP)
    times = run.times.after_warmup(WARMUP)
    ttft, tpot = times.ttft_s(), times.tpot_s()
    all_served = bool(run.times.done.all())
    at_share = [float(np.quantile(v, ask.share)) if len(v) else 0.0 for v in (ttft, tpot)]
    keeps = all_served and at_share[0] <= ask.slo.ttft_s and at_share[1] <= ask.slo.tpot_s
    return Trial(fleet, at_share[0], at_share[1], keeps, summary)
