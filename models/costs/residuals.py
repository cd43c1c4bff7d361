"""What few measurements on a device tell beyond its constants: a smooth residual over shapes.

A Gaussian process over the logarithms of the dimensions (Rasmussen and Williams 2006, eq. 2.25 and
4.17, Matérn 3/2): near a measured shape the residual is believed, octaves away it fades to their
common mean, and that to nothing the fewer there are.

    r̂(x) = k(x, X) (K + N)⁻¹ r        k(x, y) = b² + s² (1 + d) exp(-d),  d = √3 |x - y| / ℓ
    N = σ² max(1, |r - r̂| / σ): a wild measurement counts by its size, not by its square (Huber)
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import SpecError

Float64s = NDArray[np.float64]

DIMENSIONS = 3  # log₂ of m, n and k
LENGTH_OCTAVES = 6.0  # over how many doublings of a dimension a residual stays alike
SIGNAL = 0.15  # spread of residuals between shapes far apart
MEAN = 0.05  # spread of what all shapes of a device have in common
NOISE = 0.05  # of one measurement: versions of one library differ by 1-10 % (cost-model.md)
REWEIGHTINGS = 5
KERNEL = "matern-3/2"  # stated beside the weights, which hold for no other


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
    if given.get("kernel") != KERNEL:
        fault = {"calibration.residuals": f"must be of kernel {KERNEL}: calibrate again"}
        raise SpecError("calibration", fault)
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
    kernel = _kernel(features, features)
    noise = np.full(len(features), NOISE**2)
    weights = np.linalg.solve(kernel + np.diag(noise), residuals)
    for _ in range(REWEIGHTINGS):
        misfit = np.abs(residuals - kernel @ weights)
        noise = NOISE**2 * np.maximum(1.0, misfit / NOISE)
        weights = np.linalg.solve(kernel + np.diag(noise), residuals)
    return ResidualField(features, weights.astype(np.float64))


def _kernel(left: Float64s, right: Float64s) -> Float64s:
    apart = left[:, None, :] - right[None, :, :]
    distance = np.sqrt(3 * np.sum(apart**2, axis=2)) / LENGTH_OCTAVES
    kernel: Float64s = MEAN**2 + SIGNAL**2 * (1 + distance) * np.exp(-distance)
    return kernel
