"""Launch edges, stream order, graph launches, backlog: what puts a kernel where it stands."""

import pytest

from etsim.models.graph import Category, EdgeKind
from etsim.tests.kineto_maker import WORKER, Recording, Seen


def test_a_launch_is_found_by_its_correlation_not_by_time() -> None:
    """Two launches, their kernels on two streams and in the opposite order.

    host      |A||B|
    stream 7           [a]
    stream 8       [b]
    """
    run = Recording()
    a, b = run.launch(0, 5, name="launchA"), run.launch(6, 10, name="launchB")
    run.kernel("a", 40, 50, by=a, stream=7)
    run.kernel("b", 20, 30, by=b, stream=8)
    seen = run.linked()
    assert seen.edges(EdgeKind.LAUNCH) == {("launchA", "a"), ("launchB", "b")}
    assert seen.edges(EdgeKind.STREAM_ORDER) == set()


def told_by_operators(kernel_start: int = 20) -> Seen:
    """Draw a trace without runtime calls whose kernel names the operator around its launch."""
    run = Recording()
    outer = run.op("outer", 0, 40)
    inner = run.op("inner", 10, 30)
    assert outer != inner
    run.kernel("k", kernel_start, 120, said={"External id": inner})
    return run.linked()


def test_without_runtime_calls_the_operator_launched_the_kernel() -> None:
    seen = told_by_operators()
    assert seen.edges(EdgeKind.LAUNCH) == {("inner", "k")}
    assert seen.graph.nodes.category[seen.row("inner")] == Category.HOST


@pytest.mark.parametrize(("start", "launched"), [(10, True), (9, False)])
def test_no_operator_launched_what_ran_before_it(start: int, *, launched: bool) -> None:
    assert bool(told_by_operators(start).edges(EdgeKind.LAUNCH)) is launched


def test_kernels_of_one_stream_run_in_order_and_streams_do_not_wait_for_each_other() -> None:
    """Draw two streams.

    stream 7   [a][b]   [c]
    stream 8      [x]
    """
    run = Recording()
    for name, start, end, stream in (
        ("a", 20, 30, 7), ("b", 30, 40, 7), ("c", 60, 70, 7), ("x", 30, 40, 8)
    ):  # fmt: skip
        launched = start / 10
        run.kernel(name, start, end, by=run.launch(launched, launched + 0.1), stream=stream)
    assert run.linked().edges(EdgeKind.STREAM_ORDER) == {("a", "b"), ("b", "c")}


def test_the_same_stream_number_on_two_devices_is_two_streams() -> None:
    run = Recording()
    run.kernel("a", 20, 30, by=run.launch(0, 1), device=0)
    run.kernel("b", 30, 40, by=run.launch(2, 3), device=1)
    assert run.linked().edges(EdgeKind.STREAM_ORDER) == set()


def test_one_graph_launch_launches_all_of_its_kernels() -> None:
    """Draw a CUDA graph: one correlation, three kernels on two streams.

    host      |cudaGraphLaunch|
    stream 7                   [a]   [c]
    stream 8                      [b]
    """
    run = Recording()
    graph = run.launch(0, 10, name="cudaGraphLaunch")
    run.kernel("a", 15, 20, by=graph)
    run.kernel("b", 21, 25, by=graph, stream=8)
    run.kernel("c", 26, 30, by=graph)
    seen = run.linked()
    assert seen.edges(EdgeKind.LAUNCH) == {("cudaGraphLaunch", name) for name in "abc"}
    assert int((seen.graph.nodes.category == Category.LAUNCH).sum()) == 1


def test_a_launch_keeps_its_measured_latency() -> None:
    """The kernel starts 7 us after its launch call ended, and 3 us before it in another."""
    late, early = Recording(), Recording()
    late.kernel("k", 12, 20, by=late.launch(0, 5))
    early.kernel("k", 7, 20, by=early.launch(0, 10))
    assert late.linked().lag_us("cudaLaunchKernel", "k") == 7
    assert early.linked().lag_us("cudaLaunchKernel", "k") == -3


def test_rows_stand_in_issue_order_each_kernel_behind_its_launch() -> None:
    run = Recording()
    first, second = run.launch(0, 5, name="L1"), run.launch(6, 9, name="L2")
    run.kernel("k1", 100, 200, by=first)
    run.kernel("k2", 200, 300, by=second)
    run.op("later", 10, 20)
    assert run.linked().order() == ["L1", "k1", "L2", "k2", "later"]


def test_a_stream_that_runs_against_the_launch_order_keeps_its_own_order() -> None:
    """Two threads launch on one stream; the later call's kernel runs first.

    main      |  L1  |                 rows: L1 ... L2 k2 k1: k1 stands behind both
    worker       |L2|
    stream             [k2][k1]
    """
    run = Recording()
    first = run.launch(0, 10, name="L1")
    second = run.launch(2, 4, name="L2", thread=WORKER)
    run.kernel("k2", 20, 30, by=second)
    run.kernel("k1", 30, 40, by=first)
    seen = run.linked()
    assert seen.order() == ["L1", "L2", "k2", "k1"]
    assert seen.edges(EdgeKind.LAUNCH) == {("L1", "k1"), ("L2", "k2")}
    assert seen.edges(EdgeKind.STREAM_ORDER) == {("k2", "k1")}


def backlog(gap_us: float) -> Seen:
    """Draw kernels whose launches stand before the window, then one that has its launch.

    host                       |launch|
    stream    [old1] gap [old2]         [k]
    """
    run = Recording()
    run.kernel("old1", 0, 50)
    run.kernel("old2", 50 + gap_us, 100 + gap_us)
    run.kernel("k", 200, 300, by=run.launch(110, 115))
    return run.linked()


def test_backlog_stands_at_the_front_and_starts_when_measured() -> None:
    seen = backlog(gap_us=2)
    assert seen.order() == ["old1", "old2", "cudaLaunchKernel", "k"]
    assert ("window", "old1") in seen.edges(EdgeKind.EXTERNAL)
    assert seen.edges(EdgeKind.STREAM_ORDER) == {("old1", "old2"), ("old2", "k")}
    assert any(note.startswith("2 device events have no launch") for note in seen.graph.meta.notes)


@pytest.mark.parametrize(("gap_us", "external"), [(10, False), (10.001, True)])
def test_a_gap_in_the_backlog_waited_for_a_launch_outside_the_window(
    gap_us: float, *, external: bool
) -> None:
    """A gap of up to 10 us is the device's turn-round; a longer one is work that is not seen."""
    assert (("window", "old2") in backlog(gap_us).edges(EdgeKind.EXTERNAL)) is external


@pytest.mark.parametrize(("wait_us", "external"), [(1000, False), (1000.001, True)])
def test_a_first_kernel_that_waits_over_a_millisecond_waited_for_unseen_work(
    wait_us: float, *, external: bool
) -> None:
    run = Recording()
    run.kernel("k", 10 + wait_us, 2000 + wait_us, by=run.launch(0, 10))
    assert (("window", "k") in run.linked().edges(EdgeKind.EXTERNAL)) is external


def test_a_first_kernel_that_waits_for_another_stream_waited_for_nothing_unseen() -> None:
    """The all-reduce starts 3 ms after its launch, just when the kernel it waits for is done.

    host      L(a) record wait L(reduce)
    stream 7  [------------ a ------------]
    stream 20                              [reduce]
    """
    run = Recording()
    run.kernel("a", 10, 3010, by=run.launch(0, 5), stream=7)
    run.call("cudaEventRecord", 6, 7)
    run.call("cudaStreamWaitEvent", 8, 9)
    run.kernel("reduce", 3012, 3100, by=run.launch(10, 15), stream=20)
    seen = run.linked()
    assert ("a", "reduce") in seen.edges(EdgeKind.STREAM_WAIT)
    assert ("window", "reduce") not in seen.edges(EdgeKind.EXTERNAL)


@pytest.mark.parametrize(("latency_us", "typical_us"), [(299, 299), (300, 7)])
def test_a_latency_of_300_us_and_more_is_no_latency(latency_us: int, typical_us: int) -> None:
    """What is longer had another reason, and must not become the usual cost: 7 us then."""
    run = Recording()
    run.kernel("k", 10 + latency_us, 20 + latency_us, by=run.launch(0, 10))
    assert run.linked().linked.reasons.rows.latency_ns == typical_us * 1000


@pytest.mark.parametrize(("gap_us", "typical_ns"), [(19.999, 19_999), (20, 1_200)])
def test_a_gap_of_20_us_and_more_is_no_turn_round(gap_us: float, typical_ns: int) -> None:
    run = Recording()
    run.kernel("a", 20, 30, by=run.launch(0, 1))
    run.kernel("b", 30 + gap_us, 90, by=run.launch(2, 3))
    assert run.linked().linked.reasons.rows.gap_ns == typical_ns


def test_latencies_are_measured_on_an_idle_stream_only() -> None:
    """The second kernel starts 96 us after its launch because the first still runs."""
    run = Recording()
    run.kernel("a", 10, 100, by=run.launch(0, 4))
    run.kernel("b", 101, 110, by=run.launch(4, 5))
    assert run.linked().linked.reasons.rows.latency_ns == 6_000


def test_all_device_events_survive_whatever_they_are() -> None:
    run = Recording()
    by = run.launch(0, 5)
    for index, cat in enumerate(("kernel", "gpu_memcpy", "gpu_memset")):
        run.kernel(cat, 10 + 10 * index, 15 + 10 * index, by=by, cat=cat, said={"bytes": 4096})
    graph = run.graph()
    on_device = graph.on_device()
    assert graph.nodes.category[on_device].tolist() == [
        Category.KERNEL, Category.MEMCPY, Category.MEMSET
    ]  # fmt: skip
    assert graph.nodes.bytes[on_device].tolist() == [4096, 4096, 4096]
