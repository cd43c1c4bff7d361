"""Timelines as Chrome JSON: processes, threads, slices that nest, arrows, exact times."""

import gzip
import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import TypedDict

import numpy as np
import pytest
from hypothesis import given, settings

from etsim.converters.perfetto import Track, Written, write_timelines
from etsim.converters.spans import find_spans
from etsim.models.graph import Category, EdgeKind, ExecutionGraph, GraphMeta, LaneKind, Provenance
from etsim.models.graph_builder import GraphBuilder
from etsim.models.timeline import Timeline, measured
from etsim.tests.strategies import execution_graphs


class Event(TypedDict, total=False):
    ph: str
    name: str
    cat: str
    pid: int
    tid: int
    ts: float
    dur: float
    id: int
    bp: str
    args: dict[str, str | int | float]


def events_of(path: Path, *tracks: Track) -> tuple[list[Event], Written]:
    written = write_timelines(path, tracks)
    packed = path.read_bytes()
    data = gzip.decompress(packed) if path.suffix == ".gz" else packed
    events: list[Event] = json.loads(data)["traceEvents"]
    return events, written


def launch_graph(rank: int = 0) -> ExecutionGraph:
    """linear { t > launch } on a thread, launch --> kernel on a stream, 1000 ns each.

    linear's own piece comes last: t 0-1, launch 1-2, linear 2-3 µs; the kernel 3-4 µs.
    """
    builder = GraphBuilder(GraphMeta(rank=rank, clock_base_ns=5_000))
    host = builder.lane(LaneKind.HOST, 1, 17, "main")
    stream = builder.lane(LaneKind.DEVICE, 0, 7)
    order = EdgeKind.HOST_ORDER
    t = builder.add("t", host, start_ns=0, parent=2, duration_ns=1000, rank=rank)
    launch = builder.add(
        "launch", host, start_ns=1000, parent=2, after=[(t, order, 0)],
        category=Category.LAUNCH, duration_ns=1000, rank=rank,
    )  # fmt: skip
    builder.add(
        "linear", host, start_ns=2000, after=[(launch, order, 0)], duration_ns=1000, rank=rank
    )
    builder.add(
        "sgemm", stream, start_ns=3000, after=[(launch, EdgeKind.LAUNCH, 1000)],
        category=Category.KERNEL, duration_ns=1000, rank=rank,
    )  # fmt: skip
    return builder.build()


def names_of(events: list[Event], kind: str) -> dict[tuple[int, int], str]:
    return {
        (event["pid"], event["tid"]): str(event["args"]["name"])
        for event in events
        if event["ph"] == "M" and event["name"] == kind
    }


def slices_of(events: list[Event]) -> dict[str, Event]:
    return {event["name"]: event for event in events if event["ph"] == "X"}


def test_threads_stand_before_streams_and_have_names(tmp_path: Path) -> None:
    events, _ = events_of(tmp_path / "t.json", Track("measured", measured(launch_graph())))
    assert names_of(events, "process_name") == {(0, 0): "rank 0 measured"}
    assert names_of(events, "thread_name") == {
        (0, 0): "steps",
        (0, 1): "host thread 17 main",
        (0, 2): "device 0 stream 7",
    }


def test_measured_and_predicted_stand_side_by_side(tmp_path: Path) -> None:
    graph = launch_graph(rank=3)
    half = Timeline(graph, graph.nodes.start_ns // 2, graph.nodes.duration_ns // 2)
    scaled = np.full(len(graph), Provenance.SCALED, dtype=np.uint8)
    tracks = Track("measured", measured(graph)), Track("predicted on X", half, scaled)
    events, written = events_of(tmp_path / "t.json.gz", *tracks)
    assert names_of(events, "process_name") == {
        (30, 0): "rank 3 measured",
        (31, 0): "rank 3 predicted on X",
    }
    order = [
        event["args"]["sort_index"] for event in events if event["name"] == "process_sort_index"
    ]
    assert order == [30, 31]
    kernels = [event for event in events if event["name"] == "sgemm"]
    told = [(kernel["pid"], kernel["args"]["duration is"]) for kernel in kernels]
    assert told == [(30, "measured"), (31, "scaled")]
    assert written == Written(slices=8, flows=2, cut=0)


def test_an_operator_reaches_over_what_it_calls(tmp_path: Path) -> None:
    events, _ = events_of(tmp_path / "t.json", Track("measured", measured(launch_graph())))
    slices = slices_of(events)
    assert (slices["linear"]["ts"], slices["linear"]["dur"]) == (0.0, 3.0)
    assert slices["linear"]["args"]["own_us"] == 1.0
    assert (slices["launch"]["ts"], slices["launch"]["dur"]) == (1.0, 1.0)
    assert "own_us" not in slices["launch"]["args"]


def test_an_operator_that_calls_last_reaches_to_the_end_of_what_it_calls() -> None:
    """linear 0-1 µs { addmm 1-3 µs { mm 3-4 µs } }"""
    builder = GraphBuilder()
    lane = builder.lane(LaneKind.HOST, 1, 1)
    linear = builder.add("linear", lane, duration_ns=1000)
    addmm = builder.add("addmm", lane, start_ns=1000, duration_ns=2000, parent=linear)
    builder.add("mm", lane, start_ns=3000, duration_ns=1000, parent=addmm)
    spans = find_spans(measured(builder.build()))
    assert spans.start_ns.tolist() == [0, 1000, 3000]
    assert spans.end_ns.tolist() == [4000, 4000, 4000]
    assert spans.encloses.tolist() == [True, True, False]


def test_a_launch_is_an_arrow_from_slice_to_slice(tmp_path: Path) -> None:
    events, _ = events_of(tmp_path / "t.json", Track("measured", measured(launch_graph())))
    start, finish = (event for event in events if event["ph"] in "sf")
    assert (start["ph"], start["ts"], start["tid"]) == ("s", 1.0, 1)
    assert (finish["ph"], finish["ts"], finish["tid"], finish["bp"]) == ("f", 3.0, 2, "e")
    assert start["id"] == finish["id"]
    assert start["name"] == finish["name"] == "launch"


def test_the_last_rank_to_arrive_points_at_those_that_waited(tmp_path: Path) -> None:
    """a (rank 0, ends at 1) and b (rank 1, ends at 4) --> join --> A, B"""
    builder = GraphBuilder(GraphMeta(world_size=2))
    lanes = [builder.lane(LaneKind.HOST, rank, 1) for rank in range(2)]
    meeting = builder.lane(LaneKind.VIRTUAL, 0, 0)
    meets = EdgeKind.RENDEZVOUS
    a = builder.add("a", lanes[0], duration_ns=1000, rank=0)
    b = builder.add("b", lanes[1], duration_ns=4000, rank=1)
    join = builder.add(
        "join", meeting, start_ns=4000, category=Category.JOIN, after=[(a, meets, 0), (b, meets, 0)]
    )
    for rank, name in enumerate("AB"):
        after = [(join, meets, 0)]
        builder.add(name, lanes[rank], start_ns=4000, duration_ns=1, rank=rank, after=after)
    events, _ = events_of(tmp_path / "t.json", Track("measured", measured(builder.build())))
    assert set(slices_of(events)) == {"a", "b", "A", "B"}  # the join itself takes no time
    arrows = [(event["ph"], event["pid"]) for event in events if event["ph"] in "sf"]
    assert arrows == [("s", 10), ("f", 0)]


def test_steps_have_a_lane_of_their_own(tmp_path: Path) -> None:
    builder = GraphBuilder()
    lane = builder.lane(LaneKind.HOST, 1, 1)
    begin = builder.add("step", lane, start_ns=10_000, category=Category.ANNOTATION)
    end = builder.add("step", lane, start_ns=30_000, category=Category.ANNOTATION)
    builder.step("ProfilerStep#3", begin, end)
    events, _ = events_of(tmp_path / "t.json", Track("measured", measured(builder.build())))
    step = slices_of(events)["ProfilerStep#3"]
    assert (step["pid"], step["tid"], step["ts"], step["dur"]) == (0, 0, 10.0, 20.0)


def test_a_slice_that_would_half_overlap_is_cut_and_counted(tmp_path: Path) -> None:
    """a 0-2 µs and b 1-3 µs on one thread: viewers draw only what nests."""
    builder = GraphBuilder()
    lane = builder.lane(LaneKind.HOST, 1, 1)
    builder.add("a", lane, start_ns=0, duration_ns=2000)
    builder.add("b", lane, start_ns=1000, duration_ns=2000)
    events, written = events_of(tmp_path / "t.json", Track("measured", measured(builder.build())))
    assert slices_of(events)["b"]["dur"] == 1.0
    assert written.cut == 1


def test_times_are_exact_to_the_nanosecond_after_a_day(tmp_path: Path) -> None:
    builder = GraphBuilder()
    day_ns = 86_400 * 10**9
    builder.add("late", builder.lane(LaneKind.HOST, 1, 1), start_ns=day_ns + 1, duration_ns=1)
    events, _ = events_of(tmp_path / "t.json", Track("measured", measured(builder.build())))
    assert round(slices_of(events)["late"]["ts"] * 1000) == day_ns + 1


def test_equal_timelines_are_equal_files(tmp_path: Path) -> None:
    track = Track("measured", measured(launch_graph()))
    for name in ("a.json.gz", "b.json.gz"):
        write_timelines(tmp_path / name, [track])
    assert (tmp_path / "a.json.gz").read_bytes() == (tmp_path / "b.json.gz").read_bytes()


def test_the_file_tells_the_absolute_time_of_its_zero(tmp_path: Path) -> None:
    write_timelines(tmp_path / "t.json", [Track("measured", measured(launch_graph()))])
    assert json.loads((tmp_path / "t.json").read_text())["baseTimeNanoseconds"] == 5_000


def test_parents_in_a_circle_enclose_nothing() -> None:
    builder = GraphBuilder()
    lane = builder.lane(LaneKind.HOST, 1, 1)
    builder.add("a", lane, duration_ns=1, parent=1)
    builder.add("b", lane, duration_ns=1, parent=0)
    assert not find_spans(measured(builder.build())).encloses.any()


def assert_nested(events: list[Event]) -> None:
    """On each thread a slice lies inside another or beside it."""
    threads: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for event in events:
        if event["ph"] == "X" and event["cat"] != "step":
            start = round(event["ts"] * 1000)
            threads[event["pid"], event["tid"]].append((start, start + round(event["dur"] * 1000)))
    for spans in threads.values():
        ends: list[int] = []
        for start, end in spans:
            while ends and ends[-1] <= start:
                ends.pop()
            assert not ends or end <= ends[-1]
            ends.append(end)


@settings(deadline=None, max_examples=40)
@given(execution_graphs())
def test_any_timeline_nests_and_has_each_arrow_once(
    tmp_path_factory: pytest.TempPathFactory, graph: ExecutionGraph
) -> None:
    path = tmp_path_factory.mktemp("any") / "t.json"
    tracks = [Track(title, measured(graph)) for title in ("measured", "again")]
    events, written = events_of(path, *tracks)
    marks = np.isin(graph.nodes.category, [Category.ORIGIN, Category.JOIN])
    assert written.slices == 2 * int((~marks).sum())
    assert_nested(events)
    flows = Counter((event["ph"], event["id"]) for event in events if event["ph"] in "sf")
    assert set(flows.values()) <= {1}
    assert len(flows) == 2 * written.flows
