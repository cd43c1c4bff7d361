"""Encode a graph's rows as Chakra nodes, a block of rows at a time.

A node's bytes in order; protobuf leaves the order free, and this one needs the fewest cuts:

    | length id type times deps | name io lane schema | comm | numbers edges row |
       matrix                     table                 rare   matrix
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ...models.graph import NONE, Bytes, Category, ExecutionGraph, Int64s, Lane, LaneKind, Operator
from .attributes import Value, add_bytes_head, add_numbers, number, text
from .comm import CommEncoder
from .layout import EDGE_ATTRIBUTE, ROW_ATTRIBUTE, Layout, edge_bytes, row_bytes
from .micros import carried, rounded
from .text import encode_io
from .wire import (
    LENGTH,
    VARINT,
    Block,
    Fragments,
    chosen,
    concatenated,
    tag,
    text_field,
    varint_lengths,
)

FUNCTION_SCOPE, USER_SCOPE = 0, 7  # torch's RecordScope, as in the execution trace
_ROWS_A_BLOCK = 1 << 12  # the matrices of a block stay in the cache
_EDGES_A_BLOCK = 1 << 16
_ID, _NAME, _TYPE, _DATA_DEPS, _START, _DURATION = 1, 2, 3, 5, 6, 7


@dataclass(frozen=True, slots=True)
class _Columns:
    """What is computed or encoded once for the whole file.

    Attributes:
        fixed: what follows from a row's name, operator and lane; `fixed_index` points into it.
        forward_id, forward_tid: node id and thread of the forward operator, 0 where there is none.
    """

    fixed: list[bytes]
    comm: CommEncoder
    fixed_index: Int64s
    start_micros: Int64s
    duration_micros: Int64s
    forward_id: Int64s
    forward_tid: Int64s
    rows: Bytes | None
    edges: Bytes | None


def encode_nodes(graph: ExecutionGraph, layout: Layout | None) -> Iterator[bytes]:
    """Give the framed nodes, many at once; without a layout they have no etsim attributes."""
    columns = _columns(graph, layout)
    degree = np.diff(graph.edge_start)
    for first in range(0, len(graph), _ROWS_A_BLOCK):
        for rows in _blocks(degree, first, min(first + _ROWS_A_BLOCK, len(graph))):
            yield _encode_rows(graph, columns, rows)


def _blocks(degree: Int64s, first: int, end: int) -> Iterator[slice]:
    """Halve blocks with a row of many edges: every row of a block has room for as many."""
    if end - first > 1 and (end - first) * int(degree[first:end].max()) > _EDGES_A_BLOCK:
        middle = (first + end) // 2
        yield from _blocks(degree, first, middle)
        yield from _blocks(degree, middle, end)
    else:
        yield slice(first, end)


def _columns(graph: ExecutionGraph, layout: Layout | None) -> _Columns:
    nodes = graph.nodes
    forward = nodes.fw_parent
    lane_number = np.array([lane.number for lane in graph.lanes], dtype=np.int64)
    forward_tid = np.zeros(len(graph), dtype=np.int64)
    forward_tid[forward != NONE] = lane_number[nodes.lane[forward[forward != NONE]]]
    pairs = nodes.operator.astype(np.int64) * len(graph.lanes) + nodes.lane
    triples = pairs * len(graph.names) + nodes.name
    distinct, fixed_index = np.unique(triples, return_inverse=True)
    return _Columns(
        fixed=_fixed_parts(graph, distinct.tolist()),
        fixed_index=fixed_index,
        comm=CommEncoder(graph),
        start_micros=rounded(nodes.start_ns),
        duration_micros=carried(nodes.duration_ns, nodes.lane),
        forward_id=forward.astype(np.int64) + 1,
        forward_tid=forward_tid,
        rows=None if layout is None else row_bytes(graph, layout),
        edges=None if layout is None else edge_bytes(graph, layout),
    )


def _fixed_parts(graph: ExecutionGraph, triples: Sequence[int]) -> list[bytes]:
    """Encode what is the same for all rows of a name and an operator on a lane."""
    names = [text_field(_NAME, name) for name in graph.names]
    operators = [*graph.operators, Operator("")]  # index -1, no operator, is the last
    io = [encode_io(operator) for operator in operators]
    schemas = [text("op_schema", operator.schema) for operator in operators]
    lanes = [_lane_attributes(lane) for lane in graph.lanes]
    parts: list[bytes] = []
    for triple in triples:
        pair, name = divmod(triple, len(names))
        operator, lane = divmod(pair, len(lanes))
        parts.append(names[name] + io[operator] + lanes[lane] + schemas[operator])
    return parts


def _lane_attributes(lane: Lane) -> bytes:
    on_host = lane.kind is not LaneKind.DEVICE
    return (
        number("is_cpu_op", on_host, Value.BOOL)
        + number("stream", 0 if on_host else lane.number, Value.INT64)
        + number("tid", lane.number if on_host else 0, Value.INT64)
    )


def _encode_rows(graph: ExecutionGraph, columns: _Columns, rows: slice) -> bytes:
    edges = slice(int(graph.edge_start[rows.start]), int(graph.edge_start[rows.stop]))
    degree = np.diff(graph.edge_start[rows.start : rows.stop + 1])
    fields = [chosen(columns.fixed, columns.fixed_index[rows])]
    if any(comm := columns.comm.parts(rows)):
        fields.append(Fragments(comm, np.array([len(part) for part in comm], dtype=np.int64)))
    last = _numbers(graph, columns, rows)
    if columns.rows is not None and columns.edges is not None:
        records = columns.edges[edges]
        add_numbers(last, "etsim_start_ns", graph.nodes.start_ns[rows])
        add_numbers(last, "etsim_dur_ns", graph.nodes.duration_ns[rows])
        add_bytes_head(last, EDGE_ATTRIBUTE, degree * records.shape[1])
        last.ragged(records, degree)
        _add_row_records(last, columns.rows[rows])
    fields.append(last.fragments())
    head = _head(graph, columns, rows)
    _add_dependencies(head, graph.edge_source[edges].astype(np.int64) + 1, degree)
    following = np.sum([column.lengths for column in fields], axis=0)
    return concatenated([head.framed(following), *fields])


def _head(graph: ExecutionGraph, columns: _Columns, rows: slice) -> Block:
    """Give each node's first fields."""
    ids = np.arange(rows.start + 1, rows.stop + 1, dtype=np.int64)
    block = Block(len(ids))
    block.constant(tag(_ID, VARINT))
    block.varints(ids)
    block.nonzero_field(_TYPE, graph.nodes.kind[rows].astype(np.int64))
    block.nonzero_field(_START, columns.start_micros[rows])
    block.nonzero_field(_DURATION, columns.duration_micros[rows])
    return block


def _add_dependencies(block: Block, ids: Int64s, degree: Int64s) -> None:
    """Add the packed ids of each row's predecessors, each once."""
    target = np.repeat(np.arange(len(degree)), degree)
    keys = target * (int(ids.max(initial=0)) + 1) + ids
    _, first = np.unique(keys, return_index=True)
    if len(first) < len(ids):
        first.sort()
        target, ids = target[first], ids[first]
    length = np.bincount(target, weights=varint_lengths(ids), minlength=len(degree))
    block.constant(tag(_DATA_DEPS, LENGTH), length > 0)
    block.varints(length.astype(np.int64), length > 0)
    block.ragged_varints(ids, np.bincount(target, minlength=len(degree)))


def _numbers(graph: ExecutionGraph, columns: _Columns, rows: slice) -> Block:
    nodes = graph.nodes
    annotated = nodes.category[rows] == Category.ANNOTATION
    flops, size = nodes.flops[rows], nodes.bytes[rows]
    worked = (flops != 0) | (size != 0)
    block = Block(rows.stop - rows.start)
    add_numbers(block, "rf_id", nodes.rf_id[rows])
    add_numbers(block, "fw_parent", columns.forward_id[rows])
    add_numbers(block, "seq_id", nodes.seq_id[rows])
    add_numbers(block, "scope", np.where(annotated, USER_SCOPE, FUNCTION_SCOPE).astype(np.int64))
    add_numbers(block, "fw_tid", columns.forward_tid[rows])
    add_numbers(block, "num_ops", flops, where=worked)
    add_numbers(block, "tensor_size", size, Value.UINT64, where=worked)
    return block


def _add_row_records(block: Block, records: Bytes) -> None:
    block.constant(text(ROW_ATTRIBUTE, bytes(records.shape[1]))[: -records.shape[1]])
    block.raw(records)
