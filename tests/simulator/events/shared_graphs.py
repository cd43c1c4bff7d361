"""Random traffic over random graphs, and the same replay by brute force in exact fractions."""

from fractions import Fraction
from math import ceil

import numpy as np
from hypothesis import strategies as st

from etsim.models.graph import NONE, ExecutionGraph, Int64s
from etsim.models.hardware import LinkTier
from etsim.simulator.events.traffic import SharedLink, Traffic, Use

CAPACITY = 1000
HALVES = (CAPACITY // 2, CAPACITY)  # rates are fractions that the engine's clocks hold exactly


def link(capacity: int = CAPACITY, name: str = "nic") -> SharedLink:
    return SharedLink(name, LinkTier.NETWORK, capacity)


@st.composite
def traffics(
    draw: st.DrawFn,
    graph: ExecutionGraph,
    *,
    uses: tuple[int, ...] = HALVES,
    capacity: int = CAPACITY,
    one_row_each: bool = False,
) -> Traffic:
    """Give some rows flows over up to three links; a flow may have several rows."""
    links = draw(st.integers(1, 3))
    crossed = st.dictionaries(st.integers(0, links - 1), st.sampled_from(uses), max_size=links)
    flows = draw(st.lists(crossed, min_size=1, max_size=len(graph) or 1))
    rows = len(graph)
    if one_row_each:
        flow_of_row = draw(st.permutations(range(max(rows, len(flows)))))[:rows]
        flow_of_row = [flow if flow < len(flows) else NONE for flow in flow_of_row]
    else:
        flow = st.integers(NONE, len(flows) - 1)
        flow_of_row = draw(st.lists(flow, min_size=rows, max_size=rows))
    return Traffic(
        tuple(link(capacity, f"link {number}") for number in range(links)),
        tuple(tuple(Use(n, use) for n, use in sorted(flow.items())) for flow in flows),
        np.array(flow_of_row, dtype=np.int32),
    )


def by_brute_force(graph: ExecutionGraph, traffic: Traffic, lag_ns: Int64s) -> list[int]:
    """Give every row's end: at each event all rates anew, in fractions; ends round up."""
    starts: dict[int, int] = {}
    ends: dict[int, int] = {}
    left: dict[int, Fraction] = {}
    now = 0
    while len(ends) < len(graph):
        _follow(graph, traffic, lag_ns, starts, ends)
        arriving = {row for row in starts if row not in ends and row not in left}
        for row in sorted(arriving):
            if starts[row] <= now:  # what lies before now was spent alone
                left[row] = Fraction(starts[row] + int(graph.nodes.duration_ns[row]) - now)
                if left[row] <= 0:
                    ends[row] = starts[row] + int(graph.nodes.duration_ns[row])
                    del left[row]
                    break
        else:
            waiting = [starts[row] for row in arriving if starts[row] > now]
            rates = _rates(traffic, left)
            finishes = [now + ceil(left[row] / rates[row]) for row in left]
            if not waiting and not finishes:
                continue
            then = min(waiting + finishes)
            for row in list(left):
                left[row] -= (then - now) * rates[row]
                if left[row] <= 0:
                    ends[row] = then
                    del left[row]
            now = then
    return [ends[row] for row in range(len(graph))]


def _follow(
    graph: ExecutionGraph,
    traffic: Traffic,
    lag_ns: Int64s,
    starts: dict[int, int],
    ends: dict[int, int],
) -> None:
    """Start all rows whose predecessors have ended, and end those that cross no link."""
    for row in range(len(graph)):
        edges = range(int(graph.edge_start[row]), int(graph.edge_start[row + 1]))
        sources = [int(graph.edge_source[edge]) for edge in edges]
        if row in starts or any(source not in ends for source in sources):
            continue
        ready = [ends[s] + int(lag_ns[e]) for s, e in zip(sources, edges, strict=True)]
        starts[row] = max([0, *ready])
        flow, duration = int(traffic.flow_of_row[row]), int(graph.nodes.duration_ns[row])
        if flow == NONE or not traffic.flows[flow] or duration == 0:
            ends[row] = starts[row] + duration


def _rates(traffic: Traffic, left: dict[int, Fraction]) -> dict[int, Fraction]:
    flow_of = {row: int(traffic.flow_of_row[row]) for row in left}
    wanted = [0] * len(traffic.links)
    for flow in set(flow_of.values()):
        for use in traffic.flows[flow]:
            wanted[use.link] += use.bytes_per_s
    return {
        row: min(
            [
                Fraction(1),
                *(
                    Fraction(traffic.links[use.link].bytes_per_s, wanted[use.link])
                    for use in traffic.flows[flow]
                ),
            ]
        )
        for row, flow in flow_of.items()
    }
