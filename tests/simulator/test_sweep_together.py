"""Points answered together have the answers that each has by itself, to the bit, for less work."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etsim.models.graph import ExecutionGraph
from etsim.models.merge import merge_ranks
from etsim.models.specs import load
from etsim.simulator import predict, scenarios, sweep, sweep_totals
from etsim.simulator.sweep import (
    MOST_CHANGES,
    MOST_POINTS,
    Run,
    block_size,
    blocks,
    evaluate,
    evaluate_one,
)
from etsim.simulator.sweep_points import Point, points_of

from ..models.transforms.training_graph import training_run, without_shapes

MACHINES = ("h100-sxm", "a100-sxm-80gb", "l4", "mi300x", "cpu-cloud-2core", "no-such-machine")
FIGURES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("memory.bandwidth", ("1 TB/s", "2 TB/s")),
    ("launch_latency", ("1 us", "9 us")),
    ("host.relative_speed", ("1.5",)),
    ("host.cores", ("1", "64")),
    ("bogus", ("3",)),
)
CHANGES = (
    "ddp:ranks=8,link=25GB/s",
    "ddp:ranks=2",
    "ddp:ranks=99999",
    "accumulate:steps=3",
    "layers:to=3",
    "batch:from=16,to=64",
    "amp",
    "quantise:bits=8",
    "link:bandwidth=2",
    "hw:name=a100",
    "host:speed=2",
    "zero:ranks=4,link=25GB/s",
    "pipeline:stages=2,micro=2,link=25GB/s",
    "bogus",
)


@cache
def graph_of(device: bool, shapes: bool) -> ExecutionGraph:
    graph = training_run(device=device)
    return graph if shapes else without_shapes(graph)


points = st.builds(
    Point,
    st.sampled_from(MACHINES),
    st.lists(
        st.sampled_from(FIGURES).flatmap(lambda f: st.tuples(st.just(f[0]), st.sampled_from(f[1]))),
        max_size=2, unique_by=lambda figure: figure[0],
    ).map(tuple),
    st.lists(st.sampled_from(CHANGES), max_size=2).map(tuple),
)  # fmt: skip
runs = st.builds(
    lambda graph, source: Run((graph,), load(source) if source else None),
    st.builds(graph_of, st.booleans(), st.sampled_from([True, True, False])),
    st.sampled_from([None, "h100-sxm", "cpu-cloud-2core"]),
)


def one_by_one(run: Run, asked: Sequence[Point]) -> list[sweep.Result]:
    recorded = merge_ranks(run.graphs)
    return [evaluate_one(run, recorded, point) for point in asked]


@given(runs, st.lists(points, min_size=1, max_size=8))
@settings(deadline=None, max_examples=30)
def test_points_together_have_the_answers_they_have_alone(run: Run, asked: list[Point]) -> None:
    assert evaluate(run, asked) == one_by_one(run, asked)


@pytest.mark.parametrize("source", [None, "h100-sxm"])
@pytest.mark.parametrize("device", [False, True])
def test_many_machines_together_have_the_answers_they_have_alone(
    device: bool, source: str | None
) -> None:
    """So many that they are replayed row by row over all scenarios."""
    run = Run((graph_of(device, True),), load(source) if source else None)
    spans = {"memory.bandwidth": [f"{n} TB/s" for n in range(1, 14)]}
    asked = points_of(["h100-sxm", "l4"], spans, [["", "ddp:ranks=4,link=ib400"]])
    answers = evaluate(run, asked)
    assert answers == one_by_one(run, asked)
    assert len({answer.predicted_ns for answer in answers}) > 13


def counted(patch: pytest.MonkeyPatch, counts: Counter[str], home: Any, name: str) -> None:
    """Count the calls of a function where it is looked up."""
    plain: Callable[..., Any] = getattr(home, name)

    def counting(*arguments: Any, **named: Any) -> Any:
        counts[name] += 1
        return plain(*arguments, **named)

    patch.setattr(home, name, counting)


def test_points_of_one_graph_share_its_edits_its_plan_and_its_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """60 machines x 2 sets of what-ifs: 2 graphs, each read once and replayed in one pass."""
    counts: Counter[str] = Counter()
    for home, name in (
        (predict, "offload"), (sweep, "sound"), (sweep_totals, "price_plan"),
        (sweep_totals, "scenario_totals"), (sweep, "price_all"), (sweep, "replay"),
        (scenarios, "replay"),
    ):  # fmt: skip
        counted(monkeypatch, counts, home, name)
    spans = {"memory.bandwidth": [f"{n} TB/s" for n in range(1, 61)]}
    asked = points_of(["h100-sxm"], spans, [["amp"], ["", "layers:to=3"]])
    run = Run((graph_of(False, True),), load("cpu-cloud-2core"))
    answers = evaluate(run, asked)
    assert not any(answer.fault for answer in answers)
    assert counts == {"offload": 1, "sound": 2, "price_plan": 2, "scenario_totals": 2}


def test_what_an_edit_reads_of_a_machine_parts_the_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    """An offload takes launch latency from the target: one graph each; bandwidth it never reads."""
    counts: Counter[str] = Counter()
    counted(monkeypatch, counts, predict, "offload")
    spans = {
        "memory.bandwidth": ["1 TB/s", "2 TB/s"],
        "launch_latency": ["1 us", "2 us", "3 us"],
    }
    asked = points_of(["h100-sxm"], spans, [])
    answers = evaluate(Run((graph_of(False, True),), None), asked)
    assert not any(answer.fault for answer in answers)
    assert counts["offload"] == 3


def test_an_edit_that_reads_nothing_of_machines_is_shared_by_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A faster host: one graph for machines of unlike links; a faster link leaves the run's own."""
    counts: Counter[str] = Counter()
    for home, name in ((sweep, "parse_asked"), (sweep_totals, "scenario_totals")):
        counted(monkeypatch, counts, home, name)
    asked = points_of(["h100-sxm", "a100-sxm-80gb", "l4"], {}, [["", "link:2", "host:2"]])
    run = Run((graph_of(True, True),), load("mi300x"))
    assert not any(answer.fault for answer in evaluate(run, asked))
    assert counts == {"parse_asked": 3 + 1, "scenario_totals": 2}


def test_a_graph_too_large_to_wait_is_answered_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "MOST_ROWS", 1)
    run = Run((graph_of(True, True),), load("h100-sxm"))
    asked = points_of(["l4", "a100-sxm-80gb"], {}, [["", "layers:to=3"], ["", "host:2"]])
    assert evaluate(run, asked) == one_by_one(run, asked)


def test_a_refusal_is_shared_too(monkeypatch: pytest.MonkeyPatch) -> None:
    counts: Counter[str] = Counter()
    counted(monkeypatch, counts, sweep, "parse_asked")
    spans = {"memory.bandwidth": ["1 TB/s", "2 TB/s", "3 TB/s"]}
    asked = points_of(["h100-sxm"], spans, [["ddp:ranks=2", "batch:from=16,to=32"]])
    run = Run((graph_of(True, False),), load("h100-sxm"))
    answers = evaluate(run, asked)
    assert all("record" in answer.fault for answer in answers)
    assert counts["parse_asked"] == 2


def test_times_beyond_what_floats_hold_are_answered_one_by_one() -> None:
    graph = graph_of(True, True)
    long = np.full(len(graph), 2**53 + 1)
    run = Run((replace(graph, nodes=replace(graph.nodes, duration_ns=long)),), load("h100-sxm"))
    asked = points_of(["h100-sxm"], {}, [["", "host:1"]])
    assert evaluate(run, asked) == one_by_one(run, asked)


def test_blocks_keep_points_of_the_same_what_ifs_together() -> None:
    asked = points_of(["a", "b", "c"], {}, [["x", "y"]])
    cut = blocks(asked, 3)
    assert [[point.changes for point in block] for block in cut] == [[("x",)] * 3, [("y",)] * 3]
    many = points_of(["a"], {}, [[f"x{n}" for n in range(MOST_CHANGES + 1)]])
    assert [len(block) for block in blocks(many, 100)] == [MOST_CHANGES, 1]
    assert blocks([], 4) == []


def test_every_worker_has_some_tasks_and_no_task_too_many_points() -> None:
    assert block_size(1000, workers=1) == 250
    assert block_size(10**6, workers=2) == MOST_POINTS
    assert block_size(10, workers=16) == 1
    assert block_size(0, workers=1) == 1
