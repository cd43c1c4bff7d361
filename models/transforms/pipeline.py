"""Pipeline parallelism: layers cut into stages, micro-batches through them, one rank a stage.

    stage 0   F0 F1 F2 ....... B0 B1 B2 step        send F0 -> recv -> F0 of stage 1 ...
    stage 1      F0 F1 F2 B0 B1 B2     step

Every micro-batch is as large as the recorded batch: divide it before with `batch`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from ..costs.tensors import ITEM_BYTES, Call
from ..edge_columns import Edges
from ..errors import UsageError
from ..graph import (
    NONE,
    Category,
    Collective,
    EdgeKind,
    ExecutionGraph,
    Int64s,
    Lane,
    LaneKind,
    Provenance,
)
from .insertion import Insertion
from .links import with_link
from .memory_pipeline import PIPELINE
from .recost import has_device
from .registry import Parameter, Transform, Value, register, whole
from .repeats import Layers, find_layers
from .scenario import Scenario
from .schedules import Schedule, Task, in_time, needed, stage_orders
from .splice import copied, spliced
from .stage_cut import first_layers
from .training import Iteration, iterations, marks

COMMUNICATION = 30


def _pipeline(scenario: Scenario, values: Mapping[str, Value]) -> Scenario:
    stages = whole(values, "stages", "pipeline", least=1)
    micros = whole(values, "micro", "pipeline", least=1)
    name = str(values["schedule"])
    if name not in {s.value for s in Schedule}:
        raise UsageError(f"pipeline: no schedule {name!r}", remedy="gpipe, 1f1b or interleaved")
    per_stage = whole(values, "chunks", "pipeline", least=1) if name == "interleaved" else 1
    if stages == 1 and micros == 1:
        return scenario
    graph = scenario.graph
    if len(np.unique(graph.nodes.rank[graph.nodes.category != Category.JOIN])) > 1:
        raise UsageError("pipeline: starts from a run of one rank")
    target = with_link(scenario.target, str(values["link"]), min(2, stages), "pipeline")
    layers = find_layers(graph, str(values["module"]), "pipeline")
    orders = stage_orders(Schedule(name), stages, micros, per_stage)
    maker = _Maker(graph, layers, stages, stages * per_stage)
    laid_out = maker.run(iterations(graph, "pipeline"), in_time(orders, stages * per_stage))
    return replace(scenario, target=target).with_graph(laid_out)


@dataclass(frozen=True, slots=True)
class _Span:
    """A task's rows in the new graph, and the recorded rows they come from."""

    task: Task
    first: int
    last: int


@dataclass(slots=True)
class _Layout:
    """The new rows in order: recorded row, copy, lane; and shares of time, in blocks."""

    count: int = 0
    _orders: list[Int64s] = field(default_factory=list)
    _lanes: list[Int64s] = field(default_factory=list)
    _shares: list[tuple[Int64s, int, float]] = field(default_factory=list)

    def add(self, rows: Int64s, copy: int, lane: Int64s | None = None) -> None:
        """Append copies of rows, on their own lanes unless others are given."""
        self._orders.append(copied(rows, copy))
        self._lanes.append(np.full(len(rows), NONE, dtype=np.int64) if lane is None else lane)
        self.count += len(rows)

    def share(self, rows: Int64s, copy: int, share: float) -> None:
        """Give copies of rows a share of their time."""
        self._shares.append((rows, copy, share))

    def order(self) -> Int64s:
        """Give all rows with their copy's number, shape (rows, 2)."""
        return np.concatenate(self._orders)

    def lane(self) -> Int64s:
        """Give each row's lane, NONE for its own, shape (rows,)."""
        return np.concatenate(self._lanes)

    def factor(self) -> NDArray[np.float64]:
        """Give each row's share of its time, shape (rows,)."""
        order = self.order()
        most = int(order[:, 1].max()) + 1
        key = order[:, 0] * most + order[:, 1]
        by_key = np.argsort(key)
        factor = np.ones(len(order))
        for rows, copy, share in self._shares:
            at = np.searchsorted(key, rows * most + copy, sorter=by_key)
            factor[by_key[at]] = share
        return factor


class _Maker:
    """Lays the rows of one rank out over stages."""

    def __init__(self, graph: ExecutionGraph, layers: Layers, stages: int, chunks: int) -> None:
        self.graph, self.layers, self.stages, self.chunks = graph, layers, stages, chunks
        self.device = has_device(graph)
        self.firsts = first_layers(graph, layers, chunks)
        self.lanes = list(graph.lanes)
        self.lane_of: dict[tuple[int, int], int] = {}
        self.message = self._message()

    def run(self, found: Sequence[Iteration], tasks: Sequence[Task]) -> ExecutionGraph:
        """Give the graph of all stages."""
        layout = _Layout()
        spans: list[list[_Span]] = []
        recorded = 0  # the first recorded row that is not laid out yet
        for iteration in found:
            last = int(iteration.optimizer[-1])
            layout.add(np.arange(recorded, iteration.first), 0)
            spans.append(self._lay_out(iteration, tasks, layout))
            rows = np.arange(iteration.first, last + 1)
            taken = iteration.forward_backward(self.graph)
            layout.add(rows[~np.isin(rows, taken)], 0)
            self._optimizers(iteration, layout)
            recorded = last + 1
        layout.add(np.arange(recorded, len(self.graph)), 0)
        graph = replace(self.graph, lanes=tuple(self.lanes))
        graph = spliced(graph, layout.order(), layout.lane())
        return self._connected(self._of_ranks(graph, layout), spans)

    def _lane(self, stage: int, lane: int) -> int:
        """Give a stage's copy of a lane; the first stage keeps the recorded ones."""
        if stage == 0:
            return lane
        if (stage, lane) not in self.lane_of:
            old = self.graph.lanes[lane]
            number = old.number + 10_000 * stage if old.kind is LaneKind.HOST else old.number
            self.lanes.append(Lane(old.kind, old.group + stage, number, old.name))
            self.lane_of[stage, lane] = len(self.lanes) - 1
        return self.lane_of[stage, lane]

    def _lanes_of(self, stage: int, rows: Int64s) -> Int64s:
        """Give a stage's lanes for recorded rows, in the order of their first use."""
        lanes = self.graph.nodes.lane[rows]
        used, first = np.unique(lanes, return_index=True)
        table = np.zeros(len(self.graph.lanes), dtype=np.int64)
        for lane in used[np.argsort(first)].tolist():
            table[lane] = self._lane(stage, lane)
        return table[lanes]

    def _parts(self, iteration: Iteration) -> dict[tuple[int, bool], Int64s]:
        """Cut an iteration's rows at the first rows of chunks, forward and backward."""
        rows = iteration.forward_backward(self.graph)
        starts: list[tuple[int, int, bool]] = [(-1, 0, False)]
        for chunk, first in enumerate(self.firsts):
            end = self.firsts[chunk + 1] if chunk + 1 < self.chunks else len(self.layers.paths)
            forward = self.layers.rows(first, iteration, backward=False)
            behind = self.layers.rows(end - 1, iteration, backward=True)
            if not len(forward) or not len(behind):
                raise UsageError(f"pipeline: {self.layers.paths[first]} has no backward")
            if chunk:
                starts.append((int(forward[0]), chunk, False))
            starts.append((int(behind[0]), chunk, True))
        backward = self.layers.backward[rows]
        if backward.any():  # what stands before the last layer's backward belongs to it
            first_row = int(rows[backward][0])
            starts = [
                (min(at, first_row), c, b) if b and c == self.chunks - 1 else (at, c, b)
                for at, c, b in starts
            ]
        starts.sort()
        place = np.searchsorted([at for at, _, _ in starts], rows, side="right") - 1
        return {
            (chunk, is_backward): rows[place == k]
            for k, (_, chunk, is_backward) in enumerate(starts)
        }

    def _lay_out(
        self, iteration: Iteration, tasks: Sequence[Task], layout: "_Layout"
    ) -> list[_Span]:
        parts = self._parts(iteration)
        spans = []
        for task in tasks:
            begin = layout.count
            rows = parts[task.chunk, task.backward]
            layout.add(rows, task.micro, self._lanes_of(task.chunk % self.stages, rows))
            spans.append(_Span(task, begin, layout.count - 1))
        return spans

    def _optimizers(self, iteration: Iteration, layout: "_Layout") -> None:
        """Every stage steps its own parameters: the recorded rows, as long as its share."""
        weight = np.zeros(self.stages)
        for gradient in iteration.gradients:
            layer = int(self.layers.of_row[gradient.accumulate_row])
            chunk = int(np.searchsorted(self.firsts, layer, side="right")) - 1
            weight[chunk % self.stages if layer != NONE else self.stages - 1] += gradient.bytes
        weight /= max(1.0, float(weight.sum()))
        rows = np.setdiff1d(iteration.optimizer, marks(self.graph))
        for stage in range(1, self.stages):
            layout.add(rows, stage, self._lanes_of(stage, rows))
        for stage in range(self.stages):
            layout.share(rows, stage, float(weight[stage]))

    def _of_ranks(self, graph: ExecutionGraph, layout: "_Layout") -> ExecutionGraph:
        """Set ranks by lane, the optimizers' shares, and let go of edges between stages."""
        stage_of_lane = np.zeros(len(graph.lanes), dtype=np.int32)
        for (number, _), lane in self.lane_of.items():
            stage_of_lane[lane] = number
        stage = stage_of_lane[graph.nodes.lane]
        factor = layout.factor()
        edges = Edges.of(graph)
        origin = graph.nodes.category[edges.source] == Category.ORIGIN
        edges = edges.take((stage[edges.target] == stage[edges.source]) | origin)
        waits = np.zeros(len(graph), dtype=bool)
        waits[edges.target] = True
        lonely = np.flatnonzero(~waits[1:]) + 1
        edges = edges.followed_by(Edges.to(lonely, np.zeros_like(lonely), EdgeKind.EXTERNAL))
        share = factor[edges.target]
        lag = np.where(share < 1, np.rint(edges.lag_ns * share), edges.lag_ns).astype(np.int64)
        nodes = replace(
            graph.nodes,
            rank=np.where(stage > 0, stage, graph.nodes.rank).astype(np.int32),
            duration_ns=np.rint(graph.nodes.duration_ns * factor).astype(np.int64),
        )
        graph = replace(graph, nodes=nodes, meta=replace(graph.meta, world_size=self.stages))
        return replace(edges, lag_ns=lag).sorted(len(graph)).into(graph).checked()

    def _message(self) -> Collective:
        """Give what is sent between stages: the first tensor that a layer takes."""
        for row in np.flatnonzero((self.layers.of_row == 1) & ~self.layers.backward).tolist():
            index = int(self.graph.nodes.operator[row])
            if index == NONE or not self.graph.operators[index].input_shapes:
                continue
            call = Call(self.graph.operators[index])
            if call.tensors:
                size = prod(call.tensors[0].shape) * ITEM_BYTES[call.tensors[0].dtype]
                return Collective("send", "pipeline", (0, 1), call.tensors[0].dtype, size)
        return Collective("send", "pipeline", (0, 1))

    def _connected(self, graph: ExecutionGraph, spans: Sequence[Sequence[_Span]]) -> ExecutionGraph:
        """Insert a send and a receive wherever a task needs one of another stage."""
        insertion = Insertion(graph)
        kernels = np.flatnonzero(graph.nodes.category == Category.KERNEL)
        kind = LaneKind.DEVICE if self.device else LaneKind.HOST
        out = [insertion.lane(kind, s, COMMUNICATION, "send") for s in range(self.stages)]
        into = [insertion.lane(kind, s, COMMUNICATION + 1, "receive") for s in range(self.stages)]
        for of_iteration in spans:
            span_of = {span.task: span for span in of_iteration}
            for span in of_iteration:
                for need in needed(span.task, self.chunks):
                    sender, stage = need.chunk % self.stages, span.task.chunk % self.stages
                    before = span_of.get(need)
                    if before is None or sender == stage or before.last < before.first:
                        continue
                    last, first = self._ends(kernels, before, span)
                    sent = insertion.in_line(
                        before.last, "send", out[sender], Category.SEND, 0, rank=sender,
                        collective=replace(self.message, peer=stage),
                        provenance=int(Provenance.ROOFLINE),
                    )  # fmt: skip
                    received = insertion.in_line(
                        max(before.last, span.first - 1), "recv", into[stage], Category.RECV, 0,
                        rank=stage, provenance=int(Provenance.DEFAULT),
                        collective=replace(self.message, kind="recv", peer=sender),
                    )  # fmt: skip
                    wait = EdgeKind.STREAM_WAIT if self.device else EdgeKind.HANDOVER
                    insertion.edge(last, sent, wait)
                    insertion.edge(sent, received, EdgeKind.DATA)
                    insertion.edge(received, first, wait)
        return insertion.done()

    def _ends(self, kernels: Int64s, before: _Span, after: _Span) -> tuple[int, int]:
        """Give the row that makes a message and the one that needs it: kernels, on a device."""
        made = int(np.searchsorted(kernels, before.last, side="right")) - 1
        used = int(np.searchsorted(kernels, after.first))
        last, first = before.last, after.first
        if made >= 0 and kernels[made] >= before.first:
            last = int(kernels[made])
        if used < len(kernels) and kernels[used] <= after.last:
            first = int(kernels[used])
        return last, first


register(
    Transform(
        name="pipeline",
        about="Cut the layers into stages, one rank each, and send micro-batches through them.",
        edit="Cuts the layers into stages of like duration (what stands before the first and "
        "behind the last goes with them), lays out a copy of each stage's forward and backward "
        "for every micro-batch in the schedule's order, with sends and receives of the layer's "
        "input between; every stage steps its own parameters.",
        assumes="every micro-batch is as large as the recorded batch (divide it with `batch`), and "
        "stages have hosts of their own",
        needs="modules, gradients with shapes and Optimizer.step of one rank",
        parameters=(
            Parameter("stages", "number of stages"),
            Parameter("micro", "micro-batches an iteration"),
            Parameter("schedule", "1f1b, gpipe or interleaved", "1f1b", is_text=True),
            Parameter("chunks", "interleaved: parts of the model on each stage", 2.0),
            Parameter("link", "as in ddp; the nearest", "", is_text=True),
            Parameter("module", "pattern of the layers; the largest repeated", "", is_text=True),
        ),
        apply=_pipeline,
        memory=PIPELINE,
    )
)
