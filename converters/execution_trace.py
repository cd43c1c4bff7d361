"""Read PyTorch's execution traces (ExecutionTraceObserver), all schemas from 1.0.1 to 1.1.1."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ..models.errors import TraceFormatError
from ..models.graph import Int64s
from .blocks import file_blocks
from .coded import Coded
from .event_chunks import CHUNK_BYTES, NODES, Chunks
from .execution_nodes import AnyNode, Arguments, NodeColumns, NodeDecoder, NodeParts
from .files import FileKind, expect_kind, kind_of, sniff
from .kineto_events import json_fault

__all__ = ["Arguments", "ExecutionTrace", "is_structural", "read_execution_trace"]

KNOWN_SCHEMAS = ("1.0.1", "1.0.2", "1.0.3", "1.0.4", "1.1.0", "1.1.1")
STRUCTURAL_PREFIXES = (
    "[pytorch|profiler|execution_trace|",
    "[pytorch|profiler|execution_graph|",
)
PROCESS_GROUP_INIT = "## process_group:init ##"
CUT_NOTE = (
    "the execution trace ends in the middle: only what stands before the cut was read (--salvage)"
)


class _Head(msgspec.Struct):
    schema: str = ""
    pid: int = 0
    time: str = ""
    start_ts: int = 0
    finish_ts: int | None = None
    nodes: list[msgspec.Raw] = msgspec.field(default_factory=list)  # elsewhere: NodeParts


@dataclass(frozen=True, slots=True, eq=False)
class ExecutionTrace:
    """An execution trace as columns of shape (nodes,), in order of ids (= order of start).

    Attributes:
        fw_parent: id of the forward node of a backward node, 0 where there is none.
        inputs, outputs: raw JSON of shapes, types and values by node.
        process_groups: JSON of the groups as recorded at their initialisation, "" if not.
        notes: what was cut, may be missing or was mended, one sentence each.
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
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.id)


def read_execution_trace(
    path: Path, data: bytes | None = None, *, salvage: bool = False
) -> ExecutionTrace:
    """Read an execution trace, gzipped or plain, in chunks.

    Args:
        path: the file; named in errors.
        data: its unpacked content, where the caller has read it already.
        salvage: read the whole nodes of a file that is cut, and say so in the notes.

    Raises:
        InputError: missing or empty.
        TraceFormatError: not JSON, cut, of another kind, or of an unknown schema.
    """
    kind = kind_of(path) if data is None else sniff(data)
    expect_kind(kind, FileKind.EXECUTION_TRACE, path, "--et")
    blocks = file_blocks(path, CHUNK_BYTES) if data is None else iter((data,))
    decoder, parts = NodeDecoder(path), NodeParts(path)
    chunks = Chunks[AnyNode](blocks, decoder, path, salvage, array=NODES)
    try:
        for nodes in chunks:
            parts.add(nodes)
            decoder.before += len(nodes)
        head = _read_head(chunks.around, path)
        return _put_together(head, parts.columns(), chunks, path)
    except OverflowError:
        told = "is not an execution trace: it holds a number beyond 64 bits"
        raise TraceFormatError(told, where=path) from None


def _read_head(around: bytes, path: Path) -> _Head:
    try:
        head = msgspec.json.decode(around, type=_Head, strict=False)
    except msgspec.ValidationError as error:
        raise TraceFormatError(f"is not an execution trace: {error}", where=path) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise json_fault(around, path, str(error)) from None
    _check_schema(head.schema, path)
    return head


def _check_schema(schema: str, path: Path) -> None:
    version = schema.split("-", maxsplit=1)[0]
    if version not in KNOWN_SCHEMAS:
        raise TraceFormatError(
            f"has schema {schema!r}; known are {', '.join(KNOWN_SCHEMAS)}",
            where=path,
            remedy="record with a PyTorch of 2023 or later, or report the schema",
        )


def _put_together(
    head: _Head, columns: NodeColumns, chunks: Chunks[AnyNode], path: Path
) -> ExecutionTrace:
    return ExecutionTrace(
        path=path,
        schema=head.schema,
        pid=head.pid,
        start_ts=head.start_ts,
        complete=head.finish_ts is not None,
        id=columns.id,
        name=columns.name,
        parent=columns.parent,
        op_schema=columns.op_schema,
        inputs=columns.inputs,
        outputs=columns.outputs,
        process_groups=_process_groups(columns.name, columns.inputs),
        notes=tuple(_notes(head, chunks)),
        **columns.numbers,
    )


def _notes(head: _Head, chunks: Chunks[AnyNode]) -> Iterator[str]:
    if chunks.cut:
        yield CUT_NOTE
    elif head.finish_ts is None:
        yield "the observer was not stopped: the execution trace may lack its end"
    if chunks.mends:
        yield f"{chunks.mends:,} places of the execution trace were no valid JSON and were mended"


def _process_groups(name: Coded[str], inputs: Coded[Arguments]) -> str:
    if PROCESS_GROUP_INIT not in name.table:
        return ""
    values = msgspec.json.decode(inputs[name.index(PROCESS_GROUP_INIT)].values)
    return str(values[0]) if values else ""


def is_structural(name: str) -> bool:
    """Tell whether a node frames others (process, thread, group init) and never ran itself."""
    return name.startswith(STRUCTURAL_PREFIXES) or name == PROCESS_GROUP_INIT
