"""Kineto traces of all generations become the same columns, to the last nanosecond."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etsim.converters.kineto import KinetoTrace, Source, read_kineto, whole
from etsim.models.errors import InputError, TraceFormatError
from etsim.models.graph import NONE
from etsim.tests.kineto_maker import Recording

HERE = Path("trace.json")


def read(*events: dict[str, Any], **top: Any) -> KinetoTrace:
    return read_kineto(HERE, json.dumps({"traceEvents": list(events), **top}).encode())


def event(name: str, ts: Any, dur: Any = 1, cat: str = "cpu_op", **more: Any) -> dict[str, Any]:
    return {"ph": "X", "cat": cat, "name": name, "pid": 1, "tid": 1, "ts": ts, "dur": dur, **more}


def raw_times(ts: str, dur: str) -> tuple[int, int, int]:
    """Read one event whose times are given as JSON text; gives absolute start, duration, base."""
    text = (
        '{"traceEvents": [{"ph": "X", "cat": "cpu_op", "name": "a", "pid": 1, "tid": 1, '
        f'"ts": {ts}, "dur": {dur}}}]}}'
    )
    trace = read_kineto(HERE, text.encode())
    start, duration = int(trace.host.start_ns[0]), int(trace.host.duration_ns[0])
    return trace.clock_base_ns + start, duration, trace.clock_base_ns


def microseconds(ns: int) -> str:
    return f"{ns // 1000}.{ns % 1000:03d}"


@given(st.integers(0, 2 * 10**18), st.integers(0, 10**12))
def test_fractional_microseconds_keep_every_nanosecond(start: int, duration: int) -> None:
    """Whether relative (2024 and later) or absolute (1.7e15 us, beyond what a double can hold)."""
    found_start, found_duration, _ = raw_times(microseconds(start), microseconds(duration))
    assert (found_start, found_duration) == (start, duration)


@pytest.mark.parametrize("start_us", [2**42 + 7, 2**43 - 1, 2**43 + 7, 9 * 10**12, 10**13])
def test_around_the_doubles_limit_no_nanosecond_is_lost(start_us: int) -> None:
    """From 2^43 us on a double's steps are 2 ns."""
    for ns in (1, 499, 501, 999):
        start = start_us * 1000 + ns
        assert raw_times(microseconds(start), "0.001")[0] == start


def test_a_fraction_in_the_start_alone_is_kept_too() -> None:
    """Durations may all be whole microseconds."""
    start = 1_695_835_572_943_623_501
    assert raw_times(microseconds(start), "9")[0] == start


def test_integer_microseconds_of_old_profilers() -> None:
    trace = read(event("a", 1_600_000_000_000_001, 7), event("b", 1_600_000_000_000_010, 3))
    assert trace.clock_base_ns == 1_600_000_000_000_001_000
    assert trace.host.start_ns.tolist() == [0, 9000]
    assert trace.host.duration_ns.tolist() == [7000, 3000]


def test_relative_times_stand_on_their_base() -> None:
    trace = read(event("a", 1000.5), baseTimeNanoseconds=1_700_000_000_000_000_000)
    assert trace.clock_base_ns + int(trace.host.start_ns[0]) == 1_700_000_000_001_000_500


@pytest.mark.parametrize(
    ("old", "source"),
    [("Operator", Source.OPERATOR), ("Runtime", Source.RUNTIME), ("cuda_driver", Source.RUNTIME)],
)
def test_old_categories_on_the_host(old: str, source: Source) -> None:
    assert read(event("a", 0, cat=old)).host.source.tolist() == [source]


@pytest.mark.parametrize(
    ("old", "source"),
    [("Kernel", Source.KERNEL), ("Memcpy", Source.MEMCPY), ("Memset", Source.MEMSET)],
)
def test_old_categories_on_the_device(old: str, source: Source) -> None:
    trace = read(event("a", 0, cat=old, args={"device": 1, "stream": 9}))
    assert trace.device.source.tolist() == [source]
    assert (trace.device.threads[0].process, trace.device.threads[0].number) == (1, 9)


def test_a_streams_own_words_beat_its_display_lane() -> None:
    """Some tools shift tid to make lanes sort; args tell the stream."""
    said = event("k", 0, cat="kernel", args={"device": 2, "stream": 13})
    silent = event("k", 5, cat="kernel", args={})
    trace = read({**said, "pid": 99, "tid": 1_000_013}, {**silent, "pid": 3, "tid": 20})
    lanes = sorted((t.process, t.number) for t in trace.device.threads)
    assert lanes == [(2, 13), (3, 20)]


def test_events_are_sorted_by_thread_start_and_the_longer_first() -> None:
    trace = read(
        event("late", 50), event("inner", 10, 5), event("outer", 10, 20), event("early", 0)
    )
    assert [trace.names[i] for i in trace.host.name] == ["early", "outer", "inner", "late"]


def test_numbers_may_be_strings_absent_or_nonsense() -> None:
    assert [whole(v) for v in (5, "5", None, "x", 5.0)] == [5, 5, NONE, NONE, 5]
    trace = read(event("k", 0, cat="kernel", args={"correlation": "17", "device": "0"}))
    assert trace.device.correlation.tolist() == [17]


def test_unsigned_none_is_none() -> None:
    """Profilers write 2**64 - 1 for 'there is none'."""
    args = {"External id": 2**64 - 1, "Record function id": 2**64 - 1, "stream": 2**64 - 1}
    trace = read(event("k", 0, cat="kernel", args=args))
    assert trace.device.external_id.tolist() == [NONE]
    assert trace.device.threads[0].number == 1


@pytest.mark.parametrize("number", [2**64, 2**70, -(2**63) - 1])
def test_numbers_beyond_64_bits_are_damage_and_count_as_absent(number: int) -> None:
    trace = read(event("k", 0, cat="kernel", args={"correlation": number, "bytes": number}))
    assert trace.device.correlation.tolist() == [NONE]


@pytest.mark.parametrize("time_us", [1e300, -1e300, 5e15])
def test_times_beyond_all_clocks_are_damage_and_counted(time_us: float) -> None:
    trace = read(event("a", 5), event("b", time_us), event("c", 5, time_us))
    assert [trace.names[i] for i in trace.host.name] == ["a"]
    assert trace.skipped_events == 2


def test_what_is_no_event_with_a_duration_is_passed_over() -> None:
    trace = read(
        event("a", 0), {"ph": "i", "name": "instant", "ts": 3}, {"ph": "s", "id": 3, "ts": 1},
        event("other", 0, cat="Trace", pid="Spans"), event("unknown", 0, cat="something new"),
    )  # fmt: skip
    assert len(trace.host) == 1
    assert trace.skipped_events == 0


def test_events_of_a_known_kind_without_a_time_are_counted() -> None:
    trace = read(event("a", 0), event("b", None))
    assert (len(trace.host), trace.skipped_events) == (1, 1)


def test_a_missing_or_negative_duration_is_none() -> None:
    trace = read(event("a", 0, None), event("b", 1, -5))
    assert trace.host.duration_ns.tolist() == [0, 0]


def test_threads_have_their_names() -> None:
    named = {"ph": "M", "name": "thread_name", "pid": 1, "tid": 1, "args": {"name": "python"}}
    assert read(event("a", 0), named).host.threads[0].name == "python"


def test_rank_world_and_machine() -> None:
    trace = read(event("a", 0), distributedInfo={"rank": "3", "world_size": "8",
                 "backend": "nccl"}, host_name="node")  # fmt: skip
    assert (trace.rank, trace.world_size, trace.backend, trace.host_name) == (3, 8, "nccl", "node")
    silent = read(event("a", 0))
    assert (silent.rank, silent.world_size, silent.backend) == (NONE, 1, "")


@pytest.mark.parametrize("world", [0, -1, 10_000_001, 2**63, "many"])
def test_a_world_that_cannot_be_is_not_believed(world: object) -> None:
    assert read(event("a", 0), distributedInfo={"rank": 0, "world_size": world}).world_size == 1


def test_the_device_is_the_one_that_ran_most() -> None:
    devices = [{"id": 0, "name": "idle"}, {"id": 1, "name": "busy", "totalGlobalMem": 5}]
    kernel = event("k", 0, cat="kernel", args={"device": 1, "stream": 7})
    trace = read(kernel, deviceProperties=devices)
    assert (trace.device_name, trace.device_memory_bytes) == ("busy", 5)
    assert read(event("a", 0), deviceProperties=devices).device_name == ""


def test_sync_records_are_found_by_their_calls_correlation() -> None:
    run = Recording()
    corr = run.sync("cudaStreamSynchronize", 0, 5, cuda_sync_kind="Stream Sync", stream=7)
    assert run.trace().sync_records[corr].sync_kind == "Stream Sync"


def test_gzip_and_plain_read_alike(tmp_path: Path) -> None:
    run = Recording()
    run.op("a", 0, 5)
    data = json.dumps(run.kineto()).encode()
    (tmp_path / "a").write_bytes(data)
    (tmp_path / "b").write_bytes(gzip.compress(data))
    plain, packed = read_kineto(tmp_path / "a"), read_kineto(tmp_path / "b")
    assert plain.host.start_ns.tolist() == packed.host.start_ns.tolist()


WHOLE = json.dumps({"traceEvents": [event("aten::mm", 1, 2)]}).encode()


@given(st.integers(1, len(WHOLE) - 1))
def test_a_trace_cut_anywhere_is_told_in_one_line(length: int) -> None:
    with pytest.raises(InputError) as caught:
        read_kineto(HERE, WHOLE[:length])
    assert caught.value.line().startswith("trace.json: ")


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b'{"traceEvents": [{"ph": "X",, "ts": 1}]}', "is not valid JSON"),
        (b'{"traceEvents": 5}', "is not a Kineto trace"),
        (b'{"traceEvents": [{"name": "\xff\xfe"}]}', "is not"),
        (b"[1]", "is a JSON of another kind"),
    ],
)
def test_what_is_no_kineto_trace_is_told(data: bytes, told: str) -> None:
    with pytest.raises(TraceFormatError, match=told):
        read_kineto(HERE, data)
