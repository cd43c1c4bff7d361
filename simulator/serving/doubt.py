"""How far an answer may be off: the same cluster with step costs at both ends of their doubt."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ...models.serving.fleet import Slo
from ...models.serving.outcome import Summary, summarise
from ...models.serving.step_cost import FactorCost
from ...models.serving.workload import Workload
from .cluster import simulate
from .settings import Cluster

MOST_REQUESTS = 2000  # of a long log; the doubt is a ratio and needs no more

# What no form here knows; every answer ends with it.
NOT_MODELLED = (
    "speculative decoding",
    "pipeline parallelism",
    "stragglers and failures",
    "tokenizer and network front end",
    "KV offloading",
)


@dataclass(frozen=True, slots=True)
class Interval:
    """A 90 % interval."""

    low: float
    high: float


def spread_of(cluster: Cluster) -> float:
    """Give the largest doubt among the pools' costs."""
    return max(pool.engine.cost.origin.spread for pool in cluster.pools)


def at_cost(cluster: Cluster, factor: float) -> Cluster:
    """Give the same cluster with every step `factor` times as long."""
    pools = tuple(
        replace(pool, engine=replace(pool.engine, cost=FactorCost(pool.engine.cost, factor)))
        for pool in cluster.pools
    )
    return replace(cluster, pools=pools, record=False)


def intervals(
    cluster: Cluster, workload: Workload, *, slo: Slo | None, nominal: Summary
) -> Mapping[str, Interval]:
    """Give intervals of the medians and of the share within the SLO.

    The cost's doubt is taken as a factor on all steps; the ends are simulated, on the log's first
    requests where it is long, and carried over as ratios to the same requests at nominal cost.
    """
    part = workload.first(MOST_REQUESTS)
    spread = spread_of(cluster)
    summaries = [
        summarise(simulate(at_cost(cluster, factor), part), slo=slo)
        for factor in (1 / (1 + spread), 1.0, 1 + spread)
    ]
    found: dict[str, Interval] = {}
    for name in ("ttft", "tpot", "e2e"):
        fast, same, slow = (getattr(summary, name).p50 for summary in summaries)
        value = getattr(nominal, name).p50
        if same > 0:
            found[name] = Interval(value * fast / same, value * slow / same)
    if slo is not None and nominal.slo_share is not None:
        shares = [summary.slo_share or 0.0 for summary in summaries]
        low, high = min(shares), max(shares)
        found["slo_share"] = Interval(min(low, nominal.slo_share), max(high, nominal.slo_share))
    return found
