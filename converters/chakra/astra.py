"""Write graphs as ASTRA-sim can run them: `<prefix>.<rank>.et` and a file of groups.

ASTRA-sim has one compute and one communication queue a device, knows no streams, no host and
five kinds of collectives. So only device work is written (of a run without a device, the host's),
host time that the device waited for becomes a compute node, and kinds that it lacks are replaced.
Whatever is approximated is told in the report.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from ...models.errors import RankError
from ...models.graph import (
    NONE,
    Category,
    EdgeKind,
    ExecutionGraph,
    GraphMeta,
    LaneKind,
    NodeKind,
)
from ...models.graph_builder import Edge, GraphBuilder
from ..atomic import write_together
from .astra_comm import GroupKey, Groups, Message, messages, refuse_disagreement
from .contract import idle_before, kept_predecessors
from .write import encode_plain

IDLE_NAME = "host time the device waits for"
SHORTEST_IDLE_NS = 1000  # Chakra counts whole microseconds
_NO_WORK = "compute nodes have no known work: a roofline takes them for free, keep it disabled"
_VIRTUAL = (Category.ORIGIN, Category.JOIN)


@dataclass(frozen=True, slots=True)
class AstraReport:
    """What was written and what it stands for.

    Attributes:
        files: by rank.
        group_file: None where all communication is among all ranks: give ASTRA-sim `empty`.
        nodes, idle_nodes: written, and how many of them stand for host time.
        idle_ns, dropped_idle_ns: host time written, and in gaps too short to be written.
        approximations: one sentence each, with how often.
    """

    files: tuple[Path, ...]
    group_file: Path | None
    nodes: int
    idle_nodes: int
    idle_ns: int
    dropped_idle_ns: int
    approximations: tuple[str, ...]


@dataclass(slots=True)
class _Tally:
    told: Counter[str] = field(default_factory=Counter)
    nodes: int = 0
    idle_nodes: int = 0
    idle_ns: int = 0
    dropped_idle_ns: int = 0


@dataclass(frozen=True, slots=True)
class _Rank:
    """The rows of one rank that are written, in order, and what they wait for."""

    graph: ExecutionGraph
    rank: int
    rows: list[int]
    predecessors: Mapping[int, list[int]]
    messages: Mapping[int, Message]


def write_astra(graphs: Sequence[ExecutionGraph], prefix: Path) -> AstraReport:
    """Write graphs of one rank each, or merged ones, for ASTRA-sim.

    Raises:
        RankError: ranks collide or are missing, or disagree about their communication.
    """
    tally = _Tally()
    ranks = _ranks(graphs, tally.told)
    refuse_disagreement({r.rank: list(r.messages.values()) for r in ranks})
    encoded = [b"".join(encode_plain(_contracted(rank, tally))) for rank in ranks]
    files = tuple(prefix.with_name(f"{prefix.name}.{rank.rank}.et") for rank in ranks)
    groups = _group_file(Groups(graphs, len(ranks)), prefix)
    contents = [*zip(files, encoded, strict=True), *([groups] if groups else [])]
    write_together((path, [content]) for path, content in contents)
    return AstraReport(
        files,
        groups[0] if groups else None,
        tally.nodes,
        tally.idle_nodes,
        tally.idle_ns,
        tally.dropped_idle_ns,
        tuple(f"{count} x {text}" for text, count in sorted(tally.told.items())),
    )


def _group_file(groups: Groups, prefix: Path) -> tuple[Path, bytes] | None:
    table = groups.table()
    if not table:
        return None
    return prefix.with_name(f"{prefix.name}.comm_groups.json"), msgspec.json.encode(table)


def _ranks(graphs: Sequence[ExecutionGraph], told: Counter[str]) -> list[_Rank]:
    on_device = any(_computes_on_device(graph) for graph in graphs)
    present = [rank for graph in graphs for rank in np.unique(graph.nodes.rank).tolist()]
    if sorted(present) != list(range(len(present))):
        raise RankError(
            f"ASTRA-sim needs the ranks 0 to N-1, each once; there are {sorted(present)}",
            remedy="give the traces of all ranks",
        )
    groups = Groups(graphs, len(present))
    found: list[_Rank] = []
    for graph in graphs:
        keep = _kept(graph, on_device)
        predecessors = kept_predecessors(graph, keep)
        for rank in np.unique(graph.nodes.rank).tolist():
            rows = np.flatnonzero(keep & (graph.nodes.rank == rank)).tolist()
            spoken = messages(graph, rows, groups, told)
            found.append(_Rank(graph, rank, rows, predecessors, spoken))
    return sorted(found, key=lambda rank: rank.rank)


def _computes_on_device(graph: ExecutionGraph) -> bool:
    return bool((graph.on_device() & (graph.nodes.kind < NodeKind.COMM_SEND)).any())


def _kept(graph: ExecutionGraph, on_device: bool) -> NDArray[np.bool_]:
    """Tell which rows are written: communication, and the device's work or the host's."""
    communicates = graph.nodes.kind >= NodeKind.COMM_SEND
    if on_device:
        return graph.on_device() | communicates
    virtual = np.isin(graph.nodes.category, _VIRTUAL)
    return (communicates | (graph.nodes.duration_ns > 0)) & ~virtual


def _contracted(rank: _Rank, tally: _Tally) -> ExecutionGraph:
    """Give the graph that is written: rows, host time between them, order of communication."""
    nodes = rank.graph.nodes
    start_ns, duration_ns = nodes.start_ns[rank.rows], nodes.duration_ns[rank.rows]
    idle_ns = idle_before(start_ns, duration_ns).tolist()
    ends_ns = (start_ns + duration_ns).tolist()
    builder = GraphBuilder(GraphMeta(rank.rank, properties=rank.graph.meta.properties))
    idle_lane = builder.lane(LaneKind.DEVICE, group=1, number=0)
    new_row: dict[int, int] = {}
    last_of_chain: dict[GroupKey, int] = {}
    last_to_end = NONE
    for i, row in enumerate(rank.rows):
        before = [new_row[old] for old in rank.predecessors[row]]
        message = rank.messages.get(row)
        if message is not None and message.chain in last_of_chain:
            before.append(last_of_chain[message.chain])
        if idle_ns[i] >= SHORTEST_IDLE_NS:
            after = [] if last_to_end == NONE else _edges([new_row[rank.rows[last_to_end]]])
            before.append(_add_idle(builder, (idle_lane, rank.rank), idle_ns[i], after))
            tally.idle_nodes += 1
            tally.idle_ns += idle_ns[i]
        else:
            tally.dropped_idle_ns += idle_ns[i]
        new_row[row] = _add_row(builder, rank, row, before, tally.told)
        if message is not None:
            last_of_chain[message.chain] = new_row[row]
        if last_to_end == NONE or ends_ns[i] > ends_ns[last_to_end]:
            last_to_end = i
    graph = builder.build()
    tally.nodes += len(graph)
    return graph


def _edges(rows: Sequence[int]) -> list[Edge]:
    return [(row, EdgeKind.DATA, 0) for row in sorted(set(rows))]


def _add_idle(
    builder: GraphBuilder, place: tuple[int, int], duration_ns: int, after: list[Edge]
) -> int:
    lane, rank = place
    return builder.add(
        IDLE_NAME,
        lane,
        rank=rank,
        duration_ns=duration_ns,
        category=Category.KERNEL,
        after=after,
        flops=1,
        bytes=1,
    )


def _add_row(
    builder: GraphBuilder, rank: _Rank, row: int, before: Sequence[int], told: Counter[str]
) -> int:
    nodes = rank.graph.nodes
    lane = builder.lane(LaneKind.DEVICE, group=0, number=rank.graph.lane_of(row).number)
    times = {"duration_ns": int(nodes.duration_ns[row]), "start_ns": int(nodes.start_ns[row])}
    message = rank.messages.get(row)
    if message is not None:
        return builder.add(
            rank.graph.name_of(row),
            lane,
            category=Category.COLLECTIVE,
            after=_edges(before),
            kind=message.node,
            rank=rank.rank,
            collective=message.collective,
            sequence=message.sequence,
            **times,
        )
    flops, size = int(nodes.flops[row]), int(nodes.bytes[row])
    if flops == 0 or size == 0:
        told[_NO_WORK] += 1
    return builder.add(
        rank.graph.name_of(row),
        lane,
        category=Category.KERNEL,
        after=_edges(before),
        rank=rank.rank,
        flops=max(flops, 1),  # a roofline refuses a node without either
        bytes=max(size, 1),
        **times,
    )
