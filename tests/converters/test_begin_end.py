"""Events written as a beginning and an end of their own."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from etsim.converters.kineto import KinetoTrace, read_kineto
from etsim.tests.kineto_maker import Recording


def recording() -> Recording:
    run = Recording()
    run.op("outer", 0, 30)
    run.op("inner", 10, 20)
    run.kernel("k", 20, 120, by=run.launch(12, 15))
    run.op("empty", 30, 30)
    return run


def halved(event: dict[str, Any]) -> list[dict[str, Any]]:
    begin = {**event, "ph": "B"}
    length = begin.pop("dur")
    end = {"ph": "E", "pid": event["pid"], "tid": event["tid"], "ts": event["ts"] + length}
    return [begin, end]


def read(events: list[dict[str, Any]]) -> KinetoTrace:
    document = {**recording().kineto(), "traceEvents": events}
    return read_kineto(Path("made.json"), json.dumps(document).encode())


def seen(trace: KinetoTrace) -> list[tuple[str, int, int]]:
    return [
        (trace.names[table.name[event]], int(table.start_ns[event]), int(table.duration_ns[event]))
        for table in (trace.host, trace.device)
        for event in range(len(table))
    ]


def test_halves_give_what_complete_events_give() -> None:
    whole = recording().kineto()["traceEvents"]
    parts = [half for event in deepcopy(whole) for half in halved(event)]
    parts.sort(key=lambda event: float(event["ts"]))
    assert seen(read(parts)) == seen(read(whole))


def test_they_may_stand_among_complete_events() -> None:
    whole = recording().kineto()["traceEvents"]
    mixed = [*halved(deepcopy(whole[0])), *whole[1:]]
    assert seen(read(mixed)) == seen(read(whole))


@pytest.mark.parametrize("half", [0, 1])
def test_a_half_alone_is_left_out_and_told(half: int) -> None:
    whole = recording().kineto()["traceEvents"]
    trace = read([halved(whole[0])[half], *whole[1:]])
    assert "1 events have no beginning or no end and were left out" in trace.notes
    assert seen(trace) == seen(read(whole[1:]))


def test_an_event_of_another_thread_closes_nothing() -> None:
    begin, end = halved(recording().kineto()["traceEvents"][0])
    trace = read([begin, {**end, "tid": 99}])
    assert "2 events have no beginning or no end and were left out" in trace.notes


def test_a_half_without_a_time_is_none() -> None:
    begin, end = halved(recording().kineto()["traceEvents"][0])
    del end["ts"]
    assert seen(read([begin, end])) == []
