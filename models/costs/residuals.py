"""What few measurements on a device tell beyond its constants: a smooth residual over shapes.

A Gaussian process over the logarithms of the dimensions: near a measured shape the residual is
believed, octaves away it fades to nothing (Rasmussen and Williams 2006, eq. 2.25).

    r̂(x) = k(x, X) (K + σ² I)⁻¹ r          k(x, y) = s² exp(-|x - y|² / 2 ℓ²),  x = log₂ dimensions
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64s = NDArray[np.float64]

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
