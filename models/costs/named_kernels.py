"""Kernels known by name alone: their measured time is carried over by the ratio of one rate.

What lies above the shortest kernel is scaled by the rates, the rest by the shortest kernels.
"""

from math import sqrt

from ..hardware import DeviceKind, Hardware
from .device_model import link_gbps, staging_gbps
from .figures import figures_for, peak_tflops, streaming_share
from .work_values import Unit, Work

TYPICAL_POWER = 0.58  # TFLOP/s a watt, as matmul's default


def rate_ratio(work: Work, source: Hardware, target: Hardware) -> float:
    """Give the source's rate over the target's for a kind of work."""
    return _rate(work, source) / _rate(work, target)


def _rate(work: Work, hardware: Hardware) -> float:
    match work.unit:
        case Unit.LINK:
            return link_gbps(hardware)
        case Unit.HOST:
            return staging_gbps(hardware)
        case Unit.MATRIX if hardware.device.kind is DeviceKind.CPU:
            return peak_tflops(hardware.device, work.dtype, work.unit)
        case Unit.MATRIX:
            return _sustained(work, hardware)
        case Unit.MIXED:  # in the middle, in ratios
            return sqrt(_sustained(work, hardware) * _streaming(hardware))
        case _:
            return _streaming(hardware)


def _sustained(work: Work, hardware: Hardware) -> float:
    """Give the rate of long products: the peak joined with the power limit."""
    figures = figures_for(hardware, work.dtype)
    limit = figures.sustained_flops_per_ns(TYPICAL_POWER)
    return float((figures.flops_per_ns**-4 + limit**-4) ** -0.25)


def _streaming(hardware: Hardware) -> float:
    return hardware.device.memory_bandwidth_gbps * streaming_share(hardware)
