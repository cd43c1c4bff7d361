"""Carry a measurement to another device: t_target = A_target (t_source / A_source)^β.

A is the analytic model. What it does not explain, the residual t_source / A_source, is kept in
full between devices that run the same kernels and in part between others: β by class.
"""

from enum import StrEnum

import numpy as np

from ..hardware import Device
from .device_model import Float64s
from .work_values import WorkClass


class Likeness(StrEnum):
    """How alike two devices are."""

    SAME = "same"  # the same architecture: the same kernels run
    VENDOR = "vendor"  # another architecture of the same vendor
    FOREIGN = "foreign"


def likeness(source: Device, target: Device) -> Likeness:
    """Tell how alike two devices are by vendor and architecture."""
    if source.vendor.lower() != target.vendor.lower():
        return Likeness.FOREIGN
    same = source.architecture.lower() == target.architecture.lower()
    return Likeness.SAME if same else Likeness.VENDOR


# β across architectures of one vendor, by class (docs/cost-models.md tells where each comes from)
BETA: dict[WorkClass, float] = {
    WorkClass.MATMUL: 0.25, WorkClass.CONVOLUTION: 0.8, WorkClass.PREFILL: 0.2,
    WorkClass.DECODE: 0.8, WorkClass.ELEMENTWISE: 0.2, WorkClass.SOFTMAX: 0.2,
    WorkClass.NORMALISATION: 0.2, WorkClass.COLLECTIVE: 1.0,
}  # fmt: skip
OTHER_BETA = 0.5
# beyond this factor a residual tells that the work was misjudged, which holds on both devices
PLAUSIBLE_RESIDUAL = 3.0


def beta(work_class: WorkClass, alike: Likeness) -> float:
    """Give the share (as an exponent) of the residual that carries over."""
    return 1.0 if alike is Likeness.SAME else BETA.get(work_class, OTHER_BETA)


def transferred(
    measured_ns: Float64s, source_ns: Float64s, target_ns: Float64s, exponent: Float64s
) -> Float64s:
    """Give target times; arrays of shape (rows,): measured, A_source, A_target, β."""
    residual = np.log(np.maximum(measured_ns, 1.0) / source_ns)
    limit = np.log(PLAUSIBLE_RESIDUAL)
    plausible = np.clip(residual, -limit, limit)
    carried: Float64s = target_ns * np.exp(exponent * plausible + (residual - plausible))
    return carried
