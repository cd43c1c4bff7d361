"""What shared links cost a run: its time with them beside without, link by link, flow by flow."""

from dataclasses import dataclass

import numpy as np

from ...models.costs.priced import Priced
from ...models.graph import ExecutionGraph, Provenance
from ...models.hardware import Hardware
from ...models.timeline import Timeline
from ..predict import total_ns
from ..replay import replay
from .demand import Demand, demand_of
from .engine import SharedReplay, replay_shared
from .placed_prices import placed_prices
from .placement import ASSUMPTIONS, placement_for

MOST_SLOWED = 10


@dataclass(frozen=True, slots=True)
class LinkReport:
    """A link over the run.

    Attributes:
        bandwidth_gbps: that all its flows together can have.
        flows: transfers that crossed it.
        utilisation: the bytes carried over what it could have carried in the whole replay.
        busy_ns: while any flow was on it; `crowded_ns`: while they would have taken more.
    """

    name: str
    tier: str
    bandwidth_gbps: float
    flows: int
    carried_bytes: int
    utilisation: float
    busy_ns: int
    crowded_ns: int


@dataclass(frozen=True, slots=True)
class Slowed:
    """A transfer that lost time to others: its slowest row.

    Attributes:
        alone_ns, shared_ns: how long it took without and with sharing.
        link: which link held it back longest.
    """

    name: str
    rank: int
    start_ns: int
    alone_ns: int
    shared_ns: int
    link: str


@dataclass(frozen=True, slots=True, eq=False)
class Contention:
    """A run with shared links beside the same without.

    Attributes:
        predicted_ns: each transfer priced by the number of its ranks, as `etsim predict` tells.
        without_ns: priced by where its ranks stand.
        shared_ns: the same, sharing links.
        links: the most crowded first; `slowed`: those that lost most first.
        flows, slowed_flows: how many transfers there are, and how many lost time.
        unknown_sizes: flows taken to fill their links, as nobody recorded their size.
        unplaced: transfers that cross no link of the machine.
        repriced: rows of transfers between nodes that got the network's price.
        priced_nearer: flows between nodes whose measured time was scaled as if inside one.
        begun_late: transfers that started before the end they waited for.
        placement: as `--placement` takes it.
    """

    predicted_ns: int
    without_ns: int
    shared_ns: int
    links: tuple[LinkReport, ...]
    slowed: tuple[Slowed, ...]
    flows: int
    slowed_flows: int
    unknown_sizes: int
    unplaced: int
    repriced: int
    priced_nearer: int
    begun_late: int
    placement: str
    assumptions: tuple[str, ...]


def contention(
    graph: ExecutionGraph, priced: Priced, hardware: Hardware, placement: str = ""
) -> Contention:
    """Replay a priced graph on shared links.

    Args:
        graph: one rank or many merged.
        priced: for the hardware; each transfer alone.
        hardware: the target.
        placement: changes of where ranks stand, as `placement_for` reads them.

    Raises:
        UsageError: a placement that cannot be read.
    """
    where = placement_for(hardware, placement)
    lag_ns = priced.lag_ns
    duration_ns, repriced = placed_prices(graph, priced, hardware, where)
    demand = demand_of(graph, duration_ns, hardware, where)
    alone = replay(graph, duration_ns, lag_ns)
    shared = replay_shared(graph, demand.traffic, duration_ns, lag_ns)
    slowed = _slowed(demand, alone, shared)
    return Contention(
        predicted_ns=total_ns(replay(graph, priced.duration_ns, lag_ns)),
        without_ns=total_ns(alone),
        shared_ns=total_ns(shared.timeline),
        links=_links(demand, shared),
        slowed=tuple(slowed[:MOST_SLOWED]),
        flows=len(demand.rows),
        slowed_flows=len(slowed),
        unknown_sizes=demand.unknown_sizes,
        unplaced=demand.unplaced,
        repriced=repriced,
        priced_nearer=_priced_nearer(demand, priced),
        begun_late=shared.begun_late,
        placement=where.told(),
        assumptions=ASSUMPTIONS,
    )


def _priced_nearer(demand: Demand, priced: Priced) -> int:
    scaled = np.isin(priced.provenance, (Provenance.SCALED, Provenance.CALIBRATED))
    return sum(
        further and bool(scaled[list(rows)].any())
        for rows, further in zip(demand.rows, demand.further, strict=True)
    )


def _links(demand: Demand, shared: SharedReplay) -> tuple[LinkReport, ...]:
    makespan = max(1, shared.timeline.makespan_ns)
    crossed = np.bincount(
        np.array([use.link for uses in demand.traffic.flows for use in uses], dtype=np.int64),
        minlength=len(demand.traffic.links),
    )
    found = [
        LinkReport(
            name=link.name,
            tier=link.tier.value,
            bandwidth_gbps=link.bytes_per_s / 1e9,
            flows=flows,
            carried_bytes=use.carried_bytes,
            utilisation=use.carried_bytes * 1e9 / (link.bytes_per_s * makespan),
            busy_ns=use.busy_ns,
            crowded_ns=use.crowded_ns,
        )
        for link, use, flows in zip(
            demand.traffic.links, shared.uses, crossed.tolist(), strict=True
        )
    ]
    return tuple(sorted(found, key=lambda link: (-link.crowded_ns, -link.utilisation)))


def _slowed(demand: Demand, alone: Timeline, shared: SharedReplay) -> list[Slowed]:
    """Give every flow that lost time, the most first, as its slowest row shows it."""
    lost = shared.timeline.duration_ns - alone.duration_ns
    tightest: dict[int, tuple[int, int]] = {}
    for (flow, link), units in shared.lost_ns.items():
        tightest[flow] = max(tightest.get(flow, (0, 0)), (units, -link))
    graph, found = alone.graph, []
    for flow, rows in enumerate(demand.rows):
        row = max(rows, key=lambda row: (int(lost[row]), -row))
        if lost[row] <= 0:
            continue
        link = -tightest.get(flow, (0, 0))[1]
        found.append(
            Slowed(
                name=graph.name_of(row),
                rank=int(graph.nodes.rank[row]),
                start_ns=int(shared.timeline.start_ns[row]),
                alone_ns=int(alone.duration_ns[row]),
                shared_ns=int(shared.timeline.duration_ns[row]),
                link=demand.traffic.links[link].name,
            )
        )
    found.sort(key=lambda it: (it.alone_ns - it.shared_ns, it.start_ns, it.rank, it.name))
    return found
