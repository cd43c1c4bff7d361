"""Processor sharing of links: which flows are under way, how fast, and which ends next.

A link of capacity C on which the flows under way would take D together, each alone as much as
it can, gives every one of them the share C / D of that when D > C, else all of it. A flow goes
as fast as the link that gives it least:

    rate[f] = min over its links l of min(1, C[l] / Σ of the flows g on l (use[g, l]))

so no link ever carries more than C. Bandwidth that a flow leaves because another link holds it
back is not handed on. The rate depends on the links alone, so flows over the same links, a
*route*, always go at one rate and share a clock of work done, in units of 1/UNITS ns, which runs
at it; a row ends when the clock reaches its target. A change costs a step per route, not per flow.

Rounding: clocks are rounded down to a unit when they are read, ends up to a whole nanosecond.
So no transfer ends early, nothing is rounded at rate 1, and up to 24 equal flows on a link
(rates 1, 1/2 ... 1/24) have exact clocks. Python's integers do not overflow.
"""

import heapq
from collections import defaultdict
from dataclasses import dataclass, field

from .traffic import Traffic

UNITS = 5_354_228_880  # of a nanosecond: the least that 1 ... 24 all divide


@dataclass(slots=True)
class LinkLoad:
    """A link now, and what has passed: `wanted` is Σ of the uses of the flows under way."""

    capacity: int
    wanted: int = 0
    routes: set[int] = field(default_factory=set)
    since_ns: int = 0
    busy_ns: int = 0
    crowded_ns: int = 0

    def take(self, now: int, more: int) -> None:
        """Change what is wanted, after counting the time until now."""
        passed = now - self.since_ns
        self.since_ns = now
        if self.wanted:
            self.busy_ns += passed
        if self.wanted > self.capacity:
            self.crowded_ns += passed
        self.wanted += more


@dataclass(slots=True)
class RouteState:
    """A route: its clock, its rate (given / wanted of its tightest link), its rows under way.

    Attributes:
        clock: work done, in units of 1/UNITS ns alone.
        tightest: the link that bounds it, -1 at full rate.
        targets: heap of (clock at the end, row, flow).
        lost: units not done for want of a link's bandwidth, by link.
        version: finishes noted for an older one are void.
    """

    links: tuple[int, ...]
    clock: int = 0
    since_ns: int = 0
    given: int = 1
    wanted: int = 1
    tightest: int = -1
    targets: list[tuple[int, int, int]] = field(default_factory=list)
    lost: dict[int, int] = field(default_factory=dict)
    version: int = 0

    def run_clock(self, now: int) -> None:
        """Bring the clock to now."""
        passed = (now - self.since_ns) * UNITS
        done = passed * self.given // self.wanted
        if self.tightest >= 0:
            self.lost[self.tightest] = self.lost.get(self.tightest, 0) + passed - done
        self.clock += done
        self.since_ns = now

    def finish_ns(self) -> int:
        """Give when the next row ends at this rate, rounded up."""
        left = self.targets[0][0] - self.clock
        return self.since_ns - (-left * self.wanted // (UNITS * self.given))


@dataclass(slots=True)
class FlowState:
    """A flow: how many rows it has under way, and what its route told when they began."""

    route: int
    rows: int = 0
    begun: int = 0
    lost_before: dict[int, int] = field(default_factory=dict)


class Sharing:
    """All links, routes and flows at one time. Rows enter and leave; `retime` ends each batch.

    Attributes:
        sent: work done by each flow, in units.
        lost: units that a flow lost to a link, (flow, link) -> units.
    """

    def __init__(self, traffic: Traffic) -> None:
        alike = _alike(traffic)
        loads = [LinkLoad(link.bytes_per_s) for link in traffic.links]
        self.links = [loads[first] for first in alike]
        self.uses = [[use for use in uses if alike[use.link] == use.link] for uses in traffic.flows]
        routes: dict[tuple[int, ...], int] = {}
        self.flows = [
            FlowState(routes.setdefault(tuple(sorted(use.link for use in uses)), len(routes)))
            for uses in self.uses
        ]
        self.routes = [RouteState(links) for links in routes]
        self.sent = [0] * len(traffic.flows)
        self.lost: dict[tuple[int, int], int] = defaultdict(int)
        self.finishes: list[tuple[int, int, int]] = []  # (ns, route, version)
        self.changed_links: set[int] = set()
        self.changed_routes: set[int] = set()

    def next_ns(self) -> int | None:
        """Give when the next row ends, None if none is under way."""
        finishes = self.finishes
        while finishes and finishes[0][2] != self.routes[finishes[0][1]].version:
            heapq.heappop(finishes)
        return finishes[0][0] if finishes else None

    def enter(self, flow: int, row: int, work_ns: int, now: int) -> None:
        """Let a row begin that takes `work_ns` alone."""
        state = self.flows[flow]
        route = self.routes[state.route]
        if route.targets:
            route.run_clock(now)
        else:
            route.since_ns = now
            for link in route.links:
                self.links[link].routes.add(state.route)
        if not state.rows:
            state.begun, state.lost_before = route.clock, dict(route.lost)
            self._load(flow, now, 1)
        state.rows += 1
        heapq.heappush(route.targets, (route.clock + work_ns * UNITS, row, flow))
        self.changed_routes.add(state.route)

    def leave(self, now: int) -> list[int]:
        """Give the rows that end by now; they are under way no more."""
        ended: list[int] = []
        while (finish := self.next_ns()) is not None and finish <= now:
            _, number, _ = heapq.heappop(self.finishes)
            route = self.routes[number]
            route.run_clock(now)
            route.version += 1
            while route.targets and route.targets[0][0] <= route.clock:
                target, row, flow = heapq.heappop(route.targets)
                ended.append(row)
                self._end(flow, target, now)
            if route.targets:
                self.changed_routes.add(number)
            else:
                for link in route.links:
                    self.links[link].routes.discard(number)
        return ended

    def _end(self, flow: int, target: int, now: int) -> None:
        """End a row of a flow; with its last one the flow leaves its links."""
        state = self.flows[flow]
        state.rows -= 1
        if state.rows:
            return
        self.sent[flow] += target - state.begun  # not what rounding up the end would add
        for link, units in self.routes[state.route].lost.items():
            self.lost[flow, link] += units - state.lost_before.get(link, 0)
        self._load(flow, now, -1)

    def retime(self, now: int) -> None:
        """Give the routes that changes concern their new rates and ends."""
        touched = set(self.changed_routes)
        for link in self.changed_links:
            touched |= self.links[link].routes
        for number in touched:
            if self.routes[number].targets:
                self._retime(number, now, joined=number in self.changed_routes)
        self.changed_links.clear()
        self.changed_routes.clear()

    def _retime(self, number: int, now: int, *, joined: bool) -> None:
        route = self.routes[number]
        given, wanted, tightest = self._rate(route)
        same = given * route.wanted == wanted * route.given
        if same and not joined:
            return
        if not same:
            route.run_clock(now)
            route.given, route.wanted = given, wanted
        route.tightest = tightest
        route.version += 1
        heapq.heappush(self.finishes, (route.finish_ns(), number, route.version))

    def _rate(self, route: RouteState) -> tuple[int, int, int]:
        """Give the rate as a fraction, and the first link that allows no more."""
        given, wanted, tightest = 1, 1, -1
        for number in route.links:
            link = self.links[number]
            if link.capacity * wanted < given * link.wanted:
                given, wanted, tightest = link.capacity, link.wanted, number
        return given, wanted, tightest

    def _load(self, flow: int, now: int, sign: int) -> None:
        """Put a flow onto its links, or take it off."""
        for use in self.uses[flow]:
            self.links[use.link].take(now, sign * use.bytes_per_s)
            self.changed_links.add(use.link)


def _alike(traffic: Traffic) -> list[int]:
    """Give for each link the first that the same flows cross alike: one load stands for both.

    The ports of all ranks that talk in one group only are one link that way.
    """
    crossing: list[list[tuple[int, int]]] = [[] for _ in traffic.links]
    for flow, uses in enumerate(traffic.flows):
        for use in uses:
            crossing[use.link].append((flow, use.bytes_per_s))
    first: dict[tuple[int, tuple[tuple[int, int], ...]], int] = {}
    keys = [
        (link.bytes_per_s, tuple(flows))
        for link, flows in zip(traffic.links, crossing, strict=True)
    ]
    return [first.setdefault(key, number) for number, key in enumerate(keys)]
