"""A CPU run moved to a device: what becomes a kernel, what the host still does, who waits.

recorded   |aten::linear(  aten::addmm  )|  |relu|     |item|
offloaded  host     |launch|      |launch|        |wait|
           stream 7        [ addmm ]     [ relu ]
"""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etsim.converters.link.linker import link
from etsim.models.errors import NeedsRecordingError
from etsim.models.graph import Category, EdgeKind, ExecutionGraph, LaneKind, Provenance
from etsim.models.offload import DISPATCH_NS, device_bound, needs_offload, offload
from etsim.models.specs import load
from etsim.simulator.replay import replay
from etsim.tests.kineto_maker import WORKER, Recording

A100 = load("a100")
CPU = load("cpu-cloud-2core")
FLOATS = ["float", "float", "float"]
ADDMM: dict[str, Any] = {"shapes": [[64], [32, 128], [128, 64]], "types": FLOATS}
LINEAR: dict[str, Any] = {"shapes": [[32, 128], [64, 128], [64]], "types": FLOATS}
RELU: dict[str, Any] = {"shapes": [[32, 64]], "types": ["float"]}


@dataclass
class Offloaded:
    run: Recording
    graph: ExecutionGraph = field(init=False)
    before: ExecutionGraph = field(init=False)

    def __post_init__(self) -> None:
        self.before = link(self.run.trace()).graph
        self.graph = offload(self.before, A100)

    def kernels(self) -> list[str]:
        return self._named(Category.KERNEL)

    def launches(self) -> list[str]:
        return self._named(Category.LAUNCH)

    def _named(self, category: Category) -> list[str]:
        rows = range(len(self.graph))
        return [
            self.graph.name_of(row) for row in rows if self.graph.nodes.category[row] == category
        ]

    def waits(self, kind: EdgeKind) -> set[tuple[str, str]]:
        graph = self.graph
        return {
            (graph.name_of(source), graph.name_of(row))
            for row in range(len(graph))
            for source, found, _ in graph.predecessors(row)
            if found is kind
        }


def forward() -> Recording:
    run = Recording()
    run.mark("epoch_0", 0, 200)
    run.op("aten::linear", 10, 100, **LINEAR)
    run.op("aten::t", 12, 18, shapes=[[64, 128]], types=["float"])
    run.op("aten::addmm", 20, 90, **ADDMM)
    run.op("aten::relu", 110, 150, **RELU)
    run.mark("epoch_1", 300, 400)
    return run


def test_the_operator_that_does_the_work_is_moved_not_the_one_that_calls_it() -> None:
    moved = Offloaded(forward())
    assert moved.kernels() == moved.launches() == ["aten::addmm", "aten::relu"]
    chosen = device_bound(moved.before)
    assert {moved.before.name_of(row) for row in range(len(chosen)) if chosen[row]} == {
        "aten::addmm", "aten::relu"
    }  # fmt: skip


def test_views_stay_on_the_host() -> None:
    assert "aten::t" not in Offloaded(forward()).kernels()


def test_a_launch_costs_what_the_targets_host_takes() -> None:
    moved = Offloaded(forward())
    graph = moved.graph
    cost = A100.host.launch_cost_ns + round(DISPATCH_NS / A100.host.relative_speed)
    for row in range(len(graph)):
        if graph.nodes.category[row] == Category.LAUNCH:
            assert graph.nodes.duration_ns[row] == cost
            assert graph.nodes.provenance[row] == Provenance.DEFAULT


def test_kernels_follow_their_launch_and_each_other() -> None:
    moved = Offloaded(forward())
    assert moved.waits(EdgeKind.LAUNCH) == {(k, k) for k in ("aten::addmm", "aten::relu")}
    assert moved.waits(EdgeKind.STREAM_ORDER) == {("aten::addmm", "aten::relu")}
    lags = {
        (kind, lag)
        for row in range(len(moved.graph))
        for _, kind, lag in moved.graph.predecessors(row)
        if kind in (EdgeKind.LAUNCH, EdgeKind.STREAM_ORDER)
    }
    assert lags == {
        (EdgeKind.LAUNCH, A100.device.launch_latency_ns),
        (EdgeKind.STREAM_ORDER, A100.device.kernel_gap_ns),
    }


def test_a_step_ends_when_the_device_is_done() -> None:
    """The end mark of epoch 0 waits for relu's kernel, however long that takes."""
    moved = Offloaded(forward())
    assert ("aten::relu", "epoch_0") in moved.waits(EdgeKind.SYNC)
    graph = moved.graph
    durations = graph.nodes.duration_ns.copy()
    kernel = max(r for r in range(len(graph)) if graph.nodes.category[r] == Category.KERNEL)
    durations[kernel] = 10**9
    line = replay(graph, durations)
    assert line.start_ns[graph.steps[0].end_row] >= 10**9


@pytest.mark.parametrize("name", ["aten::item", "aten::_local_scalar_dense", "aten::is_nonzero"])
def test_reading_a_value_back_waits_for_the_device(name: str) -> None:
    run = forward()
    run.op(name, 160, 170, shapes=[[]], types=["float"])
    assert ("aten::relu", name) in Offloaded(run).waits(EdgeKind.SYNC)


def launched_at(run: Recording, name: str) -> int:
    graph = Offloaded(run).graph
    (row,) = [
        row for row in range(len(graph))
        if graph.name_of(row) == name and graph.nodes.category[row] == Category.LAUNCH
    ]  # fmt: skip
    return int(replay(graph).start_ns[row])


def test_what_the_host_does_between_operators_stays() -> None:
    """Python takes 40 us more before relu: so much later it is launched."""
    wider = forward()
    wider.events[4]["ts"] += 40
    assert launched_at(wider, "aten::relu") - launched_at(forward(), "aten::relu") == 40_000


def test_what_passed_inside_a_moved_operator_is_the_devices_now() -> None:
    """addmm took 70 us on the CPU, or 60: its launch takes the same."""
    shorter = forward()
    assert shorter.events[3]["name"] == "aten::addmm"
    shorter.events[3]["dur"] -= 10
    shorter.events[1]["dur"] -= 10
    for event in shorter.events[4:]:
        event["ts"] -= 10
    assert launched_at(shorter, "aten::relu") == launched_at(forward(), "aten::relu")


def test_a_fused_optimizer_step_is_one_launch() -> None:
    run = Recording()
    said = {"shapes": [[[128, 64], [64]], []], "types": ["TensorList", ""]}
    run.op("aten::_foreach_add_", 0, 100, **said)  # type: ignore[arg-type]
    run.op("aten::add_", 10, 40, shapes=[[128, 64], []], types=["float", ""])
    run.op("aten::add_", 50, 80, shapes=[[64], []], types=["float", ""])
    assert Offloaded(run).kernels() == ["aten::_foreach_add_"]


def ddp() -> Recording:
    """Draw an all-reduce on gloo's thread between backward and the optimizer."""
    run = Recording()
    run.op("aten::addmm", 0, 100, **ADDMM)
    run.op("c10d::allreduce_", 100, 110)
    run.mark("gloo:all_reduce", 105, 900, thread=WORKER,
             said={"Input Dims": [[32, 64]], "Input type": ["float"]})  # fmt: skip
    run.op("aten::mm", 115, 200, shapes=[[32, 64], [64, 64]], types=FLOATS)
    run.op("aten::relu", 910, 930, **RELU)
    return run


def test_a_gloo_collective_goes_to_a_stream_of_its_own() -> None:
    moved = Offloaded(ddp())
    graph = moved.graph
    (row,) = [r for r in range(len(graph)) if graph.nodes.category[r] == Category.COLLECTIVE]
    lane = graph.lane_of(row)
    assert (lane.kind, lane.number) == (LaneKind.DEVICE, 20)
    assert ("c10d::allreduce_", "gloo:all_reduce") in moved.waits(EdgeKind.LAUNCH)
    assert ("aten::addmm", "gloo:all_reduce") in moved.waits(EdgeKind.STREAM_WAIT)


def test_the_host_no_longer_waits_for_a_collective_the_next_kernel_does() -> None:
    moved = Offloaded(ddp())
    assert ("gloo:all_reduce", "aten::relu") in moved.waits(EdgeKind.STREAM_WAIT)
    assert not any(s == "gloo:all_reduce" for s, _ in moved.waits(EdgeKind.HANDOVER))
    assert ("gloo:all_reduce", "aten::mm") not in moved.waits(EdgeKind.STREAM_WAIT)


def test_without_shapes_nothing_can_be_priced_and_the_remedy_is_told() -> None:
    run = Recording()
    run.op("aten::addmm", 0, 100)
    with pytest.raises(NeedsRecordingError, match="record_shapes=True"):
        offload(link(run.trace()).graph, A100)


def test_only_a_run_without_device_work_on_an_accelerator_is_offloaded() -> None:
    cpu_run = link(forward().trace()).graph
    assert needs_offload(cpu_run, A100)
    assert not needs_offload(cpu_run, CPU)
    run = forward()
    run.kernel("k", 60, 70, by=run.launch(22, 24))
    assert not needs_offload(link(run.trace()).graph, A100)


NAMED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("aten::addmm", ADDMM),
    ("aten::relu", RELU),
    ("aten::linear", LINEAR),
    ("aten::t", RELU),
    ("aten::item", {}),
    ("aten::_foreach_add_", RELU),
)


@st.composite
def cpu_runs(draw: st.DrawFn) -> Recording:
    """Give operators nested three deep on two threads, collectives on a third."""
    run = Recording()
    run.op("aten::addmm", 0, 1, **ADDMM)  # something to move is always there

    def fill(begin: int, end: int, thread: int, depth: int) -> None:
        cuts = sorted(draw(st.lists(st.integers(begin, end), max_size=6)))
        for left, right in zip(cuts[::2], cuts[1::2], strict=False):
            if left < right:
                name, given_shapes = draw(st.sampled_from(NAMED))
                run.op(name, left, right, thread=thread, **given_shapes)
                if depth < 2:
                    fill(left, right, thread, depth + 1)

    for thread in (1, 2):
        fill(2, 1000, thread, 0)
    now = 50
    for _ in range(draw(st.integers(0, 2))):
        run.op("c10d::allreduce_", 1100 + now, 1101 + now)
        run.mark("gloo:all_reduce", 1101 + now, 1140 + now, thread=3,
                 said={"Input Dims": [[32, 64]], "Input type": ["float"]})  # fmt: skip
        now += 100
    run.op("aten::relu", 2000, 2010, **RELU)
    return run


@settings(max_examples=60, deadline=None)
@given(cpu_runs())
def test_an_offloaded_graph_keeps_every_rule(run: Recording) -> None:
    """Acyclic, one launch a kernel, every kernel on the compute stream in order."""
    moved = Offloaded(run)
    graph = moved.graph.checked()
    assert moved.launches() == moved.kernels()
    assert len(moved.kernels()) == int(device_bound(moved.before).sum())
    assert needs_offload(replace(graph, lanes=moved.before.lanes), A100)
    assert replay(graph).makespan_ns >= 0
