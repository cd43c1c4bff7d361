"""Traces as other profilers, versions and accidents write them: read, told, never a traceback.

Whatever is odd, the graph is sound, replays as measured, and keeps every device event that has a
time; what was left out is counted in the notes.
"""

import gzip
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etsim.converters.convert import Converted, convert_kineto
from etsim.converters.event_chunks import Chunks
from etsim.converters.kineto import read_kineto
from etsim.converters.mend import mended
from etsim.models.errors import NeedsRecordingError, TraceFormatError
from etsim.models.graph import EdgeKind
from etsim.simulator.replay import replay
from etsim.tests.kineto_maker import Json, Recording

HERE = Path("odd.trace.json")
ROOT = Path(__file__).resolve().parents[2]
KERNEL_SOURCES = ("kernel", "gpu_memcpy", "gpu_memset")


def run(**more: Any) -> Recording:
    """Two steps of an operator, its launch and its kernel, and a wait.

    host    |step       |aten::mm |launch| |  |cudaDeviceSynchronize|
    stream                     [ sgemm ]
    """
    made = Recording(**more)
    for step in range(2):
        at = 1000 * step
        made.mark(f"ProfilerStep#{step}", at, at + 900)
        made.op("aten::mm", at + 10, at + 100, shapes=[[4, 4]], types=["float"])
        made.kernel("sgemm", at + 60, at + 200, by=made.launch(at + 40, at + 50))
        made.sync("cudaDeviceSynchronize", at + 110, at + 205)
    return made


def text_of(document: Any) -> bytes:
    return json.dumps(document).encode()


def sound(converted: Converted) -> Converted:
    """Check what must hold of every graph; gives it back."""
    graph = converted.graph.checked()
    np.testing.assert_array_equal(replay(graph).start_ns, graph.nodes.start_ns)
    assert converted.report.device_kept == converted.report.device_events
    return converted


def read(document: Any, path: Path = HERE) -> Converted:
    return sound(convert_kineto(path, text_of(document)))


def noted(converted: Converted, told: str) -> bool:
    return any(told in note for note in converted.graph.meta.notes)


def same_graph(left: Converted, right: Converted) -> bool:
    a, b = left.graph, right.graph
    columns = all(
        np.array_equal(getattr(a.nodes, key), getattr(b.nodes, key))
        for key in ("category", "start_ns", "duration_ns", "flops", "bytes")
    )
    return columns and np.array_equal(a.edge_source, b.edge_source)


@given(st.randoms(use_true_random=False))
def test_events_may_stand_in_any_order(random: Any) -> None:
    document = run().kineto()
    before = read(document)
    random.shuffle(document["traceEvents"])
    for event in document["traceEvents"]:
        items = list(event.items())
        random.shuffle(items)
        event.clear()
        event.update(items)
    assert same_graph(before, read(document))


@pytest.mark.parametrize("last", ["traceEvents", "baseTimeNanoseconds", "deviceProperties"])
def test_the_header_may_stand_on_either_side_of_the_events(last: str) -> None:
    document = run(rank=3, world_size=8).kineto()
    document["INFO"] = ['a "traceEvents": [ in a text', "}, {"]
    document[last] = document.pop(last)
    found = read(document).graph.meta
    assert (found.rank, found.world_size, found.source_device) == (3, 8, "NVIDIA A100-SXM4-80GB")
    assert found.clock_base_ns == 1_700_000_000_000_000_000


ODD_EVENTS: dict[str, Json] = {
    "instant": {"ph": "i", "cat": "cpu_instant_event", "name": "[memory]", "ts": 5, "s": "t",
                "pid": 100, "tid": 1, "args": {"Bytes": -5}},
    "counter": {"ph": "C", "name": "GPU 0 Utilization", "pid": "GPU 0 Counters", "ts": 3,
                "args": {"": 12}},
    "span": {"ph": "X", "cat": "Trace", "name": "PyTorch Profiler (0)", "pid": "Spans",
             "tid": "PyTorch Profiler", "ts": 0, "dur": 3000, "args": {"Op count": 0}},
    "window": {"ph": "i", "name": "Record Window End", "pid": "Traces", "tid": "", "ts": 9},
    "flow": {"ph": "s", "id": 7, "cat": "ac2g", "name": "ac2g", "pid": 100, "tid": 1, "ts": 1},
    "mark on the device": {"ph": "X", "cat": "gpu_user_annotation", "name": "x", "pid": 0,
                           "tid": 7, "ts": 1, "dur": 50},
    "thread": {"ph": "M", "name": "thread_name", "pid": 100, "tid": 1, "args": {"name": "main"}},
    "labels": {"ph": "M", "name": "process_labels", "pid": "Spans", "args": {"labels": ["CPU"]}},
    "no phase": {"name": "x", "ts": 5},
    "empty": {},
}  # fmt: skip


@pytest.mark.parametrize("odd", ODD_EVENTS)
def test_what_is_no_work_changes_nothing(odd: str) -> None:
    document = run().kineto()
    before = read(document)
    document["traceEvents"][1:1] = [ODD_EVENTS[odd]] * 2
    after = read(document)
    assert same_graph(before, after)
    assert after.graph.meta.notes == before.graph.meta.notes


@pytest.mark.parametrize("item", [5, None, "text", [], [{}], True, 1.5])
def test_an_item_that_is_no_event_is_counted_and_left_out(item: object) -> None:
    document = run().kineto()
    before = read(document)
    document["traceEvents"].insert(3, item)
    after = read(document)
    assert same_graph(before, after)
    assert noted(after, "1 items among the events are no events")


FIELDS: tuple[tuple[str, object], ...] = (
    ("args", []), ("args", "text"), ("args", {"grid": "no", "External id": {}}), ("args", {}),
    ("pid", [1]), ("tid", {}), ("name", None), ("name", 7), ("cat", None), ("ph", 1), ("dur", []),
    ("id", {}), ("ts", "soon"), ("ts", True),
)  # fmt: skip


@pytest.mark.parametrize(("key", "value"), FIELDS)
def test_a_field_of_another_type_is_left_out_and_the_others_read(key: str, value: object) -> None:
    document = run().kineto()
    count = len(read(document).graph)
    document["traceEvents"][1][key] = value
    after = read(document)
    assert len(after.graph) >= count - 1
    if key in ("pid", "tid", "name", "dur") and value != 7:
        assert noted(after, "fields of an unknown type")


ODD_TIMES = ("", None, "NaN", "inf", -5, -1e18, 1e300, "12", 0, 0.0004, True, [1])


@given(st.data())
def test_odd_durations_and_starts_never_break_the_graph(data: st.DataObject) -> None:
    document = run().kineto()
    events = document["traceEvents"]
    chosen = st.integers(0, len(events) - 1)
    for index in data.draw(st.lists(chosen, min_size=1, max_size=4)):
        key = data.draw(st.sampled_from(("dur", "ts")))
        events[index][key] = data.draw(st.sampled_from(ODD_TIMES))
    with suppress(NeedsRecordingError):  # nothing may be left
        read(document)


@pytest.mark.parametrize("key", ["ts", "dur"])
def test_a_kernel_without_a_start_is_counted_one_without_an_end_is_kept(key: str) -> None:
    document = run().kineto()
    kernel = next(e for e in document["traceEvents"] if e["cat"] == "kernel")
    del kernel[key]
    after = read(document)
    assert after.report.device_kept == (1 if key == "ts" else 2)
    assert noted(after, "no time and were skipped") == (key == "ts")


@pytest.mark.parametrize("text", [b"NaN", b"Infinity", b"-Infinity"])
def test_numbers_that_are_none_count_as_absent(text: bytes) -> None:
    data = text_of(run().kineto()).replace(b'"dur": 90,', b'"dur": ' + text + b",")
    after = sound(convert_kineto(HERE, data))
    assert noted(after, "no valid JSON and were mended")
    assert len(after.graph) == len(read(run().kineto()).graph)


def test_numbers_may_be_text() -> None:
    """As tools that rewrite traces leave them."""
    document = run().kineto()
    before = read(document)
    for event in document["traceEvents"]:
        event["ts"], event["dur"] = f"{event['ts']:.3f}", str(event["dur"])
        event["pid"], event["tid"] = str(event["pid"]), f"{event['tid']}"
        event["args"] = {
            key: str(value) if isinstance(value, int) else value
            for key, value in event["args"].items()
        }
    assert same_graph(before, read(document))


def test_streams_may_be_named_and_threads_may_be_text() -> None:
    document = run().kineto()
    for event in document["traceEvents"]:
        if event["cat"] == "kernel":
            event["tid"] = "stream 7"
            event["args"] = {"correlation": event["args"]["correlation"]}
        elif event["cat"] == "user_annotation":
            event["tid"] = "Spans"
    after = read(document)
    streams = {
        after.graph.lane_of(r).number for r in np.flatnonzero(after.graph.on_device()).tolist()
    }
    assert streams == {7}
    assert len(after.graph.steps) == 2


@pytest.mark.parametrize(
    "cat",
    ["xpu_runtime", "xpu_driver", "privateuse1_runtime", "privateuse1_driver", "mtia_runtime"],
)
def test_runtimes_of_other_devices_launch_kernels(cat: str) -> None:
    document = run().kineto()
    for event in document["traceEvents"]:
        event["cat"] = cat if event["cat"] == "cuda_runtime" else event["cat"]
        event["name"] = "urEnqueueKernelLaunch" if "Launch" in event["name"] else event["name"]
    graph = read(document).graph
    assert (graph.edge_kind == EdgeKind.LAUNCH).sum() == 2


def test_unknown_categories_are_counted_and_named() -> None:
    made = run()
    made.event("mtia_insight", "x", 5, 6, 0, 1)
    made.event("hpu_new", "y", 5, 6, 0, 1)
    assert noted(read(made.kineto()), "2 events of unknown categories were left out (hpu_new, mtia")


def test_kernels_without_launches_and_launches_without_kernels() -> None:
    made = run()
    made.launch(300, 310)
    for at in (-50, 400, 4000):
        made.kernel(f"lonely {at}", at, at + 20, stream=9)
    made.offset_us = 100
    assert read(made.kineto()).report.device_kept == 5


def test_a_kernel_seen_before_its_launch_hangs_on_it_all_the_same() -> None:
    """Two clocks: the device's may be behind."""
    made = Recording()
    made.kernel("sgemm", 2, 30, by=made.launch(10, 15))
    graph = read(made.kineto()).graph
    assert (graph.edge_kind == EdgeKind.LAUNCH).sum() == 1


def test_equal_correlations_of_two_processes_are_told_apart_by_external_id_or_time() -> None:
    made = run()
    other = [dict(event) for event in run(pid=200).events]
    for event in other:
        event["ts"] += 5000
        if event["cat"] == "kernel":
            event["args"] = {**event["args"], "device": 1}
    made.events += other
    graph = read(made.kineto()).graph
    pairs = [
        (graph.lane_of(source).group, graph.lane_of(row).group)
        for row in range(len(graph))
        for source, kind, _ in graph.predecessors(row)
        if kind is EdgeKind.LAUNCH
    ]
    assert pairs == [(100, 0), (100, 0), (200, 1), (200, 1)]


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 40)), min_size=1, max_size=12))
def test_host_events_may_cross_touch_and_be_empty(spans: list[tuple[int, int]]) -> None:
    made = Recording()
    for index, (start, length) in enumerate(spans):
        made.op(f"op{index}", start, start + length)
        if index % 3 == 0:
            made.kernel(f"k{index}", start + 5, start + 5 + length, by=made.launch(start, start))
    read(made.kineto())


ODD_NAMES = (
    "a" * 100_000, "tab\there", "line\nbreak", "nul\x00", "quote\"d", "back\\slash", "\u2028",
    "emoji \U0001f600", '"}, {"', "]}", "", "\ud800".encode("utf-8", "replace").decode(),
)  # fmt: skip


@pytest.mark.parametrize("name", ODD_NAMES, ids=lambda name: ascii(name[:12]))
def test_names_may_hold_anything(name: str) -> None:
    made = run()
    made.op(name, 500, 510)
    graph = read(made.kineto()).graph
    assert name in graph.names


def test_half_a_surrogate_pair_becomes_a_replacement() -> None:
    data = text_of(run().kineto()).replace(b"aten::mm", b"aten::\\ud83d")
    assert "aten::\ufffd" in sound(convert_kineto(HERE, data)).graph.names


@pytest.mark.parametrize("name", ['foo("bar")', '<a href="x">', '"', '""', '", "x'])
def test_quotes_that_are_not_escaped_are_mended_and_noted(name: str) -> None:
    """pytorch#146900."""
    data = text_of(run().kineto()).replace(b"aten::mm", name.encode())
    after = sound(convert_kineto(HERE, data))
    assert name in after.graph.names
    assert noted(after, "places were no valid JSON and were mended")


def test_sound_text_is_never_mended() -> None:
    flow = b'{"ph": "f", "cat": "ac2g", "name": "ac2g", "bp": "e"}, {"name": "a \\\\", "x": "b"}'
    assert mended(flow) == (flow, 0)
    for path in sorted((ROOT / "examples" / "recorded").glob("*.trace*.json.gz")):
        text = gzip.decompress(path.read_bytes())
        assert mended(text) == (text, 0)


@pytest.mark.shared
def test_sound_text_of_other_profilers_is_never_mended() -> None:
    for path in sorted(TRACES.rglob("*.json.gz")):
        text = gzip.decompress(path.read_bytes())[:4_000_000]
        assert mended(text) == (text, 0)


def test_damage_that_cannot_be_mended_is_told_with_its_line() -> None:
    lines = json.dumps(run().kineto(), indent=1).encode().splitlines(keepends=True)
    place = next(i for i, line in enumerate(lines) if b"sgemm" in line)
    lines[place] = lines[place].replace(b":", b"", 1)
    with pytest.raises(TraceFormatError, match=f"at line {place + 1}: "):
        convert_kineto(HERE, b"".join(lines))


@given(st.integers(1, 10_000))
def test_a_cut_trace_gives_its_whole_events_when_asked(cut: int) -> None:
    data = text_of(run().kineto())
    whole = read_kineto(HERE, data)
    rest = data[: -min(cut, len(data) - 300)]
    with pytest.raises(TraceFormatError, match=r"is cut after .*--salvage"):
        read_kineto(HERE, rest)
    got = read_kineto(HERE, rest, salvage=True)
    complete = rest.count(b"}}, {") + rest.count(b"}}]") - data.count(b"}}], ")
    assert len(got.host) + len(got.device) >= min(complete, len(whole.host) + len(whole.device))
    assert "the file ends in the middle" in got.notes[0]


def test_a_cut_gzip_stream_is_salvaged_too(tmp_path: Path) -> None:
    made = Recording()
    for index in range(4000):
        made.op(f"op {index * 7919 % 4001}", 10 * index, 10 * index + index % 9)
    packed = gzip.compress(text_of(made.kineto()))
    path = tmp_path / "cut.json.gz"
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(TraceFormatError, match="gzip stream is cut"):
        read_kineto(path)
    got = sound(convert_kineto(path, salvage=True))
    assert 1000 < len(got.graph) < 4000
    assert noted(got, "--salvage")


@given(st.integers(1, 4000), st.integers(200, 3000))
@settings(max_examples=40)
def test_chunks_of_any_size_give_the_same_events(block: int, chunk: int) -> None:
    """Blocks and chunks cut the text anywhere: in numbers, names, nested args."""
    made = run()
    made.event("cpu_op", 'odd }, {"ph": "X"} name', 700, 701, 100, 1, nested=[{"a": 1}, {"b": []}])
    document = made.kineto()
    document["after"] = [{"x": 1}, {"y": 2}, {"z": "}, {"}]
    data = text_of(document)
    blocks = (data[at : at + block] for at in range(0, len(data), block))
    chunks = Chunks[Json](blocks, msgspec.json.Decoder(list[Json]).decode, HERE, chunk_bytes=chunk)
    found = [event for events in chunks for event in events]
    assert found == document["traceEvents"]
    assert json.loads(chunks.around) == {**document, "traceEvents": []}


def test_a_list_of_events_is_a_trace_as_well() -> None:
    document = run().kineto()
    assert same_graph(read(document), read(document["traceEvents"]))


TRACES = ROOT.parent / "shared" / "data" / "traces"
REAL = (
    ROOT / "examples" / "recorded" / "mlp.trace.json.gz",
    *(
        pytest.param(TRACES / name, marks=pytest.mark.shared)
        for name in (
            "hta_sync_a100/alexnet_trace.json.gz", "vllm_mi/vllm_decode_full.json.gz",
            "pair_h100_mi300/mi300_bert_small.json.gz",
        )
    ),
)  # fmt: skip


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.name)
def test_real_traces_varied_as_profilers_vary_them(path: Path) -> None:
    """In another order, with text for numbers and items that are no events."""
    document = json.loads(gzip.decompress(path.read_bytes()))
    before = sound(convert_kineto(path))
    random = np.random.default_rng(0)
    events = document.pop("traceEvents")
    events = [events[i] for i in random.permutation(len(events)).tolist()]
    for event in events:
        if event.get("ph") == "X" and isinstance(event.get("args"), dict):
            event["args"] = {k: str(v) if type(v) is int else v for k, v in event["args"].items()}
    odd = [*ODD_EVENTS.values(), None, 3]
    after = read({"traceEvents": events + odd, **document}, path)
    assert after.report.device_events == before.report.device_events
    assert after.report.rows == before.report.rows
    assert noted(after, "2 items among the events are no events")
