"""Read the nodes of a file that others wrote: what each says of itself, as plain values.

Chakra's own converter, ASTRA-sim's generator and others write different attributes; whatever is
missing gets the default that ASTRA-sim gives it. `assemble.py` makes the graph.
"""

import math
from dataclasses import dataclass
from pathlib import Path

from ...models.errors import TraceFormatError
from ...models.graph import NONE, Collective, NodeKind, Operator
from .comm import KIND_OF_TYPE
from .frames import Frames
from .literals import LiteralReader
from .messages import Attributes, read_attributes, read_node
from .micros import NS_PER_US
from .nodes import USER_SCOPE
from .schema import NodeMessage

_INT64_LIMIT = 1 << 63
COMPUTE_LANE, COMM_LANE = 0, 1  # where a device node without a stream is shown
KINDS = frozenset(int(kind) for kind in NodeKind)
_COMM = (NodeKind.COMM_SEND, NodeKind.COMM_RECV, NodeKind.COMM_COLL)


@dataclass(frozen=True, slots=True)
class ForeignNode:
    """A node as others wrote it; `waits_for` holds ids, `caller` one of them or 0."""

    id: int
    name: str
    kind: NodeKind
    waits_for: tuple[int, ...]
    caller: int
    start_ns: int
    duration_ns: int
    on_host: bool
    lane_number: int
    on_stream: bool
    annotation: bool
    operator: Operator | None
    collective: Collective | None
    flops: int
    bytes: int
    rf_id: int
    seq_id: int


def read_foreign(frames: Frames, where: Path) -> tuple[list[ForeignNode], list[str]]:
    """Give the nodes in the file's order, and remarks on what could not be read.

    Raises:
        TraceFormatError: a node cannot be decoded.
    """
    literals = LiteralReader()
    nodes: list[ForeignNode] = []
    unknown = 0
    for number, content in enumerate(frames.contents(), 1):
        message = read_node(content, number, where)
        unknown += message.type not in KINDS
        node = _foreign(message, literals)
        _refuse_out_of_range(node, number, where)
        nodes.append(node)
    remarks = []
    if literals.unreadable:
        remarks.append(f"{literals.unreadable} texts of inputs or outputs are no Python lists")
    if unknown:
        remarks.append(f"{unknown} nodes of a type that etsim does not know count as computing")
    return nodes, remarks


def _foreign(message: NodeMessage, literals: LiteralReader) -> ForeignNode:
    attributes = read_attributes(message.attr)
    kind = NodeKind(message.type) if message.type in KINDS else NodeKind.COMP
    on_host = bool(attributes.get("is_cpu_op", False))
    no_lane = COMM_LANE if kind in _COMM else COMPUTE_LANE
    stream = integer(attributes, "stream", NONE)
    start_ns, duration_ns = exact_times(message, attributes)
    return ForeignNode(
        id=message.id,
        name=message.name,
        kind=kind,
        waits_for=dependencies_of(message),
        caller=message.ctrl_deps[0] if message.ctrl_deps else 0,
        start_ns=start_ns,
        duration_ns=duration_ns,
        on_host=on_host,
        lane_number=integer(attributes, "tid", 0) if on_host else max(stream, no_lane),
        on_stream=not on_host and stream != NONE,
        annotation=on_host and integer(attributes, "scope", 0) == USER_SCOPE,
        operator=_operator(message, attributes, literals),
        collective=_collective(kind, attributes) if kind in _COMM else None,
        flops=integer(attributes, "num_ops", 0),
        bytes=integer(attributes, "tensor_size", 0),
        rf_id=integer(attributes, "rf_id", 0),
        seq_id=integer(attributes, "seq_id", NONE),
    )


def dependencies_of(message: NodeMessage) -> tuple[int, ...]:
    """Give the ids that a node waits for, each once."""
    return tuple(dict.fromkeys((*message.ctrl_deps, *message.data_deps)))


def integer(attributes: Attributes, name: str, default: int) -> int:
    """Give a whole-number attribute, the default where it is missing or something else."""
    value = attributes.get(name, default)
    if isinstance(value, float):
        return int(value) if math.isfinite(value) else default
    return value if isinstance(value, int) else default


def _refuse_out_of_range(node: ForeignNode, number: int, where: Path) -> None:
    numbers = (
        node.start_ns, node.duration_ns, node.lane_number, node.flops, node.bytes, node.rf_id,
        node.seq_id,
    )  # fmt: skip
    largest = max(numbers, key=abs)
    if not -_INT64_LIMIT <= largest < _INT64_LIMIT:
        raise TraceFormatError(
            f"node {number} ({node.name!r}) holds {largest}, more than 64 bits with a sign",
            where=where,
            remedy="times are microseconds; write the trace again",
        )


def exact_times(message: NodeMessage, attributes: Attributes) -> tuple[int, int]:
    """Give start and duration: etsim's nanoseconds unless somebody changed Chakra's micros."""
    start_ns = integer(attributes, "etsim_start_ns", message.start_time_micros * NS_PER_US)
    duration_ns = integer(attributes, "etsim_dur_ns", message.duration_micros * NS_PER_US)
    if abs(start_ns - message.start_time_micros * NS_PER_US) > NS_PER_US:
        start_ns = message.start_time_micros * NS_PER_US
    if abs(duration_ns - message.duration_micros * NS_PER_US) > NS_PER_US:
        duration_ns = message.duration_micros * NS_PER_US
    return start_ns, duration_ns


def _operator(
    message: NodeMessage, attributes: Attributes, literals: LiteralReader
) -> Operator | None:
    inputs, outputs = message.inputs, message.outputs
    schema = attributes.get("op_schema", "")
    if not (schema or inputs.types or inputs.shapes or outputs.shapes):
        return None
    types = literals.texts(inputs.types)
    return Operator(
        message.name,
        schema if isinstance(schema, str) else "",
        input_shapes=literals.shapes(inputs.shapes),
        input_types=types,
        concrete_inputs=literals.concrete(inputs.values, types),
        output_shapes=literals.shapes(outputs.shapes),
        output_types=literals.texts(outputs.types),
    )


def _collective(kind: NodeKind, attributes: Attributes) -> Collective:
    kind_name = {NodeKind.COMM_SEND: "send", NodeKind.COMM_RECV: "recv"}.get(
        kind, KIND_OF_TYPE.get(integer(attributes, "comm_type", NONE), "")
    )
    peer = {NodeKind.COMM_SEND: "comm_dst", NodeKind.COMM_RECV: "comm_src"}.get(kind, "")
    return Collective(
        kind_name,
        group=str(attributes.get("pg_name", "")),
        message_bytes=integer(attributes, "comm_size", 0),
        peer=integer(attributes, peer, NONE),
    )
