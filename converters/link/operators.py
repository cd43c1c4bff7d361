"""Intern the operators of a trace: each distinct (name, shapes, types, arguments) once."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from ...models.graph import NONE, Dims, Int32s, Int64s, Operator
from ...models.graph_builder import Interner
from ..coded import coded
from ..execution_trace import ExecutionTrace
from ..kineto import KinetoTrace

LARGEST_SIZE = 2**40  # of one dimension; what is larger is damage, and would overflow products
_Key = tuple[int, bytes, bytes, bytes, bytes, str, bytes, bytes]
_FromEt = tuple[str, bytes, bytes]


@dataclass(frozen=True, slots=True, eq=False)
class Operators:
    """The table and each host event's index in it, shape (host events,), -1 for none."""

    table: tuple[Operator, ...]
    of_event: Int32s


def intern_operators(
    trace: KinetoTrace,
    wanted: NDArray[np.bool_],
    et: ExecutionTrace | None = None,
    et_of_event: Sequence[int] = (),
) -> Operators:
    """Intern the wanted host events' operators.

    Args:
        trace: gives names, input shapes, types and concrete inputs.
        wanted: by host event.
        et: adds schema and outputs where an event was joined.
        et_of_event: index of the joined node by host event, -1 where there is none.
    """
    events = np.flatnonzero(wanted)
    nodes = np.asarray(et_of_event, dtype=np.int64)[events] if et is not None else events * 0 + NONE
    told, from_et = _told_by_et(et, nodes)
    first, of_wanted = _alike(trace.host.name[events], trace.host.saying[events], told)
    index_of: Interner[_Key] = Interner()
    index = [
        index_of[(*_said(trace, event), *from_et[kind])]
        for event, kind in zip(events[first].tolist(), told[first].tolist(), strict=True)
    ]
    of_event = np.full(len(trace.host), NONE, dtype=np.int32)
    of_event[events] = np.array(index, dtype=np.int32)[of_wanted]
    return Operators(tuple(_operator(trace, key) for key in index_of), of_event)


def _told_by_et(et: ExecutionTrace | None, nodes: Int64s) -> tuple[Int64s, list[_FromEt]]:
    """Give for each node which of the (schema, output shapes and types) it has."""
    nothing = ("", b"", b"")
    if et is None or not len(et):
        return np.zeros(len(nodes), dtype=np.int64), [nothing]
    outputs = coded((bytes(told.shapes), bytes(told.types)) for told in et.outputs.table)
    output_of_node = outputs.code[et.outputs.code[nodes]].astype(np.int64)
    pair = output_of_node + len(outputs.table) * et.op_schema.code[nodes]
    distinct, which = np.unique(np.where(nodes >= 0, pair, NONE), return_inverse=True)
    table: list[_FromEt] = []
    for number in distinct.tolist():
        schema, output = divmod(number, len(outputs.table))
        known = (et.op_schema.table[schema], *outputs.table[output])
        table.append(nothing if number == NONE else known)
    return which, table


def _alike(*columns: Int64s | Int32s) -> tuple[Int64s, Int64s]:
    """Give the first place of each distinct combination, in order, and each place's combination."""
    code = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        code = np.unique(code * (int(column.max(initial=0)) + 1) + column, return_inverse=True)[1]
    _, first, which = np.unique(code, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return first[order], place[which]


def _said(trace: KinetoTrace, event: int) -> tuple[int, bytes, bytes, bytes, bytes]:
    args = trace.host.said(event)
    return (
        int(trace.host.name[event]),
        bytes(args.input_dims),
        bytes(args.input_type),
        bytes(args.concrete_inputs),
        bytes(args.input_strides),
    )


def _operator(trace: KinetoTrace, key: _Key) -> Operator:
    name, dims, types, concrete, strides, schema, out_shapes, out_types = key
    return Operator(
        name=trace.names[name],
        schema=schema,
        input_shapes=parse_dims(dims),
        input_types=parse_strings(types),
        concrete_inputs=parse_strings(concrete),
        input_strides=parse_dims(strides),
        output_shapes=parse_dims(out_shapes),
        output_types=parse_strings(out_types),
    )


def parse_dims(raw: bytes) -> tuple[Dims, ...]:
    """Give nested lists of ints as nested tuples; empty where nothing was recorded."""
    value = msgspec.json.decode(raw) if raw else []
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else ()


def _frozen(item: object) -> Dims:
    if isinstance(item, list):
        return tuple(_frozen(inner) for inner in item)
    return item if isinstance(item, int) and abs(item) <= LARGEST_SIZE else NONE


def parse_strings(raw: bytes) -> tuple[str, ...]:
    """Give a JSON list as strings; what is no string keeps its JSON text."""
    value = msgspec.json.decode(raw) if raw else []
    if not isinstance(value, list):
        return ()
    return tuple(v if isinstance(v, str) else msgspec.json.encode(v).decode() for v in value)
