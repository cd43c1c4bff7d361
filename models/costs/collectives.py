"""How long a collective's transfer takes on a machine: its law by kind, link and group.

The law and its terms: collective_law.py. S = k · message, k = 2 (n - 1) / n for an all-reduce and
(n - 1) / n for the others (NCCL's bus bandwidth).
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TypeGuard

import numpy as np

from ..errors import SpecError
from ..hardware import DeviceKind, Hardware, Link, LinkTier
from .collective_law import CollectiveLaw, LeftOver

_TIERS = (LinkTier.NODE, LinkTier.HOST, LinkTier.NETWORK)
_KINDS: Mapping[str, str] = {
    "allreduce": "all_reduce", "allgather": "all_gather", "reducescatter": "reduce_scatter",
    "alltoall": "all_to_all", "broadcast": "broadcast", "sendrecv": "send_recv",
    "send": "send_recv", "recv": "send_recv", "scatter": "scatter", "gather": "gather",
    "reduce": "reduce",
}  # fmt: skip


# Fitted to NCCL on A100, H100 and H200 (docs/cost-models.md): α₀ at 1.7 GHz and α₁ in ns, γ times
# the root of the link's bandwidth, the share of the link that B₀ is, and κ. Kinds without a
# measurement take the law of the one that moves data alike.
_NODE: Mapping[str, tuple[float, float, float, float, float]] = {
    "all_reduce": (5500.0, 1750.0, 135.0, 0.93, 0.30),
    "all_gather": (5500.0, 930.0, 155.0, 0.86, 0.48),
    "reduce_scatter": (5700.0, 810.0, 120.0, 0.85, 0.45),
    "all_to_all": (8500.0, 190.0, 145.0, 0.80, 0.20),
}
_LIKE: Mapping[str, str] = {
    "broadcast": "all_gather", "gather": "all_gather", "scatter": "all_gather",
    "reduce": "reduce_scatter", "send_recv": "all_to_all",
}  # fmt: skip
# Devices that talk over PCIe share its roots: L40S reaches 20, 5 and 1.4 GB/s among 2, 4 and 8
# devices of 32 GB/s, another card 39, 26 and 25 of 64; topology decides, so the doubt is wide.
REFERENCE_GHZ = 1.7
START_CLOCK_POWER = 1.5  # a collective starts with many dependent steps: A100 8, H100 4 µs
_HOST_SHARE = 0.62
_HOST_GROWTH = -0.25
_ABSENT = {"growth": 0.0, "local": 0.0}  # of a calibrated law that does not state them
_NETWORK_SHARE = 0.8
# A ring enters and leaves a machine once, and as many rings run as it has adapters, one a device:
# each carries its part. In the others every rank sends over the adapter of its own.
_RINGS = ("all_reduce", "all_gather", "reduce_scatter", "broadcast", "reduce")
_NETWORK_STEP_NS = 1000.0  # beside the link's own latency


def canonical_kind(name: str) -> str:
    """Give our name of a collective: `ncclDevKernel_AllReduce...` and `allreduce` alike."""
    plain = "".join(letter for letter in name.lower() if letter.isalpha())
    return next((kind for key, kind in _KINDS.items() if key in plain), "all_reduce")


def link_for(hardware: Hardware, ranks: int) -> Link | None:
    """Give the nearest tier that joins so many devices."""
    links = [link for tier in _TIERS if (link := hardware.link(tier))]
    return next((link for link in links if link.max_devices >= ranks), None)


def sent_share(kind: str, ranks: int) -> float:
    """Give k: what one rank sends of a message."""
    if kind == "send_recv" or ranks < 2:
        return 1.0
    return (2 if kind == "all_reduce" else 1) * (ranks - 1) / ranks


def law_for(hardware: Hardware, link: Link, kind: str) -> CollectiveLaw:
    """Give a machine's law for a kind of collective over one of its links.

    A calibration's own law comes first, within one machine. Processes of a CPU meet in gloo, whose
    ring steps are wake-ups of threads: t = latency (n - 1) + S / bandwidth.
    """
    if link.tier is not LinkTier.NETWORK and (measured := _calibrated(hardware, kind)):
        return measured
    if hardware.device.kind is DeviceKind.CPU and link.tier is LinkTier.NODE:
        return CollectiveLaw(0.0, link.latency_ns, 0.0, link.bandwidth_gbps)
    start, step, root, share, local = _NODE[_LIKE.get(kind, kind)]
    growth = 0.0
    stated = f"links.{link.tier}.efficiency.{kind}" not in hardware.defaulted
    if stated and kind in link.efficiency:  # of a large message among eight
        share = link.efficiency[kind] * (1 + local / 7)
    if link.tier is LinkTier.HOST:
        share, growth, local = min(share, _HOST_SHARE), _HOST_GROWTH, 0.0
    if link.tier is LinkTier.NETWORK:
        share, local, step = _NETWORK_SHARE, 0.0, link.latency_ns + _NETWORK_STEP_NS
    start *= (REFERENCE_GHZ * 1e3 / hardware.device.clock_mhz) ** START_CLOCK_POWER
    bandwidth = link.bandwidth_gbps
    return CollectiveLaw(start, step, root / bandwidth**0.5, bandwidth * share, growth, local)


def _calibrated(hardware: Hardware, kind: str) -> CollectiveLaw | None:
    laws = hardware.calibration.get("collectives")
    given = laws.get(kind) if isinstance(laws, Mapping) else None
    if not isinstance(given, Mapping):
        return None
    names = [item.name for item in fields(CollectiveLaw) if item.name != "left"]
    values = {name: given.get(name, _ABSENT.get(name)) for name in names}
    wrong = {
        f"calibration.collectives.{kind}.{name}": "must be a number"
        for name, value in values.items()
        if isinstance(value, bool) or not isinstance(value, int | float)
    }
    left = _left_over(given.get("left"))
    if left is None and "left" in given:
        wrong[f"calibration.collectives.{kind}.left"] = "wants ranks, chunk_bytes and logs"
    if wrong:
        raise SpecError(hardware.name, wrong)
    numbers = {name: float(value) for name, value in values.items() if value is not None}
    return CollectiveLaw(
        numbers["start_ns"], numbers["step_ns"], numbers["root"], numbers["bytes_per_ns"],
        numbers["growth"], numbers["local"], left,
    )  # fmt: skip


def _left_over(given: object) -> LeftOver | None:
    """Read what a fit left, None where it is not of the form that `etsim calibrate` writes."""
    if not isinstance(given, Mapping):
        return None
    ranks, chunks, logs = (given.get(name) for name in ("ranks", "chunk_bytes", "logs"))
    if not isinstance(ranks, int | float) or not (_numbers(chunks) and _numbers(logs)):
        return None
    sizes, values = tuple(map(float, chunks)), tuple(map(float, logs))
    rising = all(a < b for a, b in zip((0.0, *sizes), sizes, strict=False))
    return LeftOver(float(ranks), sizes, values) if rising and len(sizes) == len(values) else None


def _numbers(given: object) -> TypeGuard[Sequence[float]]:
    return (
        isinstance(given, Sequence)
        and len(given) > 0
        and all(isinstance(value, int | float) and not isinstance(value, bool) for value in given)
    )


def transfer_ns(hardware: Hardware, kind: str, message_bytes: int, ranks: int) -> float | None:
    """Give the modelled transfer time, None where no link joins so many devices."""
    link = link_for(hardware, max(2, ranks))
    if link is None:
        return None
    law = law_for(hardware, link, kind)
    if link.tier is LinkTier.NETWORK:
        return _two_tiers_ns(hardware, law, kind, message_bytes, ranks)
    sent = np.array([sent_share(kind, ranks) * message_bytes])
    return float(law.time_ns(sent, np.array([float(max(2, ranks))]))[0])


def _two_tiers_ns(
    hardware: Hardware, across: CollectiveLaw, kind: str, message_bytes: int, ranks: int
) -> float:
    """Give the time over several machines: a ring's slowest link bounds it, steps add up."""
    inner = hardware.link(LinkTier.NODE) or hardware.link(LinkTier.HOST)
    local = min(ranks, inner.max_devices) if inner else 1
    machines = -(-ranks // local)
    sent = np.array([sent_share(kind, ranks) * message_bytes])
    rings = _fewest_on_a_machine(ranks, machines, local) if kind in _RINGS else 1
    time = float(across.time_ns(sent / rings, np.array([max(2.0, machines)]))[0])
    if inner is None or local < 2:
        return time
    inside = law_for(hardware, inner, kind)
    steps = inside.step_ns * (local - 1)
    return max(time, float(inside.time_ns(sent, np.array([float(local)]))[0])) + steps


def _fewest_on_a_machine(ranks: int, machines: int, local: int) -> int:
    """Count the ranks of the machine with fewest, each filled before the next."""
    return ranks - (machines - 1) * local
