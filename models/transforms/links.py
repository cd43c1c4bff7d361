"""The link that inserted collectives use: a tier of the target, a known kind, or a bandwidth."""

from dataclasses import replace

from ..costs.collectives import link_for
from ..errors import UsageError
from ..hardware import DeviceKind, Hardware, Link, LinkTier
from ..units import Dimension, UnitError, parse

# Data rate of one port (or of all of a device's NVLink ports) one way in GB/s, and a message's
# latency as vendors and perftest users state them.
KNOWN_LINKS: dict[str, tuple[LinkTier, float, int]] = {
    "eth10": (LinkTier.NETWORK, 1.25, 15_000),
    "eth25": (LinkTier.NETWORK, 3.125, 10_000),
    "eth100": (LinkTier.NETWORK, 12.5, 5_000),
    "eth400": (LinkTier.NETWORK, 50.0, 5_000),
    "ib100": (LinkTier.NETWORK, 12.5, 1_500),
    "ib200": (LinkTier.NETWORK, 25.0, 1_300),
    "ib400": (LinkTier.NETWORK, 50.0, 1_300),
    "ib800": (LinkTier.NETWORK, 100.0, 1_300),
    "pcie3": (LinkTier.HOST, 16.0, 1_500),
    "pcie4": (LinkTier.HOST, 32.0, 1_500),
    "pcie5": (LinkTier.HOST, 64.0, 1_500),
    "nvlink2": (LinkTier.NODE, 150.0, 1_000),
    "nvlink3": (LinkTier.NODE, 300.0, 1_000),
    "nvlink4": (LinkTier.NODE, 450.0, 1_000),
    "nvlink5": (LinkTier.NODE, 900.0, 1_000),
}
ANY_NUMBER = 1 << 20
BANDWIDTH_LATENCY_NS = 5_000  # of a link of which only the bandwidth is given
_TIERS = (LinkTier.NODE, LinkTier.HOST, LinkTier.NETWORK)


def with_link(target: Hardware, text: str, ranks: int, asked: str) -> Hardware:
    """Give the target whose collectives of so many ranks use the named link; "" leaves it be.

    Args:
        target: the machine.
        text: `node`, `host`, `network`, a key of KNOWN_LINKS, or a bandwidth as `50GB/s`.
        ranks: how many devices must meet.
        asked: the transform's name, for messages.

    Raises:
        UsageError: an unknown link, or none that joins so many devices.
    """
    if text:
        link = _link(target, text, asked)
        nearer = _TIERS[: _TIERS.index(link.tier)]
        kept = [
            replace(other, max_devices=1) if other.tier in nearer else other
            for other in target.links
            if other.tier is not link.tier
        ]
        link = replace(link, max_devices=max(link.max_devices, ranks))
        target = replace(target, name=f"{target.name}, {text}", links=(*kept, link))
    if ranks > 1 and link_for(target, ranks) is None:
        raise UsageError(
            f"{asked}: no link of {target.name} joins {ranks} devices",
            remedy=f"name one: link=50GB/s or link={'|'.join(KNOWN_LINKS)}",
        )
    return target


def shares_cores(target: Hardware, ranks: int) -> bool:
    """Tell whether collectives take the cores that compute: CPU ranks on one full machine.

    A host collective copies and adds on a thread of its own; without a core for it, overlapping it
    with compute gains nothing.
    """
    if target.device.kind is not DeviceKind.CPU:
        return False
    link = link_for(target, ranks)
    within = link is not None and link.tier is not LinkTier.NETWORK
    return within and target.host.cores < 2 * ranks


def _link(target: Hardware, text: str, asked: str) -> Link:
    if text in {tier.value for tier in LinkTier}:
        own = target.link(LinkTier(text))
        if own is None:
            raise UsageError(
                f"{asked}: {target.name} has no link of tier {text!r}",
                remedy="give a bandwidth: link=50GB/s",
            )
        return own
    if text in KNOWN_LINKS:
        tier, bandwidth_gbps, latency_ns = KNOWN_LINKS[text]
        return Link(text, tier, bandwidth_gbps, latency_ns, ANY_NUMBER)
    try:
        bandwidth = parse(text, Dimension.BYTE_RATE)
    except UnitError as error:
        known = ", ".join(KNOWN_LINKS)
        raise UsageError(
            f"{asked}: link {text!r} is neither a bandwidth ({error}) nor known",
            remedy=f"one of {known}",
        ) from None
    return Link(text, LinkTier.NETWORK, bandwidth / 1e9, BANDWIDTH_LATENCY_NS, ANY_NUMBER)
