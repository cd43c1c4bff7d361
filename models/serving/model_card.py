"""What a language model is, as far as its serving cost goes: shapes, parameters, KV bytes.

Symbols, as in docs/serving.md:

    L layers            h hidden width        n_q, n_kv, d  query heads, KV heads, head size
    f FFN width         V vocabulary          w, w_kv       bytes of a weight, of a KV element
    N_layer  parameters of one layer's matrices      N_lin = L N_layer + h V   (head included)
    N_tot    all stored parameters                   k     KV bytes of one token, all layers
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Latent:
    """Multi-head latent attention: one compressed KV vector a token, shared by all heads.

    Source of the form: DeepSeek-V2 paper, section 2.1 (arXiv 2405.04434).
    """

    kv_rank: int
    query_rank: int  # 0: queries are not compressed
    nope_dim: int
    rope_dim: int
    value_dim: int


@dataclass(frozen=True, slots=True)
class Experts:
    """Mixture of experts: `count` routed ones of which a token visits `per_token`."""

    count: int
    per_token: int
    ffn: int
    shared: int = 0
    dense_layers: int = 0  # leading layers with a plain FFN


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A decoder-only transformer.

    Attributes:
        gated: the FFN has three matrices (SwiGLU) instead of two.
        tied: the output head shares the embedding's weights.
        weight_bytes: of one weight as published (2 for bf16, 1 for fp8 checkpoints).
        window: tokens a sliding-window layer keeps, 0 for full attention.
        sources: key -> where the figure comes from.
    """

    name: str
    layers: int
    hidden: int
    query_heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    vocab: int
    gated: bool = True
    tied: bool = False
    latent: Latent | None = None
    experts: Experts | None = None
    weight_bytes: float = 2.0
    window: int = 0
    sources: Mapping[str, str] = field(default_factory=dict)

    @property
    def dense_layers(self) -> int:
        """Give the number of layers with a plain FFN."""
        return self.layers if self.experts is None else self.experts.dense_layers

    @property
    def expert_layers(self) -> int:
        """Give the number of layers with experts."""
        return self.layers - self.dense_layers

    @property
    def attention_params(self) -> int:
        """Parameters of one layer's attention: h n_q d + 2 h n_kv d + n_q d h."""
        h, n_q, n_kv, d = self.hidden, self.query_heads, self.kv_heads, self.head_dim
        if self.latent is None:
            return h * n_q * d + 2 * h * n_kv * d + n_q * d * h
        m = self.latent
        query_dim = n_q * (m.nope_dim + m.rope_dim)
        query = h * m.query_rank + m.query_rank * query_dim if m.query_rank else h * query_dim
        down = h * (m.kv_rank + m.rope_dim)
        up = m.kv_rank * n_q * (m.nope_dim + m.value_dim)
        return query + down + up + n_q * m.value_dim * h

    @property
    def ffn_params(self) -> int:
        """Parameters of one plain FFN: (3 if gated else 2) h f."""
        return (3 if self.gated else 2) * self.hidden * self.ffn

    @property
    def expert_params(self) -> int:
        """Parameters of one expert, 0 for a dense model."""
        return (3 if self.gated else 2) * self.hidden * self.experts.ffn if self.experts else 0

    @property
    def fixed_params(self) -> int:
        """Parameters that every token visits: attention, plain FFN, shared experts, head."""
        routed = self.experts
        every = self.layers * self.attention_params + self.dense_layers * self.ffn_params
        if routed is not None:
            shared = routed.shared * self.expert_params + self.hidden * routed.count
            every += self.expert_layers * shared
        return every + self.head_params

    @property
    def head_params(self) -> int:
        """Parameters of the output head: h V."""
        return self.hidden * self.vocab

    @property
    def layer_params(self) -> int:
        """N_layer: the matrices of one layer (of a dense model; the mean layer of an MoE)."""
        return (self.linear_params - self.head_params) // self.layers

    @property
    def linear_params(self) -> int:
        """N_lin = L N_layer + h V: every matrix that some token may multiply with."""
        routed = self.experts.count * self.expert_params if self.experts else 0
        return self.fixed_params + self.expert_layers * routed

    @property
    def active_params(self) -> int:
        """Parameters one token visits, head included; equals N_lin for a dense model."""
        visited = self.experts.per_token * self.expert_params if self.experts else 0
        return self.fixed_params + self.expert_layers * visited

    @property
    def total_params(self) -> int:
        """N_tot: N_lin and, unless tied to the head, the embedding."""
        return self.linear_params + (0 if self.tied else self.head_params)

    @property
    def kv_elements(self) -> int:
        """KV elements of one token: 2 L n_kv d, or L (kv_rank + rope) for latent attention."""
        if self.latent is not None:
            return self.layers * (self.latent.kv_rank + self.latent.rope_dim)
        return 2 * self.layers * self.kv_heads * self.head_dim

    def kv_bytes(self, element_bytes: float) -> float:
        """Give k: KV bytes of one token over all layers."""
        return self.kv_elements * element_bytes

    def kv_shards(self, tp: int) -> int:
        """Tell over how many of tp devices the KV cache is parted; more devices hold copies."""
        return 1 if self.latent is not None else min(tp, self.kv_heads)

    def touched_params(self, tokens: float) -> float:
        """Expected parameters that a step of so many tokens reads.

        A token picks k of E experts; evenly and independently, an expert stays untouched with
        probability (1 - k/E)^tokens.
        """
        if self.experts is None:
            return float(self.linear_params)
        e = self.experts
        share = 1.0 - math.pow(1.0 - e.per_token / e.count, tokens)
        return self.fixed_params + self.expert_layers * e.count * self.expert_params * share

    @property
    def prefill_pair_flops(self) -> float:
        """Flops of one query-key pair over all layers, prefill: 4 L n_q d."""
        if self.latent is None:
            return 4.0 * self.layers * self.query_heads * self.head_dim
        m = self.latent
        width = m.nope_dim + m.rope_dim + m.value_dim
        return 2.0 * self.layers * self.query_heads * width

    @property
    def decode_pair_flops(self) -> float:
        """Flops of one query-key pair in decode; latent attention works in the compressed space."""
        if self.latent is None:
            return self.prefill_pair_flops
        m = self.latent
        return 2.0 * self.layers * self.query_heads * (2 * m.kv_rank + m.rope_dim)
