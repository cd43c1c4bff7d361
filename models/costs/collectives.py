"""How long a collective's transfer takes: α₀ + α₁ (n - 1) + γ √S + S / B(n), S what a rank sends.

S = k · message, k = 2 (n - 1) / n for an all-reduce and (n - 1) / n for the others (NCCL's bus
bandwidth). The root stands for the protocols between latency- and bandwidth-bound; B grows with
the group on switched links, B(n) = B₀ (1 + c log₂ n), and falls where devices share PCIe roots.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import combinations
from math import log2

import numpy as np
from numpy.typing import NDArray

from ..errors import SpecError
from ..hardware import Hardware, Link, LinkTier

Float64s = NDArray[np.float64]

_TIERS = (LinkTier.NODE, LinkTier.HOST, LinkTier.NETWORK)
_KINDS: Mapping[str, str] = {
    "allreduce": "all_reduce", "allgather": "all_gather", "reducescatter": "reduce_scatter",
    "alltoall": "all_to_all", "broadcast": "broadcast", "sendrecv": "send_recv",
    "send": "send_recv", "recv": "send_recv", "scatter": "scatter", "gather": "gather",
    "reduce": "reduce",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class CollectiveLaw:
    """One kind of collective on one machine.

    Attributes:
        start_ns: α₀.
        step_ns: α₁, for each further rank.
        root: γ, ns for the root of a byte.
        bytes_per_ns: B₀.
        growth: c.
    """

    start_ns: float
    step_ns: float
    root: float
    bytes_per_ns: float
    growth: float

    def time_ns(self, sent: Float64s, ranks: Float64s) -> Float64s:
        """Give the time to send so many bytes a rank."""
        bandwidth = self.bytes_per_ns * (1 + self.growth * np.log2(ranks))
        time: Float64s = (
            self.start_ns + self.step_ns * (ranks - 1) + self.root * np.sqrt(sent)
            + sent / bandwidth
        )  # fmt: skip
        return time


# Fitted to NCCL on A100, H100, H200 and L40S (docs/cost-models.md): α₀ at 1.7 GHz and α₁ in ns, γ
# times the root of the link's bandwidth, the share of the link that B₀ is, and c. Kinds without
# a measurement take the law of the one that moves data alike.
_NODE: Mapping[str, tuple[float, float, float, float, float]] = {
    "all_reduce": (5500.0, 1750.0, 135.0, 0.58, 0.2),
    "all_gather": (5500.0, 930.0, 155.0, 0.46, 0.3),
    "reduce_scatter": (5700.0, 810.0, 120.0, 0.49, 0.25),
    "all_to_all": (8500.0, 190.0, 145.0, 0.65, 0.1),
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
_NETWORK_SHARE = 0.8
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

    A calibration's own law comes first, within one machine.
    """
    if link.tier is not LinkTier.NETWORK and (measured := _calibrated(hardware, kind)):
        return measured
    start, step, root, share, growth = _NODE[_LIKE.get(kind, kind)]
    stated = f"links.{link.tier}.efficiency.{kind}" not in hardware.defaulted
    if stated and kind in link.efficiency:  # of a large message among eight
        share = link.efficiency[kind] / (1 + 3 * growth)
    if link.tier is LinkTier.HOST:
        share, growth = min(share, _HOST_SHARE), _HOST_GROWTH
    if link.tier is LinkTier.NETWORK:
        share, growth, step = _NETWORK_SHARE, 0.0, link.latency_ns + _NETWORK_STEP_NS
    start *= (REFERENCE_GHZ * 1e3 / hardware.device.clock_mhz) ** START_CLOCK_POWER
    bandwidth = link.bandwidth_gbps
    return CollectiveLaw(start, step, root / bandwidth**0.5, bandwidth * share, growth)


def _calibrated(hardware: Hardware, kind: str) -> CollectiveLaw | None:
    laws = hardware.calibration.get("collectives")
    given = laws.get(kind) if isinstance(laws, Mapping) else None
    if not isinstance(given, Mapping):
        return None
    names = [item.name for item in fields(CollectiveLaw)]
    values = {name: given.get(name) for name in names}
    wrong = {
        f"calibration.collectives.{kind}.{name}": "must be a number"
        for name, value in values.items()
        if isinstance(value, bool) or not isinstance(value, int | float)
    }
    if wrong:
        raise SpecError(hardware.name, wrong)
    return CollectiveLaw(*(float(value) for value in values.values() if value is not None))


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
    machines = max(2.0, -(-ranks // local))
    sent = np.array([sent_share(kind, ranks) * message_bytes])
    time = float(across.time_ns(sent, np.array([machines]))[0])
    if inner is None or local < 2:
        return time
    inside = law_for(hardware, inner, kind)
    steps = inside.step_ns * (local - 1)
    return max(time, float(inside.time_ns(sent, np.array([float(local)]))[0])) + steps


def fit_law(sent: Float64s, ranks: Float64s, measured_ns: Float64s) -> CollectiveLaw:
    """Fit a law by least squares of relative errors, no term negative.

    Arrays of shape (messages,). At least four messages of two sizes are needed to tell the terms.
    """
    best: tuple[float, CollectiveLaw] | None = None
    for growth in (-0.3, -0.2, -0.1, 0.0, 0.1, 0.2, 0.3, 0.5):
        if 1 + growth * log2(float(np.max(ranks))) <= 0:
            continue
        terms = np.stack(
            [np.ones_like(sent), ranks - 1, np.sqrt(sent), sent / (1 + growth * np.log2(ranks))],
            axis=1,
        )
        weights, error = _least_squares(terms / measured_ns[:, None])
        if best is None or error < best[0]:
            slope = max(weights[3], 1e-12)
            law = CollectiveLaw(weights[0], weights[1], weights[2], 1 / slope, growth)
            best = (error, law)
    assert best is not None  # growth 0 is always possible
    return best[1]


def _least_squares(terms: Float64s) -> tuple[list[float], float]:
    """Give non-negative weights w of least ‖terms w - 1‖², by trying every set of terms."""
    count = terms.shape[1]
    wanted = np.ones(len(terms))
    best: tuple[list[float], float] = ([0.0] * count, float(wanted @ wanted))
    for size in range(1, count + 1):
        for chosen in combinations(range(count), size):
            found = np.linalg.lstsq(terms[:, chosen], wanted, rcond=None)[0]
            misfit = terms[:, chosen] @ found - wanted
            error = float(misfit @ misfit)
            if np.all(found >= 0) and error < best[1]:
                weights = [0.0] * count
                for place, value in zip(chosen, found.tolist(), strict=True):
                    weights[place] = value
                best = (weights, error)
    return best
