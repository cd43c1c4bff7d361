"""Who waited for what: each kind of wait, told by the trace or found from the times."""

from typing import Any

import pytest

from etsim.converters.link.sync import Certainty
from etsim.models.graph import Category, EdgeKind
from etsim.simulator.replay import replay
from etsim.tests.kineto_maker import Micros, Recording, Seen


def two_streams(
    name: str, start: Micros, end: Micros, *, long_end: Micros = 100, **record: Any
) -> Seen:
    """Draw two streams and a wait; `short` ends at 60, `long` at 100.

    host      L L  |---- wait ----|
    stream 7     [short]
    stream 8     [    long    ]
    """
    run = Recording()
    run.kernel("short", 10, 60, by=run.launch(0, 2))
    run.kernel("long", 10, long_end, by=run.launch(3, 5), stream=8)
    run.sync(name, start, end, **record)
    return run.linked()


def waits(seen: Seen) -> set[tuple[str, str]]:
    return seen.edges(EdgeKind.SYNC)


def certainty(seen: Seen) -> list[Certainty]:
    return [found for _, found in seen.linked.reasons.syncs.target_of_row.values()]


@pytest.mark.parametrize(
    "name", ["cudaDeviceSynchronize", "hipDeviceSynchronize", "cuCtxSynchronize"]
)
def test_a_device_sync_waits_for_every_stream(name: str) -> None:
    seen = two_streams(name, 20, 105)
    assert waits(seen) == {("short", name), ("long", name)}
    assert certainty(seen) == [Certainty.RECORDED]


def test_a_device_sync_waits_for_its_own_process_alone() -> None:
    """Two processes in one file: the other's device is none of this one's business."""
    run = Recording()
    run.kernel("mine", 10, 60, by=run.launch(0, 5))
    run.pid += 1
    run.kernel("other", 10, 90, by=run.launch(0, 5), device=1)
    run.pid -= 1
    run.sync("cudaDeviceSynchronize", 20, 70)
    run.kernel("unknown", 1, 3, device=2)
    assert waits(run.linked()) == {
        ("mine", "cudaDeviceSynchronize"), ("unknown", "cudaDeviceSynchronize")
    }  # fmt: skip


def test_two_processes_that_number_alike_may_wait_for_each_others_work() -> None:
    """Who launched what is a guess then, so no stream is ruled out."""
    run = Recording()
    run.kernel("mine", 10, 60, by=run.launch(0, 5))
    other = Recording(pid=run.pid + 1)
    other.kernel("other", 12, 65, by=other.launch(0, 5), device=1)
    run.sync("cudaDeviceSynchronize", 20, 70)
    run.events += other.events
    assert waits(run.linked()) == {
        ("mine", "cudaDeviceSynchronize"), ("other", "cudaDeviceSynchronize")
    }  # fmt: skip


def test_what_a_wait_costs_is_what_follows_the_work() -> None:
    """The wait ends 5 us after the kernel: that is its own time, the rest is waiting."""
    seen = two_streams("cudaDeviceSynchronize", 20, 105)
    assert seen.start_us("cudaDeviceSynchronize") == 100
    assert seen.duration_us("cudaDeviceSynchronize") == 5
    row = seen.row("cudaDeviceSynchronize")
    assert seen.graph.nodes.category[row] == Category.SYNC


def test_a_wait_that_finds_the_work_done_keeps_all_of_its_time() -> None:
    seen = two_streams("cudaDeviceSynchronize", 200, 205)
    assert seen.duration_us("cudaDeviceSynchronize") == 5
    assert waits(seen) == {(name, "cudaDeviceSynchronize") for name in ("short", "long")}


def test_a_recorded_stream_sync_waits_for_that_stream_alone() -> None:
    """The times would speak for `long`; the record says stream 7."""
    seen = two_streams("cudaStreamSynchronize", 20, 105, cuda_sync_kind="Stream Sync", stream=7)
    assert waits(seen) == {("short", "cudaStreamSynchronize")}
    assert certainty(seen) == [Certainty.RECORDED]


def test_a_recorded_context_sync_waits_for_every_stream() -> None:
    seen = two_streams(
        "cudaStreamSynchronize", 20, 105, cuda_sync_kind="Context Sync", stream=4294967295
    )
    assert len(waits(seen)) == 2


def test_an_unrecorded_stream_sync_waits_for_the_work_that_ends_inside_it() -> None:
    seen = two_streams("cudaStreamSynchronize", 70, 105)
    assert waits(seen) == {("long", "cudaStreamSynchronize")}
    assert certainty(seen) == [Certainty.LIKELY]


def test_an_unrecorded_wait_in_which_nothing_ends_is_a_guess_and_told() -> None:
    seen = two_streams("cudaStreamSynchronize", 110, 115)
    assert waits(seen) == {("long", "cudaStreamSynchronize")}
    assert certainty(seen) == [Certainty.GUESSED]
    assert "1 waits have a guessed target" in seen.graph.meta.notes


@pytest.mark.parametrize(("late_us", "linked_to"), [(2, "long"), (2.001, "short")])
def test_work_that_ends_up_to_2_us_after_the_wait_may_be_its_target(
    late_us: float, linked_to: str
) -> None:
    """Host and device have two clocks: a wait may seem to end a little before its work."""
    seen = two_streams("cudaStreamSynchronize", 20, 100, long_end=100 + late_us)
    assert waits(seen) == {(linked_to, "cudaStreamSynchronize")}


def event_sync(**record: Any) -> Seen:
    """Draw an event recorded between two kernels of one stream.

    host      L(a) record L(b)  |eventSync|
    stream      [   a   ][     b     ]
    """
    run = Recording()
    run.kernel("a", 10, 50, by=run.launch(0, 2))
    recorded = run.call("cudaEventRecord", 3, 4)
    run.kernel("b", 50, 200, by=run.launch(5, 7))
    told = {**record, "wait_on_cuda_event_record_corr_id": recorded} if record else {}
    run.sync("cudaEventSynchronize", 10, 55, **told)
    return run.linked()


def test_a_recorded_event_sync_waits_for_what_was_launched_before_the_record() -> None:
    seen = event_sync(cuda_sync_kind="Event Sync", wait_on_stream=7, stream=-1)
    assert waits(seen) == {("a", "cudaEventSynchronize")}
    assert seen.duration_us("cudaEventSynchronize") == 5


def test_an_unrecorded_event_sync_waits_for_the_last_work_that_ended() -> None:
    assert waits(event_sync()) == {("a", "cudaEventSynchronize")}


@pytest.mark.parametrize(("length_us", "unseen"), [(100, False), (100.001, True)])
def test_a_wait_without_any_work_beyond_100_us_was_for_unseen_work(
    length_us: float, *, unseen: bool
) -> None:
    """Nothing in the file explains it: it ends when measured, whatever the host does."""
    run = Recording()
    run.op("before", 0, 10)
    run.sync("cudaDeviceSynchronize", 10, 10 + length_us)
    seen = run.linked()
    external = ("window", "cudaDeviceSynchronize") in seen.edges(EdgeKind.EXTERNAL)
    assert external is unseen
    assert seen.duration_us("cudaDeviceSynchronize") == (0 if unseen else 100)
    if unseen:
        assert "1 waits were for work outside the window (external)" in seen.graph.meta.notes


def test_a_long_wait_that_finds_the_work_done_is_the_calls_own() -> None:
    """Nobody else's work is waited for: the call moves with its thread."""
    run = Recording()
    run.kernel("k", 10, 20, by=run.launch(0, 5))
    run.op("before", 30, 50)
    run.sync("cudaDeviceSynchronize", 60, 260)
    seen = run.linked()
    assert ("window", "cudaDeviceSynchronize") not in seen.edges(EdgeKind.EXTERNAL)
    assert seen.duration_us("cudaDeviceSynchronize") == 200


@pytest.mark.parametrize(("late_us", "found"), [(200, True), (200.001, False)])
def test_clocks_may_have_drifted_by_200_us(late_us: float, *, found: bool) -> None:
    """The one stream's work ends after the wait for it: nothing else can have been waited for."""
    run = Recording()
    run.kernel("k", 10, 500 + late_us, by=run.launch(0, 5))
    run.sync("cudaStreamSynchronize", 20, 500)
    seen = run.linked()
    assert (("k", "cudaStreamSynchronize") in waits(seen)) is found
    assert (("window", "cudaStreamSynchronize") in seen.edges(EdgeKind.EXTERNAL)) is not found


@pytest.mark.parametrize(("length_us", "found"), [(100, False), (100.001, True)])
def test_a_short_wait_needs_no_drifted_clock(length_us: float, *, found: bool) -> None:
    run = Recording()
    run.kernel("k", 10, 500, by=run.launch(0, 5))
    run.sync("cudaStreamSynchronize", 450 - length_us, 450)
    assert (("k", "cudaStreamSynchronize") in waits(run.linked())) is found


@pytest.mark.parametrize(("early_us", "blocks"), [(200, True), (200.001, False)])
def test_a_copy_that_always_waits_may_be_seen_to_end_200_us_later(
    early_us: float, *, blocks: bool
) -> None:
    seen = copy_call(400, copy_end=400 + early_us, name="hipMemcpyWithStream")
    assert bool(seen.edges(EdgeKind.SYNC)) is blocks


def copy_call(
    call_end: Micros, *, copy_end: Micros = 90, start: Micros = 0, name: str = "cudaMemcpyAsync"
) -> Seen:
    """Draw a copy call that may wait for its copy.

    host      |-------- memcpy --------|
    stream          [kernel][copy]
    """
    run = Recording()
    run.kernel("plain", -40, -30, by=run.launch(-60, -55))
    run.kernel("copy", copy_end - 5, copy_end, cat="gpu_memcpy", by=run.call(name, start, call_end))
    return run.linked()


@pytest.mark.parametrize("name", ["cudaMemcpyAsync", "hipMemcpyWithStream", "cuMemcpyDtoHAsync_v2"])
def test_a_copy_call_that_outlasts_its_copy_becomes_launch_and_wait(name: str) -> None:
    """The launch takes what launches take here (5 us), the wait ends after the copy."""
    seen = copy_call(95, name=name)
    assert seen.order()[-3:] == [name, "copy", name]
    first, second = seen.row(name, 0), seen.row(name, 1)
    assert seen.graph.nodes.category[[first, second]].tolist() == [Category.LAUNCH, Category.SYNC]
    assert seen.duration_us(name, 0) == 5
    assert (seen.start_us(name, 1), seen.duration_us(name, 1)) == (60 + 90, 5)
    assert waits(seen) == {("copy", name)}
    assert (name, "copy") in seen.edges(EdgeKind.LAUNCH)


@pytest.mark.parametrize(("call_end", "blocks"), [(88, True), (87.999, False)])
def test_a_copy_call_that_returns_2_us_before_its_copy_ends_did_not_wait(
    call_end: float, *, blocks: bool
) -> None:
    assert bool(waits(copy_call(call_end))) is blocks


@pytest.mark.parametrize(("length", "blocks"), [(10, False), (10.001, True)])
def test_a_copy_call_of_10_us_has_no_room_for_a_wait(length: float, *, blocks: bool) -> None:
    seen = copy_call(85 + length, start=85)
    assert bool(waits(seen)) is blocks


def test_item_waits_for_the_stream_it_reads_from() -> None:
    """Draw `.item()`: a copy, then a wait for its stream; what Python does next comes after.

    host      |item |memcpyAsync| |streamSync----| | |print|
    stream        [ kernel  ][copy]
    """
    run = Recording()
    run.kernel("kernel", 5, 100, by=run.launch(0, 4))
    run.op("aten::item", 10, 125)
    run.op("aten::_local_scalar_dense", 12, 123)
    run.kernel("copy", 100, 110, cat="gpu_memcpy", by=run.call("cudaMemcpyAsync", 15, 20))
    run.sync("cudaStreamSynchronize", 21, 115)
    run.op("print", 130, 140)
    seen = run.linked()
    assert waits(seen) == {("copy", "cudaStreamSynchronize")}
    twice = seen.graph.nodes.duration_ns * (1 + seen.graph.on_device())
    printed = replay(seen.graph, twice).start_ns[seen.row("print")] / 1000
    assert printed == 130 + 95 + 10  # both device events take twice as long


def test_halving_the_host_does_not_shorten_a_wait_for_the_device() -> None:
    """The device is busy from 10 to 100: nothing that the host saves before 100 counts."""
    seen = two_streams("cudaDeviceSynchronize", 20, 105)
    graph = seen.graph
    half = graph.nodes.duration_ns // (2 - graph.on_device())
    end = replay(graph, half).end_ns[seen.row("cudaDeviceSynchronize")] / 1000
    assert 98 <= end <= 102.5
