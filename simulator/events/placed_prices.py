"""Price transfers by where their ranks stand, not by how many they are.

The cost model takes the nearest link that joins so many devices. Two ranks of two nodes are two
devices, so it would price them over NVLink. A transfer that was never measured has no other
price, and gets that of the network here; one that was measured keeps its own.
"""

from collections import Counter
from dataclasses import replace

import numpy as np

from ...models.costs.collectives import canonical_kind, transfer_ns
from ...models.costs.priced import Priced
from ...models.graph import NONE, Collective, ExecutionGraph, Int64s, Provenance
from ...models.hardware import Hardware, LinkTier
from .demand import LINK_CATEGORIES, message_of
from .placement import Placement


def placed_prices(
    graph: ExecutionGraph, priced: Priced, hardware: Hardware, placement: Placement
) -> tuple[Int64s, int]:
    """Give durations (nodes,), and how many rows of transfers between nodes have a new one."""
    modelled = np.isin(graph.nodes.category, LINK_CATEGORIES) & (priced.duration_ns > 0)
    rows = np.flatnonzero(modelled & (priced.provenance == Provenance.ROOFLINE))
    duration_ns = priced.duration_ns.copy()
    known: dict[tuple[int, int, int], float | None] = {}
    changed = 0
    for row in rows.tolist():
        nodes = graph.nodes
        key = int(nodes.collective[row]), int(nodes.name[row]), int(nodes.rank[row])
        if key not in known:
            known[key] = _between_nodes_ns(message_of(graph, row), key[2], hardware, placement)
        time_ns = known[key]
        if time_ns is not None:
            changed += round(time_ns) != duration_ns[row]
            duration_ns[row] = round(time_ns)
    return duration_ns, changed


def _between_nodes_ns(
    message: Collective, rank: int, hardware: Hardware, placement: Placement
) -> float | None:
    """Give the time over the network, None for ranks of one node."""
    kind = canonical_kind(message.kind)
    pair = kind == "send_recv"
    if pair and message.peer == NONE:
        return None
    ranks = (rank, message.peer) if pair else message.ranks
    mates = Counter(placement.node(rank) for rank in ranks)
    if len(mates) < 2:
        return None
    return transfer_ns(_joining(hardware, max(mates.values())), kind, message.message_bytes,
                       len(ranks))  # fmt: skip


def _joining(hardware: Hardware, mates: int) -> Hardware:
    """Give the machine with links inside a node that join as many ranks as stand on one."""
    links = tuple(
        link if link.tier is LinkTier.NETWORK else replace(link, max_devices=mates)
        for link in hardware.links
    )
    return replace(hardware, links=links)
