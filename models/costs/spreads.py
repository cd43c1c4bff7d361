"""How far off a price may be: one sigma of its logarithm, by class and likeness of devices."""

from .transfer import Likeness
from .work_values import WorkClass

_TRANSFER: dict[WorkClass, float] = {
    WorkClass.MATMUL: 0.17, WorkClass.CONVOLUTION: 0.19, WorkClass.PREFILL: 0.19,
    WorkClass.DECODE: 0.28, WorkClass.ELEMENTWISE: 0.10, WorkClass.SOFTMAX: 0.17,
    WorkClass.NORMALISATION: 0.17,
}  # fmt: skip
OTHER = 0.25
SAME_FACTOR = 0.4
FOREIGN_FACTOR = 1.6
ABSOLUTE_FACTOR = 1.4
BY_NAME = 0.35


def transfer_spread(work_class: WorkClass, alike: Likeness, *, by_name: bool) -> float:
    """Give the doubt about a measurement carried over."""
    spread = BY_NAME if by_name else _TRANSFER.get(work_class, OTHER)
    factors = {Likeness.SAME: SAME_FACTOR, Likeness.VENDOR: 1.0, Likeness.FOREIGN: FOREIGN_FACTOR}
    return spread * factors[alike]


def absolute_spread(work_class: WorkClass) -> float:
    """Give the doubt about a price from shapes alone."""
    return ABSOLUTE_FACTOR * _TRANSFER.get(work_class, OTHER)
