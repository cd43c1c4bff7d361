"""Prefill beside decode: closed forms for co-located, disaggregated and chunked serving.

Co-located (prefill goes first and is not chunked): prompts take the share β = λ t_p of the time,
decode what is left, so TBT_c = (α b + γ) / (1 - β); with Little's law b = λ n TBT_c

    b_c = λ n γ / (1 - β - λ n α)        TBT_c = γ / (1 - β - λ n α)        λ_max = 1 / (t_p + n α)

and a prompt waits for the prompts before it and for the rest of the step that runs (vacation V):

    TTFT_c = t_p + λ t_p² / (2 (1 - β)) + V / 2,    V = α b + γ
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from .queueing import md1_wait
from .step_time import LinearDecode


@dataclass(frozen=True, slots=True)
class Load:
    """λ requests a second, each with a prompt of t_p seconds and n output tokens."""

    rate: float
    prefill_s: float
    output_tokens: float


@dataclass(frozen=True, slots=True)
class Operation:
    """Where a replica settles; `stable` is False (and times infinite) where it cannot keep up.

    Attributes:
        batch: mean b.
        tbt_s: mean time between tokens.
        ttft_s: mean time to first token, vacation included.
        ttft_queue_s: the same without the vacation term.
        utilisation: λ / λ_max.
    """

    stable: bool
    batch: float
    tbt_s: float
    ttft_s: float
    ttft_queue_s: float
    utilisation: float

    def e2e_s(self, output_tokens: float, *, vacation: bool = True) -> float:
        """Give the time from arrival to last token: TTFT + n TBT.

        Pass n - 1 where the first token is counted to the prefill, as an engine does.
        """
        first = self.ttft_s if vacation else self.ttft_queue_s
        return first + output_tokens * self.tbt_s


_INFINITE = float("inf")
_OVERRUN = Operation(False, _INFINITE, _INFINITE, _INFINITE, _INFINITE, _INFINITE)


def colocated_capacity(load: Load, decode: LinearDecode) -> float:
    """λ_max of one co-located replica: 1 / (t_p + n α)."""
    return 1 / (load.prefill_s + load.output_tokens * decode.alpha)


def decode_capacity(output_tokens: float, decode: LinearDecode, replicas: int = 1) -> float:
    """λ_max of y decode replicas: y / (n α)."""
    return replicas / (output_tokens * decode.alpha)


def colocated(load: Load, decode: LinearDecode) -> Operation:
    """Solve one co-located replica."""
    beta = load.rate * load.prefill_s
    spare = 1 - beta - load.rate * load.output_tokens * decode.alpha
    utilisation = load.rate / colocated_capacity(load, decode)
    if spare <= 0:
        return Operation(False, _INFINITE, _INFINITE, _INFINITE, _INFINITE, utilisation)
    b = load.rate * load.output_tokens * decode.gamma / spare
    queue = load.prefill_s + md1_wait(load.rate, load.prefill_s)
    vacation = decode.tbt(b)
    return Operation(True, b, decode.gamma / spare, queue + vacation / 2, queue, utilisation)


def decode_only(rate: float, output_tokens: float, decode: LinearDecode) -> Operation:
    """Solve one decode replica that gets `rate` requests a second; TTFT is not its own (0)."""
    used = rate * output_tokens * decode.alpha
    if used >= 1:
        return Operation(False, _INFINITE, _INFINITE, 0.0, 0.0, used)
    tbt = decode.gamma / (1 - used)
    return Operation(True, rate * output_tokens * tbt, tbt, 0.0, 0.0, used)


def steady_batch(
    demand: float, step_s: Callable[[float], float], *, beta: float = 0.0, limit: float = 1e5
) -> float:
    """Solve b = λ n T(b) / (1 - β) for any T with T(b)/b falling; `demand` is λ n.

    Infinite where even `limit` sequences cannot keep up. With max() in T no closed form stands,
    but T(b)/b falls, so the root is one and bisection finds it.
    """

    def surplus(b: float) -> float:
        return b * (1 - beta) - demand * step_s(b)

    if beta >= 1 or surplus(limit) < 0:
        return _INFINITE
    low, high = 0.0, limit
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if surplus(middle) < 0 else (low, middle)
    return high


def joining_together(beta: float) -> float:
    """Give how many requests join the decoding batch with one of them, itself counted.

    Prompts that go first are worked off in one piece: all that arrive while others of the same
    piece run join the batch together, and stay together. The piece is an M/D/1 busy period, its
    number Borel distributed with mean 1/(1-β) and second moment 1/(1-β)³; a request finds itself
    in one of E[N²]/E[N] = 1/(1-β)² (Borel 1942; Kleinrock, Queueing Systems I, 5.8 and 5.9).
    """
    return 1 / (1 - beta) ** 2


def colocated_seen(load: Load, step_s: Callable[[float], float]) -> Operation:
    """One co-located replica as its requests see it, for any step time T(b).

    Three things the mean-field form above leaves out, all from looking at requests, not at time:

    - a request decodes beside b others and those that join with it, 1/(1-β)² of them;
    - it starts behind the prompts that queued up during its own prefill, as many as arrived in
      its TTFT, and leaves behind only those that arrived in its last step;
    - it waits for a running step only where one runs, p = 1 - exp(-λ n V) (M/G/∞ is not empty):

        b (1 - β) = λ n V,   V = T_step(b + 1/(1-β)²),   TTFT = t_p + λ t_p² / (2 (1-β)) + p V/2
        T (1 - β) = n V + β (TTFT - V),   TBT = T / n

    Within 3 % of the simulation to a utilisation of 0.6, 10 % to 0.85, where the mean-field form
    may miss by 70 % (docs/serving.md has the table).
    """
    rate, t_p, n = load.rate, load.prefill_s, load.output_tokens
    beta = rate * t_p
    if beta >= 1:
        return _OVERRUN
    mates = joining_together(beta)
    others = steady_batch(rate * n, lambda b: step_s(b + mates), beta=beta)
    if math.isinf(others):
        return _OVERRUN
    step = step_s(others + mates)
    decoding = 1 - math.exp(-rate * n * step)
    queue = t_p + md1_wait(rate, t_p)
    ttft = queue + decoding * step / 2
    life = (n * step + beta * max(ttft - step, 0.0)) / (1 - beta)
    # The share of time in which something runs: prompts, and decode where no prompt does.
    utilisation = beta + (1 - beta) * decoding
    return Operation(True, rate * life, life / n, ttft, queue, utilisation)


def disaggregated_e2e(
    load: Load, decode: LinearDecode, *, prefills: int = 1, decodes: int = 1, exposed_kv_s: float
) -> float:
    """e2e_d = t_p + W_p + t_kv,exposed + n TBT_d, each prefill replica an M/D/1 queue."""
    wait = md1_wait(load.rate / prefills, load.prefill_s)
    tbt = decode_only(load.rate / decodes, load.output_tokens, decode).tbt_s
    return load.prefill_s + wait + exposed_kv_s + load.output_tokens * tbt


def chunked_step(
    rate: float, prompt_tokens: float, chunk: float, *, mixed_s: float, decode_s: float
) -> float:
    """Mean step with chunked prefill: t̄ = t_gen / (1 - λ (s/c) (t_mix - t_gen)).

    A share φ = λ (s/c) t̄ of the steps carries a chunk. Infinite where chunks cannot keep up.
    """
    chunks = rate * prompt_tokens / chunk
    spare = 1 - chunks * (mixed_s - decode_s)
    mean = decode_s / spare if spare > 0 else _INFINITE
    return mean if chunks * mean <= 1 else _INFINITE
