"""How the columns Chakra has no field for stand in a node: as fixed-width bytes, narrow types.

    etsim_edges   one record a predecessor: source row, EdgeKind, lag
    etsim_row     one record: the columns that differ between rows, and the number of edges

They are a node's last two attributes, in this order, so a reader finds them from the node's end
without parsing it. Columns that are the same in every row stand once, in the layout itself.
"""

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, get_args

import msgspec
import numpy as np
from numpy.typing import NDArray

from ...models.graph import COLUMN_TYPES, Bytes, Columns, ExecutionGraph, Int32s, Int64s

EDGE_COUNT = "edges"
ROW_ATTRIBUTE = "etsim_row"
EDGE_ATTRIBUTE = "etsim_edges"

Width: TypeAlias = Literal["u1", "i1", "u2", "i2", "u4", "i4", "i8"]
_NARROW_FIRST: tuple[Width, ...] = get_args(Width)

Records: TypeAlias = NDArray[Any]  # structured: one field a column, whose types the layout tells
Integers: TypeAlias = NDArray[np.integer[Any]]


class Layout(msgspec.Struct, frozen=True):
    """The fields of both records with their types, little-endian, and the constant columns."""

    row: dict[str, Width]
    constants: dict[str, int]
    edge: dict[str, Width]

    @property
    def row_type(self) -> np.dtype[np.void]:
        """Give the type of `etsim_row`."""
        return _record_type(self.row)

    @property
    def edge_type(self) -> np.dtype[np.void]:
        """Give the type of one record of `etsim_edges`."""
        return _record_type(self.edge)


def layout_of(graph: ExecutionGraph) -> Layout:
    """Choose the narrowest layout that holds the graph."""
    row: dict[str, Width] = {}
    constants: dict[str, int] = {}
    for name in COLUMN_TYPES:
        values: Integers = getattr(graph.nodes, name)
        if len(values) and (values == values[0]).all():
            constants[name] = int(values[0])
        else:
            row[name] = _narrowest(values)
    row[EDGE_COUNT] = _narrowest(np.diff(graph.edge_start))
    edge = {name: _narrowest(values) for name, values in _edge_columns(graph).items()}
    return Layout(row, constants, edge)


def row_bytes(graph: ExecutionGraph, layout: Layout) -> Bytes:
    """Give the rows' records, (rows, bytes a record)."""
    columns = {name: getattr(graph.nodes, name) for name in COLUMN_TYPES}
    columns[EDGE_COUNT] = np.diff(graph.edge_start)
    return _packed(columns, layout.row_type, len(graph))


def edge_bytes(graph: ExecutionGraph, layout: Layout) -> Bytes:
    """Give the edges' records, (edges, bytes a record)."""
    return _packed(_edge_columns(graph), layout.edge_type, graph.edge_count)


def columns_from(records: Records, layout: Layout) -> Columns:
    """Give the node columns back."""
    return Columns(
        **{
            name: records[name].astype(dtype)
            if name in layout.row
            else np.full(len(records), layout.constants[name], dtype=dtype)
            for name, dtype in COLUMN_TYPES.items()
        }
    )


def edges_from(records: Records) -> tuple[Int32s, Bytes, Int64s]:
    """Give the edge columns back: source, kind, lag."""
    return (
        records["source"].astype(np.int32),
        records["kind"].astype(np.uint8),
        records["lag_ns"].astype(np.int64),
    )


def _edge_columns(graph: ExecutionGraph) -> dict[str, Integers]:
    return {
        "source": graph.edge_source,
        "kind": graph.edge_kind,
        "lag_ns": graph.edge_lag_ns,
    }


def _packed(columns: Mapping[str, Integers], kind: np.dtype[np.void], count: int) -> Bytes:
    records = np.empty(count, dtype=kind)
    for name in kind.names or ():
        records[name] = columns[name]
    return records.view(np.uint8).reshape(count, kind.itemsize)


def _record_type(fields: Mapping[str, Width]) -> np.dtype[np.void]:
    return np.dtype([(name, f"<{width}") for name, width in fields.items()])


def _narrowest(values: Integers) -> Width:
    if not len(values):
        return _NARROW_FIRST[0]
    low, high = int(values.min()), int(values.max())
    for width in _NARROW_FIRST:
        bounds = np.iinfo(width)
        if bounds.min <= low and high <= bounds.max:
            return width
    return "i8"
