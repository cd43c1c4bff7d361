"""What a graph holds once, not a row: its tables, as one JSON text in the file's metadata."""

import msgspec

from ...models.graph import (
    Collective,
    Dims,
    ExecutionGraph,
    GraphMeta,
    Lane,
    LaunchConfig,
    Operator,
    Step,
)
from .layout import Layout

_Nested = list[object]


class _OperatorText(msgspec.Struct, frozen=True):
    """An operator as JSON has it: shapes are lists in lists."""

    name: str
    schema: str
    input_shapes: _Nested
    input_types: tuple[str, ...]
    concrete_inputs: tuple[str, ...]
    input_strides: _Nested
    output_shapes: _Nested
    output_types: tuple[str, ...]

    def value(self) -> Operator:
        return Operator(
            self.name,
            self.schema,
            _dims(self.input_shapes),
            self.input_types,
            self.concrete_inputs,
            _dims(self.input_strides),
            _dims(self.output_shapes),
            self.output_types,
        )


class _TablesText(msgspec.Struct, frozen=True):
    layout: Layout
    names: tuple[str, ...]
    lanes: tuple[Lane, ...]
    operators: tuple[_OperatorText, ...]
    launch_configs: tuple[LaunchConfig, ...]
    collectives: tuple[Collective, ...]
    steps: tuple[Step, ...]
    meta: GraphMeta


class Tables(msgspec.Struct, frozen=True):
    """The tables of an ExecutionGraph, and how its rows are laid out in the nodes."""

    layout: Layout
    names: tuple[str, ...]
    lanes: tuple[Lane, ...]
    operators: tuple[Operator, ...]
    launch_configs: tuple[LaunchConfig, ...]
    collectives: tuple[Collective, ...]
    steps: tuple[Step, ...]
    meta: GraphMeta


def encode_tables(graph: ExecutionGraph, layout: Layout) -> str:
    """Give the tables as JSON.

    Raises:
        UnicodeEncodeError: a name holds half a surrogate pair.
    """
    tables = Tables(
        layout,
        graph.names,
        graph.lanes,
        graph.operators,
        graph.launch_configs,
        graph.collectives,
        graph.steps,
        graph.meta,
    )
    return msgspec.json.encode(tables).decode()


def decode_tables(text: str) -> Tables:
    """Give the tables back.

    Raises:
        msgspec.MsgspecError: the text is not what `encode_tables` writes.
    """
    read = msgspec.json.decode(text, type=_TablesText)
    return Tables(
        read.layout,
        read.names,
        read.lanes,
        tuple(operator.value() for operator in read.operators),
        read.launch_configs,
        read.collectives,
        read.steps,
        read.meta,
    )


def _dims(nested: _Nested) -> tuple[Dims, ...]:
    return tuple(_dim(item) for item in nested)


def _dim(item: object) -> Dims:
    match item:
        case int():
            return item
        case list():
            return _dims(item)
        case _:
            raise msgspec.ValidationError(f"a shape holds {item!r}, not an integer or a list")
