"""The running batch, against a walk over its requests."""

from hypothesis import given
from hypothesis import strategies as st

from etsim.simulator.serving.batch import Batch

sizes = st.sampled_from([1, 4, 16])
members = st.lists(st.tuples(st.integers(1, 70), st.integers(1, 30)), min_size=1, max_size=12)


def filled(block: int, rows: list[tuple[int, int]]) -> Batch:
    batch = Batch(block)
    for request, (length, left) in enumerate(rows):
        batch.join(request, length, left)
    return batch


def blocks(tokens: int, block: int) -> int:
    return -(-tokens // block)


@given(sizes, members, st.integers(0, 40))
def test_new_blocks_are_those_of_a_walk(
    block: int, rows: list[tuple[int, int]], steps: int
) -> None:
    batch = filled(block, rows)
    walked = sum(blocks(n + steps, block) - blocks(n, block) for n, _left in rows)
    assert batch.new_blocks(steps) == walked
    assert batch.next_blocks() == batch.new_blocks(1)


@given(sizes, members, st.integers(0, 60))
def test_steps_within_is_the_most_that_fits(
    block: int, rows: list[tuple[int, int]], room: int
) -> None:
    batch = filled(block, rows)
    steps = batch.steps_within(room)
    assert batch.new_blocks(steps) <= room
    assert batch.new_blocks(steps + 1) > room


@given(sizes, members)
def test_requests_end_when_their_tokens_are_out(block: int, rows: list[tuple[int, int]]) -> None:
    batch = filled(block, rows)
    while len(batch):
        steps = batch.next_end() - batch.steps
        batch.advance(steps)
        for request in batch.ended():
            length, left = rows[request]
            assert batch.steps == left
            batch.leave(request, length + left)
    assert batch.kv == 0
    assert set(batch.offsets) == {0}


def test_the_youngest_is_who_joined_last() -> None:
    batch = filled(4, [(5, 9), (6, 9), (7, 9)])
    assert batch.youngest() == 2
    batch.leave(2, 7)
    assert batch.youngest() == 1
    assert batch.left(1) == 9
