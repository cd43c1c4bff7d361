"""What a group of devices can do for a load, worked out once: prompt time, step times by batch.

A plan asks thousands of fleets made of a few groups. Each group's step cost is asked here, on a
grid of batches; the fleets then interpolate.
"""

from dataclasses import dataclass

import numpy as np

from ..hardware import Hardware
from .fleet import Slo
from .outcome import Floats
from .setup import Setup
from .step_cost import FactorCost, StepCost
from .step_time import StepWork, decode_work, prefill_work

GRID_POINTS = 64
STEP_TOKENS = 8192  # token budget of a step
MAX_SEQUENCES = 1024
LENGTH_QUANTILES = 64


@dataclass(frozen=True, slots=True, eq=False)
class Ask:
    """What is asked of a fleet.

    Attributes:
        rate: λ, requests a second.
        prompts: prompt lengths, one or as many quantiles of a log's; shape (lengths,).
        output: n, mean answer length.
        output_cv2: variation of the answers' length.
        share: of the requests that must keep each promise.
    """

    rate: float
    prompts: Floats
    output: float
    slo: Slo
    share: float = 0.9
    output_cv2: float = 0.0

    @property
    def prompt(self) -> float:
        """Give s, the mean prompt."""
        return float(self.prompts.mean())

    @property
    def mean_context(self) -> float:
        """Give s̄ = s + n/2."""
        return self.prompt + self.output / 2


@dataclass(frozen=True, slots=True, eq=False)
class GroupCurve:
    """One group under a load; times in seconds.

    Attributes:
        prefill_s: mean time of one prompt alone.
        prefill_cv2: variation of that time over the prompts' lengths.
        chunks: steps a prompt is spread over within the token budget.
        batches: grid of batch sizes, rising from 1.
        decode_s: step time at each.
        mixed_s: time of a step that carries a chunk as well.
        batch_limit: sequences whose KV fits at their mean length, or that an engine holds.
    """

    hardware: Hardware
    tp: int
    prefill_s: float
    prefill_cv2: float
    chunks: float
    batches: Floats
    decode_s: Floats
    mixed_s: Floats
    batch_limit: float

    @property
    def usd_per_hour(self) -> float | None:
        """Give the price of the group."""
        price = self.hardware.price_usd_per_hour
        return None if price is None else price * self.tp

    def step_s(self, batch: Floats) -> Floats:
        """Give T(b), interpolated; beyond the grid the last slope goes on."""
        return _along(batch, self.batches, self.decode_s)

    def mixed_step_s(self, batch: Floats) -> Floats:
        """Give T_mix(b)."""
        return _along(batch, self.batches, self.mixed_s)


def _along(x: Floats, grid: Floats, values: Floats) -> Floats:
    slope = (values[-1] - values[-2]) / (grid[-1] - grid[-2])
    beyond = np.maximum(x - grid[-1], 0.0) * slope
    found: Floats = np.interp(x, grid, values) + beyond
    return found


def group_curve(
    setup: Setup, hardware: Hardware, tp: int, ask: Ask, *, cost_factor: float = 1.0
) -> GroupCurve | None:
    """Work a group out; None where not even one request fits its memory."""
    budget = setup.budget(hardware, tp)
    longest = float(ask.prompts.max()) + ask.output
    if budget.tokens < longest:
        return None
    cost: StepCost = setup.cost(hardware, tp)
    if cost_factor != 1.0:
        cost = FactorCost(cost, cost_factor)
    batch_limit = min(MAX_SEQUENCES, budget.tokens / ask.mean_context)
    prefills = np.array([cost.step_ns(prefill_work(int(s))) for s in ask.prompts]) / 1e9
    batches = np.unique(np.geomspace(1, MAX_SEQUENCES, GRID_POINTS).round())
    chunk = min(ask.prompt, float(STEP_TOKENS))
    chunks = ask.prompt / chunk
    decode, mixed = [], []
    for b in batches.tolist():
        alone = decode_work(int(b), ask.mean_context)
        decode.append(cost.step_ns(alone))
        pairs = ask.prompt**2 / 2 / chunks
        context = (ask.prompt - chunk) / 2
        both = StepWork(chunk, pairs, context, 1 / chunks, b, b * ask.mean_context)
        mixed.append(cost.step_ns(both))
    mean = float(prefills.mean())
    return GroupCurve(
        hardware=hardware,
        tp=tp,
        prefill_s=mean,
        prefill_cv2=float(prefills.var()) / mean**2,
        chunks=chunks,
        batches=batches,
        decode_s=np.array(decode) / 1e9,
        mixed_s=np.array(mixed) / 1e9,
        batch_limit=batch_limit,
    )
