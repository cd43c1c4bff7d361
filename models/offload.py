"""A run recorded on a CPU, asked for on a GPU: each device-bound operator becomes launch + kernel.

    recorded   |aten::linear(  aten::addmm  )|  |gloo:all_reduce on a worker|
    offloaded  host     |launch|                     host   |issue|
               stream 7        [ aten::addmm ]       stream 20    [all_reduce]

Kernels have no measured time: they are priced from their shapes. What stays is the host's own
time: Python, dispatch of views, gaps. The host waits for the device where it reads a value back
and where a step ends.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from .costs.work import is_known, work_of
from .costs.work_values import WorkClass
from .errors import NeedsRecordingError
from .graph import (
    COLUMN_TYPES,
    NONE,
    Category,
    Columns,
    EdgeKind,
    ExecutionGraph,
    Int64s,
    Lane,
    LaneKind,
    Provenance,
    Step,
)
from .hardware import Hardware

# PyTorch's own cost of dispatching one operator to a device, beside the launch call, on the
# reference host; measured values for eager PyTorch 2 lie between 3 and 10 us.
DISPATCH_NS = 5_000
COMPUTE_STREAM, COMMUNICATION_STREAM = 7, 20
READS_BACK = frozenset(("aten::item", "aten::_local_scalar_dense", "aten::is_nonzero"))
# One launch for a whole list of tensors: on a device these do not fall apart into their children.
WHOLE_PREFIXES = ("aten::_foreach_", "aten::_fused_")


def needs_offload(graph: ExecutionGraph, target: Hardware) -> bool:
    """Tell whether a graph has no device work although the target is an accelerator."""
    has_device = any(lane.kind is LaneKind.DEVICE for lane in graph.lanes)
    return not has_device and target.device.kind != "cpu"


def offload(graph: ExecutionGraph, target: Hardware) -> ExecutionGraph:
    """Move the device-bound operators of one rank's CPU run to a device.

    Raises:
        NeedsRecordingError: no operator of the run has shapes.
    """
    chosen = device_bound(graph)
    if not chosen.any():
        raise NeedsRecordingError(
            "no operator has shapes, so nothing can be priced on a device",
            remedy="record with record_shapes=True; `etsim capture` does",
        )
    return _Offloader(graph, target, chosen).run()


def device_bound(graph: ExecutionGraph) -> NDArray[np.bool_]:
    """Tell which rows a device would execute, shape (nodes,).

    The outermost operators that do work themselves: one whose children do at least half of its work
    only calls them (`aten::linear`).
    """
    nodes = graph.nodes
    amounts = [_amount(graph, index) for index in range(len(graph.operators))]
    amount = np.array([*amounts, 0.0])[nodes.operator]
    amount[nodes.category != Category.HOST] = 0.0
    parent = nodes.parent.astype(np.int64)
    inner = np.zeros(len(graph) + 1)
    np.add.at(inner, parent, amount)
    whole = np.array([name.startswith(WHOLE_PREFIXES) for name in graph.names], dtype=bool)
    does_itself = (inner[:-1] < amount / 2) | whole[nodes.name]
    candidate = (amount > 0) & does_itself
    chosen: NDArray[np.bool_] = candidate & ~_has_ancestor(parent, candidate)
    return chosen


def _amount(graph: ExecutionGraph, index: int) -> float:
    """Work of an operator in one number: FLOPs where it multiplies matrices, else bytes."""
    operator = graph.operators[index]
    if not operator.input_shapes or not is_known(operator):
        return 0.0
    work = work_of(operator)
    if work.work_class in (WorkClass.FREE, WorkClass.COLLECTIVE):
        return 0.0
    return float(work.flops + work.bytes_read + work.bytes_written)


def _has_ancestor(parent: Int64s, flag: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell which rows have a flagged row above them; walks up all chains at once."""
    result = np.zeros(len(parent), dtype=bool)
    above = parent.copy()
    while (above >= 0).any():
        known = above >= 0
        result[known] |= flag[above[known]]
        above[known] = parent[above[known]]
    return result


@dataclass(slots=True)
class _Offloader:
    graph: ExecutionGraph
    target: Hardware
    chosen: NDArray[np.bool_]
    source_row: list[int] = field(default_factory=list)
    is_kernel: list[bool] = field(default_factory=list)
    is_sync: list[bool] = field(default_factory=list)
    edges: list[list[tuple[int, EdgeKind, int]]] = field(default_factory=list)
    row_of: dict[int, int] = field(default_factory=dict)
    last_kernel: int = NONE
    last_collective: int = NONE
    waits: list[int] = field(default_factory=list)

    def run(self) -> ExecutionGraph:
        absorbed = _has_ancestor(self.graph.nodes.parent.astype(np.int64), self.chosen)
        step_ends = {step.end_row for step in self.graph.steps}
        for row in range(len(self.graph)):
            if self.graph.nodes.category[row] == Category.COLLECTIVE:
                self._collective(row)
            elif absorbed[row] and not self.chosen[row]:
                self._absorb(row)
            else:
                self._host(row, waits=row in step_ends or self._reads_back(row))
        return self._build()

    def _reads_back(self, row: int) -> bool:
        return self.graph.name_of(row) in READS_BACK

    def _append(
        self,
        row: int,
        edges: list[tuple[int, EdgeKind, int]],
        *,
        kernel: bool = False,
        sync: bool = False,
    ) -> int:
        self.source_row.append(row)
        self.is_kernel.append(kernel)
        self.is_sync.append(sync)
        self.edges.append(edges)
        return len(self.source_row) - 1

    def _translated(self, row: int) -> list[tuple[int, EdgeKind, int]]:
        """A row's edges in the new rows; a wait for a collective goes to the device instead."""
        kept = []
        for source, kind, lag in self.graph.predecessors(row):
            if self.graph.nodes.category[source] == Category.COLLECTIVE:
                self.waits.append(self.row_of[source])
                # the thread no longer waits: only its own order remains
                continue
            kept.append((self.row_of[source], kind, lag))
        return kept

    def _host(self, row: int, *, waits: bool) -> None:
        edges = self._translated(row)
        if waits and self.last_kernel != NONE:
            edges.append((self.last_kernel, EdgeKind.SYNC, 0))
            if self.last_collective != NONE:
                edges.append((self.last_collective, EdgeKind.SYNC, 0))
        new = self._append(row, edges, sync=waits)
        self.row_of[row] = new
        if self.chosen[row]:
            self._launch(row, new)

    def _launch(self, row: int, launch: int) -> None:
        device = self.target.device
        edges = [(launch, EdgeKind.LAUNCH, device.launch_latency_ns)]
        if self.last_kernel != NONE:
            edges.append((self.last_kernel, EdgeKind.STREAM_ORDER, device.kernel_gap_ns))
        edges += [(wait, EdgeKind.STREAM_WAIT, device.kernel_gap_ns) for wait in self.waits]
        self.waits.clear()
        self.last_kernel = self._append(row, edges, kernel=True)

    def _absorb(self, row: int) -> None:
        """A child of a device-bound operator: no row of its own; its place is the row before."""
        before = [s for s, kind, _ in self.graph.predecessors(row) if kind == EdgeKind.HOST_ORDER]
        self.row_of[row] = self.row_of[before[-1]] if before else 0

    def _collective(self, row: int) -> None:
        device = self.target.device
        issuer = [
            (self.row_of[s], EdgeKind.LAUNCH, device.launch_latency_ns)
            for s, kind, _ in self.graph.predecessors(row)
            if kind is EdgeKind.HANDOVER
        ]
        edges = issuer or self._translated(row)
        if self.last_kernel != NONE:
            edges.append((self.last_kernel, EdgeKind.STREAM_WAIT, device.kernel_gap_ns))
        if self.last_collective != NONE:
            edges.append((self.last_collective, EdgeKind.STREAM_ORDER, device.kernel_gap_ns))
        self.last_collective = self._append(row, edges)
        self.row_of[row] = self.last_collective

    def _build(self) -> ExecutionGraph:
        counts = [len(edges) for edges in self.edges]
        flat = [edge for edges in self.edges for edge in sorted(edges)]
        lanes = (
            *self.graph.lanes,
            Lane(LaneKind.DEVICE, 0, COMPUTE_STREAM),
            Lane(LaneKind.DEVICE, 0, COMMUNICATION_STREAM),
        )
        return replace(
            self.graph,
            nodes=self._columns(),
            edge_start=np.concatenate(([0], np.cumsum(counts))).astype(np.int64),
            edge_source=np.array([e[0] for e in flat], dtype=np.int32),
            edge_kind=np.array([e[1] for e in flat], dtype=np.uint8),
            edge_lag_ns=np.array([e[2] for e in flat], dtype=np.int64),
            lanes=lanes,
            steps=tuple(
                Step(s.name, self.row_of[s.begin_row], self.row_of[s.end_row])
                for s in self.graph.steps
            ),
        ).checked()

    def _columns(self) -> Columns:
        old = np.array(self.source_row, dtype=np.int64)
        kernel = np.array(self.is_kernel, dtype=bool)
        nodes = self.graph.nodes.take(old)
        category, lane = nodes.category.copy(), nodes.lane.copy()
        duration, provenance = nodes.duration_ns.copy(), nodes.provenance.copy()
        launches = self.chosen[old] & ~kernel
        collective = category == Category.COLLECTIVE
        sync = np.array(self.is_sync, dtype=bool)
        host = self.target.host
        duration[launches] = host.launch_cost_ns + round(DISPATCH_NS / host.relative_speed)
        duration[kernel] = 0
        provenance[launches] = Provenance.DEFAULT
        category[launches], category[kernel] = Category.LAUNCH, Category.KERNEL
        category[sync] = Category.SYNC
        lane[kernel] = len(self.graph.lanes)
        lane[collective] = len(self.graph.lanes) + 1
        place = np.full(len(self.graph) + 1, NONE, dtype=np.int64)
        place[list(self.row_of)] = list(self.row_of.values())
        parent = np.where(kernel, np.arange(len(old)) - 1, place[nodes.parent])
        return replace(
            nodes,
            category=category,
            lane=lane,
            duration_ns=duration,
            provenance=provenance,
            parent=parent.astype(COLUMN_TYPES["parent"]),
            fw_parent=place[nodes.fw_parent].astype(COLUMN_TYPES["fw_parent"]),
        )
