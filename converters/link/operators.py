"""Intern the operators of a trace: each distinct (name, shapes, types, arguments) once."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from ...models.graph import NONE, Dims, Int32s, Operator
from ..execution_trace import ExecutionTrace
from ..kineto import KinetoTrace

LARGEST_SIZE = 2**40  # of one dimension; what is larger is damage, and would overflow products
_Key = tuple[int, bytes, bytes, bytes, bytes, str, bytes, bytes]


@dataclass(frozen=True, slots=True, eq=False)
class Operators:
    """The table and each host event's index in it, shape (host events,), -1 for none."""

    table: tuple[Operator, ...]
    of_event: Int32s


def intern_operators(
    trace: KinetoTrace,
    wanted: Sequence[bool],
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
    index_of: dict[_Key, int] = {}
    of_event = np.full(len(trace.host), NONE, dtype=np.int32)
    name_of = trace.host.name.tolist()
    for event, args in enumerate(trace.host.args):
        if not wanted[event]:
            continue
        node = et_of_event[event] if et is not None else NONE
        schema, shapes, types = _from_et(et, node)
        key = (
            name_of[event],
            bytes(args.input_dims),
            bytes(args.input_type),
            bytes(args.concrete_inputs),
            bytes(args.input_strides),
            schema,
            shapes,
            types,
        )
        of_event[event] = index_of.setdefault(key, len(index_of))
    return Operators(tuple(_operator(trace, key) for key in index_of), of_event)


def _from_et(et: ExecutionTrace | None, node: int) -> tuple[str, bytes, bytes]:
    if et is None or node == NONE:
        return "", b"", b""
    outputs = et.outputs[node]
    return et.op_schema[node], bytes(outputs.shapes), bytes(outputs.types)


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
