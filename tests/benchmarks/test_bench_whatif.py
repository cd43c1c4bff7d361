"""The benchmark of what-ifs covers every change, on runs whose results are sound."""

from functools import cache

import pytest

from etsim.benchmarks.bench_whatif import ALONE, TOGETHER, measured
from etsim.benchmarks.whatif_graph import data_parallel_run, training_run
from etsim.models.transforms.catalogue import transforms

alone, together = cache(training_run), cache(data_parallel_run)


def test_every_change_is_timed() -> None:
    assert {text.partition(":")[0] for text in (*ALONE, *TOGETHER)} == set(transforms())


@pytest.mark.parametrize("text", ALONE)
def test_a_run_with_backward_on_a_thread_of_its_own_stays_sound(text: str) -> None:
    """`measured` checks each result: no lane's order leads to another lane."""
    spent = measured(alone(1000, layers=4), text, repeats=1)
    assert spent.rows > 0


@pytest.mark.parametrize("text", TOGETHER)
def test_a_run_of_two_ranks_stays_sound(text: str) -> None:
    assert measured(together(1000, layers=4), text, repeats=1).rows > 0
