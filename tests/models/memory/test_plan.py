"""Memory plans: the peak over lives; more storages; sizes; text and back."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from etsim.models.memory.plan import FORWARD, OPTIMIZER, MemoryPlan, Use
from etsim.models.memory.text import plan_from_text, plan_to_text

from ..memory_plans import Life, plan_of, training_plan


def two_lives(first: tuple[int, int], second: tuple[int, int]) -> MemoryPlan:
    lives = [
        Life(Use.ACTIVATION, *first, size_bytes=3),
        Life(Use.GRADIENT, *second, size_bytes=5),
    ]
    return plan_of(lives, [(0, FORWARD, "")], 9)


def test_storages_that_meet_add_up() -> None:
    peak = two_lives((0, 4), (4, 9)).peak()
    assert peak.bytes == 8
    assert peak.by_use == {Use.ACTIVATION: 3, Use.GRADIENT: 5}


def test_storages_that_follow_each_other_do_not() -> None:
    assert two_lives((0, 3), (4, 9)).peak().bytes == 5


def test_a_plan_of_nothing_takes_nothing() -> None:
    plan = two_lives((0, 3), (4, 9))
    assert plan.with_lives(plan.lives.take(np.zeros(2, dtype=bool))).peak().bytes == 0


def test_one_more_storage_is_there_all_the_time_or_for_a_span() -> None:
    plan = two_lives((0, 3), (4, 9))
    assert plan.with_more(Use.BUCKET, 10).peak().bytes == 15
    assert plan.with_more(Use.BUCKET, 4, (0, 3)).peak().bytes == 7


def test_a_note_is_told_once() -> None:
    plan = two_lives((0, 3), (4, 9))
    assert plan.with_lives(plan.lives, "a").with_lives(plan.lives, "a", "b").notes == ("a", "b")


def test_a_plan_trains_if_it_goes_backward() -> None:
    assert training_plan().trains
    assert not two_lives((0, 3), (4, 9)).trains
    assert OPTIMIZER in training_plan().track.phase


def test_a_plan_survives_as_text() -> None:
    plan = training_plan(layers=3)
    back = plan_from_text(plan_to_text(plan))
    assert back is not None
    assert back.peak() == plan.peak()
    assert (back.names, back.shapes, back.start, back.end) == (
        plan.names, plan.shapes, plan.start, plan.end,
    )  # fmt: skip
    assert plan_to_text(back) == plan_to_text(plan)


def test_a_text_that_is_none_gives_none() -> None:
    assert plan_from_text("nonsense") is None
    assert plan_from_text(plan_to_text(training_plan())[:-8]) is None


spans = st.tuples(st.integers(0, 20), st.integers(0, 9)).map(lambda s: (s[0], s[0] + s[1]))


@given(st.lists(st.tuples(spans, st.integers(0, 100)), min_size=1, max_size=8))
def test_the_peak_is_the_largest_sum_over_all_moments(
    drawn: list[tuple[tuple[int, int], int]],
) -> None:
    lives = [Life(Use.OTHER, *span, size_bytes=size) for span, size in drawn]
    plan = plan_of(lives, [(0, FORWARD, "")], 30)
    sums = [sum(size for (a, b), size in drawn if a <= t <= b) for t in range(31)]
    assert plan.peak().bytes == max(sums)
