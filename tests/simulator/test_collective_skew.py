"""Skew of collectives: waiting apart from transfer, stragglers, and outliers by Dixon's test."""

import numpy as np
import pytest

from etsim.models.graph import Category, Collective
from etsim.models.merge import merge_ranks
from etsim.models.timeline import Timeline, measured
from etsim.simulator.collective_skew import (
    DIXON_Q90,
    Meeting,
    bus_factor,
    collective_skew,
    skew_of,
    stands_out,
)
from etsim.tests.timelines import Drawing

ALL_REDUCE = Collective("all_reduce", "0", (0, 1, 2), "float", 600)


def three_ranks() -> list[Timeline]:
    """
    rank 0   |1 ............ 10|      waits 6, transfers 3
    rank 1        |4 ....... 10|      waits 3
    rank 2              |7 . 10|      the straggler
    """
    timelines = []
    for rank, start in enumerate((1, 4, 7)):
        drawing = Drawing(rank)
        drawing.device(0, start)
        drawing.device(start, 10, category=Category.COLLECTIVE, collective=ALL_REDUCE)
        timelines.append(drawing.done())
    return timelines


def test_the_last_arriver_waits_for_nobody() -> None:
    report = collective_skew(three_ranks())
    (one,) = report.collectives
    assert (one.start_skew_ns, one.end_spread_ns, one.transfer_ns) == (6, 0, 3)
    assert one.wait_ns == (6, 3, 0)
    assert one.straggler == report.straggler == 2
    assert report.wait_ns == {0: 6, 1: 3, 2: 0}


def test_bus_bandwidth_is_the_algorithms_times_the_factor() -> None:
    """600 bytes in 3 ns: 200 GB/s; all-reduce of 3: times 2 * 2/3."""
    (one,) = collective_skew(three_ranks()).collectives
    assert one.algorithm_gbps == 200
    assert one.bus_gbps == pytest.approx(200 * 4 / 3)


def test_merged_ranks_tell_the_same() -> None:
    apart = collective_skew(three_ranks())
    merged = merge_ranks([timeline.graph for timeline in three_ranks()])
    together = collective_skew([measured(merged)])
    assert together.kinds == apart.kinds
    assert together.stragglers == apart.stragglers


def test_a_collective_without_partner_is_counted() -> None:
    report = collective_skew([*three_ranks()[:1], _lonely()])
    assert (len(report.collectives), report.alone, report.straggler) == (0, 2, None)


def _lonely() -> Timeline:
    drawing = Drawing(1)
    drawing.device(0, 5, category=Category.COLLECTIVE, collective=Collective("barrier"))
    return drawing.done()


def test_without_bytes_there_is_no_bandwidth() -> None:
    one = skew_of(Meeting(Collective("barrier"), (0, 1), (0, 1), (2, 2)))
    assert one.algorithm_gbps is None
    assert one.bus_gbps is None


@pytest.mark.parametrize(
    ("kind", "factor"),
    [("all_reduce", 1.5), ("all_gather", 0.75), ("reduce_scatter", 0.75), ("all_to_all", 0.75),
     ("broadcast", 1.0)],
)  # fmt: skip
def test_bus_factors_of_four_ranks(kind: str, factor: float) -> None:
    assert bus_factor(kind, 4) == factor


def test_a_rank_far_from_the_others_stands_out() -> None:
    """5 ranks: Q = (90 - 10) / (100 - 10) = 0.89 > 0.642; then Q = 0.11."""
    assert stands_out([10, 90, 92, 95, 100])
    assert not stands_out([10, 20, 60, 80, 100])
    assert not stands_out([5, 5, 5])
    assert not stands_out([1, 100])


def test_many_ranks_are_judged_by_three_sigmas() -> None:
    usual = [100, 102] * 20
    assert stands_out([50, *usual])
    assert not stands_out([98, *usual])


@pytest.mark.parametrize("count", [3, 8, 30])
def test_the_table_of_dixon_is_what_normal_samples_give(count: int) -> None:
    samples = np.sort(np.random.default_rng(1).standard_normal((40_000, count)), axis=1)
    ratio = (samples[:, 1] - samples[:, 0]) / (samples[:, -1] - samples[:, 0])
    assert np.quantile(ratio, 0.95) == pytest.approx(DIXON_Q90[count - 3], abs=0.01)
