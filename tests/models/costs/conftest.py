"""Small machines for the tests of prices: figures that divide in the head."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from etsim.models.hardware import Device, DeviceKind, Hardware, Host, Link, LinkTier


def machine(name: str = "one", *, factor: float = 1.0, host_speed: float = 1.0) -> Hardware:
    """Give a GPU whose rates are `factor` times those of machine one, and its host."""
    device = Device(
        kind=DeviceKind.GPU, vendor="nvidia", architecture="hopper",
        peak_tflops={"fp32": 20 * factor, "bf16": 200 * factor},
        vector_tflops={"fp32": 20 * factor},
        memory_bytes=80 << 30, memory_bandwidth_gbps=2000 * factor, memory_type="HBM",
        l2_bytes=40 << 20, cores=100, clock_mhz=1500, tdp_w=500, process_nm=5,
        fp32_lanes_per_core=128, launch_latency_ns=8000, kernel_gap_ns=1000,
    )  # fmt: skip
    links = (
        Link("NVLink", LinkTier.NODE, 300 * factor, 1000, 8),
        Link("PCIe", LinkTier.HOST, 32, 1200, 8),
    )
    return Hardware(name, device, Host(host_speed, round(4000 / host_speed), 16), links, None)


def cpu(name: str = "cpu", *, cores: int = 1) -> Hardware:
    """Give a CPU whose rates grow with its cores."""
    base = machine(name)
    device = replace(
        base.device, kind=DeviceKind.CPU, vendor="intel", architecture="icelake",
        peak_tflops={"fp32": 0.1 * cores}, vector_tflops={"fp32": 0.1 * cores},
        memory_bandwidth_gbps=10.0 * cores, cores=cores, launch_latency_ns=0, kernel_gap_ns=0,
    )  # fmt: skip
    return replace(base, device=device, links=())


@pytest.fixture
def make_gpu() -> Callable[..., Hardware]:
    """Give the maker of small GPUs."""
    return machine


@pytest.fixture
def make_cpu() -> Callable[..., Hardware]:
    """Give the maker of small CPUs."""
    return cpu
