"""The two halves of a fleet and the whole one, by closed forms over many replica counts at once.

Prefill replicas are x servers of one queue (a router sends to the least loaded): Allen-Cunneen.
Decode replicas settle where b = λ n T(b). Together, prompts and decode share the time: prompts
first (`interference.colocated_seen`) or mixed into the steps (`interference.chunked_step`).

Beside means, a plan needs quantiles: waiting has an exponential tail; TPOT varies with the number
of prompts that fall into a request's life (Poisson) and with the batch it meets.
"""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from .curves import Ask, GroupCurve
from .outcome import Floats
from .queueing import erlang_c

_STEPS = 60  # bisections: a batch of 4096 to 1e-14
_MOST = 4096.0
# Deviations of the Poisson number of sequences that a replica keeps KV room for.
HEADROOM = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """Many replica counts of one group in one role, shape (counts,) each.

    Attributes:
        ttft_s, tpot_s: at the asked share, infinite where it cannot keep up; 0 where the role
            does not touch it.
        batch: mean b of a replica.
        load: share of what it could carry.
        prompts_first: the policy that serves better, for co-located replicas.
    """

    curve: GroupCurve
    replicas: Floats
    ttft_s: Floats
    tpot_s: Floats
    batch: Floats
    load: Floats
    prompts_first: NDArray[np.bool_]


def _solve(excess: Callable[[Floats], Floats], shape: Floats) -> Floats:
    """Give the least b with excess(b) >= 0 for each entry, infinite where there is none."""
    low, high = np.zeros_like(shape), np.full_like(shape, _MOST)
    hopeless = excess(high) < 0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        under = excess(middle) < 0
        low, high = np.where(under, middle, low), np.where(under, high, middle)
    return np.where(hopeless, np.inf, high)


def _tail(share: float, waits: Floats, mean: Floats) -> Floats:
    """Wait at a share: P(W > t) = p exp(-p t / W̄), p the probability to wait at all."""
    with np.errstate(divide="ignore", invalid="ignore"):
        logarithm = np.log(np.maximum(waits, 1e-300) / (1 - share))
        found = np.maximum(logarithm, 0.0) * mean / np.maximum(waits, 1e-300)
    return np.where(np.isfinite(mean), found, np.inf)


def prefill_side(curve: GroupCurve, ask: Ask, replicas: Floats) -> Side:
    """Queue of prompts before x prefill replicas."""
    t_p = curve.prefill_s
    offered = ask.rate * t_p
    waits = np.array([erlang_c(int(x), offered) if offered < x else 1.0 for x in replicas])
    with np.errstate(divide="ignore"):
        mean = (1 + curve.prefill_cv2) / 2 * waits * t_p / np.maximum(replicas - offered, 0.0)
    ttft = t_p + _tail(ask.share, waits, np.where(replicas > offered, mean, np.inf))
    zero = np.zeros_like(replicas)
    return Side(curve, replicas, ttft, zero, zero, offered / replicas, zero > 1)


def decode_side(curve: GroupCurve, ask: Ask, replicas: Floats) -> Side:
    """Steady batch of y decode replicas; TPOT at the asked share."""
    demand = ask.rate / replicas * ask.output
    batch = _solve(lambda b: b - demand * curve.step_s(b + 1), replicas)
    finite = np.where(np.isfinite(batch), batch, 1.0)
    z = NormalDist().inv_cdf(ask.share)
    swing = z * np.sqrt(finite)
    tpot = curve.step_s(finite + 1 + swing)
    fits = np.isfinite(batch) & (finite + HEADROOM * np.sqrt(finite) <= curve.batch_limit)
    tpot = np.where(fits, tpot, np.inf)
    zero = np.zeros_like(replicas)
    load = finite / curve.batch_limit
    return Side(curve, replicas, zero, tpot, batch, load, zero > 1)


def together_side(curve: GroupCurve, ask: Ask, replicas: Floats) -> Side:
    """Replicas that do both, each by the policy that serves this load better."""
    first, mixed = _prompts_first(curve, ask, replicas), _mixed(curve, ask, replicas)
    slo = ask.slo
    strain = [np.maximum(s.ttft_s / slo.ttft_s, s.tpot_s / slo.tpot_s) for s in (first, mixed)]
    better = strain[0] < strain[1]

    def pick(a: Floats, b: Floats) -> Floats:
        return np.where(better, a, b)

    return Side(
        curve,
        replicas,
        pick(first.ttft_s, mixed.ttft_s),
        pick(first.tpot_s, mixed.tpot_s),
        pick(first.batch, mixed.batch),
        pick(first.load, mixed.load),
        better,
    )


def _prompts_first(curve: GroupCurve, ask: Ask, replicas: Floats) -> Side:
    rate, t_p, n = ask.rate / replicas, curve.prefill_s, ask.output
    beta = rate * t_p
    stable = np.where(beta < 1, beta, 0.0)
    wait = _spread_wait(stable, t_p, curve.prefill_cv2, replicas)

    mates = 1 / (1 - stable) ** 2  # `interference.joining_together`

    def excess(b: Floats) -> Floats:
        return b * (1 - beta) - rate * n * curve.step_s(b + mates)

    others = _solve(excess, replicas)
    v = curve.step_s(np.where(np.isfinite(others), others, 1.0) + mates)
    behind = np.maximum(t_p + wait - v / 2, 0.0)
    batch = np.where(np.isfinite(others), rate * (n * v + beta * behind) / (1 - stable), others)
    service = np.full_like(rate, t_p)
    return _settled(curve, ask, replicas, batch, _PromptQueue(stable, service, wait, service))


def _mixed(curve: GroupCurve, ask: Ask, replicas: Floats) -> Side:
    rate, n = ask.rate / replicas, ask.output

    def spare(b: Floats) -> Floats:
        return 1 - rate * curve.chunks * (curve.mixed_step_s(b + 1) - curve.step_s(b + 1))

    def excess(b: Floats) -> Floats:
        left = spare(b)
        grown = rate * n * curve.step_s(b + 1) / np.maximum(left, 1e-9)
        return np.where(left > 0, b - grown, -1.0)

    batch = _solve(excess, replicas)
    finite = np.where(np.isfinite(batch), batch, 1.0)
    step = curve.mixed_step_s(finite + 1)
    service = curve.chunks * step
    rho = np.minimum(rate * service, 1.0)
    wait = _spread_wait(np.where(rho < 1, rho, 0.0), service, curve.prefill_cv2, replicas)
    gap = curve.chunks * (step - curve.step_s(finite + 1))
    side = _settled(curve, ask, replicas, batch, _PromptQueue(rho, service, wait, gap))
    # A prompt may have to wait for a chunk of another: the queue itself must be stable.
    ttft = np.where(rho < 1, side.ttft_s, np.inf)
    return Side(curve, replicas, ttft, side.tpot_s, batch, side.load, side.prompts_first)


def _spread_wait(rho: Floats, service: Floats | float, cv2: float, replicas: Floats) -> Floats:
    """Mean wait of one of r replicas behind a router that spreads arrivals: C_a² = 1/r."""
    wait: Floats = (1 / replicas + cv2) / 2 * rho * service / (1 - rho)
    return wait


@dataclass(frozen=True, slots=True, eq=False)
class _PromptQueue:
    """The queue of prompts on a co-located replica.

    Attributes:
        rho: utilisation by prompts.
        service: of one prompt.
        wait: mean, for other prompts.
        gap: what one prompt adds to the step of those that decode.
    """

    rho: Floats
    service: Floats
    wait: Floats
    gap: Floats


def _settled(
    curve: GroupCurve, ask: Ask, replicas: Floats, batch: Floats, queue: _PromptQueue
) -> Side:
    """Times at the asked share where a co-located replica settles at `batch`."""
    n, rate = ask.output, ask.rate / replicas
    finite = np.where(np.isfinite(batch), batch, 1.0)
    residual = curve.step_s(finite + 1) / 2
    ttft = queue.service + residual + _tail(ask.share, queue.rho, queue.wait)
    mean = finite / rate / n
    z = NormalDist().inv_cdf(ask.share)
    # Prompts that fall into one request's life: Poisson, each stops it for `gap`.
    swing = z * np.sqrt(rate * n * mean) * queue.gap / n
    sway = curve.step_s(finite + 1 + z * np.sqrt(finite)) - curve.step_s(finite + 1)
    tpot = mean + np.hypot(swing, sway)
    fits = np.isfinite(batch) & (finite + HEADROOM * np.sqrt(finite) <= curve.batch_limit)
    return Side(
        curve,
        replicas,
        np.where(fits, ttft, np.inf),
        np.where(fits, tpot, np.inf),
        batch,
        np.minimum(1.0, rate * curve.prefill_s + finite / curve.batch_limit),
        np.ones_like(replicas, dtype=bool),
    )
