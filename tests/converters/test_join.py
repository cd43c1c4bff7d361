"""Joining an execution trace with its profile: by which key, how well, and when it is refused.

execution trace   layer > linear > addmm          ids 1 2 3
profile           layer > linear > addmm          ids 1 2 3, or zero, or of another numbering
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etsim.converters.join import ALIGN_AT_ONCE, Join, JoinKey, align, best_join, join
from etsim.models.errors import JoinError
from etsim.tests.kineto_maker import FLAT_SCHEMA, WORKER, Recording

NAMES = ("linear", "relu", "mm", "add", "mul")
RF, EXTERNAL = "Record function id", "External id"


def run(operators: int = 10) -> Recording:
    made = Recording()
    for index in range(operators):
        made.op(NAMES[index % len(NAMES)], 10 * index, 10 * index + 8)
    return made


def joined(made: Recording, change: Callable[[dict[str, Any], int], None] | None = None) -> Join:
    """Join the run's pair after changing what the profile says of each operator."""
    et = made.et()
    if change is not None:
        for index, event in enumerate(made.events):
            event["args"] = dict(event["args"])
            change(event, index)
    return best_join(et, made.trace())


def zero_ids(event: dict[str, Any], _: int) -> None:
    event["args"][RF] = 0


def no_ids(event: dict[str, Any], _: int) -> None:
    event["args"] = {}


def test_equal_ids_with_equal_names_are_joined() -> None:
    found = joined(run())
    assert found.key is JoinKey.RECORD_FUNCTION
    assert (found.matched, found.et_nodes, found.kineto_events) == (10, 10, 10)
    assert found.coverage == 1
    assert found.name_mismatches == 0


def test_zero_ids_fall_back_to_external_ids() -> None:
    found = joined(run(), zero_ids)
    assert (found.key, found.coverage) == (JoinKey.EXTERNAL, 1)


@pytest.mark.parametrize("schema", [FLAT_SCHEMA, "1.1.1"])
def test_without_any_ids_the_order_of_names_joins(schema: str) -> None:
    made = run()
    et = made.et(schema=schema)
    for index, event in enumerate(made.events):
        event["args"] = dict(event["args"])
        no_ids(event, index)
    found = best_join(et, made.trace())
    assert (found.key, found.coverage) == (JoinKey.ORDER, 1)


def test_external_ids_of_another_numbering_lose_to_the_order_of_names() -> None:
    def renumber(event: dict[str, Any], index: int) -> None:
        event["args"] = {EXTERNAL: 1000 - index}

    found = joined(run(), renumber)
    assert (found.key, found.matched) == (JoinKey.ORDER, 10)


def test_equal_ids_with_other_names_are_counted_and_not_joined() -> None:
    def rename_first(event: dict[str, Any], index: int) -> None:
        if index == 0:
            event["name"] = "something else"

    found = joined(run(), rename_first)
    assert found.name_mismatches == 1
    assert found.matched == 9
    assert found.unmatched_names == ("linear",)


def test_by_order_threads_are_paired_by_what_they_ran() -> None:
    """The execution trace numbers threads 1, 2 in order of sight, the profile by the system."""
    made = Recording()
    made.op("backward", 0, 50, thread=777)
    for index in range(5):
        made.op(NAMES[index], 100 + 10 * index, 105 + 10 * index, thread=WORKER)
    found = joined(made, no_ids)
    assert found.coverage == 1


def test_an_operator_missing_from_the_profile_costs_only_itself() -> None:
    made = run(11)
    et = made.et()
    del made.events[4]
    for event in made.events:
        event["args"] = {}
    found = best_join(et, made.trace())
    assert (found.matched, found.et_nodes) == (10, 11)


@pytest.mark.parametrize(("missing", "refused"), [(2, False), (3, True)])
def test_less_than_80_percent_is_refused(missing: int, *, refused: bool) -> None:
    made = run(10)
    et = made.et()
    del made.events[:missing]
    if not refused:
        assert join(et, made.trace()).matched == 8
        return
    with pytest.raises(JoinError, match=r"only 70 % of made\.et\.json is found"):
        join(et, made.trace())
    assert join(et, made.trace(), allow_partial=True).matched == 7


def test_time_counts_as_well_as_nodes() -> None:
    """Nine of ten operators are joined, but the tenth ran longer than all of them."""
    made = run(9)
    et = made.et()
    made.op("unknown to the execution trace", 1000, 5000)
    found = best_join(et, made.trace())
    assert found.matched == found.et_nodes
    assert found.coverage == pytest.approx(72 / 4072)


def test_a_step_mark_does_not_cover_what_stands_in_it() -> None:
    made = run(5)
    et = made.et()
    for event in made.events:
        event["name"] = "other"
    made.mark("ProfilerStep#1", -10, 500)
    assert best_join(et, made.trace()).covered_ns == 0


def refused(made: Recording, other: Recording) -> str:
    with pytest.raises(JoinError) as caught:
        join(made.et(), other.trace())
    return caught.value.line()


def test_two_different_runs_are_told_by_their_processes() -> None:
    other = Recording(pid=200)
    for index in range(10):
        other.op(f"conv{index}", 10 * index, 10 * index + 8)
    told = refused(run(), other)
    assert "process 100 recorded one, 200 the other" in told
    assert "--allow-partial" in told


def test_all_ids_zero_is_told_with_what_to_record() -> None:
    other = Recording()
    for index in range(10):
        other.op(f"conv{index}", 10 * index, 10 * index + 8, said={RF: 0, EXTERNAL: 0})
    assert "all its 'Record function id' values are 0" in refused(run(), other)
    assert "etsim capture" in refused(run(), other)


def test_a_profile_of_the_device_alone_is_told() -> None:
    other = Recording()
    other.kernel("k", 0, 10)
    assert "the trace holds no host operators" in refused(run(), other)


texts = st.lists(st.sampled_from("abcd"), max_size=30)


@given(texts, texts)
def test_an_alignment_pairs_equal_names_in_order(left: list[str], right: list[str]) -> None:
    pairs = align(left, right)
    assert all(left[i] == right[j] for i, j in pairs)
    assert all(a[0] < b[0] and a[1] < b[1] for a, b in pairwise(pairs))


@given(texts)
def test_equal_sequences_align_in_full(names: list[str]) -> None:
    assert align(names, names) == [(i, i) for i in range(len(names))]


@given(texts, st.sets(st.integers(0, 29)))
def test_names_left_out_on_one_side_cost_nothing_else(names: list[str], out: set[int]) -> None:
    """A name that occurs once each side of a gap is always found again."""
    unique = [f"{name}{index}" for index, name in enumerate(names)]
    kept = [name for index, name in enumerate(unique) if index not in out]
    assert len(align(unique, kept)) == len(kept)


@pytest.mark.parametrize("length", [ALIGN_AT_ONCE, ALIGN_AT_ONCE + 1, 5 * ALIGN_AT_ONCE])
def test_long_sequences_are_aligned_piece_by_piece_as_well(length: int) -> None:
    """One name is missing near the front; the rest repeats every 50."""
    left = [f"n{index % 50}" for index in range(length)]
    right = left[:10] + left[11:]
    assert len(align(left, right)) == length - 1
