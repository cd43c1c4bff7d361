"""What a hardware spec that leaves a figure out is taken to mean, each with its reason.

Defaults are written as a file would write them and read by the same parser. A spec that uses one
says so: `Hardware.defaulted` holds its key, `Hardware.sources` the reason given here.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from .hardware import DeviceKind, LinkTier


@dataclass(frozen=True, slots=True)
class Default:
    """A figure as a file would write it, and why it is that one."""

    value: str | float
    reason: str


# Shares of the datasheet's peak that kernels reach: constants of the cost model. A new constant
# is one more line here; specs and `etsim calibrate` may then set it under `efficiency:`.
EFFICIENCY_DEFAULTS: Mapping[str, Default] = {
    "matmul.compute": Default(0.80, "bf16 GEMM fits on 9 NVIDIA devices: 0.77-0.82"),
    "matmul.memory": Default(0.85, "bf16 GEMM fits on 9 NVIDIA devices: 0.85-0.87"),
    "vector.memory": Default(0.80, "element-wise kernels on 8 of 9 devices: 0.77-0.84"),
    "vector.compute": Default(0.80, "no measurement: taken from matmul.compute"),
    "attention.compute": Default(0.60, "fused attention reaches about three quarters of GEMM"),
    "attention.memory": Default(0.80, "no measurement: taken from vector.memory"),
    "convolution.compute": Default(0.60, "no measurement: between attention and GEMM"),
    "copy.memory": Default(0.85, "no measurement: taken from matmul.memory"),
    "host_link": Default(0.80, "PCIe packet headers and pinned-copy practice: 0.75-0.85"),
}

# Shares of a link's bandwidth that a collective reaches at large messages (its "bus bandwidth").
COLLECTIVE_EFFICIENCY_DEFAULTS: Mapping[str, Default] = {
    "all_reduce": Default(0.75, "NCCL tables, 512 MiB: A100 0.64-0.74, H100 0.71-0.99"),
    "all_gather": Default(0.70, "NCCL tables, 512 MiB: A100 0.50-0.68, H100 0.57-0.75"),
    "reduce_scatter": Default(0.70, "NCCL tables, 512 MiB: A100 0.56-0.71, H100 0.55-0.75"),
    "all_to_all": Default(0.67, "NCCL tables, 512 MiB: A100 0.55-0.68, H100 0.62-0.70"),
    "broadcast": Default(0.70, "no measurement: taken from all_gather"),
    "reduce": Default(0.70, "no measurement: taken from reduce_scatter"),
    "gather": Default(0.70, "no measurement: taken from all_gather"),
    "scatter": Default(0.70, "no measurement: taken from all_gather"),
    "send_recv": Default(0.80, "no measurement: one flow without a reduction"),
}

# Over PCIe the measured share falls with the number of devices; pairs are the good case.
_OVER_PCIE = Default(
    0.60, "NCCL tables, 512 MiB: pairs of L40S and RTX PRO 0.6, four 0.2-0.4, eight 0.05-0.4"
)

_ACCELERATOR: Mapping[str, Default] = {
    "memory.type": Default("unknown", "told to people only"),
    "l2": Default("32 MiB", "between T4 (4 MiB) and B200 (126 MB)"),
    "power": Default("350 W", "between PCIe cards (70-350 W) and modules (400-1000 W)"),
    "process": Default("5 nm", "most devices since 2022: TSMC N5, 4N or N4P"),
    "launch_latency": Default(
        "1.6 us", "traces, after the call on an idle stream: A100 1.5, H100 1.6, V100 2 us"
    ),
    "kernel_gap": Default("1.2 us", "traces, medians: V100 1, A100 1.2, H100 1.7, MI300X 0 us"),
    "host.relative_speed": Default(1.0, "the reference host itself"),
    "host.launch_cost": Default(
        "4 us", "traces, profiled: H100 3.3-4.9, MI300X 3.9-4.5, V100 5 us"
    ),
    "host.cores": Default(16, "two sockets of 64 cores shared by 8 devices"),
    "links.host.name": Default("PCIe 4.0 x16", "the slowest host link of current devices"),
    "links.host.bandwidth": Default("31.5 GB/s", "16 lanes of 16 GT/s, 128b/130b encoding"),
    "links.host.latency": Default("1.2 us", "NCCL tables, L40S: 1.2 us a ring step at 512 B"),
    "links.host.devices": Default(8, "the usual server"),
    "links.node.name": Default("device link", "told to people only"),
    "links.node.latency": Default("0.8 us", "NCCL tables, H100: 0.8 us a ring step at 512 B"),
    "links.node.devices": Default(8, "the usual server"),
    "links.network.name": Default("InfiniBand NDR", "one 400 Gbit/s adapter a device"),
    "links.network.bandwidth": Default("400 Gbit/s", "one NDR adapter a device"),
    "links.network.latency": Default("5 us", "NCCL's own tuning constant for a network hop"),
    "links.network.devices": Default(16384, "a large cluster; no limit is meant"),
}

_CPU: Mapping[str, Default] = {
    **_ACCELERATOR,
    "l2": Default("32 MiB", "the last-level cache of a small server"),
    "power": Default("200 W", "one server socket"),
    "launch_latency": Default("0 us", "a CPU runs its operators in the calling thread"),
    "kernel_gap": Default("0 us", "a CPU runs its operators in the calling thread"),
    "host.launch_cost": Default("0 us", "a CPU runs its operators in the calling thread"),
    "links.node.name": Default("shared memory", "gloo between the processes of one machine"),
    "links.node.bandwidth": Default(
        "1.5 GB/s", "gloo of PyTorch 2.13, all_reduce of 64 MB, two processes on two cores: median"
    ),
    "links.node.latency": Default("0.2 ms", "the same of 1 KB: 0.15 ms at best, 0.3 the median"),
    "links.network.name": Default("Ethernet", "told to people only"),
    "links.network.bandwidth": Default("25 Gbit/s", "the usual server adapter"),
    "links.network.latency": Default("20 us", "no measurement: TCP in one data centre"),
}


def defaults_of(kind: DeviceKind, *, has_node_link: bool) -> dict[str, Default]:
    """Give the default figures of a kind of device, by dotted key.

    A link has defaults only where there is one: a CPU has no host link, an accelerator has a
    node link only where its spec gives one (its devices talk over PCIe otherwise).
    """
    table = dict(_CPU if kind is DeviceKind.CPU else _ACCELERATOR)
    tiers = {LinkTier.NETWORK}
    tiers |= {LinkTier.NODE} if kind is DeviceKind.CPU or has_node_link else set()
    tiers |= {LinkTier.HOST} if kind is not DeviceKind.CPU else set()
    for tier in set(LinkTier) - tiers:
        table = {key: it for key, it in table.items() if not key.startswith(f"links.{tier}.")}
    for tier in sorted(tiers):
        for name, default in COLLECTIVE_EFFICIENCY_DEFAULTS.items():
            measured = _OVER_PCIE if tier is LinkTier.HOST else default
            table[f"links.{tier}.efficiency.{name}"] = measured
    return table | {f"efficiency.{name}": value for name, value in EFFICIENCY_DEFAULTS.items()}
