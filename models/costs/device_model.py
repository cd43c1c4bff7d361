"""The analytic device model: how long a device should take for a piece of work.

t = max(FLOPs / sustained rate, bytes / sustained bandwidth) + latency floor
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..graph import Bytes
from ..hardware import Device, DeviceKind, Hardware, LinkTier
from .bound import Bound
from .work_values import Unit, Work, WorkClass

Float64s = NDArray[np.float64]
COMPUTE_EFFICIENCY = 0.75
MEMORY_EFFICIENCY = 0.85
HOST_LINK_GBPS = 25.0


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """Modelled time of each piece of work, shape (works,), and what binds it."""

    time_ns: Float64s
    bound: Bytes


def rate_tflops(device: Device, work: Work) -> float:
    """Give the peak that applies to a work's unit and dtype, with the nearest known dtype."""
    table = device.peak_tflops if work.unit is Unit.MATRIX else device.vector_tflops
    for dtype in (work.dtype, "fp32", "tf32", "bf16", "fp16"):
        if dtype in table:
            return table[dtype]
    return max([*table.values(), *device.peak_tflops.values()], default=1.0)


def bandwidth_gbps(hardware: Hardware, work: Work) -> float:
    """Give the sustained bandwidth of the path that a work's bytes take."""
    if work.unit is Unit.LINK:
        link = hardware.link(LinkTier.HOST)
        return link.bandwidth_gbps * 0.8 if link else HOST_LINK_GBPS
    return hardware.device.memory_bandwidth_gbps * MEMORY_EFFICIENCY


def floor_ns(hardware: Hardware) -> float:
    """Give the least time of any kernel (or, on a CPU, of any operator)."""
    if hardware.device.kind is DeviceKind.CPU:
        return 500.0 / hardware.host.relative_speed
    return 2500.0


def estimate(hardware: Hardware, works: Sequence[Work]) -> Estimate:
    """Give the modelled time of every piece of work on a machine."""
    device = hardware.device
    compute = np.array(
        [w.flops / (rate_tflops(device, w) * 1e3 * COMPUTE_EFFICIENCY) for w in works]
    )
    memory = np.array([w.bytes_moved / bandwidth_gbps(hardware, w) for w in works])
    floor = floor_ns(hardware)
    free = np.array([w.work_class is WorkClass.FREE for w in works], dtype=bool)
    work_ns = np.where(free, 0.0, np.maximum(compute, memory))
    bound = np.where(compute >= memory, Bound.COMPUTE, Bound.MEMORY)
    bound = np.where(work_ns < floor, Bound.LAUNCH, bound)
    return Estimate(work_ns + floor, bound.astype(np.uint8))


def rescaled_ns(
    measured_ns: Float64s, ratio: Float64s, source: Hardware, target: Hardware
) -> Float64s:
    """Carry times of kernels known by name only: the part above the floor by one rate's ratio."""
    above = np.maximum(0.0, measured_ns - floor_ns(source))
    floor = np.minimum(measured_ns, floor_ns(source)) * floor_ns(target) / floor_ns(source)
    scaled: Float64s = floor + above * ratio
    return scaled


def rate_ratio(work: Work, source: Hardware, target: Hardware) -> float:
    """Give the source's rate over the target's for the kind of work."""
    if work.unit is Unit.MATRIX:
        return rate_tflops(source.device, work) / rate_tflops(target.device, work)
    return bandwidth_gbps(source, work) / bandwidth_gbps(target, work)
