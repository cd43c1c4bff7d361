"""Traces of many ranks as one: every event kept, nothing mixed up, one clock."""

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from etsim.converters.merge_traces import MergedRank, RankTrace, find_traces, merge_traces
from etsim.converters.trace_clocks import collective_corrections
from etsim.models.errors import AnalysisError, RankError, TraceFormatError
from etsim.models.graph import Category, Collective, ExecutionGraph, GraphMeta, LaneKind
from etsim.models.graph_builder import GraphBuilder

Json = Mapping[str, object]

HOST_EVENT: Json = {
    "ph": "X", "cat": "cpu_op", "name": "aten::mm", "pid": 4711, "tid": 4712,
    "ts": 100.25, "dur": 2.5, "args": {"External id": 7, "Input Dims": [[2, 3], []]},
}  # fmt: skip
FLOW: list[Json] = [
    {"ph": "s", "id": 1, "pid": 4711, "tid": 4712, "ts": 100.25, "cat": "ac2g", "name": "ac2g"},
    {"ph": "f", "id": 1, "pid": 0, "tid": 7, "ts": 103, "cat": "ac2g", "name": "ac2g", "bp": "e"},
]
NAMES: list[Json] = [
    {"ph": "M", "name": "process_name", "pid": 4711, "tid": 0, "ts": 1, "args": {"name": "python"}},
    {"ph": "M", "name": "process_sort_index", "pid": 4711, "tid": 0, "args": {"sort_index": 4711}},
    {"ph": "M", "name": "thread_name", "pid": 4711, "tid": 4712, "args": {"name": "main"}},
    {"ph": "M", "name": "process_name", "pid": 0, "tid": 0, "args": {"name": "python"}},
    {"ph": "M", "name": "process_labels", "pid": 0, "tid": 0, "args": {"labels": "GPU 0"}},
    {"ph": "M", "name": "process_sort_index", "pid": 0, "tid": 0, "args": {"sort_index": 5000000}},
]


def write(
    path: Path, events: Sequence[Json], *, rank: int = 0, base_ns: int = 0, host: str = ""
) -> Path:
    document = {
        "schemaVersion": 1,
        "distributedInfo": {"rank": rank, "world_size": 2},
        "baseTimeNanoseconds": base_ns,
        "host_name": host,
        "traceEvents": events,
    }
    path.write_text(json.dumps(document))
    return path


def two_ranks(folder: Path, *, base_ns: tuple[int, int] = (0, 0)) -> list[Path]:
    """Two ranks with equal processes, threads and flow ids, as profilers write them."""
    return [
        write(folder / f"rank{rank}.json", [*NAMES, HOST_EVENT, *FLOW], rank=rank, base_ns=base)
        for rank, base in enumerate(base_ns)
    ]


def merged(
    paths: Sequence[Path], corrections_ns: Mapping[int, int] | None = None
) -> tuple[list[dict[str, object]], list[MergedRank]]:
    output = paths[0].with_name("merged.json")
    ranks = merge_traces(find_traces(paths), corrections_ns or {}, output)
    return json.loads(output.read_text())["traceEvents"], ranks


def of_kind(events: list[dict[str, object]], kind: str) -> list[dict[str, object]]:
    return [event for event in events if event["ph"] == kind]


def test_processes_are_numbered_by_rank_and_say_what_they_are(tmp_path: Path) -> None:
    events, _ = merged(two_ranks(tmp_path))
    names = {e["pid"]: e["args"] for e in of_kind(events, "M") if e["name"] == "process_name"}
    assert names == {
        0: {"name": "rank 0: python (4711)"},
        1: {"name": "rank 0: GPU 0, python (0)"},
        1000: {"name": "rank 1: python (4711)"},
        1001: {"name": "rank 1: GPU 0, python (0)"},
    }
    order = {e["pid"]: e["args"] for e in of_kind(events, "M") if e["name"] == "process_sort_index"}
    assert order == {pid: {"sort_index": pid} for pid in names}


def test_threads_keep_their_names(tmp_path: Path) -> None:
    events, _ = merged(two_ranks(tmp_path))
    threads = [e for e in of_kind(events, "M") if e["name"] == "thread_name"]
    assert [(e["pid"], e["tid"], e["args"]) for e in threads] == [
        (0, 4712, {"name": "main"}),
        (1000, 4712, {"name": "main"}),
    ]


def test_flows_of_different_ranks_have_different_ids(tmp_path: Path) -> None:
    events, ranks = merged(two_ranks(tmp_path))
    assert [e["id"] for e in of_kind(events, "s")] == [1, (1 << 40) | 1]
    assert [e["id"] for e in of_kind(events, "f")] == [1, (1 << 40) | 1]
    assert [rank.flows for rank in ranks] == [1, 1]


def test_ids_that_are_no_small_numbers_stay_apart(tmp_path: Path) -> None:
    told = ["0x1f", 2**60, 5, "0x1f"]
    path = write(tmp_path / "a.json", [{**FLOW[0], "id": one} for one in told])
    events, _ = merged([path])
    ids = [e["id"] for e in of_kind(events, "s")]
    assert ids[0] == ids[3]
    assert len(set(ids)) == 3
    assert ids[2] == 5


def test_every_event_keeps_all_it_says(tmp_path: Path) -> None:
    events, ranks = merged(two_ranks(tmp_path))
    first, second = of_kind(events, "X")
    assert first == {**HOST_EVENT, "pid": 0}
    assert second == {**HOST_EVENT, "pid": 1000}
    assert [rank.events for rank in ranks] == [9, 9]


def test_times_count_from_the_earliest_rank_to_the_digit(tmp_path: Path) -> None:
    """Rank 1's zero is 1,234,567 ns later: its 100.25 µs are 1334.817 µs of rank 0."""
    events, ranks = merged(two_ranks(tmp_path, base_ns=(10**18, 10**18 + 1_234_567)))
    assert [e["ts"] for e in of_kind(events, "X")] == [100.25, 1334.817]
    assert [rank.shift_ns for rank in ranks] == [0, 1_234_567]
    assert json.loads((tmp_path / "merged.json").read_text())["baseTimeNanoseconds"] == 10**18


def test_absolute_times_lose_no_digit(tmp_path: Path) -> None:
    """1694128201435478.123 µs has more digits than a double."""
    path = write(tmp_path / "a.json", [])
    late = '{"ph":"X","name":"a","pid":1,"tid":1,"ts":1694128201435478.123,"dur":1}'
    path.write_text(f'{{"traceEvents":[{late}]}}')
    output = tmp_path / "m.json"
    merge_traces([RankTrace(path, 0, 0, ""), RankTrace(path, 1, 5, "")], {}, output)
    assert '"ts":1694128201435478.123,' in output.read_text()
    assert '"ts":1694128201435478.128,' in output.read_text()


def test_a_correction_moves_a_ranks_clock(tmp_path: Path) -> None:
    events, ranks = merged(two_ranks(tmp_path), {0: -250})
    assert [e["ts"] for e in of_kind(events, "X")] == [100.25, 100.5]
    assert [rank.correction_ns for rank in ranks] == [-250, 0]


def test_processes_and_threads_with_names_for_numbers_get_numbers(tmp_path: Path) -> None:
    odd = {"ph": "X", "name": "a", "pid": "Spans", "tid": "PyTorch Profiler", "ts": 1, "dur": 1}
    events, _ = merged([write(tmp_path / "a.json", [odd, odd])])
    assert {type(e[key]) for e in events for key in ("pid", "tid")} == {int}
    names = [e["args"] for e in of_kind(events, "M") if e["name"] != "process_sort_index"]
    assert names == [{"name": "rank 0: Spans"}, {"name": "PyTorch Profiler"}]


def test_gzipped_in_and_gzipped_out(tmp_path: Path) -> None:
    plain = write(tmp_path / "plain.json", [HOST_EVENT])
    packed = tmp_path / "rank0.json.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    output = tmp_path / "m.json.gz"
    merge_traces(find_traces([packed]), {}, output)
    assert len(json.loads(gzip.decompress(output.read_bytes()))["traceEvents"]) == 3


def test_a_trace_without_events_is_a_rank_without_processes(tmp_path: Path) -> None:
    events, ranks = merged([write(tmp_path / "a.json", [])])
    assert events == []
    assert ranks[0].events == 0


def test_two_traces_of_one_rank_are_refused(tmp_path: Path) -> None:
    paths = [write(tmp_path / name, [], rank=1) for name in ("a.json", "b.json")]
    with pytest.raises(RankError, match="is of rank 1, as is"):
        find_traces(paths)


@pytest.mark.parametrize("text", ['{"traceEvents": [{"ph": "X"', '{"traceEvents": [3]}', "{}"])
def test_what_is_no_trace_is_told_and_leaves_no_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(TraceFormatError, match=r"a\.json"):
        merge_traces(find_traces([path]), {}, tmp_path / "m.json")
    assert list(tmp_path.iterdir()) == [path]


def test_a_time_that_is_none_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", [{**HOST_EVENT, "ts": "soon"}])
    traces = [RankTrace(path, 0, 0, ""), RankTrace(path, 1, 1, "")]
    with pytest.raises(TraceFormatError, match='event at "soon", which is no time'):
        merge_traces(traces, {}, tmp_path / "m.json")


def ranks_with_collectives(*ends_ns: Sequence[int]) -> list[ExecutionGraph]:
    """Give a graph a rank whose n-th all_reduce ends at these times of its own clock."""
    graphs = []
    for rank, ends in enumerate(ends_ns):
        builder = GraphBuilder(GraphMeta(rank=rank, world_size=len(ends_ns), clock_base_ns=1000))
        stream = builder.lane(LaneKind.DEVICE, rank, 20)
        for sequence, end in enumerate(ends):
            builder.add(
                "nccl", stream, start_ns=end - 10, duration_ns=10, rank=rank, sequence=sequence,
                category=Category.COLLECTIVE, collective=Collective("all_reduce", "0", (0, 1, 2)),
            )  # fmt: skip
        graphs.append(builder.build())
    return graphs


def test_clocks_are_corrected_until_collectives_end_together() -> None:
    """Rank 2's clock is 500 ns ahead; that rank 1 was late once, by 300, does not count."""
    graphs = ranks_with_collectives((100, 200, 300), (100, 500, 300), (600, 700, 800))
    assert collective_corrections(graphs) == [0, 0, -500]


def test_clocks_without_a_collective_in_common_cannot_be_corrected() -> None:
    with pytest.raises(AnalysisError, match="rank 0 shares no collective"):
        collective_corrections(ranks_with_collectives((100,), ()))
