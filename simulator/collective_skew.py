"""Collectives across ranks: who came last, how long the others waited, how fast the data moved.

rank 0   |..... wait .....|transfer|
rank 1            |. wait |transfer|
rank 2                    |transfer|      the straggler: it came last and waited least
         |<- start skew ->|
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, median, pstdev

import numpy as np

from ..models.clocks import clock_offsets
from ..models.collectives import match_collectives
from ..models.graph import NONE, Category, Collective, EdgeKind
from ..models.timeline import Timeline
from .breakdown.activity import arrivals_ns

# Dixon's r10 at 90 % confidence, two-sided, for n = 3 ... 30 (Rorabacher, Anal. Chem. 1991, 63);
# tests/simulator/test_collective_skew.py simulates some of them anew.
DIXON_Q90 = (
    0.941, 0.765, 0.642, 0.560, 0.507, 0.468, 0.437, 0.412, 0.392, 0.376, 0.361, 0.349, 0.338,
    0.329, 0.320, 0.313, 0.306, 0.300, 0.295, 0.290, 0.285, 0.281, 0.277, 0.273, 0.269, 0.266,
    0.263, 0.260,
)  # fmt: skip
FEWEST_FOR_VOTE = 3
MOST_FOR_DIXON = 30
OUTLIER_SIGMAS = 3.0


@dataclass(frozen=True, slots=True)
class Meeting:
    """One collective as its ranks saw it; tuples by rank, times on the common clock."""

    what: Collective
    ranks: tuple[int, ...]
    start_ns: tuple[int, ...]
    end_ns: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CollectiveSkew:
    """What one collective tells of its ranks.

    Attributes:
        transfer_ns: of the last arriver, which waited for nobody: the shortest duration.
        wait_ns: by rank, its duration without the transfer.
        straggler: rank with the shortest duration.
        slow_rank: the straggler where it stands out (Dixon's Q, above 30 ranks three sigmas).
        algorithm_gbps, bus_gbps: 1e9 bytes/s; None where size or transfer is unknown.
    """

    kind: str
    group: str
    ranks: tuple[int, ...]
    message_bytes: int
    start_skew_ns: int
    end_spread_ns: int
    transfer_ns: int
    wait_ns: tuple[int, ...]
    straggler: int
    slow_rank: int | None
    algorithm_gbps: float | None
    bus_gbps: float | None


@dataclass(frozen=True, slots=True)
class KindSummary:
    """All collectives of one kind."""

    kind: str
    count: int
    message_bytes: int
    transfer_ns: int
    mean_wait_ns: int
    largest_skew_ns: int
    median_bus_gbps: float | None


@dataclass(frozen=True, slots=True)
class SkewReport:
    """All collectives that met.

    Attributes:
        alone: collectives that found no partner among the ranks given.
        clock: how the ranks' clocks were put together.
        stragglers: how often each rank came last; slow_ranks: how often it stood out.
        wait_ns: by rank, all its waiting.
    """

    collectives: tuple[CollectiveSkew, ...]
    kinds: tuple[KindSummary, ...]
    alone: int
    clock: str
    stragglers: dict[int, int]
    slow_ranks: dict[int, int]
    wait_ns: dict[int, int]

    @property
    def straggler(self) -> int | None:
        """Give the rank that came last most often, None where none met."""
        if not self.stragglers:
            return None
        return min(self.stragglers, key=lambda rank: (-self.stragglers[rank], rank))


def collective_skew(timelines: Sequence[Timeline]) -> SkewReport:
    """Compare the collectives of ranks.

    Args:
        timelines: one per rank, or a single one of merged ranks.
    """
    if len(timelines) == 1:
        return _reported(list(_met_in(timelines[0])), 0, "one timeline")
    graphs = [timeline.graph for timeline in timelines]
    matching = match_collectives(graphs)
    offsets, how = clock_offsets(graphs, matching)
    meetings = []
    for instance in matching.instances:
        members = instance.members
        start = [int(timelines[p].start_ns[row]) + offsets[p] for p, row in members]
        end = [int(timelines[p].end_ns[row]) + offsets[p] for p, row in members]
        place, row = members[0]
        what = graphs[place].collectives[int(graphs[place].nodes.collective[row])]
        ranks = tuple(graphs[place].meta.rank for place, _ in members)
        meetings.append(Meeting(what, ranks, tuple(start), tuple(end)))
    return _reported(meetings, matching.alone, how)


def _met_in(timeline: Timeline) -> Iterator[Meeting]:
    """Give the meetings of a merged graph: a join and the rows that wait for it."""
    graph = timeline.graph
    target = graph.edge_target()
    from_join = graph.nodes.category[graph.edge_source] == Category.JOIN
    meets = np.flatnonzero((graph.edge_kind == EdgeKind.RENDEZVOUS) & from_join)
    arrival, end = arrivals_ns(timeline), timeline.end_ns
    rows_of_join: dict[int, list[int]] = defaultdict(list)
    for edge in meets.tolist():
        rows_of_join[int(graph.edge_source[edge])].append(int(target[edge]))
    for rows in rows_of_join.values():
        index = int(graph.nodes.collective[rows[0]])
        if len(rows) > 1 and index != NONE:
            yield Meeting(
                graph.collectives[index],
                tuple(int(graph.nodes.rank[row]) for row in rows),
                tuple(int(arrival[row]) for row in rows),
                tuple(int(end[row]) for row in rows),
            )


def skew_of(meeting: Meeting) -> CollectiveSkew:
    """Part a collective into waiting and transfer."""
    durations = [e - s for s, e in zip(meeting.start_ns, meeting.end_ns, strict=True)]
    transfer = min(durations)
    # of equal durations the later start is the later arrival
    last = min(range(len(durations)), key=lambda i: (durations[i], -meeting.start_ns[i]))
    size, what = meeting.what.message_bytes, meeting.what
    algorithm = size / transfer if size > 0 and transfer > 0 else None
    factor = bus_factor(what.kind, max(len(what.ranks), len(meeting.ranks)))
    return CollectiveSkew(
        kind=what.kind,
        group=what.group,
        ranks=meeting.ranks,
        message_bytes=size,
        start_skew_ns=max(meeting.start_ns) - min(meeting.start_ns),
        end_spread_ns=max(meeting.end_ns) - min(meeting.end_ns),
        transfer_ns=transfer,
        wait_ns=tuple(duration - transfer for duration in durations),
        straggler=meeting.ranks[last],
        slow_rank=meeting.ranks[last] if stands_out(durations) else None,
        algorithm_gbps=algorithm,
        bus_gbps=algorithm * factor if algorithm is not None else None,
    )


def bus_factor(kind: str, ranks: int) -> float:
    """Give bus bandwidth over algorithm bandwidth (nccl-tests, PERFORMANCE.md)."""
    n = max(ranks, 1)
    match kind:
        case "all_reduce":
            return 2 * (n - 1) / n
        case "all_gather" | "reduce_scatter" | "all_to_all":
            return (n - 1) / n
        case _:
            return 1.0


def stands_out(durations: Sequence[int]) -> bool:
    """Tell whether the shortest duration is an outlier among its ranks'."""
    count = len(durations)
    if count < FEWEST_FOR_VOTE:
        return False
    ordered = sorted(durations)
    reach = ordered[-1] - ordered[0]
    if count > MOST_FOR_DIXON:
        return ordered[0] < fmean(ordered) - OUTLIER_SIGMAS * pstdev(ordered)
    return reach > 0 and (ordered[1] - ordered[0]) / reach > DIXON_Q90[count - FEWEST_FOR_VOTE]


def _reported(meetings: list[Meeting], alone: int, clock: str) -> SkewReport:
    found = tuple(skew_of(meeting) for meeting in meetings)
    waits: Counter[int] = Counter()
    for one in found:
        waits.update(dict(zip(one.ranks, one.wait_ns, strict=True)))
    last = Counter(one.straggler for one in found)
    slow = Counter(one.slow_rank for one in found if one.slow_rank is not None)
    by_kind: dict[str, list[CollectiveSkew]] = defaultdict(list)
    for one in found:
        by_kind[one.kind].append(one)
    kinds = sorted((_summary(kind, ones) for kind, ones in by_kind.items()), key=lambda k: k.kind)
    return SkewReport(
        collectives=found,
        kinds=tuple(kinds),
        alone=alone,
        clock=clock,
        stragglers=dict(sorted(last.items())),
        slow_ranks=dict(sorted(slow.items())),
        wait_ns=dict(sorted(waits.items())),
    )


def _summary(kind: str, ones: list[CollectiveSkew]) -> KindSummary:
    bus = [one.bus_gbps for one in ones if one.bus_gbps is not None]
    waits = [wait for one in ones for wait in one.wait_ns]
    return KindSummary(
        kind=kind,
        count=len(ones),
        message_bytes=sum(one.message_bytes for one in ones),
        transfer_ns=sum(one.transfer_ns for one in ones),
        mean_wait_ns=sum(waits) // len(waits),
        largest_skew_ns=max(one.start_skew_ns for one in ones),
        median_bus_gbps=median(bus) if bus else None,
    )
