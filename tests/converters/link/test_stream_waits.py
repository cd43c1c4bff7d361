"""Stream waits, recorded and inferred: which work on one stream holds up which on another.

host       L(a)  record  L(a2)  waitEvent  L(b)
stream 7   [   a   ][   a2   ]
stream 20             ...             [b]
"""

from dataclasses import dataclass, field
from typing import Any

import pytest

from etsim.converters.link.sync import Certainty
from etsim.models.graph import EdgeKind
from etsim.tests.kineto_maker import MAIN, WORKER, Micros, Recording, Seen


@dataclass
class Side:
    """A main stream 7 and a side stream 20; `b` waits for something on 7."""

    run: Recording = field(default_factory=Recording)

    def kernel(
        self, name: str, launched: Micros, start: Micros, end: Micros, *, stream: int = 7,
        thread: int = MAIN,
    ) -> None:  # fmt: skip
        call = self.run.launch(launched, launched + 2, name=f"L({name})", thread=thread)
        self.run.kernel(name, start, end, by=call, stream=stream)

    def record(self, at: Micros, *, thread: int = MAIN) -> int:
        return self.run.call("cudaEventRecord", at, at + 1, thread=thread)

    def wait(self, at: Micros, *, thread: int = MAIN, **record: Any) -> None:
        self.run.sync("cudaStreamWaitEvent", at, at + 1, thread=thread, **record)


def found(seen: Seen) -> list[tuple[str, str, Certainty]]:
    """Give the waits by name with how sure they are."""
    trace = seen.linked.reasons.waits.found
    names, base = seen.graph.names, seen.linked.graph
    device = [row for row in range(len(base)) if base.on_device()[row]]
    by_event = sorted(device, key=lambda row: (int(base.nodes.lane[row]), row))
    return [
        (names[int(base.nodes.name[by_event[s]])], names[int(base.nodes.name[by_event[t]])], sure)
        for s, t, sure in trace
    ]


def recorded(**changes: Any) -> Seen:
    """Draw a2 launched between record and wait: it is not what `b` waits for."""
    side = Side()
    side.kernel("a", 0, 10, 100)
    corr = side.record(3)
    side.kernel("a2", 5, 100, 300)
    told = {"cuda_sync_kind": "Stream Wait Event", "stream": 20, "wait_on_stream": 7,
            "wait_on_cuda_event_record_corr_id": corr}  # fmt: skip
    side.wait(9, **{**told, **changes})
    side.kernel("b", 12, 302, 400, stream=20)
    return side.run.linked()


def test_a_recorded_wait_is_for_the_work_before_the_event_not_for_the_latest() -> None:
    """By the times `a2` would fit perfectly: the record says otherwise and wins."""
    seen = recorded()
    assert found(seen) == [("a", "b", Certainty.RECORDED)]
    assert seen.edges(EdgeKind.STREAM_WAIT) == {("a", "b")}


def test_a_recorded_wait_for_an_event_outside_the_file_takes_the_work_before_the_wait() -> None:
    assert found(recorded(wait_on_cuda_event_record_corr_id=777_777)) == [
        ("a2", "b", Certainty.RECORDED)
    ]


def test_a_recorded_wait_holds_up_the_next_work_of_its_own_stream_only() -> None:
    seen = recorded(stream=99)
    assert found(seen) == []
    assert "1 stream waits have no target" in seen.graph.meta.notes


def after_record(
    *, age_us: Micros = 5, b_start: Micros = 102, between: bool = False, b_thread: int = MAIN
) -> Seen:
    """Draw a, its event record, the wait, and b on the other stream."""
    side = Side()
    side.kernel("a", 0, 10, 100)
    at = 0 + age_us
    side.record(at)
    if between:
        side.kernel("between", at + 1.5, 100, 101)
    side.wait(at + 4)
    side.kernel("b", at + 6, at + b_start, at + b_start + 50, stream=20, thread=b_thread)
    return side.run.linked()


def test_a_fresh_record_marks_the_threads_last_launch() -> None:
    assert found(after_record()) == [("a", "b", Certainty.LIKELY)]


@pytest.mark.parametrize(
    ("age_us", "sure"), [(1000, Certainty.LIKELY), (1000.001, Certainty.GUESSED)]
)
def test_a_record_over_a_millisecond_after_the_launch_is_a_guess(
    age_us: float, sure: Certainty
) -> None:
    assert found(after_record(age_us=age_us)) == [("a", "b", sure)]


def test_work_that_still_ran_when_the_waiting_work_started_was_not_waited_for() -> None:
    """`b` starts while `a` runs: no wait can lie between them."""
    assert found(after_record(b_start=50)) == []


@pytest.mark.parametrize(("before_us", "linked"), [(2, True), (2.001, False)])
def test_the_clocks_of_streams_may_differ_by_2_us(before_us: float, *, linked: bool) -> None:
    seen = after_record(b_start=95 - before_us)
    assert bool(found(seen)) is linked


def test_without_a_record_the_work_that_ended_just_before_was_waited_for() -> None:
    side = Side()
    side.kernel("a", 0, 10, 100)
    side.wait(5)
    side.kernel("b", 8, 105, 200, stream=20)
    assert found(side.run.linked()) == [("a", "b", Certainty.LIKELY)]


@pytest.mark.parametrize(("late_us", "sure"), [(15, Certainty.LIKELY), (15.001, Certainty.GUESSED)])
def test_a_start_within_15_us_of_an_end_is_likely_a_release(
    late_us: float, sure: Certainty
) -> None:
    side = Side()
    side.kernel("a", 0, 10, 100)
    side.wait(5)
    side.kernel("b", 8, 100 + late_us, 200, stream=20)
    assert found(side.run.linked()) == [("a", "b", sure)]


@pytest.mark.parametrize(("after_us", "target"), [(100, "mine"), (100.001, "other")])
def test_a_thread_that_launches_nothing_for_100_us_has_handed_over(
    after_us: float, target: str
) -> None:
    """The backward thread waits, then launches late: the main thread's launch came first."""
    side = Side()
    side.kernel("a", 0, 10, 100)
    side.wait(5)
    side.kernel("other", 50, 105, 110, stream=20, thread=WORKER)
    side.kernel("mine", 5 + after_us, 110, 120, stream=20)
    assert {t for _, t, _ in found(side.run.linked())} == {target}


def test_a_guess_is_counted_in_the_notes() -> None:
    seen = after_record(age_us=2000)
    assert "1 stream waits have a guessed target" in seen.graph.meta.notes


def test_on_a_single_stream_there_is_nothing_to_wait_for() -> None:
    side = Side()
    side.kernel("a", 0, 10, 100)
    side.wait(5)
    side.kernel("b", 8, 105, 200)
    seen = side.run.linked()
    assert found(seen) == []
    assert seen.graph.meta.notes == ()


def test_a_wait_that_is_recorded_twice_is_one_edge() -> None:
    side = Side()
    side.kernel("a", 0, 10, 100)
    corr = side.record(3)
    for at in (5, 7):
        side.wait(at, cuda_sync_kind="Stream Wait Event", stream=20, wait_on_stream=7,
                  wait_on_cuda_event_record_corr_id=corr)  # fmt: skip
    side.kernel("b", 9, 105, 200, stream=20)
    graph = side.run.linked().graph
    assert int((graph.edge_kind == EdgeKind.STREAM_WAIT).sum()) == 1
