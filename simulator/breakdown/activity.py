"""What kept a rank busy and when: device rows, or operators and collectives of a CPU-only rank.

A collective that meets its partners in a merged graph counts from its arrival, as a recorded
NCCL kernel does: its row starts when the last rank came.

    stream   |k0|   arrival |.. waits ..|transfer|        communication: from arrival on

A CPU-only rank computes while a thread is inside an operator (`aten::*` and other libraries');
its lanes are threads. A host row carries only its operator's largest piece, so the time between
two rows of one outermost operator belongs to that operator, too.
"""

import re
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from ...models.graph import NONE, Category, EdgeKind, ExecutionGraph, Int64s
from ...models.timeline import Timeline
from .intervals import Flags, Intervals
from .parts import Busy

COMMUNICATION = (Category.COLLECTIVE, Category.SEND, Category.RECV)
COPIES = (Category.MEMCPY, Category.MEMSET)
# Operators that compute: those of any library, but not autograd's or the backend's own frames.
_COMPUTES = re.compile(r"(?!autograd::|torch::autograd|c10d::|profiler::)\w+::\w")

DEEPEST_NESTING = 1000  # Python's own recursion limit; a deeper chain of parents is a circle


class Part(IntEnum):
    """Which part of the window an operation fills."""

    COMPUTING = 0
    COMMUNICATION = 1
    MEMCPY = 2


@dataclass(frozen=True, slots=True, eq=False)
class Activity:
    """A rank's operations, columns of shape (operations,).

    Attributes:
        cpu_only: no device row at all; operations are pieces of host operators.
        row: in the timeline's graph.
        launch: row of the call that launched it, -1 where there is none.
        step: of the launch, -1 outside all steps.
    """

    timeline: Timeline
    rank: int
    cpu_only: bool
    row: Int64s
    part: NDArray[np.uint8]
    start_ns: Int64s
    end_ns: Int64s
    launch: Int64s
    step: Int64s

    def __len__(self) -> int:
        return len(self.row)

    @property
    def graph(self) -> ExecutionGraph:
        """Give the graph that the rows are of."""
        return self.timeline.graph

    @property
    def unlinked(self) -> Flags:
        """Tell which device operations have no launch; none on a CPU-only rank."""
        flags: Flags = (self.launch == NONE) & (not self.cpu_only)
        return flags

    def intervals(self) -> Intervals:
        """Give when each operation ran."""
        return Intervals(self.start_ns, self.end_ns)

    def busy(self) -> Busy:
        """Give the operations sorted into computing, communication and copies."""
        every = self.intervals()
        return Busy(*(every.where(self.part == part) for part in Part))

    def where(self, chosen: Flags) -> "Activity":
        """Give the chosen operations."""
        names = ("row", "part", "start_ns", "end_ns", "launch", "step")
        return replace(self, **{name: getattr(self, name)[chosen] for name in names})


def ranks_of(graph: ExecutionGraph) -> list[int]:
    """Give the ranks that have rows of their own, sorted."""
    inside = ~np.isin(graph.nodes.category, (Category.ORIGIN, Category.JOIN))
    return [int(rank) for rank in np.unique(graph.nodes.rank[inside])]


def activity_of(
    timeline: Timeline, rank: int, communicates: re.Pattern[str] | None = None
) -> Activity:
    """Give a rank's operations.

    Args:
        timeline: of one rank or many.
        rank: which.
        communicates: kernels whose name this finds count as communication, besides those that
            the graph already calls collectives.
    """
    graph = timeline.graph
    mine = graph.nodes.rank == rank
    category = graph.nodes.category
    works = np.isin(category, (Category.KERNEL, *COPIES, *COMMUNICATION))
    on_device = mine & works & graph.on_device()
    if on_device.any():
        return _device_activity(timeline, rank, np.flatnonzero(on_device), communicates)
    return _host_activity(timeline, rank, mine)


def _device_activity(
    timeline: Timeline, rank: int, rows: Int64s, communicates: re.Pattern[str] | None
) -> Activity:
    graph = timeline.graph
    part = _parts_of(graph.nodes.category[rows])
    if communicates is not None:
        found = np.array([communicates.search(name) is not None for name in graph.names])
        part[(part == Part.COMPUTING) & found[graph.nodes.name[rows]]] = Part.COMMUNICATION
    return Activity(
        timeline=timeline,
        rank=rank,
        cpu_only=False,
        row=rows,
        part=part,
        start_ns=np.minimum(timeline.start_ns, arrivals_ns(timeline))[rows],
        end_ns=timeline.end_ns[rows],
        launch=launches_of(graph)[rows],
        step=graph.nodes.step[rows].astype(np.int64),
    )


def _parts_of(category: NDArray[np.uint8]) -> NDArray[np.uint8]:
    part = np.full(len(category), Part.COMPUTING, dtype=np.uint8)
    part[np.isin(category, COMMUNICATION)] = Part.COMMUNICATION
    part[np.isin(category, COPIES)] = Part.MEMCPY
    return part


def arrivals_ns(timeline: Timeline) -> Int64s:
    """Give when each row could have started but for its partners in a collective, (nodes,).

    The row's own start where it has no partner.
    """
    graph = timeline.graph
    meets = graph.edge_kind == EdgeKind.RENDEZVOUS
    if not meets.any():
        return timeline.start_ns
    target = graph.edge_target()
    waits = np.zeros(len(graph), dtype=bool)
    waits[target[meets]] = True
    waits &= graph.nodes.category != Category.JOIN
    arrival = np.full(len(graph), np.iinfo(np.int64).min)
    ready = timeline.end_ns[graph.edge_source] + graph.edge_lag_ns
    np.maximum.at(arrival, target[~meets], ready[~meets])
    known = waits & (arrival > np.iinfo(np.int64).min)
    return np.where(known, np.minimum(arrival, timeline.start_ns), timeline.start_ns)


def launches_of(graph: ExecutionGraph) -> Int64s:
    """Give the row that launched each row, shape (nodes,), -1 for none."""
    parent = graph.nodes.parent.astype(np.int64)
    by_parent = (parent >= 0) & (graph.nodes.category[parent] == Category.LAUNCH)
    launch = np.where(by_parent & graph.on_device(), parent, NONE)
    edges = graph.edge_kind == EdgeKind.LAUNCH
    launch[graph.edge_target()[edges]] = graph.edge_source[edges]
    return launch


def _host_activity(timeline: Timeline, rank: int, mine: Flags) -> Activity:
    graph = timeline.graph
    category = graph.nodes.category
    communicates = mine & np.isin(category, COMMUNICATION)
    operator = outermost_operators(graph)
    computes = mine & (operator >= 0) & ~communicates
    end = _filled_ends(timeline, operator, computes)
    rows = np.flatnonzero(computes | communicates)
    return Activity(
        timeline=timeline,
        rank=rank,
        cpu_only=True,
        row=rows,
        part=_parts_of(category[rows]),
        start_ns=np.minimum(timeline.start_ns, arrivals_ns(timeline))[rows],
        end_ns=end[rows],
        launch=np.full(len(rows), NONE, dtype=np.int64),
        step=graph.nodes.step[rows].astype(np.int64),
    )


def outermost_operators(graph: ExecutionGraph) -> Int64s:
    """Give the outermost computing operator around each row (itself included), -1 for none."""
    computes = np.array([_COMPUTES.match(name) is not None for name in graph.names], dtype=bool)
    return outermost(graph, computes[graph.nodes.name] & (graph.nodes.category == Category.HOST))


def outermost(graph: ExecutionGraph, wanted: Flags) -> Int64s:
    """Give the outermost wanted row around each row (itself included), -1 for none; (nodes,)."""
    found = np.full(len(graph), NONE, dtype=np.int64)
    parent = graph.nodes.parent.astype(np.int64)
    inside = np.arange(len(graph), dtype=np.int64)
    above = inside
    for _ in range(DEEPEST_NESTING):
        hit = wanted[above]
        found[inside[hit]] = above[hit]
        above = parent[above]
        inside, above = inside[above >= 0], above[above >= 0]
        if not len(above):
            break
    return found


def _filled_ends(timeline: Timeline, operator: Int64s, computes: Flags) -> Int64s:
    """Each row's end, moved to the next row's start where both are of one outermost operator."""
    end = timeline.end_ns.copy()
    lane = timeline.graph.nodes.lane
    rows = np.flatnonzero(computes)
    rows = rows[np.argsort(lane[rows], kind="stable")]
    before, after = rows[:-1], rows[1:]
    same = (lane[before] == lane[after]) & (operator[before] == operator[after])
    later = timeline.start_ns[after] > end[before]
    end[before[same & later]] = timeline.start_ns[after[same & later]]
    return end
