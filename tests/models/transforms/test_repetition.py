"""More layers, micro-batches, checkpoints and stages, against times added up by hand.

F0 F1 | B1 a1 B0 a0 | o0 o1        F 100, B 200, a 1, o 10 µs
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etsim.models.graph import ExecutionGraph, same_graph
from etsim.models.transforms.edit import sound
from etsim.models.transforms.schedules import Schedule, Task, in_time, stage_orders
from etsim.models.transforms.splice import spliced, without_time
from etsim.models.transforms.stage_cut import balanced
from etsim.models.transforms.training import fixed
from etsim.simulator.replay import replay

from .training_graph import (
    ACCUMULATE_NS,
    BACKWARD_NS,
    FORWARD_NS,
    OPTIMIZER_NS,
    applied,
    names,
    rows_named,
    step_ns,
    training_run,
)


def test_rows_laid_out_as_they_are_give_the_very_graph() -> None:
    graph = training_run()
    assert same_graph(spliced(graph, [(row, 0) for row in range(len(graph))]), graph)


def test_a_repeated_row_takes_its_turn_on_its_lane() -> None:
    """window -> step -> F0 -> F1 ...      becomes      ... F0 -> F0' -> F1 ..."""
    graph = training_run(layers=2)
    first = rows_named(graph, "aten::mm")[0]
    order = [(row, 0) for row in range(len(graph))]
    order.insert(first + 1, (first, 1))
    longer = spliced(graph, order)
    assert replay(longer).makespan_ns == step_ns(2) + FORWARD_NS
    assert [p for p, _, _ in longer.predecessors(first + 2)] == [first + 1]


@given(st.integers(2, 5), st.integers(1, 7))
def test_a_run_of_other_layers_is_the_run_that_has_them(recorded: int, wanted: int) -> None:
    graph = applied(training_run(layers=recorded), f"layers:to={wanted}")
    rounding = recorded  # of the optimizer's rows
    assert abs(replay(graph).makespan_ns - step_ns(wanted)) <= rounding


def test_a_run_that_only_goes_forward_has_layers_too() -> None:
    """step | F0 F1 F2 | end"""
    graph = without(training_run(layers=3), _backward_and_optimizer)
    assert replay(applied(graph, "layers:to=5")).makespan_ns == 5 * FORWARD_NS
    assert replay(applied(graph, "layers:to=1")).makespan_ns == FORWARD_NS


def _backward_and_optimizer(graph: ExecutionGraph, row: int) -> bool:
    index = int(graph.nodes.phase[row])
    return index >= 0 and graph.names[index] in ("backward", "optimizer")


def without(
    graph: ExecutionGraph, unwanted: Callable[[ExecutionGraph, int], bool]
) -> ExecutionGraph:
    rows = [row for row in range(len(graph)) if not unwanted(graph, row)]
    left = spliced(graph, [(row, 0) for row in rows])
    used = {int(n) for column in ("name", "module", "phase") for n in getattr(left.nodes, column)}
    names = tuple(n if k in used else "gone" for k, n in enumerate(left.names))
    return replace(left, names=names)


def test_added_layers_have_names_of_their_own_and_can_be_taken_away_again() -> None:
    graph = applied(training_run(layers=2), "layers:to=4")
    assert {"Net_0/Block_2/Linear_0", "Net_0/Block_3/Linear_0"} <= set(graph.names)
    assert replay(applied(graph, "layers:to=1")).makespan_ns == step_ns(1)


@given(st.integers(1, 4), st.integers(1, 3))
def test_micro_batches_add_forwards_and_backwards_alone(micros: int, steps: int) -> None:
    graph = training_run(layers=2, steps=steps)
    longer = applied(graph, f"accumulate:steps={micros}")
    passes = 2 * (FORWARD_NS + BACKWARD_NS + ACCUMULATE_NS)
    adding = sum(longer.nodes.duration_ns[row] for row in rows_named(longer, "aten::add_"))
    adding -= steps * 2 * OPTIMIZER_NS
    expected = steps * (step_ns(2) + (micros - 1) * passes) + adding
    assert replay(longer).makespan_ns == expected
    assert adding >= 0
    assert len(names(longer, "aten::add_")) == steps * 2 * micros


def test_only_the_last_micro_batch_sends() -> None:
    graph = applied(training_run(layers=2), "ddp:ranks=2,link=1GB/s", "accumulate:steps=3")
    sent = rows_named(graph, "gloo:all_reduce")
    assert len(sent) == 2  # buckets of 1 MiB
    assert sent[0] > max(rows_named(graph, "AccumulateGrad")[:4])


def test_checkpointing_repeats_every_forward_before_its_backward() -> None:
    """F0 F1 | F1' B1 F0' B0 | ..."""
    graph = applied(training_run(layers=2), "checkpoint")
    assert replay(graph).makespan_ns == step_ns(2) + 2 * FORWARD_NS
    durations = [int(graph.nodes.duration_ns[row]) for row in rows_named(graph, "aten::mm")]
    forward, backward = FORWARD_NS, BACKWARD_NS
    assert durations == [forward, forward, forward, backward, forward, backward]


def test_checkpointing_every_second_layer_repeats_half() -> None:
    graph = applied(training_run(layers=4), "checkpoint:every=2")
    assert replay(graph).makespan_ns == step_ns(4) + 2 * FORWARD_NS


@pytest.mark.parametrize("schedule", ["gpipe", "1f1b"])
@given(stages=st.integers(1, 4), micros=st.integers(1, 6), steps=st.integers(1, 2))
def test_the_bubble_of_a_pipeline_is_the_formulas(
    schedule: str, stages: int, micros: int, steps: int
) -> None:
    """p alike stages, m micro-batches: (m + p - 1) slots of one forward and backward."""
    graph = training_run(layers=stages, steps=steps)
    if stages == 1:
        return
    asked = f"pipeline:stages={stages},micro={micros},schedule={schedule},link=1GB/s"
    cut = applied(graph, asked)
    slot = FORWARD_NS + BACKWARD_NS + ACCUMULATE_NS
    optimizer = cut.nodes.duration_ns[rows_named(cut, "aten::add_")].max() * stages
    assert replay(cut).makespan_ns <= steps * ((micros + stages - 1) * slot + optimizer)
    assert replay(cut).makespan_ns >= (micros + stages - 1) * slot


def test_one_step_of_a_pipeline_takes_its_slots_and_its_optimizer() -> None:
    cut = applied(training_run(layers=4), "pipeline:stages=4,micro=8,link=1GB/s")
    slots = (8 + 4 - 1) * (FORWARD_NS + BACKWARD_NS + ACCUMULATE_NS)
    assert replay(cut).makespan_ns == slots + 4 * OPTIMIZER_NS // 4
    assert sorted(set(cut.nodes.rank.tolist())) == [0, 1, 2, 3]
    assert len(names(cut, "send")) == 8 * 2 * 3


def test_interleaving_shrinks_the_bubble() -> None:
    graph = training_run(layers=4)
    plain = replay(applied(graph, "pipeline:stages=2,micro=4,link=1GB/s"))
    mixed = replay(
        applied(graph, "pipeline:stages=2,micro=4,schedule=interleaved,chunks=2,link=1GB/s")
    )
    assert mixed.makespan_ns < plain.makespan_ns


@given(st.sampled_from(list(Schedule)), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3))
def test_a_schedule_holds_every_task_once_behind_what_it_needs(
    schedule: Schedule, stages: int, rounds: int, chunks: int
) -> None:
    v = chunks if schedule is Schedule.INTERLEAVED else 1
    micros = stages * rounds
    tasks = in_time(stage_orders(schedule, stages, micros, v), stages * v)
    assert len(set(tasks)) == len(tasks) == 2 * micros * stages * v
    place = {task: k for k, task in enumerate(tasks)}
    for task in tasks:
        if task.backward:
            assert place[Task(task.chunk, task.micro, backward=False)] < place[task]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=7), st.integers(1, 4))
def test_layers_are_cut_into_parts_of_like_duration(times: list[int], parts: int) -> None:
    parts = min(parts, len(times))
    firsts = balanced(times, parts)
    assert firsts[0] == 0
    assert sorted(set(firsts)) == firsts
    ends = [*firsts[1:], len(times)]
    longest = max(sum(times[a:b]) for a, b in zip(firsts, ends, strict=True))
    assert longest <= max(*times, 0, sum(times) / parts + max(times))


@given(st.data(), st.booleans())
def test_any_rows_may_go_and_the_rest_stays_sound(data: st.DataObject, device: bool) -> None:
    graph = training_run(layers=2, device=device)
    gone = np.zeros(len(graph), dtype=bool)
    for row in data.draw(st.sets(st.integers(1, len(graph) - 1))):
        gone[row] = not fixed(graph)[row]
    left = sound(without_time(graph, gone), "test")
    assert len(left) == len(graph) - int(gone.sum())
    assert replay(left).makespan_ns <= replay(graph).makespan_ns
