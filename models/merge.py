"""Merge the graphs of many ranks into one, collectives as rendezvous.

    rank 0   a --> [all_reduce]          a --.             .--> [transfer] rank 0
    rank 1   b --> [all_reduce]          b ---> (join) ---<
                                                           `--> [transfer] rank 1

A join starts when its last rank arrives; what a rank recorded before that was waiting, and is
dropped from the collective's duration. Rows of the merged graph keep each rank's order.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from .clocks import clock_offsets
from .collectives import Matching, match_collectives
from .errors import RankError
from .graph import (
    Category,
    EdgeKind,
    ExecutionGraph,
    GraphMeta,
    Int64s,
    Lane,
    LaneKind,
    NodeKind,
)
from .merge_order import merged_order
from .merge_tables import concatenated

ORIGIN_NAME = "start of all ranks"


@dataclass(frozen=True, slots=True, eq=False)
class _Joins:
    """Joins by instance: measured start, members as global rows, and which members wait for it."""

    start_ns: Int64s
    members: list[list[int]]
    waiting: list[list[int]]


def merge_ranks(graphs: Sequence[ExecutionGraph]) -> ExecutionGraph:
    """Merge graphs of different ranks; a single graph is given back as it is.

    Raises:
        RankError: two graphs of one rank, or a rank without rows.
    """
    ordered = sorted(graphs, key=lambda graph: graph.meta.rank)
    for before, after in pairwise(ordered):
        if before.meta.rank == after.meta.rank:
            raise RankError(
                f"rank {after.meta.rank} is given twice", remedy="give each rank's file once"
            )
    if len(ordered) == 1:
        return ordered[0]
    empty = next((graph for graph in ordered if not len(graph)), None)
    if empty is not None:
        raise RankError(f"rank {empty.meta.rank} has no rows", remedy="record it again")
    matching = match_collectives(ordered)
    offsets, how = clock_offsets(ordered, matching)
    stacked = concatenated(ordered, offsets)
    first_row = np.concatenate(([0], np.cumsum([len(g) for g in ordered])))
    joins, start, duration = _meet(matching, first_row, stacked)
    stacked = replace(stacked, nodes=replace(stacked.nodes, start_ns=start, duration_ns=duration))
    with_joins = _add_joins(stacked, joins, first_row[:-1], offsets)
    graph, cut = merged_order(with_joins, first_row)
    return replace(graph, meta=_meta(ordered, matching, how, cut)).checked()


def _meet(
    matching: Matching, first_row: Int64s, stacked: ExecutionGraph
) -> tuple[_Joins, Int64s, Int64s]:
    """Split each collective into waiting (dropped) and transfer (kept)."""
    start = stacked.nodes.start_ns.copy()
    duration = stacked.nodes.duration_ns.copy()
    members_of, waiting_of, join_start = [], [], []
    for instance in matching.instances:
        members = [int(first_row[place]) + row for place, row in instance.members]
        last = max(int(start[row]) for row in members)
        waiting = [row for row in members if int(start[row] + duration[row]) >= last]
        for row in waiting:
            duration[row] = int(start[row] + duration[row]) - last
        members_of.append(members)
        waiting_of.append(waiting)
        join_start.append(last)
    for last, waiting in zip(join_start, waiting_of, strict=True):
        start[waiting] = last
    joins = _Joins(np.array(join_start, dtype=np.int64), members_of, waiting_of)
    return joins, start, duration


def _add_joins(
    stacked: ExecutionGraph, joins: _Joins, origins: Int64s, offsets: list[int]
) -> ExecutionGraph:
    """Append the common origin and one row per join, with their edges; order comes later."""
    count, extra = len(stacked), 1 + len(joins.members)
    origin = count
    source: list[int] = [origin] * len(offsets)
    target: list[int] = origins.tolist()
    lag: list[int] = list(offsets)
    kind: list[int] = [EdgeKind.EXTERNAL] * len(offsets)
    starts, sources = stacked.edge_start.tolist(), stacked.edge_source.tolist()
    lags = stacked.edge_lag_ns.tolist()
    for number, members in enumerate(joins.members):
        row = count + 1 + number
        for member in members:
            for edge in range(starts[member], starts[member + 1]):
                source.append(sources[edge])
                target.append(row)
                lag.append(lags[edge])
        source.extend([row] * len(joins.waiting[number]))
        target.extend(joins.waiting[number])
        lag.extend([0] * len(joins.waiting[number]))
    kind.extend([EdgeKind.RENDEZVOUS] * (len(source) - len(kind)))
    return _with_rows(stacked, extra, joins.start_ns, (source, target, kind, lag))


def _with_rows(
    stacked: ExecutionGraph,
    extra: int,
    join_start_ns: Int64s,
    edges: tuple[list[int], list[int], list[int], list[int]],
) -> ExecutionGraph:
    names = (*stacked.names, ORIGIN_NAME, "rendezvous")
    lanes = (*stacked.lanes, Lane(LaneKind.VIRTUAL, 0, 0, "rendezvous"))
    rows = stacked.nodes.take(np.zeros(extra, dtype=np.int64))
    name = np.full(extra, len(names) - 1, dtype=np.int32)
    name[0] = len(names) - 2
    category = np.full(extra, Category.JOIN, dtype=np.uint8)
    category[0] = Category.ORIGIN
    rows = replace(
        rows,
        kind=np.full(extra, NodeKind.METADATA, dtype=np.uint8),
        category=category,
        name=name,
        lane=np.full(extra, len(lanes) - 1, dtype=np.int32),
        rank=np.full(extra, -1, dtype=np.int32),
        start_ns=np.concatenate(([0], join_start_ns)).astype(np.int64),
        duration_ns=np.zeros(extra, dtype=np.int64),
    )
    target = np.concatenate((stacked.edge_target(), np.array(edges[1], dtype=np.int64)))
    source = np.concatenate((stacked.edge_source, np.array(edges[0], dtype=np.int32)))
    order = np.lexsort((source, target))
    total = len(stacked) + extra
    counts = np.bincount(target, minlength=total)
    return replace(
        stacked,
        nodes=stacked.nodes.followed_by(rows),
        edge_start=np.concatenate(([0], np.cumsum(counts))).astype(np.int64),
        edge_source=source[order].astype(np.int32),
        edge_kind=np.concatenate((stacked.edge_kind, np.array(edges[2], np.uint8)))[order],
        edge_lag_ns=np.concatenate((stacked.edge_lag_ns, np.array(edges[3], np.int64)))[order],
        names=names,
        lanes=lanes,
    )


def _meta(graphs: Sequence[ExecutionGraph], matching: Matching, how: str, cut: int) -> GraphMeta:
    notes = [f"rank {g.meta.rank}: {note}" for g in graphs for note in g.meta.notes]
    notes.append(
        f"{len(matching.instances):,} collectives meet across {len(graphs)} ranks; "
        f"clocks aligned by {how}"
    )
    if matching.alone:
        notes.append(f"{matching.alone:,} collectives have no partner among the ranks given")
    if cut:
        notes.append(f"{cut:,} collectives contradict the order of others: not made to wait")
    first = graphs[0].meta
    return replace(
        first,
        world_size=max(len(graphs), *(g.meta.world_size for g in graphs)),
        clock_base_ns=min(g.meta.clock_base_ns for g in graphs),
        has_times=all(g.meta.has_times for g in graphs),
        properties=(*first.properties, ("ranks", ",".join(str(g.meta.rank) for g in graphs))),
        notes=tuple(notes),
    )
