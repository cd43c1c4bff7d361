"""Which links a transfer crosses: the target's tiers, and where its ranks stand.

    node 0                                 node 1
    rank 0 ─ port ─┐                       rank 4 ─ port ─┐
    rank 1 ─ port ─┤ switch    NIC ═══════ NIC            ┤ switch
    ...            └ (NVLink)                             └

A port has two directions, out of and into its devices. How many neighbouring ranks share a port
of each tier is data (`Placement`); all else that is taken for granted is in ASSUMPTIONS.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from ...models.costs.collectives import canonical_kind, link_for
from ...models.errors import UsageError
from ...models.graph import NONE, Collective
from ...models.hardware import Hardware, LinkTier

# The share of a link's bandwidth that all its flows together reach: the largest that one flow
# alone does by the laws of models/costs/collectives.py and the spec's `host_link`.
USABLE: Mapping[LinkTier, float] = {
    LinkTier.NODE: 0.93,  # NCCL, all-reduce of 8 on NVLink: 0.58 (1 + 0.2 log2 8)
    LinkTier.HOST: 0.80,  # PCIe, pinned copies
    LinkTier.NETWORK: 0.80,  # a large message over one adapter
}
ASSUMPTIONS = (
    "ranks fill nodes in order, as many as the nearest link of the target joins",
    "every device has a port of its own on each tier, as the specs' bandwidths say; "
    "--placement lets neighbouring ranks share one",
    "a switch inside a node carries any pairs at once: only their own ports are shared",
    "ports are full duplex; the network between nodes has no bottleneck but its ports, and what "
    "a NIC moves does not cross the host link's ports",
    "a transfer takes of a link what its bytes over its time alone come to, at most all of it; "
    "where its size is unknown, all of it",
    "flows on a crowded link slow down alike, in proportion to what each would take",
    "the ranks of one collective do not contend with each other: its time alone holds that",
    "a time that was recorded beside other transfers counts as a time alone",
    "only transfers of the ranks given are seen",
)
_HELD = {
    "devices-per-port": LinkTier.NODE,
    "devices-per-switch": LinkTier.HOST,
    "devices-per-nic": LinkTier.NETWORK,
}


class Way(StrEnum):
    """The direction of a port, seen from its devices."""

    OUT = "out"
    IN = "in"


BOTH = (Way.OUT, Way.IN)


@dataclass(frozen=True, slots=True, order=True)
class Port:
    """One direction of a port: the `number`-th of its tier on a node."""

    node: int
    tier: LinkTier
    number: int
    way: Way


@dataclass(frozen=True, slots=True)
class Placement:
    """Where ranks stand.

    Attributes:
        ranks_per_node: ranks 0 ... n - 1 on node 0, and so on.
        sharers: how many neighbouring ranks share a port of a tier; 1 where not given.
    """

    ranks_per_node: int
    sharers: Mapping[LinkTier, int]

    def port(self, rank: int, tier: LinkTier, way: Way) -> Port:
        """Give the port by which a rank reaches a tier."""
        node, local = divmod(rank, self.ranks_per_node)
        return Port(node, tier, local // self.sharers.get(tier, 1), way)

    def node(self, rank: int) -> int:
        """Give the node of a rank."""
        return rank // self.ranks_per_node

    def told(self) -> str:
        """Give it as `parse_placement` reads it."""
        shared = [f"{key}={self.sharers.get(tier, 1)}" for key, tier in _HELD.items()]
        return ",".join((f"ranks-per-node={self.ranks_per_node}", *shared))


def placement_for(hardware: Hardware, text: str = "") -> Placement:
    """Give a machine's placement, changed by `ranks-per-node=8,devices-per-nic=4,...`.

    Raises:
        UsageError: an unknown key, or a value that is no number of at least 1.
    """
    inner = hardware.link(LinkTier.NODE) or hardware.link(LinkTier.HOST)
    placement = Placement(inner.max_devices if inner else 1, {})
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        key, _, value = part.partition("=")
        if key != "ranks-per-node" and key not in _HELD:
            known = ", ".join(("ranks-per-node", *_HELD))
            raise UsageError(f"--placement: no key {key!r}", remedy=f"one of {known}")
        if not value.isdecimal() or int(value) < 1:
            raise UsageError(f"--placement: {key} must be a whole number, 1 or more, not {value!r}")
        if key == "ranks-per-node":
            placement = replace(placement, ranks_per_node=int(value))
        else:
            sharers = {**placement.sharers, _HELD[key]: int(value)}
            placement = replace(placement, sharers=sharers)
    return placement


def ports_of_message(
    message: Collective, rank: int, hardware: Hardware, placement: Placement
) -> tuple[Port, ...]:
    """Give the ports that a collective, send or receive of a rank crosses, in order."""
    if canonical_kind(message.kind) == "send_recv":
        return _of_pair(message, rank, hardware, placement)
    return tuple(sorted(set(_of_group(message.ranks, hardware, placement))))


def ports_of_copy(
    rank: int, way: Way, hardware: Hardware, placement: Placement
) -> tuple[Port, ...]:
    """Give the ports of a copy between a rank's device and its host."""
    return (placement.port(rank, LinkTier.HOST, way),) if hardware.link(LinkTier.HOST) else ()


def _of_pair(
    message: Collective, rank: int, hardware: Hardware, placement: Placement
) -> tuple[Port, ...]:
    received = "recv" in message.kind.lower()
    way, far = (Way.IN, Way.OUT) if received else (Way.OUT, Way.IN)
    if message.peer == NONE:
        tier = _tier((rank,), 2, hardware, placement)
        return (placement.port(rank, tier, way),) if tier else ()
    tier = _tier((rank, message.peer), 2, hardware, placement)
    if tier is None:
        return ()
    return (placement.port(rank, tier, way), placement.port(message.peer, tier, far))


def _of_group(ranks: Sequence[int], hardware: Hardware, placement: Placement) -> list[Port]:
    tier = _tier(ranks, len(ranks), hardware, placement)
    if tier is None:
        return []
    ports = [placement.port(rank, tier, way) for rank in ranks for way in BOTH]
    if tier is LinkTier.NETWORK:  # what has come to a node goes round inside it
        for mates in _by_node(ranks, placement).values():
            if len(mates) > 1 and (inner := _inner_tier(len(mates), hardware)):
                ports += [placement.port(rank, inner, way) for rank in mates for way in BOTH]
    return ports


def _by_node(ranks: Sequence[int], placement: Placement) -> dict[int, list[int]]:
    mates: dict[int, list[int]] = {}
    for rank in ranks:
        mates.setdefault(placement.node(rank), []).append(rank)
    return mates


def _tier(
    ranks: Sequence[int], devices: int, hardware: Hardware, placement: Placement
) -> LinkTier | None:
    """Give the tier that ranks meet on, None where the machine has none."""
    if len({placement.node(rank) for rank in ranks}) == 1 and (
        inner := _inner_tier(devices, hardware)
    ):
        return inner
    return LinkTier.NETWORK if hardware.link(LinkTier.NETWORK) else None


def _inner_tier(devices: int, hardware: Hardware) -> LinkTier | None:
    link = link_for(hardware, devices)
    return link.tier if link and link.tier is not LinkTier.NETWORK else None
