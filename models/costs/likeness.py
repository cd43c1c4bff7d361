"""How alike two devices are: whether a measurement on one tells about the other's kernels."""

from enum import StrEnum

from ..hardware import Device


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
