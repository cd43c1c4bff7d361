"""Event-driven replay: max-plus for all rows but transfers, and shared links for those.

Only transfers need events. A row that crosses no link ends `duration` after its start whatever
else happens, so it is done as soon as its predecessors are; what waits on the heap is the start
of each transfer and the end of each flow. Without links nothing ever waits, and the result is
`replay`'s to the nanosecond.

    time ──>   start a    start b          end a         end b
    a          ███████████▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄|
    b                     ▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄████████████████|

All that happens at one time is one batch, and rates follow from sums over it: so neither the
order of rows nor that of events at one time can change the result.

An edge with a negative lag may let a transfer start before the end that it waits for. Its time
until then is spent alone, as nothing that has passed can be shared any more; such are counted.
"""

import heapq
from dataclasses import dataclass

import numpy as np

from ...models.graph import ExecutionGraph, Int64s
from ...models.timeline import Timeline
from .sharing import UNITS, Sharing
from .traffic import Traffic


@dataclass(frozen=True, slots=True)
class LinkUse:
    """What passed a link.

    Attributes:
        carried_bytes: at most its bandwidth times `busy_ns`.
        busy_ns: while any flow was on it.
        crowded_ns: while its flows together would have taken more than it gives.
    """

    carried_bytes: int
    busy_ns: int
    crowded_ns: int


@dataclass(frozen=True, slots=True, eq=False)
class SharedReplay:
    """When every row ran where links are shared.

    Attributes:
        timeline: durations include what sharing added.
        uses: of each link.
        lost_ns: time that each flow lost to each link that held it back, (flow, link) -> ns.
        begun_late: transfers that started before the end they wait for (negative lags).
    """

    timeline: Timeline
    uses: tuple[LinkUse, ...]
    lost_ns: dict[tuple[int, int], int]
    begun_late: int


def replay_shared(
    graph: ExecutionGraph,
    traffic: Traffic,
    duration_ns: Int64s | None = None,
    lag_ns: Int64s | None = None,
) -> SharedReplay:
    """Compute when every row runs, transfers sharing links.

    Args:
        graph: in any order of rows that its edges allow.
        traffic: which rows cross which links.
        duration_ns: of each row, of transfers alone, shape (nodes,); else the graph's own.
        lag_ns: of each edge, shape (edges,); else the graph's own.
    """
    durations = graph.nodes.duration_ns if duration_ns is None else duration_ns
    lags = graph.edge_lag_ns if lag_ns is None else lag_ns
    run = _Run(graph, traffic, durations, lags)
    run.all()
    start, end = np.array(run.start, dtype=np.int64), np.array(run.end, dtype=np.int64)
    return SharedReplay(
        timeline=Timeline(graph, start, end - start),
        uses=_uses(traffic, run.sharing),
        lost_ns={key: units // UNITS for key, units in sorted(run.sharing.lost.items()) if units},
        begun_late=run.begun_late,
    )


class _Run:
    """The state of one replay. `end` of a row is known from when the row is put to be passed on."""

    def __init__(
        self, graph: ExecutionGraph, traffic: Traffic, durations: Int64s, lags: Int64s
    ) -> None:
        order = np.argsort(graph.edge_source, kind="stable")
        counts = np.bincount(graph.edge_source, minlength=len(graph))
        self.first = np.concatenate(([0], np.cumsum(counts))).tolist()
        self.successor: list[int] = graph.edge_target()[order].tolist()
        self.lag: list[int] = lags[order].tolist()
        self.waiting: list[int] = np.diff(graph.edge_start).tolist()
        self.duration: list[int] = durations.tolist()
        self.flow: list[int] = traffic.flow_of_row.tolist()
        crosses = np.array([bool(uses) for uses in (*traffic.flows, ())], dtype=bool)
        self.shared: list[bool] = (crosses[traffic.flow_of_row] & (durations > 0)).tolist()
        self.start = [0] * len(graph)
        self.end = [0] * len(graph)
        self.arrivals: list[tuple[int, int]] = []
        self.sharing = Sharing(traffic)
        self.begun_late = 0

    def all(self) -> None:
        """Run from the rows that wait for nothing to the last event."""
        free = [row for row, count in enumerate(self.waiting) if not count]
        for row in free:
            self.end[row] = self.duration[row]
            if self.shared[row]:
                self.arrivals.append((0, row))
        self._pass_on([row for row in free if not self.shared[row]])
        heapq.heapify(self.arrivals)
        while (now := self._next_ns()) is not None:
            self._batch(now)

    def _next_ns(self) -> int | None:
        finish = self.sharing.next_ns()
        if not self.arrivals:
            return finish
        arrival = self.arrivals[0][0]
        return arrival if finish is None else min(arrival, finish)

    def _batch(self, now: int) -> None:
        """Do all that happens at one time, then let rates follow."""
        ended = self.sharing.leave(now)
        for row in ended:
            self.end[row] = now
        self._pass_on(ended)
        while self.arrivals and self.arrivals[0][0] <= now:
            start, row = heapq.heappop(self.arrivals)
            self._begin(row, start, now)
        self.sharing.retime(now)

    def _begin(self, row: int, start: int, now: int) -> None:
        self.begun_late += start < now
        left = start + self.duration[row] - now
        if left > 0:
            self.sharing.enter(self.flow[row], row, left, now)
            return
        self.end[row] = start + self.duration[row]
        self._pass_on([row])

    def _pass_on(self, rows: list[int]) -> None:
        """Tell ends to successors, and theirs to their own, up to the starts of transfers.

        Breadth first: rows that stand side by side are reached one after the other, which is
        twice as fast as depth first where many ranks do.
        """
        first, successor, lag, waiting = self.first, self.successor, self.lag, self.waiting
        start, end, duration, shared = self.start, self.end, self.duration, self.shared
        for row in rows:  # grows on the way
            ended = end[row]
            for edge in range(first[row], first[row + 1]):
                after = successor[edge]
                ready = ended + lag[edge]
                start[after] = max(start[after], ready)
                waiting[after] -= 1
                if waiting[after]:
                    continue
                if shared[after]:
                    heapq.heappush(self.arrivals, (start[after], after))
                else:
                    end[after] = start[after] + duration[after]
                    rows.append(after)


def _uses(traffic: Traffic, sharing: Sharing) -> tuple[LinkUse, ...]:
    """Sum up what each flow sent over each of its links: its work times its rate alone."""
    units = [0] * len(traffic.links)
    for sent, uses in zip(sharing.sent, traffic.flows, strict=True):
        for use in uses:
            units[use.link] += sent * use.bytes_per_s
    return tuple(
        LinkUse(carried // (UNITS * 10**9), link.busy_ns, link.crowded_ns)
        for carried, link in zip(units, sharing.links, strict=True)
    )
