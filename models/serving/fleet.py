"""How many replicas: x for prefill, y for decode, and the rate a fleet keeps within its SLO.

R_p = ρ_max / t_p                     requests/s of one prefill replica within the mean TTFT
b_slo = max { b <= b_max : T(b) <= TPOT },   R_d = b_slo / (n T(b_slo))
x = ⌈λ / R_p⌉,  y = ⌈λ / R_d⌉,  ideal x / y = R_d / R_p

Source: DistServe (arXiv 2401.09670), section 4, with the decode limit of a batch added.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from .interference import Load, colocated, decode_capacity
from .queueing import max_utilisation
from .step_time import LinearDecode


@dataclass(frozen=True, slots=True)
class Slo:
    """What is promised: time to first token and time per output token, seconds."""

    ttft_s: float
    tpot_s: float


@dataclass(frozen=True, slots=True)
class DisaggregatedSize:
    """A fleet of x prefill and y decode replicas, and the figures it follows from."""

    prefills: int
    decodes: int
    prefill_rate: float  # R_p
    decode_rate: float  # R_d
    batch_at_slo: int  # b_slo


def largest_batch(step_s: Callable[[float], float], tpot_s: float, limit: float) -> int:
    """Give b_slo: the largest whole b <= limit whose step keeps the TPOT, 0 where none does."""
    low, high = 0, math.floor(limit)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if step_s(middle) <= tpot_s else (low, middle - 1)
    return low


def prefill_rate(prefill_s: float, slo: Slo, *, extra_s: float = 0.0) -> float:
    """R_p = ρ_max / t_p; 0 where one prompt alone breaks the TTFT."""
    return max(0.0, max_utilisation(slo.ttft_s, prefill_s, extra_s=extra_s)) / prefill_s


def decode_rate(step_s: Callable[[float], float], batch: int, output_tokens: float) -> float:
    """R_d = b / (n T(b))."""
    return batch / (output_tokens * step_s(batch)) if batch else 0.0


def size_disaggregated(
    load: Load, step_s: Callable[[float], float], slo: Slo, *, batch_limit: float
) -> DisaggregatedSize | None:
    """Give the least x and y for a load, None where a single request breaks the SLO."""
    batch = largest_batch(step_s, slo.tpot_s, batch_limit)
    r_p = prefill_rate(load.prefill_s, slo)
    r_d = decode_rate(step_s, batch, load.output_tokens)
    if r_p <= 0 or r_d <= 0:
        return None
    x, y = math.ceil(load.rate / r_p), math.ceil(load.rate / r_d)
    return DisaggregatedSize(x, y, r_p, r_d, batch)


def goodput_colocated(load: Load, decode: LinearDecode, slo: Slo, replicas: int) -> float:
    """Largest λ that `replicas` co-located ones keep in the mean, by bisection.

    The vacation term is left out, as in the published comparison; pass a tighter TTFT for it.
    """

    def keeps(rate: float) -> bool:
        one = colocated(Load(rate, load.prefill_s, load.output_tokens), decode)
        return one.stable and one.tbt_s <= slo.tpot_s and one.ttft_queue_s <= slo.ttft_s

    return replicas * _largest(keeps, 1 / load.prefill_s)


def goodput_disaggregated(
    load: Load, decode: LinearDecode, slo: Slo, *, prefills: int, decodes: int
) -> float:
    """Largest λ of xPyD in the mean: min(x R_p, y (1 - γ/TPOT) / (n α))."""
    by_prefill = prefills * prefill_rate(load.prefill_s, slo)
    headroom = max(0.0, 1 - decode.gamma / slo.tpot_s)
    return min(by_prefill, headroom * decode_capacity(load.output_tokens, decode, decodes))


def _largest(keeps: Callable[[float], bool], limit: float) -> float:
    low, high = 0.0, limit
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if keeps(middle) else (low, middle)
    return low


def aiconfigurator_rate(
    prefill_rate_each: float, prefills: int, decode_rate_each: float, decodes: int
) -> float:
    """The rule of another tool, to compare with: min(0.90 R_p x, 0.92 R_d y).

    Source: aiconfigurator 0.12, sdk/picking.py (its own discounts, no transfer term).
    """
    return min(0.90 * prefill_rate_each * prefills, 0.92 * decode_rate_each * decodes)


@dataclass(frozen=True, slots=True)
class DynamoLoad:
    """What Dynamo's planner sees in one interval."""

    requests: float
    interval_s: float
    input_tokens: float
    output_tokens: float
    prefill_correction: float = 1.0


@dataclass(frozen=True, slots=True)
class DynamoEngine:
    """Tokens a second of one GPU within the SLO, and the GPUs of one worker."""

    tokens_per_s_per_gpu: float
    gpus: int


def dynamo_workers(
    load: DynamoLoad, prefill: DynamoEngine, decode: DynamoEngine
) -> tuple[int, int]:
    """The rule of NVIDIA Dynamo's SLA planner (throughput mode), to compare with.

    N_p = ⌈req isl / interval · min(1, p_corr) / thpt_p / gpus_p⌉, N_d = ⌈req osl / interval / ...⌉
    """
    rate = load.requests / load.interval_s
    fresh = rate * load.input_tokens * min(1.0, load.prefill_correction)
    prefills = math.ceil(fresh / prefill.tokens_per_s_per_gpu / prefill.gpus)
    tokens = rate * load.output_tokens
    return prefills, math.ceil(tokens / decode.tokens_per_s_per_gpu / decode.gpus)
