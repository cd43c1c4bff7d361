"""Do the stated intervals hold? Spreads from the other families, judged on the one left out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .tables import FAMILY, Float64s
from .transfers import Judged, carried, chosen_exponent, log_spread

Z_90 = 1.645
Residuals = dict[str, list[Float64s]]  # family of the target -> log errors of each pair


@dataclass(frozen=True, slots=True)
class Coverage:
    """A class's spread over all families, and the share of cases inside its 90 % interval."""

    spread: float
    covered: float


def model_residuals(devices: Sequence[str], judged: Callable[[str, str], Judged]) -> Residuals:
    """Give log errors of the model alone on each family left out of its fit."""
    found: Residuals = {}
    for gpu in devices:
        one = judged(gpu, FAMILY[gpu])
        found.setdefault(FAMILY[gpu], []).append(np.log(one.modelled_ns / one.measured_ns))
    return found


def carried_residuals(devices: Sequence[str], judged: Callable[[str, str], Judged]) -> Residuals:
    """Give log errors of measurements carried to each family left out."""
    found: Residuals = {}
    for gpu in devices:
        family = FAMILY[gpu]
        others = [judged(other, family) for other in devices if FAMILY[other] != family]
        exponent = chosen_exponent(others)
        for source in others:
            predicted, measured = carried(source, judged(gpu, family), exponent)
            found.setdefault(family, []).append(np.log(predicted / measured))
    return found


def coverage(residuals: Residuals) -> Coverage:
    """Judge each family by the spread of the others.

    A new device may be any of them: variances are averaged, so that one bad family counts, and
    with n families the spread is itself uncertain by 1 + 1/n.
    """
    spreads = {family: _spread(errors) for family, errors in residuals.items()}
    covered = []
    for family, errors in residuals.items():
        others = [spread for other, spread in spreads.items() if other != family]
        limit = Z_90 * _pooled(others)
        covered.append(np.mean([np.mean(np.abs(error) <= limit) for error in errors]))
    return Coverage(_pooled(list(spreads.values())), float(np.mean(covered)))


def _pooled(spreads: Sequence[float]) -> float:
    return float(np.sqrt(np.mean(np.square(spreads)) * (1 + 1 / len(spreads))))


def _spread(errors: list[Float64s]) -> float:
    return float(np.mean([log_spread(np.exp(error), np.ones_like(error)) for error in errors]))
