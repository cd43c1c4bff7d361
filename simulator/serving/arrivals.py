"""Synthetic requests: Poisson, gamma-distributed gaps, bursts; fixed or spread lengths."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from ...models.errors import UsageError
from ...models.graph import Int64s
from ...models.serving.workload import Workload


class Arrivals(StrEnum):
    """How arrivals are spaced."""

    POISSON = "poisson"
    GAMMA = "gamma"  # gaps with a chosen CV: below 1 regular, above 1 clumped
    BURST = "burst"  # groups at once, groups Poisson
    REGULAR = "regular"


@dataclass(frozen=True, slots=True)
class Synthetic:
    """What to generate.

    Attributes:
        rate: mean requests a second.
        length_cv: coefficient of variation of both lengths (lognormal), 0 for fixed ones.
        gap_cv: of the gaps, for `GAMMA`.
        burst: requests of one burst, for `BURST`.
    """

    rate: float
    requests: int
    prompt_tokens: int
    output_tokens: int
    arrivals: Arrivals = Arrivals.POISSON
    length_cv: float = 0.0
    gap_cv: float = 2.0
    burst: int = 8
    seed: int = 0


def generate(what: Synthetic) -> Workload:
    """Make the requests; the same seed makes the same ones.

    Raises:
        UsageError: a rate, count or length that is not positive.
    """
    if min(what.rate, what.requests, what.prompt_tokens, what.output_tokens) <= 0:
        raise UsageError("rate, number of requests and lengths must be positive")
    random = np.random.default_rng(what.seed)
    arrival = np.cumsum(_gaps(what, random)) / what.rate * 1e9
    return Workload(
        arrival_ns=np.rint(arrival - arrival[0]).astype(np.int64),
        prompt_tokens=_lengths(what.prompt_tokens, what, random),
        output_tokens=_lengths(what.output_tokens, what, random),
        origin=f"{what.arrivals}, {what.rate:g} requests/s, seed {what.seed}",
    )


def _gaps(
    what: Synthetic, random: np.random.Generator
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    count = what.requests
    match what.arrivals:
        case Arrivals.POISSON:
            return random.exponential(1.0, count)
        case Arrivals.GAMMA:
            shape = 1 / what.gap_cv**2
            return random.gamma(shape, 1 / shape, count)
        case Arrivals.BURST:
            gaps = np.zeros(count)
            heads = np.arange(0, count, what.burst)
            gaps[heads] = random.exponential(float(what.burst), len(heads))
            return gaps
        case Arrivals.REGULAR:
            return np.ones(count)


def _lengths(mean: int, what: Synthetic, random: np.random.Generator) -> Int64s:
    if what.length_cv == 0:
        return np.full(what.requests, mean, dtype=np.int64)
    sigma = np.sqrt(np.log(1 + what.length_cv**2))
    drawn = random.lognormal(np.log(mean) - sigma**2 / 2, sigma, what.requests)
    return np.maximum(1, np.rint(drawn)).astype(np.int64)
