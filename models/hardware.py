"""What a machine is: device, host, links, price. Values only; `specs.py` reads them from YAML.

Units stand in the names: `_tflops` is 1e12 operations a second, `_gbps` is 1e9 *bytes* a
second (never bits), `_ns` nanoseconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class DeviceKind(StrEnum):
    """What executes the kernels."""

    GPU = "gpu"
    NPU = "npu"
    CPU = "cpu"


class LinkTier(StrEnum):
    """How far a link reaches."""

    NODE = "node"  # NVLink, xGMI, HCCS: between the devices of one machine
    HOST = "host"  # PCIe: between device and host (and between devices that have nothing better)
    NETWORK = "network"  # between machines


@dataclass(frozen=True, slots=True)
class Device:
    """One accelerator (or, for `kind: cpu`, the cores of one host as the place of the maths).

    Attributes:
        peak_tflops: dense peak of the matrix units by dtype (`fp32`, `tf32`, `bf16`, `fp16`,
            `fp8`, `int8`, ...); where a device has no matrix unit for a dtype, its vector rate.
        vector_tflops: peak of the plain arithmetic units by dtype.
        cores: streaming multiprocessors, compute units, AI cores or CPU cores.
        launch_latency_ns: from the end of a launch call to the start of its kernel, idle stream.
        kernel_gap_ns: between two kernels that follow each other on one stream.
        efficiency: fitted constants by name (`matmul.compute`, `vector.memory`, ...), each with
            its documented default; see `specs.EFFICIENCY_DEFAULTS`.
    """

    kind: DeviceKind
    vendor: str
    architecture: str
    peak_tflops: Mapping[str, float]
    vector_tflops: Mapping[str, float]
    memory_bytes: int
    memory_bandwidth_gbps: float
    memory_type: str
    l2_bytes: int
    cores: int
    clock_mhz: float
    tdp_w: float
    process_nm: float
    fp32_lanes_per_core: float
    launch_latency_ns: int
    kernel_gap_ns: int
    efficiency: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Host:
    """The CPU side: how fast it issues work.

    Attributes:
        relative_speed: single-thread speed against the reference host (1.0); time = work / speed.
        launch_cost_ns: duration of one kernel launch call.
        cores: cores that one process may use.
    """

    relative_speed: float
    launch_cost_ns: int
    cores: int


@dataclass(frozen=True, slots=True)
class Link:
    """One tier of the interconnect.

    Attributes:
        bandwidth_gbps: one way, per device.
        latency_ns: of one message, one hop.
        max_devices: how many devices it joins.
        efficiency: share of `bandwidth_gbps` that a collective of that name reaches.
    """

    name: str
    tier: LinkTier
    bandwidth_gbps: float
    latency_ns: int
    max_devices: int
    efficiency: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hardware:
    """A machine as the cost model sees it.

    Attributes:
        sources: dotted key -> where the figure comes from.
        defaulted: dotted keys that the file left out and a documented default filled.
        calibration: fitted constants with intervals and provenance, as `etsim calibrate` wrote
            them; empty for a datasheet.
    """

    name: str
    device: Device
    host: Host
    links: tuple[Link, ...]
    price_usd_per_hour: float | None
    sources: Mapping[str, str] = field(default_factory=dict)
    defaulted: frozenset[str] = frozenset()
    calibration: Mapping[str, object] = field(default_factory=dict)

    def link(self, tier: LinkTier) -> Link | None:
        """Give the link of a tier, or None where the machine has none."""
        return next((link for link in self.links if link.tier is tier), None)
