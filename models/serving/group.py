"""The devices that serve one replica, in the symbols of the formulas: F, B, M, link, host.

SI units here: seconds, bytes, flop/s. The border to integer nanoseconds is in `step_cost`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import AnalysisError
from ..hardware import Hardware, Link, LinkTier

# Shares of the datasheet peaks that serving engines reach, fitted to measured serving points
# (benchmarks/serving_accuracy.py prints the fit); a spec's own efficiency wins where it has one.
COMPUTE_EFFICIENCY = 0.60
MEMORY_EFFICIENCY = 0.80
USABLE_MEMORY = 0.90  # vLLM's default gpu_memory_utilization


@dataclass(frozen=True, slots=True)
class Precision:
    """What is computed in, and the bytes of a weight (w), KV element (w_kv), activation (w_act)."""

    compute: str = "bf16"
    weight_bytes: float = 2.0
    kv_bytes: float = 2.0
    activation_bytes: float = 2.0


PRECISIONS: Mapping[str, Precision] = {
    "bf16": Precision(),
    "fp16": Precision("fp16"),
    "fp32": Precision("fp32", 4.0, 4.0, 4.0),
    "fp4": Precision("fp4", 0.5, 2.0, 2.0),
    "fp8": Precision("fp8", 1.0, 2.0, 2.0),
    "int8": Precision("int8", 1.0, 2.0, 2.0),
    "w8a16": Precision("fp16", 1.0, 2.0, 2.0),
    "w4a16": Precision("fp16", 0.5, 2.0, 2.0),
}


@dataclass(frozen=True, slots=True)
class HostCost:
    """Host time of a step that the device does not hide.

    Given for the reference host (`relative_speed` 1); a slower host takes longer.

    Attributes:
        s_per_layer: o_host of the formulas; about 0 where a graph launch replays the layers.
        s_per_step: scheduling, sampling and the like, once a step.
    """

    s_per_layer: float = 0.0
    s_per_step: float = 0.0


@dataclass(frozen=True, slots=True)
class Group:
    """`tp` devices that serve one replica together.

    Attributes:
        flops_per_s: F = tp F1 e_c.
        bytes_per_s: B = tp B1 e_m.
        memory_bytes: tp M.
        link_bytes_per_s: bw, one way, per device, between the devices of the group.
        link_latency_s: lat, of one hop.
    """

    name: str
    tp: int
    flops_per_s: float
    bytes_per_s: float
    memory_bytes: float
    link_bytes_per_s: float
    link_latency_s: float
    host: HostCost = HostCost()
    host_speed: float = 1.0  # single thread, against the reference host
    price_usd_per_hour: float | None = None  # of the whole group


# Where a dtype has no unit of its own, the maths runs in the next that has one.
_NEXT_WIDER: Mapping[str, tuple[str, ...]] = {
    "fp4": ("fp8", "fp16", "bf16", "fp32"),
    "fp8": ("fp16", "bf16", "fp32"),
    "int8": ("fp16", "bf16", "fp32"),
    "fp16": ("bf16", "fp32"),
    "bf16": ("fp16", "fp32"),
}


def peak_flops(hardware: Hardware, dtype: str) -> float:
    """Give the dense peak in flop/s; where a dtype has no unit of its own, of the next wider.

    Raises:
        AnalysisError: the spec states no peak that could stand for it.
    """
    device = hardware.device
    tried = (dtype, *_NEXT_WIDER.get(dtype, ()))
    for name in tried:
        peak = max(device.peak_tflops.get(name, 0.0), device.vector_tflops.get(name, 0.0))
        if peak > 0:
            return peak * 1e12
    raise AnalysisError(
        f"{hardware.name} states no peak for {' or '.join(tried)}",
        remedy=f"it has {', '.join(device.peak_tflops) or 'none'}; add one to the spec",
    )


def peer_link(hardware: Hardware, tp: int) -> Link | None:
    """Give the link that joins the devices of a group: in the node, else host, else network."""
    for tier in (LinkTier.NODE, LinkTier.HOST, LinkTier.NETWORK):
        link = hardware.link(tier)
        if link is not None and (link.max_devices >= tp or tier is LinkTier.NETWORK):
            return link
    return None


def largest_group(hardware: Hardware) -> int:
    """Give how many devices one node joins, 1 where no link is stated."""
    reach = [x.max_devices for x in hardware.links if x.tier is not LinkTier.NETWORK]
    return max([1, *reach])


def _on_host(cost: HostCost, speed: float) -> HostCost:
    return HostCost(cost.s_per_layer / speed, cost.s_per_step / speed)


def group_of(
    hardware: Hardware,
    tp: int,
    precision: Precision,
    *,
    compute_efficiency: float = COMPUTE_EFFICIENCY,
    memory_efficiency: float = MEMORY_EFFICIENCY,
    host: HostCost | None = None,
) -> Group:
    """Build the group of `tp` devices of a machine.

    Raises:
        AnalysisError: several devices are asked for and the spec joins them by no link.
    """
    link = peer_link(hardware, tp)
    if tp > 1 and link is None:
        raise AnalysisError(
            f"{hardware.name} has no link between its devices, so tp {tp} cannot be",
            remedy="give the spec a link, or ask for tp 1",
        )
    price = hardware.price_usd_per_hour
    return Group(
        name=hardware.name,
        tp=tp,
        flops_per_s=tp * peak_flops(hardware, precision.compute) * compute_efficiency,
        bytes_per_s=tp * hardware.device.memory_bandwidth_gbps * 1e9 * memory_efficiency,
        memory_bytes=float(tp * hardware.device.memory_bytes),
        link_bytes_per_s=link.bandwidth_gbps * 1e9 if link else 0.0,
        link_latency_s=link.latency_ns * 1e-9 if link else 0.0,
        host=_on_host(host or HostCost(), hardware.host.relative_speed),
        host_speed=hardware.host.relative_speed,
        price_usd_per_hour=None if price is None else price * tp,
    )
