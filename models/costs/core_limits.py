"""What one core (SM or CU) holds at a time and how long its steps take, by architecture.

Of the vendors' programming guides (compute capability tables; CDNA instruction set manuals). An
architecture that is not listed counts as the most common: 2048 threads, warps of 32.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ..hardware import Device

WIDE_LANES = 128  # of cores that hold fewer threads, where one architecture has two kinds


@dataclass(frozen=True, slots=True)
class CoreLimits:
    """Limits of one core.

    Attributes:
        threads: most threads resident.
        blocks: most blocks of threads resident.
        wave: threads that run in step.
        registers: of 32 bits, shared by the resident threads.
        block_memory_bytes: shared memory that one block gets without asking for more.
        slowness: cycles that a dependent step takes, 1 for Volta and later.
    """

    threads: int = 2048
    blocks: int = 32
    wave: int = 32
    registers: int = 65536
    block_memory_bytes: int = 48 << 10
    slowness: float = 1.0


# Pascal issues a dependent instruction after 6 cycles, Volta and Turing after 4 (Jia et al. 2018,
# "Dissecting the NVIDIA Volta GPU architecture via microbenchmarking", and 2019 on the T4).
_PASCAL_SLOWNESS = 1.5
_OF_ARCHITECTURE: Mapping[str, CoreLimits] = {
    "pascal": CoreLimits(slowness=_PASCAL_SLOWNESS),
    "turing": CoreLimits(threads=1024, blocks=16),
    "ada": CoreLimits(threads=1536, blocks=24),
    "blackwell-gddr": CoreLimits(threads=1536),
    "cdna1": CoreLimits(threads=2560, wave=64, registers=131072, block_memory_bytes=64 << 10),
    "cdna2": CoreLimits(wave=64, registers=131072, block_memory_bytes=64 << 10),
    "cdna3": CoreLimits(wave=64, registers=131072, block_memory_bytes=64 << 10),
}
_SMALL_AMPERE = CoreLimits(threads=1536, blocks=16)  # GA10x: A40, A10, RTX 30


def core_limits(device: Device) -> CoreLimits:
    """Give the limits of a device's cores."""
    architecture = device.architecture.lower().replace("_", "-")
    if architecture == "ampere" and device.fp32_lanes_per_core >= WIDE_LANES:
        return _SMALL_AMPERE
    return _OF_ARCHITECTURE.get(architecture, CoreLimits())
