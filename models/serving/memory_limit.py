"""How many sequences fit: the memory limit on the batch, by bytes or by the engine's own blocks.

b_max = ⌊ (tp M u - N_tot w - act) / (k (s + n)) ⌋       all of a request's tokens reserved
                                   / (k (s + n/2)) ⌋     paged, at the mean context

M is the memory of one device, u the share an engine may use, act what activations take.
"""

from dataclasses import dataclass

from .group import USABLE_MEMORY, Group, Precision
from .model_card import ModelCard
from .step_time import StepWork


@dataclass(frozen=True, slots=True)
class KvBudget:
    """How many KV tokens a replica holds; at most 0 where the weights do not fit."""

    tokens: float
    source: str

    def reserved_batch(self, s: float, n: float) -> float:
        """Give b_max when every request reserves s + n tokens (not rounded)."""
        return self.tokens / (s + n)

    def paged_batch(self, s: float, n: float) -> float:
        """Give b_max at the mean context s + n/2 (not rounded)."""
        return self.tokens / (s + n / 2)


def kv_copies(card: ModelCard, tp: int) -> float:
    """Tell how many copies of a token's KV the group holds (1 when fully parted)."""
    return tp / card.kv_shards(tp)


def budget_from_memory(
    card: ModelCard,
    group: Group,
    precision: Precision,
    *,
    usable: float = USABLE_MEMORY,
    activation_bytes: float = 0.0,
) -> KvBudget:
    """What the weights leave: (tp M u - N_tot w - act) / k, in tokens."""
    weights = card.total_params * precision.weight_bytes
    left = group.memory_bytes * usable - weights - activation_bytes
    per_token = card.kv_bytes(precision.kv_bytes) * kv_copies(card, group.tp)
    return KvBudget(left / per_token, f"memory x {usable:g} less weights")


def budget_from_blocks(blocks: int, block_tokens: int) -> KvBudget:
    """Take the engine's own count, the most telling input there is (vLLM logs `# GPU blocks`)."""
    return KvBudget(float(blocks * block_tokens), f"{blocks} blocks of {block_tokens} tokens")


def mean_step(s: float, n: float, concurrency: float, budget: KvBudget) -> StepWork:
    """Give the mean step of an engine that holds `concurrency` requests of s in, n out, or fewer.

    What does not fit waits: the batch is b = min(concurrency, b_max at the mean context). Each of
    them is replaced after n steps, so a step computes b/n prompts beside its b tokens.
    """
    b = max(1.0, min(concurrency, budget.paged_batch(s, n)))
    prompts = b / n
    return StepWork(prompts * s, prompts * s * s / 2, 0, prompts, b, b * (s + n / 2))


def least_devices(card: ModelCard, device_bytes: float, precision: Precision) -> int:
    """Give how many devices of that memory hold the weights at all."""
    need = card.total_params * precision.weight_bytes
    return max(1, -int(-need // (device_bytes * USABLE_MEMORY)))
