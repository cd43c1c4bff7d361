"""The goodput of a cluster: the highest rate at which enough requests keep both promises.

The same requests come faster or slower (`Workload.scaled`); the share that keeps the SLO falls
with the rate, so doubling or halving brackets where it crosses, and bisection finds it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from ...models.errors import AnalysisError
from ...models.serving.fleet import Slo
from ...models.serving.outcome import summarise
from ...models.serving.workload import Workload
from .cluster import simulate
from .settings import Cluster

_DOUBLINGS = 12
_BISECTIONS = 7  # to 1 % of the rate


@dataclass(frozen=True, slots=True)
class Goodput:
    """The rate found, and the share of requests within the SLO there."""

    rate: float
    share: float


def find_goodput(
    cluster: Cluster, workload: Workload, slo: Slo, *, share: float, warmup: float = 0.1
) -> Goodput:
    """Find the highest rate with at least `share` of the requests within the SLO.

    Raises:
        AnalysisError: not even a trickle keeps it.
    """
    quiet = replace(cluster, record=False)

    def kept(factor: float) -> float:
        run = simulate(quiet, workload.scaled(factor))
        return summarise(run, slo=slo, warmup=warmup).slo_share or 0.0

    low = _bracket(kept, share)
    high = low * 2
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if kept(middle) >= share else (low, middle)
    return Goodput(low * workload.rate, kept(low))


def _bracket(kept: Callable[[float], float], share: float) -> float:
    """Give a factor that keeps the promise while twice as much does not."""
    factor = 1.0
    if kept(factor) >= share:
        for _ in range(_DOUBLINGS):
            if kept(factor * 2) < share:
                return factor
            factor *= 2
        return factor
    for _ in range(_DOUBLINGS):
        factor /= 2
        if kept(factor) >= share:
            return factor
    raise AnalysisError(
        f"at no rate {share:.0%} of these requests keep the promises on this cluster",
        remedy="the unloaded times bind; relax the promise or take faster replicas",
    )
