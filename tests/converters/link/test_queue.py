"""The launch queue: what a full queue holds up, and how its depth is learnt.

host    L0 L1 ... |---- L(depth) stalls ----|
stream    [k0                              ][k1 ...
"""

import pytest

from etsim.converters.link.queue import DEFAULT_DEPTH
from etsim.models.graph import EdgeKind
from etsim.simulator.replay import replay
from etsim.tests.kineto_maker import Recording, Seen

LAUNCH_US = 5
KERNEL_US = 200


def full_queue(
    launches: int, depth: int, *, kernel_us: float = KERNEL_US, name: str = "cudaLaunchKernel"
) -> Seen:
    """Run a queue: launch i returns once kernel i - depth is done; k0 runs until it is full."""
    run = Recording()
    now = 0.0
    device = 0.0
    ends: list[float] = []
    for index in range(launches):
        begin = now
        room = ends[index - depth] if index >= depth else 0.0
        now = max(begin, room) + LAUNCH_US
        start = max(device, now)
        device = start + (kernel_us if index else depth * LAUNCH_US + 1000)
        run.kernel(f"k{index}", start, device, by=run.launch(begin, now, name=name))
        ends.append(device)
    return run.linked()


def halved_kernels(seen: Seen) -> float:
    graph = seen.graph
    duration = graph.nodes.duration_ns // (1 + graph.on_device())
    return replay(graph, duration).makespan_ns / replay(graph).makespan_ns


def test_a_stalled_launch_waits_for_the_kernel_1024_before() -> None:
    seen = full_queue(1027, DEFAULT_DEPTH)
    assert seen.linked.reasons.queue.depth == 1024
    assert seen.linked.reasons.queue.stalled == 3
    (source,) = [
        seen.graph.name_of(row)
        for row, kind, _ in seen.graph.predecessors(seen.row("cudaLaunchKernel", 1024))
        if kind is EdgeKind.QUEUE_DEPTH
    ]
    assert source == "k0"
    assert seen.duration_us("cudaLaunchKernel", 1024) == LAUNCH_US


def test_1024_launches_fit_without_any_wait() -> None:
    seen = full_queue(1024, DEFAULT_DEPTH)
    assert seen.edges(EdgeKind.QUEUE_DEPTH) == set()
    assert seen.linked.reasons.queue.stalled == 0


def test_stalls_are_not_kept_as_host_time() -> None:
    """With kernels twice as fast a device-bound run takes half: 1.1 s of kernels behind 6 ms."""
    seen = full_queue(1100, DEFAULT_DEPTH, kernel_us=1000)
    assert halved_kernels(seen) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(("stalls", "depth"), [(10, 600), (9, DEFAULT_DEPTH)])
def test_ten_stalls_tell_the_depth_better_than_the_default(stalls: int, depth: int) -> None:
    assert full_queue(600 + stalls, 600).linked.reasons.queue.depth == depth


@pytest.mark.parametrize(("outstanding", "learnt"), [(502, True), (501, False)])
def test_stalls_behind_500_others_or_fewer_have_another_reason(
    outstanding: int, *, learnt: bool
) -> None:
    queue = full_queue(outstanding + 20, outstanding).linked.reasons.queue
    assert (queue.depth == outstanding) is learnt


@pytest.mark.parametrize(("kernel_us", "stalled"), [(100, 1), (100.001, 4)])
def test_a_launch_of_up_to_100_us_was_not_held_up(kernel_us: float, stalled: int) -> None:
    """In a full queue a launch takes as long as a kernel; the first one waits for k0."""
    seen = full_queue(DEFAULT_DEPTH + 4, DEFAULT_DEPTH, kernel_us=kernel_us)
    assert seen.linked.reasons.queue.stalled == stalled


def test_hip_has_no_such_queue() -> None:
    seen = full_queue(1100, DEFAULT_DEPTH, name="hipLaunchKernel")
    assert seen.edges(EdgeKind.QUEUE_DEPTH) == set()
    assert seen.graph.meta.property("runtime") == "hip"


def test_a_graph_launch_takes_one_place_in_the_queue() -> None:
    """Two thousand kernels by two graph launches do not fill the queue."""
    run = Recording()
    device = 20.0
    for index in range(2):
        call = run.launch(index * 10, index * 10 + 5, name="cudaGraphLaunch")
        for _ in range(1100):
            run.kernel("k", device, device + 1, by=call)
            device += 1
    assert run.linked().edges(EdgeKind.QUEUE_DEPTH) == set()
