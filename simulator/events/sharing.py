"""Processor sharing of links: which flows are under way, how fast, and which ends next.

A link of capacity C on which the flows under way would take D together, each alone as much as
it can, gives every one of them the share C / D of that when D > C, else all of it. A flow goes
as fast as the link that gives it least:

    rate[f] = min over its links l of min(1, C[l] / Σ of the flows g on l (use[g, l]))

so no link ever carries more than C. Bandwidth that a flow leaves because another link holds it
back is not handed on. Each flow has a clock of work done, in units of 1/UNITS ns, which runs
at its rate; a row ends when the clock reaches its target.

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
    flows: set[int] = field(default_factory=set)
    since_ns: int = 0
    busy_ns: int = 0
    crowded_ns: int = 0

    def account(self, now: int) -> None:
        """Count the time until now."""
        passed = now - self.since_ns
        self.since_ns = now
        if self.wanted:
            self.busy_ns += passed
        if self.wanted > self.capacity:
            self.crowded_ns += passed


@dataclass(slots=True)
class FlowState:
    """A flow: its clock, its rate (given / wanted of its tightest link), its rows under way.

    Attributes:
        clock: work done, in units of 1/UNITS ns alone.
        tightest: the link that bounds it, -1 at full rate.
        targets: heap of (clock at the end, row).
        version: finishes noted for an older one are void.
    """

    clock: int = 0
    since_ns: int = 0
    given: int = 1
    wanted: int = 1
    tightest: int = -1
    targets: list[tuple[int, int]] = field(default_factory=list)
    version: int = 0

    def progress(self, now: int) -> int:
        """Give the work done since the clock was last read."""
        return (now - self.since_ns) * UNITS * self.given // self.wanted

    def finish_ns(self) -> int:
        """Give when the next row ends at this rate, rounded up."""
        left = self.targets[0][0] - self.clock
        return self.since_ns - (-left * self.wanted // (UNITS * self.given))


class Sharing:
    """All links and flows at one time. Rows enter and leave; `retime` follows each batch."""

    def __init__(self, traffic: Traffic) -> None:
        alike = _alike(traffic)
        loads = [LinkLoad(link.bytes_per_s) for link in traffic.links]
        self.links = [loads[first] for first in alike]
        self.uses = [[use for use in uses if alike[use.link] == use.link] for uses in traffic.flows]
        self.flows = [FlowState() for _ in traffic.flows]
        self.lost: dict[tuple[int, int], int] = defaultdict(int)  # (flow, link) -> units
        self.finishes: list[tuple[int, int, int]] = []  # (ns, flow, version)
        self.changed_links: set[int] = set()
        self.changed_flows: set[int] = set()

    def next_ns(self) -> int | None:
        """Give when the next row ends, None if none is under way."""
        finishes = self.finishes
        while finishes and finishes[0][2] != self.flows[finishes[0][1]].version:
            heapq.heappop(finishes)
        return finishes[0][0] if finishes else None

    def enter(self, flow: int, row: int, work_ns: int, now: int) -> None:
        """Let a row begin that takes `work_ns` alone."""
        state = self.flows[flow]
        if not state.targets:
            state.since_ns = now
            self._load(flow, now, 1)
        self._run_clock(flow, now)
        heapq.heappush(state.targets, (state.clock + work_ns * UNITS, row))
        self.changed_flows.add(flow)

    def leave(self, now: int) -> list[int]:
        """Give the rows that end by now; they are under way no more."""
        ended: list[int] = []
        while (finish := self.next_ns()) is not None and finish <= now:
            _, flow, _ = heapq.heappop(self.finishes)
            ended += self._ended(flow, now)
        return ended

    def _ended(self, flow: int, now: int) -> list[int]:
        state, rows, target = self.flows[flow], [], 0
        self._run_clock(flow, now)
        while state.targets and state.targets[0][0] <= state.clock:
            target, row = heapq.heappop(state.targets)
            rows.append(row)
        state.version += 1
        if state.targets:
            self.changed_flows.add(flow)
        else:
            state.clock = target  # not what the rounding up of the end would add
            self._load(flow, now, -1)
        return rows

    def retime(self, now: int) -> None:
        """Give the flows that changes concern their new rates and ends."""
        touched = self.changed_flows
        for link in self.changed_links:
            touched |= self.links[link].flows
        for flow in touched:
            if self.flows[flow].targets:
                self._retime(flow, now, joined=flow in self.changed_flows)
        self.changed_links, self.changed_flows = set(), set()

    def _retime(self, flow: int, now: int, *, joined: bool) -> None:
        state = self.flows[flow]
        given, wanted, tightest = self._rate(flow)
        same = given * state.wanted == wanted * state.given
        if same and not joined:
            return
        if not same:
            self._run_clock(flow, now)
            state.given, state.wanted = given, wanted
        state.tightest = tightest
        state.version += 1
        heapq.heappush(self.finishes, (state.finish_ns(), flow, state.version))

    def _rate(self, flow: int) -> tuple[int, int, int]:
        """Give the rate as a fraction, and the first link that allows no more."""
        given, wanted, tightest = 1, 1, -1
        for use in self.uses[flow]:
            link = self.links[use.link]
            if link.capacity * wanted < given * link.wanted:
                given, wanted, tightest = link.capacity, link.wanted, use.link
        return given, wanted, tightest

    def _run_clock(self, flow: int, now: int) -> None:
        """Bring a flow's clock to now."""
        state = self.flows[flow]
        done = state.progress(now)
        if state.tightest >= 0:
            self.lost[flow, state.tightest] += (now - state.since_ns) * UNITS - done
        state.clock += done
        state.since_ns = now

    def _load(self, flow: int, now: int, sign: int) -> None:
        """Put a flow onto its links, or take it off."""
        for use in self.uses[flow]:
            link = self.links[use.link]
            link.account(now)
            link.wanted += sign * use.bytes_per_s
            (link.flows.add if sign > 0 else link.flows.discard)(flow)
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
