"""How a cluster is set up: engines, pools, the link between them, who routes."""

from dataclasses import dataclass
from enum import StrEnum

from ...models.serving.kv_transfer import TransferMode
from ...models.serving.step_cost import StepCost


class Policy(StrEnum):
    """Which work goes first on an engine."""

    PREFILL_FIRST = "prefill-first"  # a step is prompts only, as long as prompts can be admitted
    DECODE_FIRST = "decode-first"  # every step decodes; prompts get what the token budget leaves


class Role(StrEnum):
    """What a pool is for."""

    BOTH = "both"
    PREFILL = "prefill"
    DECODE = "decode"


class Routing(StrEnum):
    """How a request finds its replica."""

    ROUND_ROBIN = "round-robin"
    LEAST_REQUESTS = "least-requests"
    LEAST_TOKENS = "least-tokens"
    CACHE = "cache"  # where most of the prompt's prefix stands; ties by least tokens


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """One serving engine.

    Attributes:
        kv_tokens: room for KV, tokens; the most telling figure of all.
        block_tokens: tokens in a KV block (vLLM: 16).
        step_tokens: token budget of a step.
        max_sequences: sequences held at once.
        max_prompts: prompts begun in one step, 0 for no limit.
        chunked: a prompt may be spread over steps.
    """

    cost: StepCost
    kv_tokens: int
    block_tokens: int = 16
    step_tokens: int = 8192
    max_sequences: int = 256
    max_prompts: int = 0
    policy: Policy = Policy.DECODE_FIRST
    chunked: bool = True
    prefix_cache: bool = False


@dataclass(frozen=True, slots=True)
class Pool:
    """Replicas of one engine."""

    name: str
    role: Role
    engine: EngineSettings
    replicas: int
    devices: int  # of one replica


@dataclass(frozen=True, slots=True)
class KvLink:
    """What carries KV from prefill to decode; all transfers share it.

    Attributes:
        bytes_per_s: of the whole link.
        flow_bytes_per_s: the most that one transfer can use (a replica's network cards).
        kv_bytes_per_token: k.
        layers: L, for transfers that leave layer by layer.
    """

    bytes_per_s: float
    flow_bytes_per_s: float
    kv_bytes_per_token: float
    layers: int
    mode: TransferMode = TransferMode.LAYERED
    overhead_ns: int = 0


@dataclass(frozen=True, slots=True)
class Cluster:
    """Everything but the requests."""

    pools: tuple[Pool, ...]
    routing: Routing = Routing.LEAST_REQUESTS
    link: KvLink | None = None  # between prefill and decode pools; None moves KV in no time
    take_runs: bool = True  # False: every decode step by itself; same result, slower
    record: bool = False  # keep slices for a timeline
