"""Read PyTorch's execution traces (ExecutionTraceObserver), all schemas from 1.0.1 to 1.1.1.

Two layouts exist. 1.0.1 keeps everything flat in the node; later ones nest inputs and outputs
and put the rest into `attrs`. Which one a node has is seen from the node, not from the version.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

import msgspec
import numpy as np

from ..models.errors import TraceFormatError
from ..models.graph import NONE, Int64s
from .files import FileKind, expect_kind, read_bytes, sniff
from .kineto_events import json_fault

KNOWN_SCHEMAS = ("1.0.1", "1.0.2", "1.0.3", "1.0.4", "1.1.0", "1.1.1")
STRUCTURAL_PREFIXES = (
    "[pytorch|profiler|execution_trace|",
    "[pytorch|profiler|execution_graph|",
)
PROCESS_GROUP_INIT = "## process_group:init ##"
EMPTY = msgspec.Raw(b"[]")


class Attribute(msgspec.Struct, gc=False):
    """One entry of a node's `attrs`."""

    name: str = ""
    value: int | float | bool | str | list[object] | None = None


class Arguments(msgspec.Struct, gc=False, frozen=True):
    """Inputs or outputs of a node, as raw JSON: most are equal and are parsed once."""

    values: msgspec.Raw = EMPTY
    shapes: msgspec.Raw = EMPTY
    types: msgspec.Raw = EMPTY
    strides: msgspec.Raw = EMPTY


NO_ARGUMENTS = Arguments()


class Node(msgspec.Struct, gc=False):
    """What both layouts share; the nested one has the other fields in `attrs`."""

    id: int
    name: str = ""
    ctrl_deps: int | None = None
    attrs: msgspec.Raw = msgspec.Raw(b"")
    parent: int | None = None
    rf_id: int = 0
    fw_parent: int = 0
    seq_id: int = NONE
    scope: int = 0
    tid: int = 0
    op_schema: str = ""


class _NestedNode(Node, gc=False):
    inputs: Arguments = NO_ARGUMENTS
    outputs: Arguments = NO_ARGUMENTS


class _FlatNode(Node, gc=False):
    inputs: msgspec.Raw = EMPTY
    input_shapes: msgspec.Raw = EMPTY
    input_types: msgspec.Raw = EMPTY
    outputs: msgspec.Raw = EMPTY
    output_shapes: msgspec.Raw = EMPTY
    output_types: msgspec.Raw = EMPTY


class _Head(msgspec.Struct):
    schema: str = ""
    pid: int = 0
    time: str = ""
    start_ts: int = 0
    finish_ts: int | None = None


class _NestedDocument(_Head):
    nodes: list[_NestedNode] = msgspec.field(default_factory=list)


class _FlatDocument(_Head):
    nodes: list[_FlatNode] = msgspec.field(default_factory=list)


@dataclass(frozen=True, slots=True, eq=False)
class ExecutionTrace:
    """An execution trace as columns of shape (nodes,), in order of ids (= order of start).

    Attributes:
        fw_parent: id of the forward node of a backward node, 0 where there is none.
        inputs, outputs: raw JSON of shapes, types and values by node.
        process_groups: JSON of the groups as recorded at their initialisation, "" if not.
        complete: False where the observer was never stopped (`finish_ts` is missing).
    """

    path: Path
    schema: str
    pid: int
    start_ts: int
    complete: bool
    id: Int64s
    name: list[str]
    parent: Int64s
    rf_id: Int64s
    fw_parent: Int64s
    seq_id: Int64s
    scope: Int64s
    tid: Int64s
    op_schema: list[str]
    inputs: list[Arguments]
    outputs: list[Arguments]
    process_groups: str

    def __len__(self) -> int:
        return len(self.id)


def read_execution_trace(path: Path, data: bytes | None = None) -> ExecutionTrace:
    """Read an execution trace, gzipped or plain.

    Args:
        path: the file; named in errors.
        data: its unpacked content, where the caller has read it already.

    Raises:
        InputError: missing or empty.
        TraceFormatError: not JSON, cut, of another kind, or of an unknown schema.
    """
    content = read_bytes(path) if data is None else data
    expect_kind(sniff(content), FileKind.EXECUTION_TRACE, path, "--et")
    document = _decode(content, path)
    _check_schema(document.schema, path)
    try:
        return _to_columns(document, path)
    except OverflowError:
        told = "is not an execution trace: it holds a number beyond 64 bits"
        raise TraceFormatError(told, where=path) from None


def _decode(data: bytes, path: Path) -> _NestedDocument | _FlatDocument:
    flat = b'"input_shapes"' in data[:1_000_000]
    try:
        if flat:
            return msgspec.json.decode(data, type=_FlatDocument, strict=False)
        return msgspec.json.decode(data, type=_NestedDocument, strict=False)
    except msgspec.ValidationError as error:
        raise TraceFormatError(f"is not an execution trace: {error}", where=path) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise json_fault(data, path, str(error)) from None


def _check_schema(schema: str, path: Path) -> None:
    version = schema.split("-", maxsplit=1)[0]
    if version not in KNOWN_SCHEMAS:
        raise TraceFormatError(
            f"has schema {schema!r}; known are {', '.join(KNOWN_SCHEMAS)}",
            where=path,
            remedy="record with a PyTorch of 2023 or later, or report the schema",
        )


ATTRIBUTE_FIELDS = ("rf_id", "fw_parent", "seq_id", "scope", "tid")
_ATTRIBUTES = msgspec.json.Decoder(list[Attribute] | None, strict=False)


def _attribute(name: str, value: str) -> str:
    return rf'\{{\s*"name":\s*"{name}",\s*"type":\s*"\w+",\s*"value":\s*{value}\s*\}}'


# As PyTorch writes them: so they are read in a third of the time.
_USUAL_ATTRIBUTES = re.compile(
    rb"\[\s*"
    + r",\s*".join(
        (
            *(_attribute(name, r"(-?\d+)") for name in ATTRIBUTE_FIELDS),
            _attribute("fw_tid", r"\d+"),
            _attribute("op_schema", r'"([^"\\]*)"'),
        )
    ).encode()
)


def _to_columns(document: _NestedDocument | _FlatDocument, path: Path) -> ExecutionTrace:
    nodes: list[_NestedNode | _FlatNode] = sorted(document.nodes, key=attrgetter("id"))
    for node in nodes:
        if text := bytes(node.attrs):
            _spread_attributes(node, text, path)
    columns = {name: _column(nodes, name) for name in ("id", *ATTRIBUTE_FIELDS)}
    parents = [node.parent if node.ctrl_deps is None else node.ctrl_deps for node in nodes]
    return ExecutionTrace(
        path=path,
        schema=document.schema,
        pid=document.pid,
        start_ts=document.start_ts,
        complete=document.finish_ts is not None,
        name=[node.name for node in nodes],
        parent=np.array([parent or 0 for parent in parents], dtype=np.int64),
        op_schema=[node.op_schema for node in nodes],
        inputs=[_inputs(node) for node in nodes],
        outputs=[_outputs(node) for node in nodes],
        process_groups=_process_groups(nodes),
        **columns,
    )


def _column(nodes: Sequence[Node], name: str) -> Int64s:
    values = list(map(attrgetter(name), nodes))
    try:
        return np.array(values, dtype=np.int64)
    except OverflowError:
        return np.array([_signed(value) for value in values], dtype=np.int64)


def _spread_attributes(node: Node, text: bytes, path: Path) -> None:
    """Put the nested layout's attributes where the flat layout has them."""
    usual = _USUAL_ATTRIBUTES.match(text)
    if usual is None:
        _spread_unusual(node, text, path)
        return
    *numbers, schema = usual.groups()
    node.rf_id, node.fw_parent, node.seq_id, node.scope, node.tid = map(int, numbers)
    node.op_schema = schema.decode()


def _signed(value: int) -> int:
    """Give a number whose "none" may be written as 2**64 - 1, as unsigned fields do."""
    return value if value < 2**63 else value - 2**64


def _spread_unusual(node: Node, text: bytes, path: Path) -> None:
    """Attributes in any order, with any others between."""
    try:
        attributes = _ATTRIBUTES.decode(text)
    except msgspec.ValidationError as error:
        raise TraceFormatError(f"is not an execution trace: {error}", where=path) from None
    value_of = {attribute.name: attribute.value for attribute in attributes or ()}
    for name in ATTRIBUTE_FIELDS:
        value = value_of.get(name)
        if isinstance(value, int):
            setattr(node, name, value)
    node.op_schema = str(value_of.get("op_schema", ""))


def _inputs(node: _NestedNode | _FlatNode) -> Arguments:
    if isinstance(node, _NestedNode):
        return node.inputs
    return Arguments(node.inputs, node.input_shapes, node.input_types)


def _outputs(node: _NestedNode | _FlatNode) -> Arguments:
    if isinstance(node, _NestedNode):
        return node.outputs
    return Arguments(node.outputs, node.output_shapes, node.output_types)


def _process_groups(nodes: list[_NestedNode | _FlatNode]) -> str:
    for node in nodes:
        if node.name == PROCESS_GROUP_INIT:
            values = msgspec.json.decode(_inputs(node).values)
            return str(values[0]) if values else ""
    return ""


def is_structural(name: str) -> bool:
    """Tell whether a node frames others (process, thread, group init) and never ran itself."""
    return name.startswith(STRUCTURAL_PREFIXES) or name == PROCESS_GROUP_INIT
