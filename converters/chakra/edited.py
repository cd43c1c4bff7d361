"""Read a file of etsim's that another tool changed: its changes count, everything else is kept.

Counted are names, types, times, work, dependencies and deleted nodes. Where nodes were added or
renumbered, etsim's rows no longer belong to them, and the file is read as any other tool's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...models.errors import TraceFormatError
from ...models.graph import (
    COLUMN_TYPES,
    NONE,
    Columns,
    EdgeKind,
    ExecutionGraph,
    Int32s,
    LaneKind,
    Step,
)
from ...models.graph_builder import Edge, Interner
from .assemble import edge_kind
from .foreign import KINDS, dependencies_of, exact_times, integer
from .frames import Frames
from .layout import EDGE_ATTRIBUTE, ROW_ATTRIBUTE, Records, columns_from
from .messages import Attributes, read_attributes, read_node
from .order import ordered
from .schema import NodeMessage
from .tables import Tables

NOTE = "changed by another tool after etsim wrote it; edges that it added have no lag"


@dataclass(slots=True)
class _Edited:
    """The nodes in the file's order: messages, attributes, etsim's records."""

    messages: list[NodeMessage]
    attributes: list[Attributes]
    values: Columns
    edges: list[Records]
    names: Interner[str]
    index_of_id: dict[int, int]


def read_edited(frames: Frames, tables: Tables, written: int, where: Path) -> ExecutionGraph | None:
    """Give the graph, None where etsim's attributes do not fit the nodes any more.

    Args:
        frames: the file.
        tables: of the graph that was written.
        written: how many nodes etsim wrote.
        where: the file's path.

    Raises:
        InputError: two nodes of one id, or a circle of dependencies.
        TraceFormatError: a node cannot be decoded, or the last ones are missing.
    """
    edited = _parsed(frames, tables, where)
    if edited is None:
        return None
    _refuse_cut(edited, written, where)
    labels = [(message.id, message.name) for message in edited.messages]
    order = ordered(labels, [dependencies_of(message) for message in edited.messages], where)
    row_of_id = {edited.messages[index].id: row for row, index in enumerate(order)}
    steps, step_of_old = _steps(tables.steps, row_of_id)
    columns = _columns(edited, order, row_of_id)
    edge_lists = [_edges(edited, tables, index, row_of_id) for index in order]
    flat = [edge for edges in edge_lists for edge in edges]
    return ExecutionGraph(
        replace(columns, step=step_of_old[columns.step]),
        edge_start=np.cumsum([0, *map(len, edge_lists)], dtype=np.int64),
        edge_source=np.array([edge[0] for edge in flat], dtype=np.int32),
        edge_kind=np.array([edge[1] for edge in flat], dtype=np.uint8),
        edge_lag_ns=np.array([edge[2] for edge in flat], dtype=np.int64),
        names=tuple(edited.names),
        lanes=tables.lanes,
        operators=tables.operators,
        launch_configs=tables.launch_configs,
        collectives=tables.collectives,
        steps=steps,
        meta=replace(tables.meta, notes=(*tables.meta.notes, NOTE)),
    ).checked()


def _parsed(frames: Frames, tables: Tables, where: Path) -> _Edited | None:
    row_type, edge_type = tables.layout.row_type, tables.layout.edge_type
    messages: list[NodeMessage] = []
    attributes: list[Attributes] = []
    rows: list[bytes] = []
    edges: list[Records] = []
    for number, content in enumerate(frames.contents(), 1):
        message = read_node(content, number, where)
        told = read_attributes(message.attr)
        row, of_row = told.get(ROW_ATTRIBUTE), told.get(EDGE_ATTRIBUTE)
        if not isinstance(row, bytes) or not isinstance(of_row, bytes):
            return None
        if len(row) != row_type.itemsize or len(of_row) % edge_type.itemsize:
            return None
        messages.append(message)
        attributes.append(told)
        rows.append(row)
        edges.append(np.frombuffer(of_row, dtype=edge_type))
    names = Interner[str]()
    for name in tables.names:
        names[name]
    edited = _Edited(
        messages,
        attributes,
        columns_from(np.frombuffer(b"".join(rows), row_type), tables.layout),
        edges,
        names,
        {message.id: index for index, message in enumerate(messages)},
    )
    return edited if _mostly_as_written(edited) else None


def _refuse_cut(edited: _Edited, written: int, where: Path) -> None:
    """Refuse the first nodes without the rest: nobody edits like that, but copies end like that."""
    count = len(edited.messages)
    if count < written and list(edited.index_of_id) == list(range(1, count + 1)):
        raise TraceFormatError(
            f"cut after node {count} of {written}",
            where=where,
            remedy="copy or write the file again",
        )


def _mostly_as_written(edited: _Edited) -> bool:
    """Tell whether ids still mean what they meant: half of the dependencies are etsim's own."""
    kept = total = 0
    for message, records in zip(edited.messages, edited.edges, strict=True):
        told = set(dependencies_of(message))
        total += len(told)
        kept += len(told & set((records["source"].astype(np.int64) + 1).tolist()))
    positive = all(message.id > 0 for message in edited.messages)
    return positive and 2 * kept >= total


def _columns(edited: _Edited, order: list[int], row_of_id: Mapping[int, int]) -> Columns:
    values = edited.values
    changed: dict[str, list[int]] = {
        name: [] for name in ("name", "kind", "start_ns", "duration_ns", "flops", "bytes")
    }
    for index, (message, told) in enumerate(zip(edited.messages, edited.attributes, strict=True)):
        start_ns, duration_ns = exact_times(message, told)
        negative = int(values.start_ns[index]) < 0  # Chakra's micros cannot say so
        changed["start_ns"].append(int(values.start_ns[index]) if negative else start_ns)
        changed["duration_ns"].append(duration_ns)
        changed["name"].append(edited.names[message.name])
        kind = message.type if message.type in KINDS else int(values.kind[index])
        changed["kind"].append(kind)
        changed["flops"].append(integer(told, "num_ops", int(values.flops[index])))
        changed["bytes"].append(integer(told, "tensor_size", int(values.bytes[index])))
    for name, column in changed.items():
        values = replace(values, **{name: np.array(column, dtype=COLUMN_TYPES[name])})
    taken = values.take(np.array(order, dtype=np.int64))
    return replace(
        taken,
        parent=_moved(taken.parent, row_of_id),
        fw_parent=_moved(taken.fw_parent, row_of_id),
    )


def _moved(old_rows: Int32s, row_of_id: Mapping[int, int]) -> Int32s:
    """Give the new places of rows, -1 for none and for those that are gone."""
    return np.array([row_of_id.get(old + 1, NONE) for old in old_rows.tolist()], dtype=np.int32)


def _steps(
    steps: tuple[Step, ...], row_of_id: Mapping[int, int]
) -> tuple[tuple[Step, ...], Int32s]:
    """Give the steps whose marks are still there, and each old step's new index (-1 at the end)."""
    kept: list[Step] = []
    index_of_old: list[int] = []
    for step in steps:
        begin, end = (row_of_id.get(row + 1, NONE) for row in (step.begin_row, step.end_row))
        there = NONE not in {begin, end} and begin <= end
        index_of_old.append(len(kept) if there else NONE)
        if there:
            kept.append(Step(step.name, begin, end))
    return tuple(kept), np.array([*index_of_old, NONE], dtype=np.int32)


def _edges(edited: _Edited, tables: Tables, index: int, row_of_id: Mapping[int, int]) -> list[Edge]:
    written: dict[int, list[tuple[EdgeKind, int]]] = {}
    for source, kind, lag_ns in edited.edges[index].tolist():
        written.setdefault(source + 1, []).append((EdgeKind(kind), lag_ns))
    edges: list[Edge] = []
    for node in dependencies_of(edited.messages[index]):
        row = row_of_id.get(node, NONE)
        if row == NONE:
            continue
        added = [(_added_kind(edited, tables, (node, edited.messages[index].id)), 0)]
        edges += [(row, kind, lag_ns) for kind, lag_ns in written.get(node, added)]
    return edges


def _added_kind(edited: _Edited, tables: Tables, ends: tuple[int, int]) -> EdgeKind:
    """Give what an edge between two ids means that another tool added."""
    column = edited.values.lane
    source, target = (tables.lanes[int(column[edited.index_of_id[node]])] for node in ends)
    return edge_kind(
        from_host=source.kind is not LaneKind.DEVICE,
        to_host=target.kind is not LaneKind.DEVICE,
        same_lane=source == target,
    )
