"""A measured step on other hardware: split it into parts, scale each part by its own ratio.

    t_target = t_source · Σ m_j part_j(target) / Σ m_j part_j(source)

The parts are ideal times (datasheet peaks); the multipliers m say how far the source's software
is from them. They are fitted to the source's own measured steps and to nothing else, held near
documented priors where few steps were measured, and kept on the target: it is the same software.
What the fit misses of a single step stays with that step, as a factor.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .group import Group, Precision
from .model_card import ModelCard
from .step_time import StepModel, StepWork

# Part -> (prior multiplier, its reason).
PRIORS: dict[str, tuple[float, str]] = {
    "compute": (1.3, "matrix units sustain 0.76-0.83 of the peak (bf16 GEMM tables)"),
    "memory": (1.2, "memory sustains 0.80-0.87 of the peak (bf16 GEMM and decode tables)"),
    "activations": (1.2, "element-wise kernels sustain 0.77-0.84 of the bandwidth"),
    "ring": (2.0, "all-reduce reaches half the link in a node (NCCL tables, 1-64 MB)"),
    "latency": (4.0, "microseconds a doubling of an all-reduce's small-message time"),
    "host": (60.0, "microseconds of a layer's 15 launches of 4 us on the reference host"),
}
PART_NAMES = tuple(PRIORS)
# Weight of the priors against one measured step, in squared relative error.
PRIOR_WEIGHT = 0.001
# Elements that the element-wise kernels of one layer read and write for one token, without
# fusion: two residual sums (3 h each) and two norms with their copies (3 h each) on every device;
# queries, attention output and rotary (3 n_q d), and the gated FFN's activation (5 f) parted.
FULL_WIDTHS = 12
HEAD_WIDTHS = 3
FFN_WIDTHS = 5

Parts = NDArray[np.float64]


def activation_bytes(card: ModelCard, precision: Precision, tp: int) -> float:
    """Give the bytes one device moves for the activations of one token."""
    ffn = card.ffn
    if card.experts is not None:
        ffn = card.experts.ffn * (card.experts.per_token + card.experts.shared)
    parted = HEAD_WIDTHS * card.query_heads * card.head_dim + FFN_WIDTHS * ffn
    elements = FULL_WIDTHS * card.hidden + parted / tp
    return card.layers * elements * precision.activation_bytes


class IdealParts:
    """The ideal seconds of each of `PART_NAMES` in a step; the group is at datasheet peaks."""

    __slots__ = ("_host_s", "_latency_s", "_model", "_token_s")

    def __init__(self, card: ModelCard, group: Group, precision: Precision) -> None:
        self._model = StepModel(card, group, precision)
        bandwidth = group.bytes_per_s / group.tp
        self._token_s = activation_bytes(card, precision, group.tp) / bandwidth
        reduces = 2 * card.layers
        self._latency_s = reduces * math.log2(group.tp) * 1e-6 / group.host_speed
        self._host_s = card.layers * 1e-6 / group.host_speed

    def times(self, work: StepWork) -> tuple[float, ...]:
        """Give the parts in their order."""
        compute, weights, kv, _comm, _host = self._model.seconds(work)
        tokens = work.prefill_tokens + work.decode_batch
        return (
            compute,
            weights + kv,
            tokens * self._token_s,
            tokens * self._model.comm_token_s,
            self._latency_s,
            self._host_s,
        )


def part_times(card: ModelCard, group: Group, precision: Precision, work: StepWork) -> Parts:
    """Give the parts of a single step, shape (6,)."""
    return np.array(IdealParts(card, group, precision).times(work))


@dataclass(frozen=True, slots=True)
class MeasuredStep:
    """A step of the source: what it computed, on which devices, how long it took."""

    card: ModelCard
    precision: Precision
    work: StepWork
    group: Group
    seconds: float

    def parts(self) -> Parts:
        """Give its ideal parts."""
        return part_times(self.card, self.group, self.precision, self.work)


@dataclass(frozen=True, slots=True)
class Calibration:
    """The source's software in multipliers of the ideal parts.

    Attributes:
        multipliers: one for each of `PART_NAMES`.
        steps: how many measured steps it rests on.
        spread: standard deviation of log(measured / modelled) on the source.
    """

    multipliers: tuple[float, ...]
    steps: int
    spread: float

    def seconds(self, parts: Parts) -> float:
        """Give the modelled time of a step with these parts."""
        return float(parts @ np.array(self.multipliers))

    def shares(self, parts: Parts) -> dict[str, float]:
        """Give the share of each part in a step."""
        each = parts * np.array(self.multipliers)
        return dict(zip(PART_NAMES, (each / each.sum()).tolist(), strict=True))


def calibrate(steps: Sequence[MeasuredStep]) -> Calibration:
    """Fit the multipliers to measured steps of one software, of one or several models.

    Least squares of relative errors, none negative; each multiplier also pays for leaving its
    prior, by `PRIOR_WEIGHT`, so that one step is enough and parts that always grow together stay
    apart.
    """
    rows = np.array([step.parts() / step.seconds for step in steps])
    prior = np.array([value for value, _reason in PRIORS.values()])
    pull = np.sqrt(PRIOR_WEIGHT * max(1, len(steps)))
    matrix = np.vstack([rows.reshape(-1, len(prior)), pull * np.diag(1 / prior)])
    wanted = np.concatenate([np.ones(len(steps)), pull * np.ones(len(prior))])
    multipliers = nonnegative_least_squares(matrix, wanted)
    spread = float(np.std(np.log(rows @ multipliers))) if len(steps) > 1 else 0.0
    return Calibration(tuple(multipliers.tolist()), len(steps), spread)


def nonnegative_least_squares(matrix: Parts, wanted: Parts) -> Parts:
    """Minimise |matrix x - wanted| over x >= 0, exactly, by trying every set of positive ones.

    For the handful of unknowns here (2^6 sets) that is simpler than an active-set walk.
    """
    unknowns = matrix.shape[1]
    best, least = np.zeros(unknowns), float(wanted @ wanted)
    for size in range(1, unknowns + 1):
        for chosen in itertools.combinations(range(unknowns), size):
            part = np.linalg.lstsq(matrix[:, chosen], wanted, rcond=None)[0]
            error = float(np.sum((matrix[:, chosen] @ part - wanted) ** 2))
            if bool(np.all(part >= 0)) and error < least:
                best, least = np.zeros(unknowns), error
                best[list(chosen)] = part
    return best


@dataclass(frozen=True, slots=True)
class Transfer:
    """From source to target: the same model and software, another group of devices."""

    card: ModelCard
    precision: Precision
    calibration: Calibration
    source: Group
    target: Group

    def ratio(self, work: StepWork, target_work: StepWork | None = None) -> float:
        """Give target time over source time; the target may run other work (a larger batch)."""
        there = part_times(self.card, self.target, self.precision, target_work or work)
        here = part_times(self.card, self.source, self.precision, work)
        return self.calibration.seconds(there) / self.calibration.seconds(here)
