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


class StepModel:
    """The corrected step of one model on one group; the symbols are worked out once.

    compute = [2 N_body (prompt tokens) + 2 h V (prompts) + 4 L n_q d (pairs) + 2 N_act b] / F
    weights = (touched parameters) w / B
    kv      = max((KV tokens) k / B_kv, (KV tokens) (flops a pair) / F)

    N_act are the parameters a token visits, N_body those without the output head; for a dense
    model N_act = N_lin and N_body = L N_layer.
    """

    __slots__ = (
        "card", "comm_token_s", "f", "hops_s", "host_s", "k_over_b", "n_act", "n_body", "n_head",
        "pair_flops", "score_over_f", "w_over_b", "weights_s",
    )  # fmt: skip

    def __init__(self, card: ModelCard, group: Group, precision: Precision) -> None:
        self.card = card
        self.f = group.flops_per_s
        self.n_act = card.active_params
        self.n_head = card.head_params
        self.n_body = self.n_act - self.n_head
        self.pair_flops = card.prefill_pair_flops
        self.w_over_b = precision.weight_bytes / group.bytes_per_s
        # A device that holds a copy of another's KV reads it too: it is parted only so far.
        kv_bandwidth = group.bytes_per_s * card.kv_shards(group.tp) / group.tp
        self.k_over_b = card.kv_bytes(precision.kv_bytes) / kv_bandwidth
        # Plain attention reads far longer than it scores; latent attention may not.
        self.score_over_f = card.decode_pair_flops / group.flops_per_s if card.latent else 0.0
        self.host_s = card.layers * group.host.s_per_layer + group.host.s_per_step
        self.weights_s = card.linear_params * self.w_over_b
        # t_comm is linear in the tokens: hops, and the ring's share of one token.
        self.hops_s = comm_seconds(card, group, precision, 0.0)
        self.comm_token_s = comm_seconds(card, group, precision, 1.0) - self.hops_s

    def parts(self, work: StepWork) -> StepParts:
        """Give the seconds of each part."""
        return StepParts(*self.seconds(work))

    def seconds(self, work: StepWork) -> tuple[float, float, float, float, float]:
        """Give the same as a plain tuple, for those who ask a hundred thousand times."""
        tokens = work.prefill_tokens + work.decode_batch
        flops = (
            2 * self.n_body * work.prefill_tokens
            + 2 * self.n_head * work.prompts
            + self.pair_flops * work.prefill_pairs
            + 2 * self.n_act * work.decode_batch
        )
        weights = self.weights_s
        if self.card.experts is not None:
            weights = self.card.touched_params(tokens) * self.w_over_b
        kv = (work.kv_tokens + work.prefill_context) * self.k_over_b
        if self.score_over_f:
            kv = max(kv, work.kv_tokens * self.score_over_f)
        comm = self.hops_s + tokens * self.comm_token_s
        return flops / self.f, weights, kv, comm, self.host_s


def step_parts(card: ModelCard, group: Group, precision: Precision, work: StepWork) -> StepParts:
    """Give the parts of a single step."""
    return StepModel(card, group, precision).parts(work)


def prefill_seconds(
    card: ModelCard, group: Group, precision: Precision, s: int, *, prefix: int = 0
) -> float:
    """t_p: time of one prompt without a queue.

    t_p = max{ [2 N_layer L (s-p) + 2 h V + 4 L n_q d ((s-p) p + (s-p)²/2)] / F,  N_lin w / B }
          + p k / B + L o_host + t_comm
    """
    return step_parts(card, group, precision, prefill_work(s, prefix)).total()
