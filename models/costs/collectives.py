"""How long a collective's transfer takes: α + γ √S + S / B, by kind, ranks and tier of link.

S is what one rank must send: 2 (n - 1) / n of the message for an all-reduce, (n - 1) / n for the
others (NCCL's bus bandwidth convention).
"""

from math import log2, sqrt

from ..hardware import Hardware, Link, LinkTier

_TIERS = (LinkTier.NODE, LinkTier.HOST, LinkTier.NETWORK)
_KINDS = {
    "allreduce": "all_reduce", "allgather": "all_gather", "reducescatter": "reduce_scatter",
    "alltoall": "all_to_all", "broadcast": "broadcast", "reduce": "reduce", "gather": "gather",
    "scatter": "scatter", "send": "send_recv", "recv": "send_recv", "sendrecv": "send_recv",
}  # fmt: skip
LAUNCH_NS = 6000.0  # a NCCL kernel's own start
DEFAULT_EFFICIENCY = 0.7


def canonical_kind(name: str) -> str:
    """Give our name of a collective: `ncclDevKernel_AllReduce...` and `allreduce` alike."""
    plain = "".join(letter for letter in name.lower() if letter.isalpha())
    for key, kind in _KINDS.items():
        if key in plain:
            return kind
    return "all_reduce"


def link_for(hardware: Hardware, ranks: int) -> Link | None:
    """Give the nearest tier that joins so many devices."""
    for tier in _TIERS:
        link = hardware.link(tier)
        if link is not None and link.max_devices >= ranks:
            return link
    return None


def wire_bytes(kind: str, message_bytes: int, ranks: int) -> float:
    """Give what one rank sends."""
    if kind == "send_recv" or ranks < 2:
        return float(message_bytes)
    share = (ranks - 1) / ranks
    return (2 if kind == "all_reduce" else 1) * share * message_bytes


def transfer_ns(hardware: Hardware, kind: str, message_bytes: int, ranks: int) -> float | None:
    """Give the modelled transfer time, None where no link joins so many devices."""
    link = link_for(hardware, max(2, ranks))
    if link is None:
        return None
    sent = wire_bytes(kind, message_bytes, ranks)
    bandwidth = link.bandwidth_gbps * link.efficiency.get(kind, DEFAULT_EFFICIENCY)
    latency = LAUNCH_NS + link.latency_ns * max(1.0, log2(max(2, ranks)))
    return latency + sqrt(sent) * 1.0 + sent / bandwidth
