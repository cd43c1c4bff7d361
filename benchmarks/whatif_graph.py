"""A recorded training run of any number of rows, for benchmarks of what-ifs: GPT-like, on a GPU.

main thread      |fetch| op launch op launch ...        | wait | Optimizer.step ... |
autograd thread                          op launch grad ...
stream                    [k] [k] [k] [k] [k]  ...
"""

from dataclasses import dataclass, field, replace

import numpy as np

from etsim.models.graph import (
    NONE,
    Category,
    EdgeKind,
    ExecutionGraph,
    GraphMeta,
    LaneKind,
    Operator,
)
from etsim.models.graph_builder import GraphBuilder
from etsim.models.merge import merge_ranks
from etsim.models.specs import load
from etsim.models.transforms.catalogue import parse_asked
from etsim.models.transforms.scenario import Scenario

US = 1000
LAYERS, BATCH, LENGTH, WIDTH, HEADS = 24, 8, 512, 1024, 16
TOKENS = BATCH * LENGTH
MACHINE = "a100"
Shape = tuple[int, ...]


@dataclass(slots=True)
class _Recorder:
    """Adds rows as PyTorch's profiler would show them, one training step after the other."""

    builder: GraphBuilder
    main: int
    autograd: int
    stream: int
    random: np.random.Generator
    clock_ns: int = 0
    thread: int = NONE
    kernel: int = NONE
    step: int = 0
    place: dict[str, str] = field(default_factory=dict)
    before: dict[int, int] = field(default_factory=dict)
    latest: int = 0
    handed: bool = False

    def host(
        self, name: str, duration_ns: int, category: Category, **columns: int | Operator
    ) -> int:
        """Add a row on the current thread, behind what stood there or what handed over to it."""
        before, kind = self.before.get(self.thread, NONE), EdgeKind.HOST_ORDER
        after = [(before, kind, 300)] if before != NONE else []
        if (before == NONE or before < self.latest) and self.handed:
            after.append((self.latest, EdgeKind.HANDOVER, 2000))
        if not after:
            after = [(0, EdgeKind.EXTERNAL, 0)]
        row = self.builder.add(
            name, self.thread, duration_ns=duration_ns, category=category, after=after,
            start_ns=self.clock_ns, step=self.step, **self.place, **columns,
        )  # fmt: skip
        self.clock_ns += duration_ns + 300
        self.before[self.thread], self.latest, self.handed = row, row, False
        return row

    def on(self, thread: int) -> None:
        """Go on in another thread, which the last row wakes."""
        self.thread, self.handed = thread, True

    def work(self, operator: Operator, duration_us: int, above: str = "") -> int:
        """Add an operator, inside another where that is named, with its launch and its kernel."""
        parent = NONE
        if above:
            parent = self.host(above, 2 * US, Category.HOST, operator=replace(operator, name=above))
        at = self.host(operator.name, 4 * US, Category.HOST, operator=operator, parent=parent)
        return self.launched(operator, duration_us, at)

    def launched(self, operator: Operator, duration_us: int, parent: int) -> int:
        """Add a launch and its kernel."""
        launch = self.host("cudaLaunchKernel", 3 * US, Category.LAUNCH, parent=parent)
        after = [(launch, EdgeKind.LAUNCH, 2 * US)]
        if self.kernel != NONE:
            after.append((self.kernel, EdgeKind.STREAM_ORDER, 1 * US))
        duration = int(duration_us * US * self.random.uniform(0.9, 1.1))
        self.kernel = self.builder.add(
            f"kernel_{operator.name}", self.stream, duration_ns=duration, category=Category.KERNEL,
            after=after, operator=operator, parent=launch, start_ns=self.clock_ns, step=self.step,
            **self.place,
        )  # fmt: skip
        return self.kernel


def _operator(name: str, *shapes: Shape) -> Operator:
    types = tuple("float" if shape else "Scalar" for shape in shapes)
    return Operator(name, input_shapes=shapes, input_types=types)


def _linear(run: _Recorder, inputs: int, outputs: int) -> None:
    x, weight = (BATCH, LENGTH, inputs), (outputs, inputs)
    run.host("aten::linear", 2 * US, Category.HOST, operator=_operator("aten::linear", x, weight))
    run.host("aten::t", 1 * US, Category.HOST, operator=_operator("aten::t", weight))
    run.work(_operator("aten::mm", (TOKENS, inputs), (inputs, outputs)), 100)
    run.host("aten::view", 1 * US, Category.HOST, operator=_operator("aten::view", x))


def _linear_backward(run: _Recorder, inputs: int, outputs: int) -> None:
    run.host("MmBackward0", 2 * US, Category.HOST)
    run.work(_operator("aten::mm", (TOKENS, outputs), (outputs, inputs)), 100)
    run.work(_operator("aten::mm", (outputs, TOKENS), (TOKENS, inputs)), 100)
    run.host("aten::t", 1 * US, Category.HOST, operator=_operator("aten::t", (outputs, inputs)))
    _gradient(run, (outputs, inputs))


def _gradient(run: _Recorder, shape: Shape) -> None:
    name = "torch::autograd::AccumulateGrad"
    above = run.host(f"autograd::engine::evaluate_function: {name}", 1 * US, Category.HOST)
    run.host(name, 1 * US, Category.HOST, operator=_operator(name, shape), parent=above)


HIDDEN: Shape = (BATCH, LENGTH, WIDTH)
WIDE: Shape = (BATCH, LENGTH, 4 * WIDTH)
QKV: Shape = (BATCH, HEADS, LENGTH, WIDTH // HEADS)
LINEARS = ((WIDTH, 3 * WIDTH), (WIDTH, WIDTH), (WIDTH, 4 * WIDTH), (4 * WIDTH, WIDTH))


def _forward(run: _Recorder, layer: int) -> None:
    block = f"GPT_0/Block_{layer}"

    def inside(part: str) -> None:
        run.place["module"] = f"{block}/{part}"

    inside("LayerNorm_0")
    run.work(_operator("aten::native_layer_norm", HIDDEN, (), (WIDTH,)), 20, "aten::layer_norm")
    inside("Linear_0")
    _linear(run, *LINEARS[0])
    inside("Attention_0")
    run.work(_operator("aten::_scaled_dot_product_flash_attention", QKV, QKV, QKV), 60)
    inside("Linear_1")
    _linear(run, *LINEARS[1])
    run.place["module"] = block
    run.work(_operator("aten::add", HIDDEN, HIDDEN, ()), 15)
    inside("LayerNorm_1")
    run.work(_operator("aten::native_layer_norm", HIDDEN, (), (WIDTH,)), 20, "aten::layer_norm")
    inside("Linear_2")
    _linear(run, *LINEARS[2])
    inside("GELU_0")
    run.work(_operator("aten::gelu", WIDE), 40)
    inside("Linear_3")
    _linear(run, *LINEARS[3])
    run.place["module"] = block
    run.work(_operator("aten::add", HIDDEN, HIDDEN, ()), 15)


def _backward(run: _Recorder, layer: int) -> None:
    block = f"GPT_0/Block_{layer}"
    for place in (3, 2, 1, 0):
        run.place["module"] = f"{block}/Linear_{place}"
        _linear_backward(run, *LINEARS[place])
        run.place["module"] = block
        if place == 3:
            run.work(_operator("aten::gelu_backward", WIDE, WIDE), 50)
        elif place == 1:
            shapes = (QKV,) * 4
            name = "aten::_scaled_dot_product_flash_attention_backward"
            run.work(_operator(name, *shapes), 150)
        else:
            operator = _operator("aten::native_layer_norm_backward", HIDDEN, HIDDEN, (WIDTH,))
            run.work(operator, 40)
            _gradient(run, (WIDTH,))
            run.work(_operator("aten::add_", HIDDEN, HIDDEN, ()), 15)


def _optimizer(run: _Recorder, layers: int) -> None:
    run.host("Optimizer.step#AdamW.step", 20 * US, Category.ANNOTATION)
    shapes = [s for i, o in LINEARS for s in ((o, i),)] + [(WIDTH,), (WIDTH,)]
    for _ in range(layers):
        for shape in shapes:
            for name in ("aten::mul_", "aten::lerp_", "aten::addcdiv_"):
                run.work(_operator(name, shape, shape), 5)


def _step(run: _Recorder, number: int, layers: int) -> None:
    run.step, run.place = number, {}
    run.on(run.main)
    begin = run.host(f"ProfilerStep#{number}", 0, Category.ANNOTATION)
    loader = "enumerate(DataLoader)#_SingleProcessDataLoaderIter.__next__"
    mark = run.host(loader, 5 * US, Category.ANNOTATION)
    for _ in range(BATCH):
        stack = _operator("aten::stack", (LENGTH,))
        run.host("aten::stack", 3 * US, Category.HOST, operator=stack, parent=mark)
    run.place["phase"] = "forward"
    for layer in range(layers):
        _forward(run, layer)
    run.on(run.autograd)
    run.place["phase"] = "backward"
    for layer in reversed(range(layers)):
        _backward(run, layer)
    run.on(run.main)
    run.place = {"phase": "optimizer"}
    _optimizer(run, layers)
    run.place = {}
    end = run.host("end", 1 * US, Category.SYNC)
    run.builder._edges[end].append((run.kernel, EdgeKind.SYNC, 0))
    run.builder.step(f"ProfilerStep#{number}", begin, end)


def training_run(rows: int, layers: int = LAYERS) -> ExecutionGraph:
    """Give a run of one rank with at least so many rows, in whole steps."""
    meta = GraphMeta(source_device="NVIDIA A100-SXM4-80GB")
    builder = GraphBuilder(meta)
    virtual = builder.lane(LaneKind.VIRTUAL, 0, 0)
    main, autograd = (builder.lane(LaneKind.HOST, 1, number) for number in (1, 2))
    stream = builder.lane(LaneKind.DEVICE, 0, 7)
    builder.add("window", virtual, category=Category.ORIGIN)
    run = _Recorder(builder, main, autograd, stream, np.random.default_rng(0))
    number = 0
    while len(builder._rows) < rows:
        _step(run, number, layers)
        number += 1
    return builder.build()


def data_parallel_run(rows: int, ranks: int = 2, layers: int = LAYERS) -> ExecutionGraph:
    """Give a merged run of some ranks under DDP, as if recorded so; rows of all ranks together."""
    machine = load(MACHINE)
    alone = Scenario(training_run(rows // ranks, layers), machine, machine)
    one = parse_asked(f"ddp:ranks={ranks},link=ib400")(alone).graph
    return merge_ranks([_of_rank(one, rank) for rank in range(ranks)])


def _of_rank(graph: ExecutionGraph, rank: int) -> ExecutionGraph:
    nodes = replace(graph.nodes, rank=np.full(len(graph), rank, dtype=np.int32))
    return replace(graph, nodes=nodes, meta=replace(graph.meta, rank=rank))
