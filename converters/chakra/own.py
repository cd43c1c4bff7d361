"""Read a file that etsim wrote and nobody changed: from each node's end, without parsing it."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ...models.errors import TraceFormatError
from ...models.graph import Bytes, ExecutionGraph, Int64s
from .attributes import text
from .frames import Frames
from .layout import ROW_ATTRIBUTE, columns_from, edges_from
from .tables import Tables


def graph_from(frames: Frames, tables: Tables) -> ExecutionGraph:
    """Give the graph from the nodes' last two attributes.

    Raises:
        TraceFormatError: a node is too short for them.
    """
    buffer = np.frombuffer(frames.data, dtype=np.uint8)
    row_type, edge_type = tables.layout.row_type, tables.layout.edge_type
    end = np.array(frames.ends, dtype=np.int64)
    begin = np.array(frames.begins, dtype=np.int64)
    _require(end - row_type.itemsize >= begin)
    rows = _records(buffer, end - row_type.itemsize, row_type.itemsize).view(row_type).ravel()
    counts = rows["edges"].astype(np.int64)
    whole_attribute = len(text(ROW_ATTRIBUTE, bytes(row_type.itemsize)))
    first_edge = end - whole_attribute - counts * edge_type.itemsize
    _require(first_edge >= begin)
    edge_start = np.zeros(len(end) + 1, dtype=np.int64)
    np.cumsum(counts, out=edge_start[1:])
    within = np.arange(edge_start[-1]) - np.repeat(edge_start[:-1], counts)
    at = np.repeat(first_edge, counts) + within * edge_type.itemsize
    edges = _records(buffer, at, edge_type.itemsize).view(edge_type).ravel()
    source, kind, lag_ns = edges_from(edges)
    return ExecutionGraph(
        columns_from(rows, tables.layout),
        edge_start,
        source,
        kind,
        lag_ns,
        names=tables.names,
        lanes=tables.lanes,
        operators=tables.operators,
        launch_configs=tables.launch_configs,
        collectives=tables.collectives,
        steps=tables.steps,
        meta=tables.meta,
    ).checked()


def _records(buffer: Bytes, starts: Int64s, width: int) -> Bytes:
    """Give `width` bytes from each start, (starts, width)."""
    if not len(starts):
        return np.empty((0, width), dtype=np.uint8)
    return sliding_window_view(buffer, width)[starts]


def _require(fits: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> None:
    if not fits.all():
        node = int(np.flatnonzero(~fits)[0]) + 1
        raise TraceFormatError(f"node {node} is too short for etsim's attributes")
