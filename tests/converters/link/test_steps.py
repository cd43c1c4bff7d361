"""Which annotations mark steps, and where their marks stand."""

import pytest

from etsim.converters.link.steps import find_steps
from etsim.tests.kineto_maker import WORKER, Recording


def steps_of(run: Recording) -> list[str]:
    return [step.name for step in find_steps(run.trace())]


def marked(*names: str) -> Recording:
    """Give annotations of 80 us, one every 100 us, with an operator in each."""
    run = Recording()
    for index, name in enumerate(names):
        run.mark(name, 100 * index, 100 * index + 80)
        run.op("work", 100 * index + 10, 100 * index + 50)
    return run


@pytest.mark.parametrize(
    "names",
    [
        ("ProfilerStep#3", "ProfilerStep#4"),
        ("epoch_0", "epoch_1", "epoch_2"),
        ("step 1", "step 2"),
        ("iter#0", "iter#1"),
        ("batch0", "batch1"),
        ("train micro_batch 0", "train micro_batch 1"),
        ("batch_0", "batch_1", "batch_0"),  # of the next epoch
        ("part_1", "part_2"),  # the word tells nothing, the numbers only go up
        ("execute_new_0_cached_32", "execute_new_1_cached_31"),
        ("execute_context_2(512)_generation_3(3)", "execute_8_context_1(64)_generation_7(7)"),
        ("step[DECODE bs=32]", "step[EXTEND bs=1]"),
        ("prefill[bs=1 toks=9]", "decode[bs=8]"),
    ],
)
def test_what_marks_steps(names: tuple[str, ...]) -> None:
    assert steps_of(marked(*names)) == list(names)


@pytest.mark.parametrize(
    "names",
    [
        ("epoch_0",),  # one is no series
        ("epoch_0", "epoch_0"),  # nothing counts up
        ("forward", "backward"),
        ("7", "8"),  # a number alone names nothing
        ("layer_0", "layer_1"),  # parts of a model
        ("net.Block 0", "net.Block 1"),
        ("linear_0", "linear_1", "linear_0", "linear_1"),  # they come again each pass
    ],
)
def test_what_does_not_mark_steps(names: tuple[str, ...]) -> None:
    assert steps_of(marked(*names)) == []


def test_a_single_profiler_step_is_enough() -> None:
    assert steps_of(marked("ProfilerStep#7")) == ["ProfilerStep#7"]


def test_a_profiler_step_may_be_recorded_as_an_operator() -> None:
    run = Recording()
    run.op("ProfilerStep#7", 0, 100)
    run.op("work", 10, 20)
    assert steps_of(run) == ["ProfilerStep#7"]
    assert run.linked().duration_us("ProfilerStep#7") == 0


def test_profiler_steps_win_over_an_engines_and_those_over_numbers() -> None:
    assert steps_of(marked("epoch_0", "epoch_1", "step[DECODE bs=1]")) == ["step[DECODE bs=1]"]
    assert steps_of(marked("step[DECODE bs=1]", "ProfilerStep#1")) == ["ProfilerStep#1"]


def test_of_two_series_the_one_that_covers_more_time_marks_the_steps() -> None:
    """Layers count up inside each epoch; the epochs are the steps."""
    run = Recording()
    for epoch in range(2):
        run.mark(f"epoch_{epoch}", 100 * epoch, 100 * epoch + 90)
        for layer in range(2):
            start = 100 * epoch + 40 * layer
            run.mark(f"layer_{layer}", start, start + 30)
    assert steps_of(run) == ["epoch_0", "epoch_1"]


def test_a_series_that_overlaps_is_no_series_of_steps() -> None:
    run = Recording()
    run.mark("request_0", 0, 100)
    run.mark("request_1", 50, 150)
    assert steps_of(run) == []


def test_series_of_two_threads_are_told_apart() -> None:
    run = marked("epoch_0", "epoch_1")
    run.mark("epoch_2", 20, 30, thread=WORKER)
    assert steps_of(run) == ["epoch_0", "epoch_1"]


def test_the_last_of_a_series_may_end_when_the_next_begins() -> None:
    run = Recording()
    run.mark("epoch_0", 0, 100)
    run.mark("epoch_1", 100, 200)
    assert steps_of(run) == ["epoch_0", "epoch_1"]


def test_the_marks_stand_at_the_annotations_ends() -> None:
    run = marked("epoch_0", "epoch_1")
    graph = run.graph()
    spans = [
        (int(graph.nodes.start_ns[s.begin_row]), int(graph.nodes.start_ns[s.end_row]))
        for s in graph.steps
    ]
    assert spans == [(0, 80_000), (100_000, 180_000)]


def test_rows_and_kernels_belong_to_the_step_in_which_they_were_issued() -> None:
    """The kernel runs after its step ended; what stands between the steps is in none.

    host     |epoch_0 launch|  between  |epoch_1 |
    stream                     [kernel]
    """
    run = Recording()
    run.mark("epoch_0", 0, 100)
    run.kernel("kernel", 105, 140, by=run.launch(90, 95))
    run.op("between", 110, 150)
    run.mark("epoch_1", 200, 300)
    run.op("inside", 250, 260)
    seen = run.linked()
    steps = {
        name: int(seen.graph.nodes.step[seen.row(name)]) for name in ("kernel", "between", "inside")
    }
    assert steps == {"kernel": 0, "between": -1, "inside": 1}
