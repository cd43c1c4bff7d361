"""A device's figures as the formulas want them: per nanosecond, per core and cycle."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from ..hardware import Device, DeviceKind, Hardware
from .core_limits import CoreLimits, core_limits
from .work_values import Unit

# The process whose name is smaller than 5 nm but which is a 5 nm one (TSMC 4N, N4P): for power
# per operation the step from N5 is within the noise of everything else here.
SMALLEST_PROCESS_NM = 5.0
# A core of 128 fp32 lanes rarely issues to all of them: fp32 products on devices that have 128
# reach this share of what the same device would with two cores of 64 (cost-model.md, section 0).
WIDE_CORE_LANES = 128
WIDE_CORE_SHARE = 0.85


class MemoryKind(StrEnum):
    """Kinds of memory that reach different shares of their datasheets' bandwidth."""

    HBM = "hbm"  # of NVIDIA
    GDDR = "gddr"  # and LPDDR, DDR: whatever is no stack on the package
    OTHER_HBM = "other hbm"


# Medians over devices of what elementwise kernels sustain, the host's launch taken off
# (docs/cost-models.md): V100 0.91, A100 0.89; T4 0.74, P4 0.75; MI100 0.80.
STREAMED: Mapping[MemoryKind, float] = {
    MemoryKind.HBM: 0.90, MemoryKind.GDDR: 0.75, MemoryKind.OTHER_HBM: 0.80,
}  # fmt: skip
CPU_STREAMED = 0.8
# Volta's controller delivers 1.5 times what Pascal's does, from 900 / 732 times its datasheet's
# bandwidth (NVIDIA V100 architecture whitepaper, "HBM2 memory architecture").
FIRST_HBM_SHARE = 900 / 732 / 1.5

# which other peak stands in for a dtype that a device does not state, best first: what would run
# there instead (weights of 8 bits are widened to 16; no library computes fp8 on integer units)
_STAND_INS: dict[str, tuple[str, ...]] = {
    "tf32": ("fp32",), "bf16": ("fp16", "tf32", "fp32"), "fp16": ("bf16", "tf32", "fp32"),
    "fp8": ("bf16", "fp16", "fp32"), "int8": ("fp8", "fp16", "bf16", "fp32"),
    "fp64": ("fp32",), "fp32": ("tf32", "bf16", "fp16"),
}  # fmt: skip
_LAST_RESORT = 1.0


def stand_in(device: Device, dtype: str) -> str:
    """Give the dtype whose peak counts for products of a dtype: itself where it is stated."""
    if dtype in device.peak_tflops or dtype in device.vector_tflops:
        return dtype
    others = _STAND_INS.get(dtype, ("fp32",))
    return next((name for name in others if name in device.peak_tflops), "fp32")


def peak_tflops(device: Device, dtype: str, unit: Unit) -> float:
    """Give the peak for a dtype on a unit, by the nearest stated figure."""
    own, other = device.peak_tflops, device.vector_tflops
    if unit is not Unit.MATRIX:
        own, other = other, own
    for name in (dtype, *_STAND_INS.get(dtype, ("fp32",))):
        if name in own:
            return own[name]
        if name in other and name == dtype:
            return other[name]
    return max([*own.values(), *other.values()], default=_LAST_RESORT)


@dataclass(frozen=True, slots=True)
class Figures:
    """What the analytic model needs of a device for one dtype.

    Attributes:
        flops_per_ns: peak of the whole device (1 TFLOP/s is 1000 a ns).
        bytes_per_ns: datasheet bandwidth (1 GB/s is one byte a ns).
        clock_ghz: cycles a ns.
        on_vector_lanes: the products run on the plain lanes, there is no matrix unit for them.
        core: what one core holds at a time.
        in_waves: cores run blocks of threads in waves, as a GPU's do; an NPU's stream vectors.
    """

    flops_per_ns: float
    bytes_per_ns: float
    cores: int
    clock_ghz: float
    l2_bytes: float
    power_w: float
    process_nm: float
    lanes: float
    on_vector_lanes: bool
    core: CoreLimits
    in_waves: bool = True

    @property
    def flops_per_cycle(self) -> float:
        """Give the FLOPs of one core in one cycle."""
        return self.flops_per_ns / self.cores / self.clock_ghz

    def at_clock(self, time_ns: float, reference_ghz: float) -> float:
        """Scale a latency known at a reference clock; half of it is memory, not cycles."""
        return time_ns * float((reference_ghz / self.clock_ghz) ** 0.5)

    def sustained_flops_per_ns(self, tflops_per_w: float) -> float:
        """Give the rate that the power limit allows for ever.

        Wider units carry fewer operand bytes a FLOP, so the energy of a FLOP falls with width^0.4
        (fitted to what A100, H100, L40S and Blackwell sustain: cost-model.md, section 3);
        on plain lanes it falls with the process alone, on matrix units with its root.
        """
        process = max(SMALLEST_PROCESS_NM, self.process_nm)
        if self.on_vector_lanes:
            return 1e3 * tflops_per_w * self.power_w * 12 / process
        width = float((self.flops_per_cycle / 1024) ** 0.4)
        return 1e3 * tflops_per_w * self.power_w * width * float((7 / process) ** 0.5)


def figures_for(hardware: Hardware, dtype: str, unit: Unit = Unit.MATRIX) -> Figures:
    """Give a device's figures for products of a dtype."""
    device = hardware.device
    peak = peak_tflops(device, dtype, unit)
    vector = dtype in {"fp32", "fp64"} and unit is Unit.MATRIX
    if vector and device.fp32_lanes_per_core >= WIDE_CORE_LANES and _only_lanes(device, dtype):
        peak *= WIDE_CORE_SHARE
    return Figures(
        flops_per_ns=peak * 1e3,
        bytes_per_ns=device.memory_bandwidth_gbps,
        cores=device.cores,
        clock_ghz=device.clock_mhz / 1e3,
        l2_bytes=float(device.l2_bytes),
        power_w=device.tdp_w,
        process_nm=device.process_nm,
        lanes=device.fp32_lanes_per_core,
        on_vector_lanes=vector,
        core=core_limits(device),
        in_waves=device.kind is not DeviceKind.NPU,
    )


def _only_lanes(device: Device, dtype: str) -> bool:
    matrix, vector = device.peak_tflops.get(dtype), device.vector_tflops.get(dtype)
    return matrix is None or vector is None or matrix <= vector


def streaming_share(hardware: Hardware) -> float:
    """Give the share of the datasheet's bandwidth that a streaming kernel reaches.

    A spec's own `vector.memory` comes first.
    """
    device = hardware.device
    if "efficiency.vector.memory" not in hardware.defaulted:
        stated = device.efficiency.get("vector.memory")
        if stated is not None:
            return stated
    if device.kind is DeviceKind.CPU:
        return CPU_STREAMED
    share = STREAMED[memory_kind(device)]
    return share * FIRST_HBM_SHARE if has_first_hbm(device) else share


def memory_kind(device: Device) -> MemoryKind:
    """Tell which kind of memory and controller a device streams from."""
    if "ddr" in device.memory_type.lower():
        return MemoryKind.GDDR
    return MemoryKind.HBM if device.vendor.lower() == "nvidia" else MemoryKind.OTHER_HBM


def has_first_hbm(device: Device) -> bool:
    """Tell whether a device has the first controller of its vendor's HBM."""
    return device.architecture.lower() == "pascal" and memory_kind(device) is MemoryKind.HBM
