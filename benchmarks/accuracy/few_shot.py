"""bf16 products with a few measured kernels of the target: constants refitted, residuals kept."""

from functools import cache

import numpy as np

from etsim.models.costs.constants import MatmulConstants
from etsim.models.costs.fitting import RESIDUAL_CAP, capped_loss, fit
from etsim.models.costs.residuals import residual_field

from .folds import FOLDS
from .gemm import DEVICES, WIDTHS, Case, case, modelled, without
from .tables import FAMILY, Float64s, ape

TRIALS = 3
REFIT_WIDTHS = {name: 2 * width for name, width in WIDTHS.items()}


def _features(c: Case) -> Float64s:
    return np.log2(np.stack([c.products.m, c.products.n, c.products.k], axis=1))


@cache
def errors(kernels: int) -> dict[str, float]:
    """Give each target's median error, per cent, over the rows not among the measured ones."""
    return {
        gpu: float(np.mean([_trial(gpu, kernels, t) for t in range(TRIALS)])) for gpu in DEVICES
    }


def _trial(gpu: str, kernels: int, trial: int) -> float:
    whole = case(gpu)
    order = np.random.default_rng(trial).permutation(len(whole.measured_ns))
    known, asked = whole.rows(order[:kernels]), whole.rows(order[kernels : kernels + 2000])
    prior = without(FAMILY[gpu])

    def make() -> MatmulConstants:
        return fit(
            prior,
            REFIT_WIDTHS,
            lambda c: capped_loss(modelled(known, c), known.measured_ns),
            iterations=200,
        )

    constants = FOLDS.get(f"{kernels} kernels of {gpu}, choice {trial}", prior, make)
    left = np.log(known.measured_ns / modelled(known, constants))
    field = residual_field(_features(known), np.clip(left, -RESIDUAL_CAP, RESIDUAL_CAP))
    predicted = modelled(asked, constants) * np.exp(field.at(_features(asked)))
    return float(np.median(ape(predicted, asked.measured_ns)))
