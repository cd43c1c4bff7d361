"""What few measurements on a device tell beyond its constants: a smooth residual over shapes.

A Gaussian process over the logarithms of the dimensions: near a measured shape the residual is
believed, octaves away it fades to nothing (Rasmussen and Williams 2006, eq. 2.25).

    r̂(x) = k(x, X) (K + σ² I)⁻¹ r          k(x, y) = s² exp(-|x - y|² / 2 ℓ²),  x = log₂ dimensions
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import SpecError

Float64s = NDArray[np.float64]

DIMENSIONS = 3  # log₂ of m, n and k
LENGTH_OCTAVES = 3.0  # over how many doublings of a dimension a residual stays alike
SIGNAL = 0.15  # spread of residuals between shapes far apart
NOISE = 0.07  # of one measurement: versions of one library differ by 1-10 % (cost-model.md)


@dataclass(frozen=True, slots=True, eq=False)
class ResidualField:
    """Residuals known at some shapes; `features` has shape (known, dimensions)."""

    features: Float64s
    weights: Float64s

    def at(self, features: Float64s) -> Float64s:
        """Give the residual (natural log) at other shapes, shape (shapes,)."""
        field: Float64s = _kernel(features, self.features) @ self.weights
        return field


def read_field(given: object) -> ResidualField | None:
    """Give a field as a calibration wrote it, None where it wrote none.

    Raises:
        SpecError: the field is not `features` and `weights` of one length.
    """
    if not isinstance(given, Mapping):
        return None
    try:
        features = np.array(given["features"], dtype=np.float64)
        weights = np.array(given["weights"], dtype=np.float64)
    except (KeyError, TypeError, ValueError) as error:
        fault = {"calibration.residuals": "must hold features and weights, lists of numbers"}
        raise SpecError("calibration", fault) from error
    if features.ndim != 2 or features.shape != (len(weights), DIMENSIONS):
        fault = {"calibration.residuals": f"wants {DIMENSIONS} features for each weight"}
        raise SpecError("calibration", fault)
    return ResidualField(features, weights)


def residual_field(features: Float64s, residuals: Float64s) -> ResidualField:
    """Learn the residuals of some shapes; `features` are log₂ dimensions."""
    kernel = _kernel(features, features) + NOISE**2 * np.eye(len(features))
    weights = np.linalg.solve(kernel, residuals).astype(np.float64)
    return ResidualField(features, weights)


def _kernel(left: Float64s, right: Float64s) -> Float64s:
    apart = left[:, None, :] - right[None, :, :]
    squared = np.sum(apart**2, axis=2) / LENGTH_OCTAVES**2
    kernel: Float64s = SIGNAL**2 * np.exp(-squared / 2)
    return kernel
