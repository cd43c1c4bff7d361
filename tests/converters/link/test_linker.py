"""Whatever a trace holds: an acyclic graph of all events that replays to what was measured.

Random recordings: two host threads with nested operators, launches, waits and copies, kernels on
two streams, some without a launch. They mean nothing; the rules must hold for any of them.
"""

from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etsim.converters.link.rows import edge_block
from etsim.models.graph import Category, EdgeKind, ExecutionGraph, LaneKind
from etsim.simulator.replay import replay
from etsim.tests.kineto_maker import MAIN, WORKER, Recording

CALLS = (
    "cudaLaunchKernel", "cudaMemcpyAsync", "cudaStreamSynchronize", "cudaDeviceSynchronize",
    "cudaEventRecord", "cudaStreamWaitEvent", "hipMemcpyWithStream", "cudaEventSynchronize",
)  # fmt: skip
KINDS = ("kernel", "gpu_memcpy", "gpu_memset")


def _fill(draw: st.DrawFn, run: Recording, thread: int) -> list[int]:
    """Put operators with calls in them on a thread; gives the calls' correlations."""
    calls = []
    now = draw(st.integers(0, 50))
    for index in range(draw(st.integers(0, 6))):
        length = draw(st.integers(1, 400))
        add = draw(st.sampled_from((run.op, run.mark)))
        add(draw(st.sampled_from(("a", "b", f"epoch_{index}", "c10d::x"))), now, now + length,
            thread=thread)  # fmt: skip
        inside = sorted(draw(st.lists(st.integers(now, now + length), max_size=4)))
        for begin, end in zip(inside[::2], inside[1::2], strict=False):
            if begin < end:
                call = draw(st.sampled_from(CALLS))
                calls.append(run.call(call, begin, end, thread=thread))
        now += length + draw(st.sampled_from((0, 1, 90, 300)))
    return calls


@st.composite
def recordings(draw: st.DrawFn) -> Recording:
    run = Recording()
    calls = _fill(draw, run, MAIN) + _fill(draw, run, WORKER)
    for stream in (7, 8):
        now = draw(st.integers(0, 100))
        for _ in range(draw(st.integers(0, 5))):
            length = draw(st.integers(0, 300))
            by = draw(st.sampled_from([0, *calls]))
            cat = draw(st.sampled_from(KINDS))
            run.kernel(f"k{stream}", now, now + length, by=by, stream=stream, cat=cat)
            now += length + draw(st.sampled_from((0, 2, 50)))
    return run


@settings(max_examples=60, deadline=None)
@given(recordings())
def test_every_event_is_a_row_and_no_edge_goes_backwards(run: Recording) -> None:
    """Beside the events there are the origin, a wait per blocking copy, an end mark per step."""
    seen = run.linked()
    graph = seen.graph.checked()
    names = [graph.name_of(row) for row in range(len(graph))]
    assert sum(name.startswith("k") for name in names) == sum(
        event["cat"] in KINDS for event in run.events
    )
    waits_of_copies = int(
        sum(graph.nodes.category[row] == Category.SYNC and "Memcpy" in names[row]
            for row in range(len(graph)))
    )  # fmt: skip
    assert len(graph) == 1 + len(run.events) + waits_of_copies + len(graph.steps)


@settings(max_examples=60, deadline=None)
@given(recordings())
def test_the_unchanged_graph_replays_to_what_was_measured(run: Recording) -> None:
    graph = run.graph()
    assert replay(graph).start_ns.tolist() == graph.nodes.start_ns.tolist()
    assert (graph.nodes.duration_ns >= 0).all()


@settings(max_examples=40, deadline=None)
@given(recordings())
def test_lanes_never_run_two_rows_at_once(run: Recording) -> None:
    """Waiting is taken out and nested time given to one row each, so a lane's rows follow."""
    graph = run.graph()
    end = graph.nodes.start_ns + graph.nodes.duration_ns
    for lane, kind in enumerate(graph.lanes):
        rows = np.flatnonzero(graph.nodes.lane == lane)
        if kind.kind is LaneKind.HOST:
            busy = rows[graph.nodes.duration_ns[rows] > 0]
            assert (graph.nodes.start_ns[busy[1:]] >= end[busy[:-1]]).all()


@settings(max_examples=40, deadline=None)
@given(recordings())
def test_every_lane_is_a_chain(run: Recording) -> None:
    """Each row but a lane's first waits for the one before it: order is never lost."""
    graph = run.graph()
    order = {EdgeKind.HOST_ORDER, EdgeKind.STREAM_ORDER}
    for lane in range(1, len(graph.lanes)):
        rows = np.flatnonzero(graph.nodes.lane == lane).tolist()
        for before, row in pairwise(rows):
            waits_for = {p for p, kind, _ in graph.predecessors(row) if kind in order}
            assert before in waits_for


@settings(max_examples=25, deadline=None)
@given(recordings(), st.integers(0, 10**6))
def test_where_the_clock_starts_changes_nothing(run: Recording, shift_us: int) -> None:
    plain = run.graph()
    run.events = [{**event, "ts": event["ts"] + shift_us} for event in run.events]
    moved = run.graph()
    assert plain.edge_source.tolist() == moved.edge_source.tolist()
    assert plain.edge_lag_ns.tolist() == moved.edge_lag_ns.tolist()
    assert plain.nodes.start_ns.tolist() == moved.nodes.start_ns.tolist()


@settings(max_examples=25, deadline=None)
@given(recordings(), st.randoms())
def test_the_order_of_events_in_the_file_changes_no_time(run: Recording, random: Random) -> None:
    """Kineto writes events in no promised order."""
    plain = run.graph()
    random.shuffle(run.events)
    moved = run.graph()
    assert len(plain) == len(moved)
    assert sorted(plain.nodes.start_ns.tolist()) == sorted(moved.nodes.start_ns.tolist())
    assert replay(plain).makespan_ns == replay(moved).makespan_ns


def hip() -> ExecutionGraph:
    """Draw ROCm's names: a launch, a kernel, a copy that blocks its call."""
    run = Recording()
    run.op("aten::item", 0, 200)
    run.kernel("Cijk_Ailk", 20, 120, by=run.launch(5, 10, name="hipExtModuleLaunchKernel"))
    run.kernel("CopyDeviceToHost", 120, 130, cat="gpu_memcpy",
               by=run.call("hipMemcpyWithStream", 12, 140))  # fmt: skip
    return run.graph()


def test_hip_is_known_by_its_calls() -> None:
    graph = hip()
    assert graph.meta.property("runtime") == "hip"
    kinds = [EdgeKind(kind) for kind in graph.edge_kind.tolist()]
    assert kinds.count(EdgeKind.LAUNCH) == 2
    assert kinds.count(EdgeKind.SYNC) == 1


def test_hip_is_known_by_the_headers_version_too() -> None:
    run = Recording(top={"hip_runtime_version": 60342131})
    run.kernel("k", 20, 30, by=run.launch(0, 5))
    assert run.graph().meta.property("runtime") == "hip"


def test_a_cuda_run_says_so_and_a_cpu_run_says_nothing() -> None:
    run = Recording()
    run.op("aten::mm", 0, 10)
    assert run.graph().meta.property("runtime") == ""
    run.kernel("k", 20, 30, by=run.launch(11, 12))
    assert run.graph().meta.property("runtime") == "cuda"


def test_a_trace_of_kernels_alone_replays() -> None:
    run = Recording()
    run.kernel("a", 0, 10)
    run.kernel("b", 500, 510)
    graph = run.graph()
    assert replay(graph).makespan_ns == 510_000


def test_an_idle_device_that_nothing_explains_is_told() -> None:
    """Two kernels launched early, the second late: 400 us are nobody's."""
    run = Recording()
    first, second = run.launch(0, 5), run.launch(6, 10)
    run.kernel("a", 20, 30, by=first)
    run.kernel("b", 430, 440, by=second)
    (note,) = run.graph().meta.notes
    assert note.endswith("ms of device waiting is explained by no edge")


@pytest.mark.parametrize("lag", [7, [7, 7]])
def test_one_lag_serves_all_edges_of_a_block(lag: object) -> None:
    block = edge_block(EdgeKind.LAUNCH, [0, 1], [2, 3], lag)  # type: ignore[arg-type]
    assert block.lag_ns.tolist() == [7, 7]


def test_meta_tells_where_and_on_what_the_run_was_recorded() -> None:
    run = Recording(rank=3, world_size=8, top={"host_name": "node-a"})
    run.kernel("k", 20, 30, by=run.launch(0, 5))
    meta = run.graph().meta
    assert (meta.rank, meta.world_size) == (3, 8)
    assert meta.source_device == "NVIDIA A100-SXM4-80GB"
    assert meta.device_memory_bytes == 80 * 2**30
    assert meta.property("host_name") == "node-a"
    assert meta.clock_base_ns == 1_700_000_000_000_000_000
