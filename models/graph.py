"""The execution graph: what ran, where, after what. Frozen columns, one row a node.

    row 0   origin          the window's start; external work hangs on it
    row 1   aten::mm        lane: host thread 1
    row 2   cudaLaunch      lane: host thread 1        1 --host order--> 2
    row 3   sgemm           lane: device stream 7      2 --launch--> 3

Rows stand in host issue order and every predecessor stands before its node, so the graph is
acyclic by construction and a replay is one pass. Edges are in CSR by *successor*:
the predecessors of row v are `edge_source[edge_start[v]:edge_start[v + 1]]`.

    start[v] = max over predecessors p (end[p] + lag)        end[v] = start[v] + duration[v]

A lag is time that passes after the predecessor and belongs to no row: unexplained host time on
a host-order edge (the design calls it lead), launch latency on a launch edge, and so on.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from enum import IntEnum
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from .errors import InputError

Int64s: TypeAlias = NDArray[np.int64]
Int32s: TypeAlias = NDArray[np.int32]
Bytes: TypeAlias = NDArray[np.uint8]
Dims: TypeAlias = "int | tuple[Dims, ...]"

NONE = -1  # in an index column: there is none


class NodeKind(IntEnum):
    """Chakra's node types, with Chakra's own numbers."""

    INVALID = 0
    METADATA = 1
    MEM_LOAD = 2
    MEM_STORE = 3
    COMP = 4
    COMM_SEND = 5
    COMM_RECV = 6
    COMM_COLL = 7


class Category(IntEnum):
    """What a row is, finer than Chakra's kinds."""

    HOST = 0  # an operator or runtime call on a host thread; its own time, children taken out
    KERNEL = 1
    MEMCPY = 2
    MEMSET = 3
    COLLECTIVE = 4  # on a stream (NCCL) or on a host thread (gloo); duration = transfer
    SEND = 5
    RECV = 6
    SYNC = 7  # a host call that waits for the device; its duration excludes the wait
    ANNOTATION = 8  # record_function range (own time) or a step's begin / end mark (no time)
    LAUNCH = 9  # a runtime call that puts work on a stream
    ORIGIN = 10  # the window's start, duration 0
    JOIN = 11  # where the ranks of one collective meet, duration 0


class EdgeKind(IntEnum):
    """Why a row waits for another."""

    HOST_ORDER = 0
    STREAM_ORDER = 1
    LAUNCH = 2
    SYNC = 3  # device -> host
    STREAM_WAIT = 4  # stream -> stream, by an event
    HANDOVER = 5  # thread -> thread
    RENDEZVOUS = 6  # the ranks of one collective
    QUEUE_DEPTH = 7  # a launch waits for room in the queue
    DATA = 8
    EXTERNAL = 9  # work outside the window; the lag is its measured time


# Edges whose lag is time of a host thread: it scales with the host.
HOST_TIME_EDGES = (EdgeKind.HOST_ORDER, EdgeKind.HANDOVER)


class LaneKind(IntEnum):
    """Whether a lane is a host thread or a device stream."""

    HOST = 0
    DEVICE = 1
    VIRTUAL = 2  # origin and joins


class Provenance(IntEnum):
    """Where a duration comes from."""

    MEASURED = 0
    SCALED = 1
    CALIBRATED = 2
    ROOFLINE = 3
    DEFAULT = 4


@dataclass(frozen=True, slots=True, order=True)
class Lane:
    """A host thread or a device stream of one rank; `group` is the process or the device."""

    kind: LaneKind
    group: int
    number: int
    name: str = ""


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator with its arguments, interned. Shapes nest for tensor lists: `((2, 3), ())`."""

    name: str
    schema: str = ""
    input_shapes: tuple[Dims, ...] = ()
    input_types: tuple[str, ...] = ()
    concrete_inputs: tuple[str, ...] = ()
    input_strides: tuple[Dims, ...] = ()
    output_shapes: tuple[Dims, ...] = ()
    output_types: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LaunchConfig:
    """How a kernel was launched, interned."""

    grid: tuple[int, ...] = ()
    block: tuple[int, ...] = ()
    registers: int = 0
    shared_memory_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Collective:
    """A kind of message, interned: `kind` as in `all_reduce`; `peer` for send and receive."""

    kind: str
    group: str = ""
    ranks: tuple[int, ...] = ()
    dtype: str = ""
    message_bytes: int = 0
    peer: int = NONE


@dataclass(frozen=True, slots=True)
class Step:
    """A marked step of one rank: the rows of its begin and end marks."""

    name: str
    begin_row: int
    end_row: int


@dataclass(frozen=True, slots=True)
class GraphMeta:
    """What is known about the whole recording.

    Attributes:
        clock_base_ns: absolute time of the graph's time 0.
        source_device: the device's own name as recorded, "" where unknown (CPU-only run).
        device_memory_bytes: as recorded, 0 where unknown.
        properties: further facts as strings (`schema`, `host_name`, `backend`, ...).
        notes: what could not be matched, linked or classified, one sentence each.
    """

    rank: int = 0
    world_size: int = 1
    clock_base_ns: int = 0
    has_times: bool = True
    source_device: str = ""
    device_memory_bytes: int = 0
    properties: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    def property(self, key: str) -> str:
        """Give a property, "" where it is not there."""
        return dict(self.properties).get(key, "")


@dataclass(frozen=True, slots=True)
class Columns:
    """The node columns, each of shape (nodes,). Index columns hold -1 where there is nothing.

    Attributes:
        name: into `ExecutionGraph.names`.
        lane: into `lanes`.
        start_ns, duration_ns: measured, from the window's start; 0 where never measured.
            For `COLLECTIVE` the duration is the row's own share: the transfer once ranks are
            merged, before that what the trace recorded. For `SYNC` it is the part after the wait.
        operator, launch_config, collective: into the tables of those names.
        sequence: of a collective within its group, -1 unknown.
        step: into `steps`; the step in whose issue window the row (or its launch) lies.
        module, phase: into `names`; `module` is a path like `Net/block.0/Linear`.
        flops, bytes: work; 0 where unknown. For MEMCPY/MEMSET the recorded bytes.
        parent: row of the enclosing operator or annotation; may stand after its children.
        rf_id, seq_id, fw_parent: as in the execution trace; fw_parent is a row.
        rank: which rank the row belongs to.
    """

    kind: Bytes
    category: Bytes
    name: Int32s
    rank: Int32s
    lane: Int32s
    start_ns: Int64s
    duration_ns: Int64s
    operator: Int32s
    launch_config: Int32s
    collective: Int32s
    sequence: Int64s
    step: Int32s
    module: Int32s
    phase: Int32s
    flops: Int64s
    bytes: Int64s
    parent: Int32s
    provenance: Bytes
    rf_id: Int64s
    seq_id: Int64s
    fw_parent: Int32s

    def take(self, rows: Int64s) -> "Columns":
        """Give the same columns for the given rows (indices inside columns stay as they are)."""
        return Columns(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    def followed_by(self, other: "Columns") -> "Columns":
        """Give these rows and then the other's."""
        return Columns(
            **{
                f.name: np.concatenate((getattr(self, f.name), getattr(other, f.name)))
                for f in fields(self)
            }
        )


COLUMN_TYPES: dict[str, type] = {
    "kind": np.uint8, "category": np.uint8, "name": np.int32, "rank": np.int32,
    "lane": np.int32, "start_ns": np.int64, "duration_ns": np.int64, "operator": np.int32,
    "launch_config": np.int32, "collective": np.int32, "sequence": np.int64, "step": np.int32,
    "module": np.int32, "phase": np.int32, "flops": np.int64, "bytes": np.int64,
    "parent": np.int32, "provenance": np.uint8, "rf_id": np.int64, "seq_id": np.int64,
    "fw_parent": np.int32,
}  # fmt: skip
COLUMN_DEFAULTS: dict[str, int] = {
    "kind": NodeKind.COMP, "operator": NONE, "launch_config": NONE, "collective": NONE,
    "sequence": NONE, "step": NONE, "module": NONE, "phase": NONE, "parent": NONE,
    "rf_id": 0, "seq_id": NONE, "fw_parent": NONE,
}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class ExecutionGraph:
    """The graph: node columns, predecessor edges in CSR, and the tables they point into.

    `edge_start` has shape (nodes + 1,), the other edge columns (edges,).
    Build it with `graph_builder.GraphBuilder` or `ExecutionGraph.checked`.
    """

    nodes: Columns
    edge_start: Int64s
    edge_source: Int32s
    edge_kind: Bytes
    edge_lag_ns: Int64s
    names: tuple[str, ...]
    lanes: tuple[Lane, ...]
    operators: tuple[Operator, ...] = ()
    launch_configs: tuple[LaunchConfig, ...] = ()
    collectives: tuple[Collective, ...] = ()
    steps: tuple[Step, ...] = ()
    meta: GraphMeta = field(default_factory=GraphMeta)

    def __len__(self) -> int:
        return len(self.nodes.kind)

    @property
    def edge_count(self) -> int:
        """Give the number of edges."""
        return len(self.edge_source)

    def name_of(self, row: int) -> str:
        """Give a row's name."""
        return self.names[int(self.nodes.name[row])]

    def lane_of(self, row: int) -> Lane:
        """Give a row's lane."""
        return self.lanes[int(self.nodes.lane[row])]

    def predecessors(self, row: int) -> Iterator[tuple[int, EdgeKind, int]]:
        """Give (row, kind, lag_ns) of each predecessor."""
        for edge in range(int(self.edge_start[row]), int(self.edge_start[row + 1])):
            kind = EdgeKind(self.edge_kind[edge])
            yield int(self.edge_source[edge]), kind, int(self.edge_lag_ns[edge])

    def edge_target(self) -> Int64s:
        """Give each edge's successor row, shape (edges,)."""
        return np.repeat(np.arange(len(self), dtype=np.int64), np.diff(self.edge_start))

    def on_device(self) -> NDArray[np.bool_]:
        """Tell for each row whether it stands on a device stream, shape (nodes,)."""
        kinds = np.array([lane.kind == LaneKind.DEVICE for lane in self.lanes], dtype=bool)
        return kinds[self.nodes.lane] if len(self.lanes) else np.zeros(len(self), dtype=bool)

    def checked(self) -> "ExecutionGraph":
        """Give itself after checking that it keeps its own rules.

        Raises:
            InputError: a column of the wrong length, a predecessor that does not stand before its
                node, or an index outside its table. The message names the first offending row.
        """
        check(self)
        return self


def same_graph(left: ExecutionGraph, right: ExecutionGraph) -> bool:
    """Tell whether two graphs are equal to the last nanosecond, tables included."""
    columns = all(
        np.array_equal(getattr(left.nodes, f.name), getattr(right.nodes, f.name))
        for f in fields(Columns)
    )
    edges = all(
        np.array_equal(getattr(left, name), getattr(right, name))
        for name in ("edge_start", "edge_source", "edge_kind", "edge_lag_ns")
    )
    tables = all(
        getattr(left, name) == getattr(right, name)
        for name in (
            "names", "lanes", "operators", "launch_configs", "collectives", "steps", "meta",
        )
    )  # fmt: skip
    return columns and edges and tables


def check(graph: ExecutionGraph) -> None:
    """Raise InputError where a graph breaks its own rules; see `ExecutionGraph.checked`."""
    count = len(graph)
    for column in fields(Columns):
        if len(getattr(graph.nodes, column.name)) != count:
            raise InputError(f"column {column.name} has another length than {count}")
    if len(graph.edge_start) != count + 1 or int(graph.edge_start[-1]) != graph.edge_count:
        raise InputError("the edge index does not fit the rows")
    target = graph.edge_target()
    wrong = np.flatnonzero((graph.edge_source >= target) | (graph.edge_source < 0))
    if len(wrong):
        edge = int(wrong[0])
        raise InputError(
            f"row {int(target[edge])} has predecessor {int(graph.edge_source[edge])}, "
            "which does not stand before it"
        )
    if np.any(graph.edge_kind >= len(EdgeKind)):
        raise InputError("an edge is of no known kind")
    _check_indices(graph)


def _check_indices(graph: ExecutionGraph) -> None:
    tables = {
        "name": len(graph.names), "lane": len(graph.lanes), "operator": len(graph.operators),
        "launch_config": len(graph.launch_configs), "collective": len(graph.collectives),
        "step": len(graph.steps), "module": len(graph.names), "phase": len(graph.names),
        "parent": len(graph), "fw_parent": len(graph),
        "kind": len(NodeKind), "category": len(Category), "provenance": len(Provenance),
    }  # fmt: skip
    required = {"name", "lane", "kind", "category", "provenance"}
    for column, size in tables.items():
        values = getattr(graph.nodes, column)
        lowest = 0 if column in required else NONE
        wrong = np.flatnonzero((values < lowest) | (values >= size))
        if len(wrong):
            row = int(wrong[0])
            raise InputError(f"row {row}: {column} {int(values[row])} is not in its table")
    for step in graph.steps:
        if not 0 <= step.begin_row <= step.end_row < len(graph):
            raise InputError(f"step {step.name!r} has marks outside the rows")
