"""Make a graph of nodes that others wrote: order, lanes, edges, and starts where there are none.

Chakra files name neither an edge's kind nor, usually, the order of a stream:

    host -> device      launch           device -> host       sync
    same thread         host order       thread -> thread     hand-over
    same stream         stream order     stream -> stream     stream wait

A stream runs one kernel after another, so the order of a stream is added where no edge tells it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ...models.graph import (
    NONE,
    Category,
    Columns,
    EdgeKind,
    ExecutionGraph,
    GraphMeta,
    LaneKind,
    NodeKind,
)
from ...models.graph_builder import Edge, GraphBuilder
from ..ranks import rank_in_name
from .foreign import ForeignNode
from .messages import Attributes
from .order import ordered

_KEPT_PROPERTIES = ("version", "schema", "pid", "time", "start_ts", "finish_ts")
_CATEGORY_OF_KIND = {
    NodeKind.COMM_COLL: Category.COLLECTIVE,
    NodeKind.COMM_SEND: Category.SEND,
    NodeKind.COMM_RECV: Category.RECV,
    NodeKind.MEM_LOAD: Category.MEMCPY,
    NodeKind.MEM_STORE: Category.MEMCPY,
}


@dataclass(slots=True)
class _Assembly:
    """A graph being built, and what of the file it could not use."""

    builder: GraphBuilder
    host_group: int
    row_of_id: dict[int, int] = field(default_factory=dict)
    lane_of_row: list[int] = field(default_factory=list)
    host_lanes: set[int] = field(default_factory=set)
    last_on_stream: dict[int, int] = field(default_factory=dict)
    sequence_of_group: dict[str, int] = field(default_factory=dict)
    added_order: int = 0


def assemble(
    nodes: Sequence[ForeignNode], attributes: Attributes, where: Path, notes: Sequence[str] = ()
) -> ExecutionGraph:
    """Give the graph of a file's nodes.

    Raises:
        InputError: two nodes of one id, or nodes that wait for each other in a circle.
    """
    labels = [(node.id, node.name) for node in nodes]
    order = ordered(labels, [n.waits_for for n in nodes], where, [n.start_ns for n in nodes])
    known = {node.id for node in nodes}
    dangling = sum(i not in known for node in nodes for i in node.waits_for)
    meta = _meta(attributes, where)
    pid = attributes.get("pid", 0)
    assembly = _Assembly(GraphBuilder(meta), pid if isinstance(pid, int) else 0)
    for index in order:
        _add(assembly, nodes[index], meta.rank)
    graph = assembly.builder.build()
    has_starts = any(node.start_ns for node in nodes)
    has_times = any(node.duration_ns for node in nodes)
    told = [*notes, *_remarks(dangling, assembly.added_order, has_starts, has_times)]
    base_ns = min((node.start_ns for node in nodes), default=0)
    meta = replace(meta, has_times=has_times, notes=tuple(told), clock_base_ns=base_ns)
    return replace(graph, meta=meta, nodes=_with_starts(graph, has_starts))


def _meta(attributes: Attributes, where: Path) -> GraphMeta:
    properties = tuple((key, str(attributes[key])) for key in _KEPT_PROPERTIES if key in attributes)
    return GraphMeta(rank=max(rank_in_name(where), 0), properties=properties)


def _add(assembly: _Assembly, node: ForeignNode, rank: int) -> None:
    builder = assembly.builder
    kind = LaneKind.HOST if node.on_host else LaneKind.DEVICE
    lane = builder.lane(kind, assembly.host_group if node.on_host else 0, node.lane_number)
    if node.on_host:
        assembly.host_lanes.add(lane)
    columns = {
        "kind": node.kind, "rank": rank, "start_ns": node.start_ns, "flops": node.flops,
        "bytes": node.bytes, "rf_id": node.rf_id, "seq_id": node.seq_id,
        "parent": assembly.row_of_id.get(node.caller, NONE),
    }  # fmt: skip
    if node.collective is not None:
        group = node.collective.group
        columns["sequence"] = assembly.sequence_of_group.get(group, 0)
        assembly.sequence_of_group[group] = columns["sequence"] + 1
    values = {"operator": node.operator, "collective": node.collective}
    assembly.row_of_id[node.id] = builder.add(
        node.name,
        lane,
        duration_ns=node.duration_ns,
        category=_category(node),
        after=_edges(assembly, node, lane),
        **columns,
        **{key: value for key, value in values.items() if value is not None},
    )
    assembly.lane_of_row.append(lane)


def _edges(assembly: _Assembly, node: ForeignNode, lane: int) -> list[Edge]:
    rows = [assembly.row_of_id[i] for i in node.waits_for if i in assembly.row_of_id]
    edges: list[Edge] = []
    for row in rows:
        source = assembly.lane_of_row[row]
        on_host = source in assembly.host_lanes
        kind = edge_kind(from_host=on_host, to_host=node.on_host, same_lane=source == lane)
        edges.append((row, kind, 0))
    if node.on_stream:
        last = assembly.last_on_stream.get(lane, NONE)
        if last not in {NONE, *rows}:
            edges.append((last, EdgeKind.STREAM_ORDER, 0))
            assembly.added_order += 1
        assembly.last_on_stream[lane] = len(assembly.lane_of_row)
    return edges


def edge_kind(*, from_host: bool, to_host: bool, same_lane: bool) -> EdgeKind:
    """Give what an edge between two lanes means; Chakra does not say."""
    if same_lane:
        return EdgeKind.HOST_ORDER if to_host else EdgeKind.STREAM_ORDER
    match from_host, to_host:
        case True, True:
            return EdgeKind.HANDOVER
        case True, False:
            return EdgeKind.LAUNCH
        case False, True:
            return EdgeKind.SYNC
        case _:
            return EdgeKind.STREAM_WAIT


def _category(node: ForeignNode) -> Category:
    if node.kind in _CATEGORY_OF_KIND:
        return _CATEGORY_OF_KIND[node.kind]
    if node.on_host:
        return Category.ANNOTATION if node.annotation else Category.HOST
    beginning = node.name[:6].lower()
    named = {"memcpy": Category.MEMCPY, "memset": Category.MEMSET}
    return named.get(beginning, Category.KERNEL)


def _remarks(dangling: int, added_order: int, has_starts: bool, has_times: bool) -> list[str]:
    remarks = ["not written by etsim: host time between operators and lags are unknown"]
    if dangling:
        remarks.append(f"{dangling} dependencies on nodes that are not in the file were dropped")
    if added_order:
        remarks.append(f"{added_order} edges of stream order were added")
    if not has_times:
        remarks.append("no node has a duration")
    elif not has_starts:
        remarks.append("no start times: each node starts when the last it waits for has ended")
    return remarks


def _with_starts(graph: ExecutionGraph, has_starts: bool) -> Columns:
    """Give the columns, starts counted from the first, or from the edges where none is told."""
    nodes = graph.nodes
    if has_starts:
        first = int(nodes.start_ns.min())
        return replace(nodes, start_ns=nodes.start_ns - first)
    ends: list[int] = []
    starts: list[int] = []
    bounds, source = graph.edge_start.tolist(), graph.edge_source.tolist()
    for row, duration in enumerate(nodes.duration_ns.tolist()):
        waits = source[bounds[row] : bounds[row + 1]]
        starts.append(max((ends[before] for before in waits), default=0))
        ends.append(starts[row] + duration)
    return replace(nodes, start_ns=np.array(starts, dtype=np.int64))
