"""Read PyTorch's execution traces (ExecutionTraceObserver), all schemas from 1.0.1 to 1.1.1.

Two layouts exist. 1.0.1 keeps everything flat in the node; later ones nest inputs and outputs
and put the rest into `attrs`. Which one a node has is seen from the node, not from the version.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

import msgspec
import numpy as np

from ..models.errors import TraceFormatError
from ..models.graph import Int64s
from .coded import Coded, coded
from .execution_attributes import Node, number_column, read_attributes
from .files import FileKind, expect_kind, read_bytes, sniff
from .kineto_events import json_fault

KNOWN_SCHEMAS = ("1.0.1", "1.0.2", "1.0.3", "1.0.4", "1.1.0", "1.1.1")
STRUCTURAL_PREFIXES = (
    "[pytorch|profiler|execution_trace|",
    "[pytorch|profiler|execution_graph|",
)
PROCESS_GROUP_INIT = "## process_group:init ##"
EMPTY = msgspec.Raw(b"[]")


class Arguments(msgspec.Struct, gc=False, frozen=True):
    """Inputs or outputs of a node, as raw JSON: most are equal and are parsed once."""

    values: msgspec.Raw = EMPTY
    shapes: msgspec.Raw = EMPTY
    types: msgspec.Raw = EMPTY
    strides: msgspec.Raw = EMPTY


NOTHING = msgspec.Raw(b"{}")
_ARGUMENTS = msgspec.json.Decoder(Arguments)
_JSON = msgspec.json.Encoder()  # of raw JSON gives its bytes, sooner than bytes() does
_FLAT_ARGUMENTS = {
    "inputs": attrgetter("inputs", "input_shapes", "input_types"),
    "outputs": attrgetter("outputs", "output_shapes", "output_types"),
}


class _NestedNode(Node, gc=False):
    inputs: msgspec.Raw = NOTHING
    outputs: msgspec.Raw = NOTHING


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
    name: Coded[str]
    parent: Int64s
    rf_id: Int64s
    fw_parent: Int64s
    seq_id: Int64s
    scope: Int64s
    tid: Int64s
    op_schema: Coded[str]
    inputs: Coded[Arguments]
    outputs: Coded[Arguments]
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


def _to_columns(document: _NestedDocument | _FlatDocument, path: Path) -> ExecutionTrace:
    nodes: Sequence[_NestedNode | _FlatNode] = sorted(document.nodes, key=attrgetter("id"))
    attributes = read_attributes(nodes, path)
    name = coded(node.name for node in nodes)
    inputs, outputs = _arguments(nodes, "inputs", path), _arguments(nodes, "outputs", path)
    parents = [node.parent if node.ctrl_deps is None else node.ctrl_deps for node in nodes]
    return ExecutionTrace(
        path=path,
        schema=document.schema,
        pid=document.pid,
        start_ts=document.start_ts,
        complete=document.finish_ts is not None,
        id=number_column(nodes, "id"),
        name=name,
        parent=np.array([parent or 0 for parent in parents], dtype=np.int64),
        op_schema=attributes.op_schema,
        inputs=inputs,
        outputs=outputs,
        process_groups=_process_groups(name, inputs),
        **attributes.numbers,
    )


def _arguments(nodes: Sequence[Node], which: str, path: Path) -> Coded[Arguments]:
    """Give each node's inputs or outputs; each distinct text is parsed once."""
    if nodes and isinstance(nodes[0], _FlatNode):
        raw = coded(_nested(*texts) for texts in map(_FLAT_ARGUMENTS[which], nodes))
    else:
        raw = coded(map(_JSON.encode, map(attrgetter(which), nodes)))
    try:
        table = [_ARGUMENTS.decode(text) for text in raw.table]
    except msgspec.ValidationError as error:
        raise TraceFormatError(f"is not an execution trace: {error}", where=path) from None
    return Coded(table, raw.code)


def _nested(values: msgspec.Raw, shapes: msgspec.Raw, types: msgspec.Raw) -> bytes:
    """Give the flat layout's arguments as the nested layout has them."""
    return b'{"values":%b,"shapes":%b,"types":%b}' % (bytes(values), bytes(shapes), bytes(types))


def _process_groups(name: Coded[str], inputs: Coded[Arguments]) -> str:
    if PROCESS_GROUP_INIT not in name.table:
        return ""
    values = msgspec.json.decode(inputs[name.index(PROCESS_GROUP_INIT)].values)
    return str(values[0]) if values else ""


def is_structural(name: str) -> bool:
    """Tell whether a node frames others (process, thread, group init) and never ran itself."""
    return name.startswith(STRUCTURAL_PREFIXES) or name == PROCESS_GROUP_INIT
