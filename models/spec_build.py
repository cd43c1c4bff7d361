"""Put checked and complete figures into the `Hardware` value: base units to the names' units."""

from collections.abc import Mapping

from .hardware import Device, DeviceKind, Hardware, Host, Link, LinkTier
from .spec_figures import Figures


def build(figures: Figures, sources: Mapping[str, str], defaulted: frozenset[str]) -> Hardware:
    """Put checked and complete figures into the value the rest of etsim knows."""
    numbers = figures.numbers
    return Hardware(
        name=figures.texts["name"],
        device=_device(figures),
        host=Host(
            relative_speed=numbers["host.relative_speed"],
            launch_cost_ns=_ns(numbers["host.launch_cost"]),
            cores=int(numbers["host.cores"]),
        ),
        links=tuple(
            _link(figures, tier) for tier in LinkTier if f"links.{tier}.bandwidth" in numbers
        ),
        price_usd_per_hour=numbers.get("price"),
        sources=sources,
        defaulted=defaulted,
        calibration=figures.calibration,
    )


def _device(figures: Figures) -> Device:
    numbers, texts = figures.numbers, figures.texts
    return Device(
        kind=DeviceKind(texts["kind"]),
        vendor=texts["vendor"],
        architecture=texts["architecture"],
        peak_tflops={dtype: rate / 1e12 for dtype, rate in figures.under("peak").items()},
        vector_tflops={dtype: rate / 1e12 for dtype, rate in figures.under("vector").items()},
        memory_bytes=round(numbers["memory.size"]),
        memory_bandwidth_gbps=numbers["memory.bandwidth"] / 1e9,
        memory_type=texts["memory.type"],
        l2_bytes=round(numbers["l2"]),
        cores=int(numbers["cores"]),
        clock_mhz=numbers["clock"] / 1e6,
        tdp_w=numbers["power"],
        process_nm=numbers["process"],
        fp32_lanes_per_core=numbers["fp32_lanes"],
        launch_latency_ns=_ns(numbers["launch_latency"]),
        kernel_gap_ns=_ns(numbers["kernel_gap"]),
        efficiency=figures.under("efficiency"),
    )


def _link(figures: Figures, tier: LinkTier) -> Link:
    key = f"links.{tier}"
    return Link(
        name=figures.texts[f"{key}.name"],
        tier=tier,
        bandwidth_gbps=figures.numbers[f"{key}.bandwidth"] / 1e9,
        latency_ns=_ns(figures.numbers[f"{key}.latency"]),
        max_devices=int(figures.numbers[f"{key}.devices"]),
        efficiency=figures.under(f"{key}.efficiency"),
    )


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
