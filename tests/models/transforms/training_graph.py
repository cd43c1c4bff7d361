"""A training run drawn by hand: layers of one product each, on a host alone or with a device.

step | F0 F1 | B1 a1 B0 a0 | Optimizer.step o0 o1 | end        F, B: products; a: AccumulateGrad
"""

from dataclasses import replace

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
from etsim.models.hardware import Hardware
from etsim.models.specs import load
from etsim.models.transforms.catalogue import parse_asked
from etsim.models.transforms.edit import sound
from etsim.models.transforms.scenario import Scenario

US = 1000
FORWARD_NS, BACKWARD_NS, ACCUMULATE_NS, OPTIMIZER_NS = 100 * US, 200 * US, 1 * US, 10 * US
LAUNCH_NS = 5 * US
BATCH, WIDTH = 16, 512
PARAMETER_BYTES = 4 * WIDTH * WIDTH
FLOATS = ("float", "float")


def product(rows: int, inner: int, columns: int) -> Operator:
    return Operator("aten::mm", input_shapes=((rows, inner), (inner, columns)), input_types=FLOATS)


ACCUMULATE = Operator(
    "torch::autograd::AccumulateGrad", input_shapes=((WIDTH, WIDTH),), input_types=("float",)
)
UPDATE = Operator("aten::add_", input_shapes=((WIDTH, WIDTH), (WIDTH, WIDTH)), input_types=FLOATS)


class _Run:
    def __init__(self, *, device: bool, rank: int, world_size: int) -> None:
        name = "NVIDIA A100-SXM4-80GB" if device else ""
        self.builder = GraphBuilder(GraphMeta(rank=rank, world_size=world_size, source_device=name))
        self.rank = rank
        virtual = self.builder.lane(LaneKind.VIRTUAL, 0, 0)
        self.host = self.builder.lane(LaneKind.HOST, 1, 1)
        self.stream = self.builder.lane(LaneKind.DEVICE, 0, 7) if device else NONE
        self.before = self.builder.add("window", virtual, category=Category.ORIGIN, rank=rank)
        self.kernel = NONE
        self.clock = 0

    def _on_host(
        self, name: str, duration_ns: int, category: Category, **columns: int | Operator | str
    ) -> int:
        first = self.builder._rows[self.before]["category"] == Category.ORIGIN
        kind = EdgeKind.EXTERNAL if first else EdgeKind.HOST_ORDER
        self.before = self.builder.add(
            name, self.host, duration_ns=duration_ns, category=category,
            after=[(self.before, kind, 0)], rank=self.rank, start_ns=self.clock, **columns,
        )  # fmt: skip
        self.clock += duration_ns
        return self.before

    def mark(self, name: str, **columns: int | str) -> int:
        return self._on_host(name, 0, Category.ANNOTATION, **columns)

    def wait(self, name: str) -> int:
        """A step's end waits for the device."""
        row = self._on_host(name, 0, Category.SYNC if self.kernel != NONE else Category.ANNOTATION)
        if self.kernel != NONE:
            self.builder._edges[row].append((self.kernel, EdgeKind.SYNC, 0))
        return row

    def work(self, duration_ns: int, operator: Operator, **columns: int | str) -> int:
        """An operator: a host row, or a launch and its kernel."""
        if self.stream == NONE:
            return self._on_host(
                operator.name, duration_ns, Category.HOST, operator=operator, **columns
            )
        launch = self._on_host(operator.name, LAUNCH_NS, Category.LAUNCH, **columns)
        after = [(launch, EdgeKind.LAUNCH, 0)]
        if self.kernel != NONE:
            after.append((self.kernel, EdgeKind.STREAM_ORDER, 0))
        self.kernel = self.builder.add(
            operator.name, self.stream, duration_ns=duration_ns, category=Category.KERNEL,
            after=after, operator=operator, parent=launch, rank=self.rank, start_ns=self.clock,
            **columns,
        )  # fmt: skip
        return launch

    def plain(self, duration_ns: int, operator: Operator, **columns: int | str) -> int:
        return self._on_host(
            operator.name, duration_ns, Category.HOST, operator=operator, **columns
        )


def training_run(
    layers: int = 2,
    steps: int = 1,
    *,
    device: bool = False,
    rank: int = 0,
    world_size: int = 1,
    modules: bool = True,
) -> ExecutionGraph:
    run = _Run(device=device, rank=rank, world_size=world_size)
    for step in range(steps):
        begin = run.mark(f"step_{step}")
        for layer in range(layers):
            place = {"module": f"Net_0/Block_{layer}/Linear_0"} if modules else {}
            run.work(FORWARD_NS, product(BATCH, WIDTH, WIDTH), phase="forward", **place)
        for layer in reversed(range(layers)):
            place = {"module": f"Net_0/Block_{layer}/Linear_0"} if modules else {}
            run.work(BACKWARD_NS, product(WIDTH, BATCH, WIDTH), phase="backward", **place)
            run.plain(ACCUMULATE_NS, ACCUMULATE, phase="backward")
        run.mark("Optimizer.step#SGD.step", phase="optimizer")
        for _ in range(layers):
            run.work(OPTIMIZER_NS, UPDATE, phase="optimizer")
        end = run.wait(f"end_{step}")
        run.builder.step(f"step_{step}", begin, end)
    return run.builder.build()


def step_ns(layers: int) -> int:
    """The time of one step of a run without a device."""
    return layers * (FORWARD_NS + BACKWARD_NS + ACCUMULATE_NS + OPTIMIZER_NS)


def host_machine() -> Hardware:
    """A CPU with cores to spare for collectives."""
    machine = load("cpu-cloud-2core")
    return replace(machine, host=replace(machine.host, cores=64))


def scenario_of(graph: ExecutionGraph) -> Scenario:
    machine = load("a100") if graph.on_device().any() else host_machine()
    return Scenario(graph, machine, machine)


def applied(graph: ExecutionGraph, *asked: str) -> ExecutionGraph:
    """Apply transforms on the machine itself; each result is checked."""
    return applied_to(scenario_of(graph), *asked).graph


def applied_to(scenario: Scenario, *asked: str) -> Scenario:
    for text in asked:
        scenario = parse_asked(text)(scenario)
        sound(scenario.graph, text)
    return scenario


def without_shapes(graph: ExecutionGraph) -> ExecutionGraph:
    bare = tuple(replace(op, input_shapes=()) for op in graph.operators)
    return replace(graph, operators=bare)


def names(graph: ExecutionGraph, part: str = "") -> list[str]:
    return [graph.name_of(row) for row in range(len(graph)) if part in graph.name_of(row)]


def rows_named(graph: ExecutionGraph, part: str) -> list[int]:
    return [row for row in range(len(graph)) if part in graph.name_of(row)]
