"""How far off a price may be: one sigma of its logarithm, by class and likeness of devices."""

from ..hardware import Device, DeviceKind
from .figures import MemoryKind, memory_kind
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


# Devices unlike those that the constants were fitted to. Bytes in plain memory: bf16 products on
# L40S spread 1.6 times as wide as on A100, H100, H200. A board that its power binds slows down
# while it warms up (P4, T4: two runs of one model ask for scales of 1.17 and 1.37).
PLAIN_MEMORY_FACTOR = 1.4
LOW_POWER_FACTOR = 1.6
LOW_POWER_W = 100.0
NPU_FACTOR = 2.0  # no table holds one


def device_doubt(device: Device) -> float:
    """Give how many times wider the spreads of a device are than those of the tables' middle."""
    if device.kind is DeviceKind.NPU:
        return NPU_FACTOR
    if device.kind is DeviceKind.CPU:
        return 1.0
    if device.vendor.lower() != "nvidia":
        return FOREIGN_FACTOR
    if device.tdp_w < LOW_POWER_W:
        return LOW_POWER_FACTOR
    return PLAIN_MEMORY_FACTOR if memory_kind(device) is MemoryKind.GDDR else 1.0


def model_spread(work_class: WorkClass, device: Device | None = None) -> float:
    """Give the doubt about a price from shapes alone, on a device or on a common one."""
    return _MODEL.get(work_class, OTHER_MODEL) * (device_doubt(device) if device else 1.0)


def carried_spread(
    work_class: WorkClass,
    alike: Likeness,
    *,
    by_name: bool,
    short: bool = False,
    doubt: float = 1.0,
) -> float:
    """Give the doubt about a measurement carried over; `short`: a launch's own time rules.

    `doubt` is the greater of the two devices' own (`device_doubt`); siblings share what it is
    about.
    """
    spread = BY_NAME if by_name else _CARRIED.get(work_class, OTHER_CARRIED)
    if short:
        spread = max(spread, SHORT_KERNEL)
    if alike is Likeness.SAME:
        return spread * SAME_FACTOR * doubt
    return spread * max(doubt, FOREIGN_FACTOR if alike is Likeness.FOREIGN else 1.0)
