"""Write an ExecutionGraph as a Chakra `.et` file that carries everything a replay needs.

    varint(length) GlobalMetadata    version, schema ..., etsim's tables, count and checksum
    varint(length) Node              id = row + 1, Chakra's fields and attributes, etsim's last
    ...

Nodes are encoded by whole blocks of rows (see wire.py); every edge is a `data_dep`.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...models.errors import InputError
from ...models.graph import (
    NONE,
    Bytes,
    Category,
    ExecutionGraph,
    Int64s,
    Lane,
    LaneKind,
    Operator,
)
from ..atomic import atomic_path
from .attributes import METADATA_ATTR, Value, add_bytes_head, add_numbers, number, text
from .comm import comm_parts
from .layout import EDGE_ATTRIBUTE, ROW_ATTRIBUTE, Layout, edge_bytes, layout_of, row_bytes
from .micros import carried, rounded
from .tables import encode_tables
from .text import encode_io
from .wire import (
    LENGTH,
    VARINT,
    Block,
    Fragments,
    chosen,
    concatenated,
    cut,
    tag,
    text_field,
    varint,
    varint_lengths,
)

FORMAT = 1  # of etsim's own attributes
CHAKRA_VERSION = "1.0.0"
FUNCTION_SCOPE, USER_SCOPE = 0, 7  # torch's RecordScope, as in the execution trace
_ROWS_A_BLOCK = 1 << 14
_TEXT_PROPERTIES = ("schema", "time")
_NUMBER_PROPERTIES = ("pid", "start_ts", "finish_ts")
_ID, _NAME, _TYPE, _DATA_DEPS, _START, _DURATION = 1, 2, 3, 5, 6, 7


def write_graph(graph: ExecutionGraph, path: Path) -> None:
    """Write one rank's graph; the file appears whole or not at all.

    Raises:
        InputError: the graph holds several ranks, or a name that is no Unicode text.
    """
    try:
        parts = list(encode_graph(graph))
    except UnicodeEncodeError as error:
        raise InputError(
            f"a name holds half a surrogate pair: {error.object!r}", where=path
        ) from error
    with atomic_path(path) as part, part.open("wb") as file:
        file.writelines(parts)


def encode_graph(graph: ExecutionGraph) -> Iterator[bytes]:
    """Give the bytes of a `.et` file, metadata first.

    Raises:
        InputError: the graph holds several ranks.
    """
    if len(graph) and (graph.nodes.rank != graph.nodes.rank[0]).any():
        ranks = np.unique(graph.nodes.rank).tolist()
        raise InputError(
            f"a .et file holds one rank, this graph holds {len(ranks)}: {ranks}",
            remedy="write each rank's graph before they are merged",
        )
    layout = layout_of(graph)
    tables = encode_tables(graph, layout)
    nodes = list(_node_blocks(graph, layout))
    yield _metadata(graph, tables, nodes)
    yield from nodes


def checksum(tables: str, nodes: list[bytes] | list[memoryview]) -> int:
    """Give the CRC-32 over the tables and the nodes: unchanged, a file is read without parsing."""
    crc = zlib.crc32(tables.encode())
    for block in nodes:
        crc = zlib.crc32(block, crc)
    return crc


def _metadata(graph: ExecutionGraph, tables: str, nodes: list[bytes]) -> bytes:
    known = dict(graph.meta.properties)
    content = text_field(1, CHAKRA_VERSION)
    for key in _TEXT_PROPERTIES:
        if key in known:
            content += text(key, known[key], owner=METADATA_ATTR)
    for key in _NUMBER_PROPERTIES:
        if known.get(key, "").isdecimal():
            value = min(int(known[key]), 2**64 - 1)
            content += number(key, value, Value.UINT64, owner=METADATA_ATTR)
    for key, count in (
        ("etsim_format", FORMAT),
        ("etsim_nodes", len(graph)),
        ("etsim_crc32", checksum(tables, nodes)),
    ):
        content += number(key, count, Value.UINT64, owner=METADATA_ATTR)
    content += text("etsim_tables", tables, owner=METADATA_ATTR)
    return varint(len(content)) + content


@dataclass(frozen=True, slots=True)
class _Columns:
    """What is computed or encoded once for the whole file; the tables end with NONE's entry."""

    names: list[bytes]
    lanes: list[bytes]
    io: list[bytes]
    schemas: list[bytes]
    start_micros: Int64s
    duration_micros: Int64s
    forward_id: Int64s
    forward_tid: Int64s
    dependencies: Fragments
    rows: Bytes
    edges: Fragments


def _node_blocks(graph: ExecutionGraph, layout: Layout) -> Iterator[bytes]:
    columns = _columns(graph, layout)
    for first in range(0, len(graph), _ROWS_A_BLOCK):
        yield _encode_rows(graph, columns, slice(first, min(first + _ROWS_A_BLOCK, len(graph))))


def _columns(graph: ExecutionGraph, layout: Layout) -> _Columns:
    nodes = graph.nodes
    operators = [*graph.operators, Operator("")]
    forward = nodes.fw_parent
    lane_number = np.array([lane.number for lane in graph.lanes], dtype=np.int64)
    forward_tid = np.zeros(len(graph), dtype=np.int64)
    forward_tid[forward != NONE] = lane_number[nodes.lane[forward[forward != NONE]]]
    records = edge_bytes(graph, layout)
    return _Columns(
        names=[text_field(_NAME, name) for name in graph.names],
        lanes=[_lane_attributes(lane) for lane in graph.lanes],
        io=[encode_io(operator) for operator in operators],
        schemas=[text("op_schema", operator.schema) for operator in operators],
        start_micros=rounded(nodes.start_ns),
        duration_micros=carried(nodes.duration_ns, nodes.lane),
        forward_id=forward.astype(np.int64) + 1,
        forward_tid=forward_tid,
        dependencies=_dependencies(graph),
        rows=row_bytes(graph, layout),
        edges=cut(records.tobytes(), np.diff(graph.edge_start) * records.shape[1]),
    )


def _lane_attributes(lane: Lane) -> bytes:
    on_host = lane.kind is not LaneKind.DEVICE
    return (
        number("is_cpu_op", on_host, Value.BOOL)
        + number("stream", 0 if on_host else lane.number, Value.INT64)
        + number("tid", lane.number if on_host else 0, Value.INT64)
    )


def _dependencies(graph: ExecutionGraph) -> Fragments:
    """Give each row's `data_deps` field: predecessors' ids, each once."""
    target = graph.edge_target()
    ids = graph.edge_source.astype(np.int64) + 1
    _, first = np.unique(target * (len(graph) + 1) + ids, return_index=True)
    first.sort()
    target, ids = target[first], ids[first]
    block = Block(len(ids))
    block.varints(ids)
    encoded = block.fragments()
    lengths = np.bincount(target, weights=encoded.lengths, minlength=len(graph)).astype(np.int64)
    contents = cut(b"".join(encoded.parts), lengths)
    heads = Block(len(graph))
    heads.constant(tag(_DATA_DEPS, LENGTH), lengths > 0)
    heads.varints(lengths, lengths > 0)
    head = heads.fragments()
    return Fragments(
        [a + b for a, b in zip(head.parts, contents.parts, strict=True)], head.lengths + lengths
    )


def _encode_rows(graph: ExecutionGraph, columns: _Columns, rows: slice) -> bytes:
    nodes = graph.nodes
    comm = comm_parts(graph, rows.start, rows.stop)
    fields = [
        chosen(columns.names, nodes.name[rows]),
        _types(graph, rows),
        _part(columns.dependencies, rows),
        _times(columns, rows),
        chosen(columns.io, nodes.operator[rows]),
        chosen(columns.lanes, nodes.lane[rows]),
        _numbers(graph, columns, rows),
        chosen(columns.schemas, nodes.operator[rows]),
        Fragments(comm, np.array([len(part) for part in comm], dtype=np.int64)),
        _edges_head(columns, rows),
        _part(columns.edges, rows),
        _row_records(columns, rows),
    ]
    length = np.sum([column.lengths for column in fields], axis=0)
    ids = np.arange(rows.start + 1, rows.stop + 1, dtype=np.int64)
    head = Block(len(ids))
    head.varints(length + len(tag(_ID, VARINT)) + varint_lengths(ids))
    head.constant(tag(_ID, VARINT))
    head.varints(ids)
    return concatenated([head.fragments(), *fields])


def _part(whole: Fragments, rows: slice) -> Fragments:
    return Fragments(whole.parts[rows], whole.lengths[rows])


def _types(graph: ExecutionGraph, rows: slice) -> Fragments:
    block = Block(rows.stop - rows.start)
    block.nonzero_field(_TYPE, graph.nodes.kind[rows].astype(np.int64))
    return block.fragments()


def _times(columns: _Columns, rows: slice) -> Fragments:
    block = Block(rows.stop - rows.start)
    block.nonzero_field(_START, columns.start_micros[rows])
    block.nonzero_field(_DURATION, columns.duration_micros[rows])
    return block.fragments()


def _numbers(graph: ExecutionGraph, columns: _Columns, rows: slice) -> Fragments:
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
    add_numbers(block, "etsim_start_ns", nodes.start_ns[rows])
    add_numbers(block, "etsim_dur_ns", nodes.duration_ns[rows])
    return block.fragments()


def _edges_head(columns: _Columns, rows: slice) -> Fragments:
    block = Block(rows.stop - rows.start)
    add_bytes_head(block, EDGE_ATTRIBUTE, columns.edges.lengths[rows])
    return block.fragments()


def _row_records(columns: _Columns, rows: slice) -> Fragments:
    records = columns.rows[rows]
    block = Block(len(records))
    add_bytes_head(block, ROW_ATTRIBUTE, np.full(len(records), records.shape[1], dtype=np.int64))
    block.raw(records)
    return block.fragments()
