"""The summary adds up: ranks, steps, categories, operators, and the union of busy intervals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etsim.converters.link.linker import link
from etsim.models.specs import load
from etsim.simulator.predict import Prediction, predict
from etsim.simulator.summary import LARGEST, Summary, summarise, union_ns
from etsim.tests.kineto_maker import Recording

A100 = load("a100")
intervals = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), max_size=12)


@given(intervals)
def test_the_union_counts_each_nanosecond_once(spans: list[tuple[int, int]]) -> None:
    start = np.array([s for s, _ in spans], dtype=np.int64)
    end = np.array([s + d for s, d in spans], dtype=np.int64)
    covered = {t for s, d in spans for t in range(s, s + d)}
    assert union_ns(start, end) == len(covered)


@given(intervals.filter(lambda spans: len(spans) > 0))
def test_the_union_lies_between_the_longest_and_the_sum(spans: list[tuple[int, int]]) -> None:
    start = np.array([s for s, _ in spans], dtype=np.int64)
    length = np.array([d for _, d in spans], dtype=np.int64)
    assert length.max() <= union_ns(start, start + length) <= length.sum()


def run() -> Recording:
    """Draw two steps with two overlapping kernels in the first and one in the second."""
    made = Recording(rank=0)
    for step, at in enumerate((0, 1000)):
        made.mark(f"epoch_{step}", at, at + 900)
        made.op("aten::mm", at + 10, at + 60, shapes=[[512, 512], [512, 512]],
                types=["float", "float"])  # fmt: skip
        made.kernel(f"gemm{step}", at + 100, at + 300, by=made.launch(at + 20, at + 30))
    made.kernel("other", 200, 400, by=made.launch(40, 50), stream=8)
    return made


@pytest.fixture(scope="module")
def prediction() -> Prediction:
    return predict([link(run().trace()).graph], A100, A100)


@pytest.fixture(scope="module")
def summary(prediction: Prediction) -> Summary:
    return summarise(prediction)


def test_busy_time_counts_overlapping_kernels_once(summary: Summary) -> None:
    (rank,) = summary.ranks
    assert rank.measured_busy_ns == rank.predicted_busy_ns == 500_000


def test_steps_are_the_time_between_their_marks(summary: Summary) -> None:
    assert [(s.name, s.rank, s.measured_ns, s.predicted_ns) for s in summary.steps] == [
        ("epoch_0", 0, 900_000, 900_000), ("epoch_1", 0, 900_000, 900_000)
    ]  # fmt: skip


def test_the_shares_of_categories_and_provenance_add_up_to_one(summary: Summary) -> None:
    assert sum(c.share for c in summary.categories) == pytest.approx(1)
    assert sum(summary.provenance.values()) == pytest.approx(1)


def test_categories_count_rows_and_sum_their_times(summary: Summary) -> None:
    kernels = next(c for c in summary.categories if c.name == "kernels")
    assert (kernels.count, kernels.measured_ns, kernels.predicted_ns) == (3, 600_000, 600_000)


def test_operators_are_listed_by_predicted_time_the_largest_first(summary: Summary) -> None:
    times = [operator.predicted_ns for operator in summary.operators]
    assert times == sorted(times, reverse=True)
    assert summary.operators[0].name == "aten::mm"
    assert len(summary.operators) <= LARGEST


def test_more_than_ten_operators_are_cut() -> None:
    made = Recording()
    for index in range(15):
        made.op(f"op{index}", 10 * index, 10 * index + 5)
    found = summarise(predict([link(made.trace()).graph], None, load("cpu-cloud-2core")))
    assert len(found.operators) == LARGEST


def test_names_of_the_machines_are_told(summary: Summary) -> None:
    assert summary.target == A100.name
    assert summary.source == A100.name
    unknown = summarise(predict([link(run().trace()).graph], None, A100))
    assert unknown.source == "NVIDIA A100-SXM4-80GB"


def test_a_union_of_nothing_is_nothing() -> None:
    nothing = np.empty(0, dtype=np.int64)
    assert union_ns(nothing, nothing) == 0
