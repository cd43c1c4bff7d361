"""How far off a price may be: one sigma of its logarithm, by class and likeness of devices."""

from .likeness import Likeness
from .work_values import WorkClass

# Of the analytic model on a device it was not fitted to: |ln error| at 90 % over 1.645
# (docs/accuracy.md, table of spreads). Classes without a table of measurements get 0.3.
_MODEL: dict[WorkClass, float] = {
    WorkClass.MATMUL: 0.17, WorkClass.CONVOLUTION: 0.40, WorkClass.PREFILL: 0.21,
    WorkClass.DECODE: 0.41, WorkClass.ELEMENTWISE: 0.12, WorkClass.COPY: 0.15,
    WorkClass.SOFTMAX: 0.20, WorkClass.NORMALISATION: 0.20, WorkClass.REDUCTION: 0.20,
}  # fmt: skip
# Of a measurement carried to another architecture of the same vendor.
_CARRIED: dict[WorkClass, float] = {
    WorkClass.MATMUL: 0.17, WorkClass.CONVOLUTION: 0.22, WorkClass.PREFILL: 0.19,
    WorkClass.DECODE: 0.22, WorkClass.ELEMENTWISE: 0.12, WorkClass.COPY: 0.12,
    WorkClass.SOFTMAX: 0.18, WorkClass.NORMALISATION: 0.18, WorkClass.REDUCTION: 0.18,
}  # fmt: skip
OTHER_MODEL = 0.30
OTHER_CARRIED = 0.25
BY_NAME = 0.30
SHORT_KERNEL = 0.25  # how long the shortest kernels take differs by driver and profiler
SAME_FACTOR = 0.4  # siblings: H100 to H200 and back
FOREIGN_FACTOR = 1.8  # another vendor's libraries


def model_spread(work_class: WorkClass) -> float:
    """Give the doubt about a price from shapes alone."""
    return _MODEL.get(work_class, OTHER_MODEL)


def carried_spread(
    work_class: WorkClass, alike: Likeness, *, by_name: bool, short: bool = False
) -> float:
    """Give the doubt about a measurement carried over; `short`: a launch's own time rules."""
    spread = BY_NAME if by_name else _CARRIED.get(work_class, OTHER_CARRIED)
    if short:
        spread = max(spread, SHORT_KERNEL)
    factors = {Likeness.SAME: SAME_FACTOR, Likeness.VENDOR: 1.0, Likeness.FOREIGN: FOREIGN_FACTOR}
    return spread * factors[alike]
