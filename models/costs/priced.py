"""The result of pricing: what every row and lag takes on the target, and how sure that is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..graph import Bytes, Int32s, Int64s


@dataclass(frozen=True, slots=True, eq=False)
class Priced:
    """Durations on the target, with their origin and doubt.

    Attributes:
        duration_ns: (nodes,) on the target.
        lag_ns: (edges,) on the target.
        provenance: (nodes,) `models.graph.Provenance`.
        bound: (nodes,) `Bound`.
        spread: (nodes,) one-sigma spread of the logarithm of the duration.
        cost_class: (nodes,) into `classes`; errors are correlated within a class.
        warnings: what could not be priced as it should, one sentence each.
    """

    duration_ns: Int64s
    lag_ns: Int64s
    provenance: Bytes
    bound: Bytes
    spread: NDArray[np.float64]
    cost_class: Int32s
    classes: tuple[str, ...]
    warnings: tuple[str, ...]
