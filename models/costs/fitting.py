"""Fit constants to measurements: log-L1 loss, a prior on every constant, Nelder and Mead's simplex.

    loss(c) = mean min(|ln(model(c) / measured)|, cap) + ½ λ Σ ((ln c - ln prior) / width)²

The cap keeps broken measurements from bending the fit; the prior keeps what the data cannot tell.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields

import numpy as np
from numpy.typing import NDArray

from .constants import C, from_logs, to_logs

Float64s = NDArray[np.float64]
RESIDUAL_CAP = 0.6  # a factor of 1.8: beyond it a row is wrong, not informative
PRIOR_WEIGHT = 0.001
FIRST_STEP = 0.15


def capped_loss(modelled: Float64s, measured: Float64s) -> float:
    """Give the mean absolute log error, each row's capped."""
    return float(np.mean(np.minimum(np.abs(np.log(modelled / measured)), RESIDUAL_CAP)))


def fit(
    prior: C,
    widths: Mapping[str, float],
    loss: Callable[[C], float],
    *,
    iterations: int = 400,
    prior_weight: float = PRIOR_WEIGHT,
) -> C:
    """Give the constants of least loss; a constant without a width stays at its prior."""
    start = np.array(to_logs(prior))
    width = np.array([widths.get(item.name, 0.0) for item in fields(prior)])
    free = width > 0

    def full(moved: Float64s) -> Float64s:
        logs = start.copy()
        logs[free] = moved
        return logs

    def objective(moved: Float64s) -> float:
        away = (moved - start[free]) / width[free]
        return loss(from_logs(prior, full(moved).tolist())) + prior_weight * float(away @ away)

    best = minimise(objective, start[free], iterations=iterations)
    return from_logs(prior, full(best).tolist())


def minimise(
    objective: Callable[[Float64s], float], start: Float64s, *, iterations: int
) -> Float64s:
    """Give a local minimum by the downhill simplex (Nelder and Mead 1965)."""
    corners = [start, *(start + FIRST_STEP * row for row in np.eye(len(start)))]
    heights = [objective(corner) for corner in corners]
    for _ in range(iterations):
        order = np.argsort(heights)
        corners = [corners[place] for place in order]
        heights = [heights[place] for place in order]
        if heights[-1] - heights[0] < 1e-5 * abs(heights[0]):
            break
        _step(objective, corners, heights)
    return corners[int(np.argmin(heights))]


def _step(
    objective: Callable[[Float64s], float], corners: list[Float64s], heights: list[float]
) -> None:
    """Replace the worst corner by reflection, expansion or contraction, else shrink all."""
    centre = np.mean(corners[:-1], axis=0)
    reflected = 2 * centre - corners[-1]
    height = objective(reflected)
    if height < heights[0]:
        further = 3 * centre - 2 * corners[-1]
        beyond = objective(further)
        corners[-1], heights[-1] = (further, beyond) if beyond < height else (reflected, height)
    elif height < heights[-2]:
        corners[-1], heights[-1] = reflected, height
    else:
        inner = (centre + corners[-1]) / 2
        within = objective(inner)
        if within < heights[-1]:
            corners[-1], heights[-1] = inner, within
        else:
            _shrink(objective, corners, heights)


def _shrink(
    objective: Callable[[Float64s], float], corners: list[Float64s], heights: list[float]
) -> None:
    for place in range(1, len(corners)):
        corners[place] = (corners[0] + corners[place]) / 2
        heights[place] = objective(corners[place])
