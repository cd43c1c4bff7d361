"""How alike two devices are: whether a measurement on one tells about the other's kernels."""

from enum import StrEnum

from ..hardware import Device
from .figures import memory_kind


class Likeness(StrEnum):
    """How alike two devices are."""

    SAME = "same"  # the same architecture: the same kernels run
    VENDOR = "vendor"  # another architecture of the same vendor
    FOREIGN = "foreign"


def likeness(source: Device, target: Device) -> Likeness:
    """Tell how alike two devices are by vendor, architecture and kind of memory.

    One name covers two designs where a vendor sells it with stacked and with plain memory (A100
    and A40 are both Ampere): other cores, other tiles, other limits.
    """
    if source.vendor.lower() != target.vendor.lower():
        return Likeness.FOREIGN
    same = source.architecture.lower() == target.architecture.lower()
    alike = same and memory_kind(source) is memory_kind(target)
    return Likeness.SAME if alike else Likeness.VENDOR
