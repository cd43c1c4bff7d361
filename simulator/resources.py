"""Which costs depend on which resource, as classes of rows and edges for the scenario engine."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np

from ..models.costs.bound import Bound
from ..models.costs.collectives import canonical_kind, link_for, transfer_ns
from ..models.graph import HOST_TIME_EDGES, NONE, Bytes, Category, EdgeKind, ExecutionGraph, Int32s
from ..models.hardware import Hardware, Link, LinkTier

LINK_CATEGORIES = (Category.COLLECTIVE, Category.SEND, Category.RECV)
_OVER_HOST_LINK = ("htod", "dtoh", "hosttodevice", "devicetohost")  # as CUDA and HIP name copies
UNKNOWN_LINK = "link.bandwidth"  # of transfers for which the machine states no link


class RowClass(IntEnum):
    """What a row's time depends on; from `len(RowClass)` on, one class per kind of message."""

    FIXED = 0
    COMPUTE = 1
    MEMORY = 2
    HOST_COPY = 3
    HOST = 4
    LAUNCH = 5
    HOST_COMPUTE = 6  # an operator that the host itself executes
    HOST_MEMORY = 7


class EdgeClass(IntEnum):
    """What a lag depends on; -1 (NONE) is nothing."""

    HOST = 0
    LAUNCH = 1


@dataclass(frozen=True, slots=True)
class Message:
    """A kind of transfer between ranks."""

    kind: str
    message_bytes: int
    ranks: int


@dataclass(frozen=True, slots=True, eq=False)
class CostClasses:
    """Classes of rows (nodes,) and edges (edges,), and the messages behind the last of them."""

    row: Int32s
    edge: Int32s
    messages: tuple[Message, ...]

    @property
    def count(self) -> int:
        """Give the number of row classes."""
        return len(RowClass) + len(self.messages)


@dataclass(frozen=True, slots=True)
class Change:
    """A resource made better: factors of the classes that depend on it."""

    resource: str
    change: str
    rows: Mapping[int, float]
    edges: Mapping[int, float]


def cost_classes(graph: ExecutionGraph, bound: Bytes) -> CostClasses:
    """Sort rows and edges by what their cost depends on."""
    category = graph.nodes.category
    row = np.full(len(graph), RowClass.FIXED, dtype=np.int32)
    kernels = category == Category.KERNEL
    row[kernels & (bound == Bound.COMPUTE)] = RowClass.COMPUTE
    row[kernels & (bound == Bound.MEMORY)] = RowClass.MEMORY
    copies = np.isin(category, (Category.MEMCPY, Category.MEMSET))
    row[copies] = np.where(_over_host_link(graph)[copies], RowClass.HOST_COPY, RowClass.MEMORY)
    hosts = np.isin(category, (Category.HOST, Category.ANNOTATION))
    row[hosts] = RowClass.HOST
    row[hosts & (bound == Bound.COMPUTE)] = RowClass.HOST_COMPUTE
    row[hosts & (bound == Bound.MEMORY)] = RowClass.HOST_MEMORY
    row[category == Category.LAUNCH] = RowClass.LAUNCH
    messages = _number_messages(graph, row)
    edge = np.full(graph.edge_count, NONE, dtype=np.int32)
    edge[np.isin(graph.edge_kind, HOST_TIME_EDGES)] = EdgeClass.HOST
    edge[graph.edge_kind == EdgeKind.LAUNCH] = EdgeClass.LAUNCH
    return CostClasses(row, edge, messages)


def _over_host_link(graph: ExecutionGraph) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    told = [any(word in name.lower() for word in _OVER_HOST_LINK) for name in graph.names]
    return np.array(told, dtype=bool)[graph.nodes.name]


def _number_messages(graph: ExecutionGraph, row_class: Int32s) -> tuple[Message, ...]:
    """Give each kind of message its class, written into `row_class`."""
    rows = np.flatnonzero(np.isin(graph.nodes.category, LINK_CATEGORIES))
    messages: list[Message] = []
    for index in np.unique(graph.nodes.collective[rows]).tolist():
        chosen = rows[graph.nodes.collective[rows] == index]
        row_class[chosen] = len(RowClass) + len(messages)
        messages.append(_message(graph, index))
    return tuple(messages)


def _message(graph: ExecutionGraph, index: int) -> Message:
    world = max(2, graph.meta.world_size)
    if index == NONE:
        return Message("all_reduce", 0, world)
    collective = graph.collectives[index]
    kind = canonical_kind(collective.kind)
    ranks = len(collective.ranks) if len(collective.ranks) > 1 else world
    return Message(kind, collective.message_bytes, 2 if kind == "send_recv" else ranks)


def changes(classes: CostClasses, hardware: Hardware, share: float) -> list[Change]:
    """Give every resource made better by a share (0.1: rates 10 % higher, costs 10 % lower).

    A resource that no row or edge depends on is left out.
    """
    faster, cheaper = 1 / (1 + share), 1 - share
    more, less = f"+{100 * share:g} %", f"-{100 * share:g} %"
    host_rows = (RowClass.HOST, RowClass.LAUNCH, RowClass.HOST_COMPUTE, RowClass.HOST_MEMORY)
    compute: dict[int, float] = {RowClass.COMPUTE: faster, RowClass.HOST_COMPUTE: faster}
    memory: dict[int, float] = {RowClass.MEMORY: faster, RowClass.HOST_MEMORY: faster}
    found = [
        Change("memory.bandwidth", more, memory, {}),
        Change("flops", more, compute, {}),
        Change("host.speed", more, dict.fromkeys(host_rows, faster), {EdgeClass.HOST: faster}),
        Change("launch.cost", less, {RowClass.LAUNCH: cheaper}, {}),
        Change("launch.latency", less, {}, {EdgeClass.LAUNCH: cheaper}),
        *_link_changes(classes, hardware, share),
    ]
    used_rows, used_edges = set(classes.row.tolist()), set(classes.edge.tolist())
    return [c for c in found if used_rows & set(c.rows) or used_edges & set(c.edges)]


def _link_changes(classes: CostClasses, hardware: Hardware, share: float) -> list[Change]:
    more, less = f"+{100 * share:g} %", f"-{100 * share:g} %"
    found = []
    for tier in LinkTier:
        link = hardware.link(tier)
        wider: dict[int, float] = {}
        if tier is LinkTier.HOST:
            wider[RowClass.HOST_COPY] = 1 / (1 + share)
        quicker: dict[int, float] = {}
        if link is not None:
            bandwidth = replace(link, bandwidth_gbps=link.bandwidth_gbps * (1 + share))
            latency = replace(link, latency_ns=round(link.latency_ns * (1 - share)))
            wider.update(_ratios(classes, hardware, link, bandwidth))
            quicker = _ratios(classes, hardware, link, latency)
        found.append(Change(f"link.{tier}.bandwidth", more, wider, {}))
        found.append(Change(f"link.{tier}.latency", less, quicker, {}))
    unknown = {
        len(RowClass) + place: 1 / (1 + share)
        for place, message in enumerate(classes.messages)
        if link_for(hardware, message.ranks) is None
    }
    return [*found, Change(UNKNOWN_LINK, more, unknown, {})]


def _ratios(classes: CostClasses, hardware: Hardware, link: Link, better: Link) -> dict[int, float]:
    """Give each message that goes over `link` its modelled time over a better one, over now."""
    links = tuple(better if other is link else other for other in hardware.links)
    improved = replace(hardware, links=links)
    ratios = {}
    for place, message in enumerate(classes.messages):
        if link_for(hardware, message.ranks) is link:
            now = transfer_ns(hardware, message.kind, message.message_bytes, message.ranks)
            then = transfer_ns(improved, message.kind, message.message_bytes, message.ranks)
            if now and then is not None:
                ratios[len(RowClass) + place] = then / now
    return ratios
