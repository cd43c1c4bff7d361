"""Waiting in queues: M/D/1, M/G/1, many servers, tails; means are exact where the name says so.

Symbols: λ arrivals a second, D or E[S] service seconds, ρ = λ E[S] utilisation, CV coefficient of
variation. The plain forms take floats or arrays alike.
"""

import math
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Real = TypeVar("Real", float, NDArray[np.float64])
EXACT_TAIL_LIMIT = 15.0  # t / D up to which the exact M/D/1 sum keeps its digits in doubles


def md1_wait(rate: Real, service_s: Real) -> Real:
    """Mean wait, M/D/1: W = ρ D / (2 (1 - ρ))."""
    rho = rate * service_s
    return rho * service_s / (2 * (1 - rho))


def mg1_wait(rate: Real, mean_s: Real, second_moment: Real) -> Real:
    """Mean wait, M/G/1 (Pollaczek-Khinchine): W = λ E[S²] / (2 (1 - ρ))."""
    return rate * second_moment / (2 * (1 - rate * mean_s))


def mg1_wait_cv(rate: Real, mean_s: Real, cv_squared: float) -> Real:
    """The same by the variation: W = (1 + CV²)/2 · ρ E[S] / (1 - ρ)."""
    rho = rate * mean_s
    return (1 + cv_squared) / 2 * rho * mean_s / (1 - rho)


def erlang_c(servers: int, offered: float) -> float:
    """Probability that an arrival waits at x servers under a = λ E[S] Erlang (M/M/x)."""
    if offered >= servers:
        return 1.0
    blocked = 1.0  # Erlang B by its recursion, which cannot overflow
    for n in range(1, servers + 1):
        blocked = offered * blocked / (n + offered * blocked)
    return blocked / (1 - offered / servers * (1 - blocked))


def many_servers_wait(
    servers: int, rate: float, mean_s: float, *, arrival_cv2: float = 1.0, service_cv2: float = 0.0
) -> float:
    """Mean wait at x servers (Allen-Cunneen): (C_a² + C_s²)/2 · C(x, a) E[S] / (x - a).

    Infinite where the servers cannot keep up.
    """
    offered = rate * mean_s
    if offered >= servers:
        return math.inf
    variation = (arrival_cv2 + service_cv2) / 2
    return variation * erlang_c(servers, offered) * mean_s / (servers - offered)


def md1_wait_cdf(t: float, rate: float, service_s: float) -> float:
    """P(W <= t) of M/D/1, exact: (1-ρ) Σ_{k<=t/D} [-λ(t-kD)]^k / k! · e^{λ(t-kD)}.

    The terms cancel, so beyond `EXACT_TAIL_LIMIT` service times the exponential tail stands in.
    """
    rho = rate * service_s
    if rho >= 1:
        return 0.0
    if t / service_s > EXACT_TAIL_LIMIT:
        return 1 - tail_probability(t, rho, md1_wait(rate, service_s))
    total = 0.0
    for k in range(int(t / service_s + 1e-12) + 1):
        x = rate * (t - k * service_s)
        total += (-x) ** k / math.factorial(k) * math.exp(x)
    return (1 - rho) * total


def tail_probability(t: Real, rho: Real, mean_wait_s: Real) -> Real:
    """P(W > t) ≈ ρ exp(-ρ t / W̄); within 1-16 % at p99, too small at ρ <= 0.2."""
    decay: Real = np.exp(-rho * t / mean_wait_s)
    return rho * decay


def tail_quantile(share: float, rho: Real, mean_wait_s: Real) -> Real:
    """The wait that a share of requests stays under, by the same tail; 0 where none wait."""
    logarithm: Real = np.log(rho / (1 - share))
    wait: Real = np.maximum(logarithm, 0.0) * mean_wait_s / rho
    return wait


def inter_op_ttft(rate: float, service_s: float) -> float:
    """Mean TTFT of two pipeline stages (DistServe, eq. 2): D + R D² / (4 (2 - R D))."""
    return service_s + rate * service_s**2 / (4 * (2 - rate * service_s))


def intra_op_ttft(rate: float, service_s: float, speed_up: float) -> float:
    """Mean TTFT of two-way tensor parallelism (DistServe, eq. 3): D/K + R D² / (2 K (K - R D))."""
    k = speed_up
    return service_s / k + rate * service_s**2 / (2 * k * (k - rate * service_s))


def max_utilisation(
    ttft_s: Real, service_s: Real, *, extra_s: float = 0.0, cv_squared: float = 0.0
) -> Real:
    """The largest ρ that keeps the mean TTFT: q = (T - extra)/D - 1, ρ = 2 q / (1 + CV² + 2 q).

    CV² = 0 is M/D/1. Not positive where the service alone takes longer than T.
    """
    q = (ttft_s - extra_s) / service_s - 1
    return 2 * q / (1 + cv_squared + 2 * q)
