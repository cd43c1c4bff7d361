"""Carry a measurement to another device: t_target = A_target (t_source / A_source)^β.

A is the analytic model. What it does not explain, the residual t_source / A_source, is kept in
full between devices that run the same kernels and in part between others: β by class.
"""

import numpy as np

from .device_model import Float64s
from .likeness import Likeness
from .spreads import model_spread
from .work_values import WorkClass

# β across architectures, by class: the tables choose 0 for products and prompts, 0.9 for decode
BETA: dict[WorkClass, float] = {
    WorkClass.MATMUL: 0.1, WorkClass.CONVOLUTION: 0.8, WorkClass.PREFILL: 0.0,
    WorkClass.DECODE: 0.9, WorkClass.ELEMENTWISE: 0.2, WorkClass.SOFTMAX: 0.2,
    WorkClass.NORMALISATION: 0.2, WorkClass.COLLECTIVE: 1.0,
}  # fmt: skip
OTHER_BETA = 0.5


def beta(work_class: WorkClass, alike: Likeness) -> float:
    """Give the share (as an exponent) of the residual that carries over."""
    return 1.0 if alike is Likeness.SAME else BETA.get(work_class, OTHER_BETA)


def transferred(
    measured_ns: Float64s,
    source_ns: Float64s,
    target_ns: Float64s,
    exponent: Float64s,
    limit: Float64s | float,
) -> Float64s:
    """Give target times; arrays of shape (rows,): measured, A_source, A_target, β."""
    carried: Float64s = target_ns * carried_share(measured_ns, source_ns, exponent, limit)
    return carried


def carried_share(
    measured_ns: Float64s, source_ns: Float64s, exponent: Float64s, limit: Float64s | float
) -> Float64s:
    """Give what the model's time at the target is multiplied by: the residual that carries over.

    A residual within `limit` (natural log: what the model is off anyway) is the model's and
    carries over as β says. What lies beyond tells of the work itself (strides, another
    algorithm, a misjudged shape) and holds on both devices.
    """
    residual = np.log(np.maximum(measured_ns, 1.0) / source_ns)
    plausible = np.clip(residual, -limit, limit)
    share: Float64s = np.exp(exponent * plausible + (residual - plausible))
    return share


def residual_limit(work_class: WorkClass) -> float:
    """Give how large a residual may be before it counts as the work's own: two sigmas."""
    if work_class is WorkClass.DECODE:
        return np.inf  # nearly all of it carries over anyway
    return 2 * model_spread(work_class)
