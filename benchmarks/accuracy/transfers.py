"""A measurement carried from one device to another, judged over all pairs of unlike families."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from etsim.models.costs.transfer import transferred

from .tables import FAMILY, Float64s, ape

CHOICES = tuple(np.arange(0, 1.01, 0.1).round(1).tolist())


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """One device's cases as a transfer sees them: what it is, measured and modelled."""

    gpu: str
    keys: Sequence[Hashable]
    measured_ns: Float64s
    modelled_ns: Float64s
    limit: float  # of a residual, as `transfer.residual_limit` gives it for the class


@dataclass(frozen=True, slots=True)
class PairError:
    """Errors of one ordered pair of devices, per cent."""

    source: str
    target: str
    sibling: bool
    exponent: float
    median: float
    mean: float
    log_spread: float


def common(source: Judged, target: Judged) -> tuple[list[int], list[int]]:
    """Give the places of cases that both devices have."""
    at_source = {key: place for place, key in enumerate(source.keys)}
    both = [(at_source[key], place) for place, key in enumerate(target.keys) if key in at_source]
    return [a for a, _ in both], [b for _, b in both]


def carried(source: Judged, target: Judged, exponent: float) -> tuple[Float64s, Float64s]:
    """Give predicted and measured times on the target for the common cases."""
    here, there = common(source, target)
    predicted = transferred(
        source.measured_ns[here], source.modelled_ns[here], target.modelled_ns[there],
        np.full(len(here), exponent), source.limit,
    )  # fmt: skip
    return predicted, target.measured_ns[there]


def chosen_exponent(others: list[Judged]) -> float:
    """Choose β on pairs of unlike families that do not touch the target; 0 where there is none."""
    pairs = [(a, b) for a in others for b in others if FAMILY[a.gpu] != FAMILY[b.gpu]]
    if not pairs:
        return 0.0
    losses = [
        np.mean([np.mean(np.abs(np.log(np.divide(*carried(a, b, exponent))))) for a, b in pairs])
        for exponent in CHOICES
    ]
    return CHOICES[int(np.argmin(losses))]


def pair_errors(devices: Sequence[str], judged: Callable[[str, str], Judged]) -> list[PairError]:
    """Judge every ordered pair; `judged(gpu, family)` models with constants without that family."""
    errors = []
    for target_gpu in devices:
        family = FAMILY[target_gpu]
        target = judged(target_gpu, family)
        others = [judged(gpu, family) for gpu in devices if FAMILY[gpu] != family]
        exponent = chosen_exponent(others)
        sources = [judged(gpu, family) for gpu in devices if gpu != target_gpu]
        errors += [_judge(source, target, exponent) for source in sources]
    return errors


def _judge(source: Judged, target: Judged, unlike: float) -> PairError:
    sibling = FAMILY[source.gpu] == FAMILY[target.gpu]
    exponent = 1.0 if sibling else unlike
    predicted, measured = carried(source, target, exponent)
    error = ape(predicted, measured)
    return PairError(
        source.gpu, target.gpu, sibling, exponent, float(np.median(error)),
        float(np.mean(error)), log_spread(predicted, measured),
    )  # fmt: skip


def log_spread(predicted: Float64s, measured: Float64s) -> float:
    """Give the one-sigma log spread whose ±1.645 σ covers 90 % of the cases."""
    return float(np.quantile(np.abs(np.log(predicted / measured)), 0.9) / 1.645)
