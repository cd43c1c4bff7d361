"""How long one engine step takes: the published sum form, and the corrected form by parts.

Symbols (SI): b sequences that decode, s prompt tokens, n output tokens, s̄ = s + n/2 mean context,
F flop/s and B bytes/s of the group, the rest as in `model_card` and `group`.
"""

from dataclasses import dataclass
from enum import StrEnum

from .group import Group, Precision
from .model_card import ModelCard


class Form(StrEnum):
    """How compute and memory time join."""

    SUM = "sum"  # added, nothing overlaps: the published form
    ROOFLINE = "roofline"  # the larger of the two


@dataclass(frozen=True, slots=True)
class StepWork:
    """What one step computes.

    Counts need not be whole: a mean step has a share of a prompt.

    Attributes:
        prefill_tokens: prompt tokens computed in the step.
        prefill_pairs: query-key pairs they score; (s-p) p + (s-p)^2 / 2 behind p cached tokens.
        prefill_context: KV tokens that stood in the cache before and are read again.
        prompts: prompts that end in this step (each asks the output head once).
        decode_batch: b, sequences that get one token each.
        kv_tokens: KV tokens these sequences read together, b s̄.
    """

    prefill_tokens: float = 0
    prefill_pairs: float = 0.0
    prefill_context: float = 0
    prompts: float = 0
    decode_batch: float = 0
    kv_tokens: float = 0.0


def prefill_work(s: int, prefix: int = 0) -> StepWork:
    """Give the work of one whole prompt of s tokens, `prefix` of them cached."""
    fresh = s - prefix
    pairs = fresh * prefix + fresh * fresh / 2
    return StepWork(fresh, pairs, prefix, 1)


def decode_work(b: int, mean_context: float) -> StepWork:
    """Give the work of a decode step of b sequences."""
    return StepWork(decode_batch=b, kv_tokens=b * mean_context)


@dataclass(frozen=True, slots=True)
class LinearDecode:
    """TBT = α b + γ, seconds."""

    alpha: float
    gamma: float

    def tbt(self, b: float) -> float:
        """Give TBT of a batch."""
        return self.alpha * b + self.gamma


@dataclass(frozen=True, slots=True)
class SumShape:
    """The symbols of the published form: L, h, s, GQA = n_q / n_kv."""

    layers: int
    hidden: int
    s: float
    gqa: float


def published_sum(shape: SumShape, f: float, b1: float) -> LinearDecode:
    """The published decode form, literally (`--form sum`).

        TBT = b (24 L h² / F + 2 L h s / (GQA B)) + 12 L h² / B

    12 h² are the parameters of a layer (plain attention, FFN of 4 h), 24 h² their flops a token;
    weights and KV are int8 (1 byte), one device, compute and memory added, s the prompt alone.
    As published for an A100: F = 312e12 flop/s, B = 2e12 byte/s.
    Source: the decode model of FastDecode (arXiv 2403.11421) as used for Splitwise-like splits.
    """
    layers, h = shape.layers, shape.hidden
    alpha = 24 * layers * h**2 / f + 2 * layers * h * shape.s / (b1 * shape.gqa)
    gamma = 12 * layers * h**2 / b1
    return LinearDecode(alpha, gamma)


def linear_decode(
    card: ModelCard, group: Group, precision: Precision, context: float
) -> LinearDecode:
    """The sum form with true counts: α = 2 N_lin / F + s̄ k / B, γ = N_lin w / B."""
    k = card.kv_bytes(precision.kv_bytes)
    alpha = 2 * card.active_params / group.flops_per_s + context * k / group.bytes_per_s
    gamma = card.linear_params * precision.weight_bytes / group.bytes_per_s
    return LinearDecode(alpha, gamma)


def critical_batch(precision: Precision, f: float, b1: float) -> float:
    """The batch where computing takes as long as reading the weights: b* = w F / (2 B)."""
    return precision.weight_bytes * f / (2 * b1)


def comm_seconds(card: ModelCard, group: Group, precision: Precision, tokens: float) -> float:
    """Tensor-parallel communication of a step: two ring all-reduces a layer (Megatron-LM).

    t_comm = 2 L [ 2 (tp-1)/tp · tokens h w_act / bw + 2 (tp-1) lat ]
    """
    tp = group.tp
    if tp == 1:
        return 0.0
    message = tokens * card.hidden * precision.activation_bytes
    ring = 2 * (tp - 1) / tp * message / group.link_bytes_per_s
    return 2 * card.layers * (ring + 2 * (tp - 1) * group.link_latency_s)


@dataclass(frozen=True, slots=True)
class StepParts:
    """The seconds of one step by what is busy, before anything overlaps.

    Attributes:
        compute: matrix and attention flops of prompts, matrix flops of decode.
        weights: reading the weights the step touches.
        kv: attention of decode: reading its KV (or scoring it, where that takes longer).
        comm: tensor-parallel messages.
        host: what the host adds.
    """

    compute: float
    weights: float
    kv: float
    comm: float
    host: float

    def total(self, form: Form = Form.ROOFLINE) -> float:
        """Join the parts: the larger of compute and weights (or their sum), then the rest."""
        if form is Form.SUM:
            device = self.compute + self.weights
        else:
            device = max(self.compute, self.weights)
        return device + self.kv + self.comm + self.host


def step_parts(card: ModelCard, group: Group, precision: Precision, work: StepWork) -> StepParts:
    """The corrected step, serving-math 3.2 with experts, latent attention and mixed batches.

    compute = [2 N_layer L (prompt tokens) + 2 h V (prompts) + 4 L n_q d (pairs) + 2 N_lin b] / F
    weights = (touched parameters) w / B
    kv      = max((KV tokens) k / B_kv, (KV tokens) (flops a pair) / F)
    """
    tokens = work.prefill_tokens + work.decode_batch
    body = card.active_params - card.head_params
    flops = (
        2 * body * work.prefill_tokens
        + 2 * card.head_params * work.prompts
        + card.prefill_pair_flops * work.prefill_pairs
        + 2 * card.active_params * work.decode_batch
    )
    compute = flops / group.flops_per_s
    weights = card.touched_params(tokens) * precision.weight_bytes / group.bytes_per_s
    # A device that holds a copy of another's KV reads it too: the cache is parted only so far.
    kv_bandwidth = group.bytes_per_s * card.kv_shards(group.tp) / group.tp
    read = (work.kv_tokens + work.prefill_context) * card.kv_bytes(precision.kv_bytes)
    scored = work.kv_tokens * card.decode_pair_flops
    kv = max(read / kv_bandwidth, scored / group.flops_per_s if card.latent else 0.0)
    host = card.layers * group.host.s_per_layer + group.host.s_per_step
    return StepParts(compute, weights, kv, comm_seconds(card, group, precision, tokens), host)


def prefill_seconds(
    card: ModelCard, group: Group, precision: Precision, s: int, *, prefix: int = 0
) -> float:
    """t_p: time of one prompt without a queue.

    t_p = max{ [2 N_layer L (s-p) + 2 h V + 4 L n_q d ((s-p) p + (s-p)²/2)] / F,  N_lin w / B }
          + p k / B + L o_host + t_comm
    """
    return step_parts(card, group, precision, prefill_work(s, prefix)).total()
