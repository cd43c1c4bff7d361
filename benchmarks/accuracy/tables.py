"""The measured tables beside the checkout, as columns, and the devices that they name."""

import csv
import gzip
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from etsim.models.hardware import Device, DeviceKind, Hardware, Host, Link, LinkTier

Float64s = NDArray[np.float64]
Row = dict[str, str]

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data"

# Devices whose results may tell about each other: a target's whole family stays out of its fit.
FAMILY = {
    "a100_sxm": "a100", "a100": "a100", "A100-40": "a100", "h100_sxm": "hopper", "h100": "hopper",
    "h200_sxm": "hopper", "l40s": "ada", "P100": "p100", "P4": "p4", "T4": "t4", "V100": "v100",
    "MI100": "mi100",
}  # fmt: skip
# fp32 lanes a core where hardware.csv leaves them out (architecture whitepapers)
_LANES = {"a100_sxm": 64.0}
_MEMORY = {"T4": "GDDR6", "P4": "GDDR5", "l40s": "GDDR6"}


@cache
def table(name: str, shared: Path = SHARED) -> list[Row]:
    """Read a table as rows of text."""
    path = shared / "kernels" / f"{name}.csv.gz"
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def columns(rows: Iterable[Row], *names: str) -> list[Float64s]:
    """Give columns as numbers, 0 where empty."""
    kept = list(rows)
    return [np.array([float(row[name] or 0) for row in kept]) for name in names]


def where(rows: Iterable[Row], test: Callable[[Row], bool]) -> list[Row]:
    """Give the rows that pass a test."""
    return [row for row in rows if test(row)]


@cache
def machine(gpu: str, shared: Path = SHARED) -> Hardware:
    """Give a device of hardware.csv as the value the cost model takes."""
    path = shared / "kernels" / "hardware.csv"
    with path.open(encoding="utf-8", newline="") as file:
        row = next(row for row in csv.DictReader(file) if row["gpu"] == gpu)
    value = {key: float(text) for key, text in row.items() if key not in {"gpu", "arch"} and text}
    matrix = {
        name: value[f"{name}_tflops"] for name in ("bf16", "fp8") if f"{name}_tflops" in value
    }
    amd = row["arch"].startswith("cdna")
    if amd:
        matrix["fp32"] = value["fp32_tflops"]
    device = Device(
        kind=DeviceKind.GPU, vendor="AMD" if amd else "NVIDIA", architecture=row["arch"],
        peak_tflops=matrix, vector_tflops={"fp32": value["fp32_tflops"] / (2 if amd else 1)},
        memory_bytes=16 << 30, memory_bandwidth_gbps=value["mem_bw_gbs"],
        memory_type=_MEMORY.get(gpu, "HBM2"), l2_bytes=int(value["l2_mb"] * 1e6),
        cores=int(value["num_sm"]), clock_mhz=value["boost_mhz"], tdp_w=value["tdp_w"],
        process_nm=value["process_nm"],
        fp32_lanes_per_core=value.get("fp32_lanes_per_sm", _LANES.get(gpu, 128.0)),
        launch_latency_ns=8000, kernel_gap_ns=1200,
    )  # fmt: skip
    link = Link("link", LinkTier.NODE, value.get("link_gbs_unidir", 32.0), 800, 8)
    return Hardware(gpu, device, Host(1.0, 4000, 16), (link,), None)


def with_share(hardware: Hardware, share: float) -> Hardware:
    """Give a machine whose streaming share of the bandwidth is stated."""
    device = replace(hardware.device, efficiency={"vector.memory": share})
    return replace(hardware, device=device)


def ape(predicted: Float64s, measured: Float64s) -> Float64s:
    """Give absolute percentage errors."""
    errors: Float64s = np.abs(predicted / measured - 1) * 100
    return errors


def sample(count: int, most: int) -> NDArray[np.int64]:
    """Give a fixed choice of rows: fits see the same ones every time."""
    return np.random.default_rng(0).permutation(count)[:most]
