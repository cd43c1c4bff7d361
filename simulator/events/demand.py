"""The traffic of a priced graph: its transfers as flows over the ports that they cross."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from ...models.costs.collectives import canonical_kind, link_for, sent_share
from ...models.graph import NONE, Category, Collective, EdgeKind, ExecutionGraph, Int64s
from ...models.hardware import Hardware, LinkTier
from .placement import USABLE, Placement, Port, Way, ports_of_copy, ports_of_message
from .traffic import SharedLink, Traffic, Use

LINK_CATEGORIES = (Category.COLLECTIVE, Category.SEND, Category.RECV)
# As CUDA, HIP and Nsight name copies between host and device, seen from the device.
COPIES = {"htod": Way.IN, "hosttodevice": Way.IN, "dtoh": Way.OUT, "devicetohost": Way.OUT}
UNKNOWN = NONE  # a size that nobody recorded


@dataclass(frozen=True, slots=True, eq=False)
class Demand:
    """A graph's traffic, and what is not known of it.

    Attributes:
        rows: of each flow.
        further: for each flow whether its ranks stand farther apart than the link by which the
            cost model prices a message of so many ranks.
        unknown_sizes: flows that are taken to fill their links.
        unplaced: transfers between ranks or with the host that cross no link of the machine.
    """

    traffic: Traffic
    rows: tuple[tuple[int, ...], ...]
    further: tuple[bool, ...]
    unknown_sizes: int
    unplaced: int


@dataclass(slots=True)
class _Flow:
    """A transfer while its rows are being found."""

    ports: set[Port] = field(default_factory=set)
    rows: list[int] = field(default_factory=list)
    sent_bytes: int = 0
    further: bool = False

    def add(self, transfer: "_Transfer") -> None:
        """Take one of its rows in."""
        self.ports.update(transfer.ports)
        self.rows.append(transfer.row)
        sizes = transfer.sent_bytes, self.sent_bytes
        self.sent_bytes = UNKNOWN if UNKNOWN in sizes else max(sizes)
        self.further |= transfer.further


@dataclass(frozen=True, slots=True)
class _Transfer:
    """A row that moves bytes, the ports it crosses and what a rank sends."""

    row: int
    ports: tuple[Port, ...]
    sent_bytes: int
    further: bool = False


def demand_of(
    graph: ExecutionGraph, duration_ns: Int64s, hardware: Hardware, placement: Placement
) -> Demand:
    """Find the flows of a graph.

    Args:
        graph: one rank or many merged.
        duration_ns: of each row alone, shape (nodes,), on that hardware.
        hardware: whose links are shared.
        placement: where the ranks stand.
    """
    flows: dict[int, _Flow] = {}
    unplaced = 0
    for transfer in _transfers(graph, duration_ns, hardware, placement):
        if transfer.ports:
            flows.setdefault(_meeting(graph, transfer.row), _Flow()).add(transfer)
        else:
            unplaced += 1
    return Demand(
        traffic=_traffic(list(flows.values()), duration_ns, hardware, placement),
        rows=tuple(tuple(flow.rows) for flow in flows.values()),
        further=tuple(flow.further for flow in flows.values()),
        unknown_sizes=sum(flow.sent_bytes == UNKNOWN for flow in flows.values()),
        unplaced=unplaced,
    )


def _transfers(
    graph: ExecutionGraph, duration_ns: Int64s, hardware: Hardware, placement: Placement
) -> Iterator[_Transfer]:
    """Give each row that moves bytes between ranks, or between a device and its host."""
    nodes = graph.nodes
    known: dict[tuple[int, int, int], _Transfer] = {}
    ways = _copy_ways(graph)
    moving = np.isin(nodes.category, (*LINK_CATEGORIES, Category.MEMCPY)) & (duration_ns > 0)
    for row in np.flatnonzero(moving).tolist():
        rank, name = int(nodes.rank[row]), int(nodes.name[row])
        if nodes.category[row] == Category.MEMCPY:
            if name in ways:
                sent = int(nodes.bytes[row]) or UNKNOWN
                yield _Transfer(row, ports_of_copy(rank, ways[name], hardware, placement), sent)
            continue
        if _is_barrier(graph, row):
            continue
        key = int(nodes.collective[row]), rank, name
        if key not in known:
            known[key] = _sent(row, message_of(graph, row), rank, hardware, placement)
        yield replace(known[key], row=row)


def _is_barrier(graph: ExecutionGraph, row: int) -> bool:
    """Tell a collective that moves nothing."""
    index = int(graph.nodes.collective[row])
    kind = graph.name_of(row) if index == NONE else graph.collectives[index].kind
    return "barrier" in kind.lower()


def message_of(graph: ExecutionGraph, row: int) -> Collective:
    """Give a row's message, its ranks known: all of the job where none are recorded."""
    index = int(graph.nodes.collective[row])
    found = Collective(graph.name_of(row)) if index == NONE else graph.collectives[index]
    ranks = found.ranks
    if len(ranks) < 2:
        ranks = tuple(range(max(2, graph.meta.world_size)))
    return Collective(found.kind, found.group, ranks, found.dtype, found.message_bytes, found.peer)


def _sent(
    row: int, message: Collective, rank: int, hardware: Hardware, placement: Placement
) -> _Transfer:
    """Give the transfer of a message between ranks."""
    kind = canonical_kind(message.kind)
    share = sent_share(kind, len(message.ranks))
    size = max(1, round(share * message.message_bytes)) if message.message_bytes > 0 else UNKNOWN
    ports = ports_of_message(message, rank, hardware, placement)
    priced_by = link_for(hardware, 2 if kind == "send_recv" else len(message.ranks))
    apart = any(port.tier is LinkTier.NETWORK for port in ports)
    nearer = priced_by is not None and priced_by.tier is not LinkTier.NETWORK
    return _Transfer(row, ports, size, apart and nearer)


def _copy_ways(graph: ExecutionGraph) -> dict[int, Way]:
    """Give the way of each name that tells a copy over the host link."""
    plain = ["".join(filter(str.isalpha, name.lower())) for name in graph.names]
    return {
        number: way
        for number, name in enumerate(plain)
        for word, way in COPIES.items()
        if word in name
    }


def _meeting(graph: ExecutionGraph, row: int) -> int:
    """Give what the rows of one transfer have in common: their join, else the row itself."""
    joins = [
        source
        for source, kind, _ in graph.predecessors(row)
        if kind is EdgeKind.RENDEZVOUS and graph.nodes.category[source] == Category.JOIN
    ]
    return max(joins, default=row)


def _traffic(
    flows: list[_Flow], duration_ns: Int64s, hardware: Hardware, placement: Placement
) -> Traffic:
    ports = sorted({port for flow in flows for port in flow.ports})
    links = tuple(_link(port, hardware, placement) for port in ports)
    number = {port: place for place, port in enumerate(ports)}
    flow_of_row = np.full(len(duration_ns), NONE, dtype=np.int32)
    uses = []
    for place, flow in enumerate(flows):
        flow_of_row[flow.rows] = place
        # over the slowest rank's time: the others' are of the same bytes, cut short at an end
        time_ns = int(np.max(duration_ns[flow.rows]))
        crossed = sorted(number[port] for port in flow.ports)
        uses.append(tuple(_use(n, links[n], flow.sent_bytes, time_ns) for n in crossed))
    return Traffic(links, tuple(uses), flow_of_row)


def _use(number: int, link: SharedLink, sent_bytes: int, time_ns: int) -> Use:
    if sent_bytes == UNKNOWN:
        return Use(number, link.bytes_per_s)
    alone = -(-sent_bytes * 10**9 // time_ns)
    return Use(number, min(link.bytes_per_s, alone))


def _link(port: Port, hardware: Hardware, placement: Placement) -> SharedLink:
    link = hardware.link(port.tier)
    assert link is not None  # a port is of a tier that the machine has
    sharers = placement.sharers.get(port.tier, 1)
    first = port.node * placement.ranks_per_node + port.number * sharers
    last = min(first + sharers, (port.node + 1) * placement.ranks_per_node) - 1
    whose = f"rank {first}" if first == last else f"ranks {first}-{last}"
    bandwidth = link.bandwidth_gbps * USABLE[port.tier]
    return SharedLink(f"{link.name}, {whose}, {port.way}", port.tier, round(bandwidth * 1e9))
