"""How steps spread: host marks and device windows, with and without the first."""

import pytest

from etsim.models.graph import Category
from etsim.simulator.breakdown.groups import Grouping
from etsim.simulator.breakdown.report import Wanted, break_down
from etsim.simulator.breakdown.step_stats import StepStats, spread
from etsim.tests.timelines import Drawing


def stats(*, drop_first: bool) -> StepStats:
    """
    host    |step 1: 0-10|step 2: 10-14|step 3: 14-18|
    device    [2-8]        [12-13]       [16-19]
    """
    drawing = Drawing()
    marks = [
        drawing.host("mark", t, t, category=Category.ANNOTATION) for t in (0, 10, 10, 14, 14, 18)
    ]
    for number in range(3):
        drawing.step(f"ProfilerStep#{number + 1}", marks[2 * number], marks[2 * number + 1])
    for number, (start, end) in enumerate([(2, 8), (12, 13), (16, 19)]):
        drawing.device(start, end, step=number)
    (rank,) = break_down([drawing.done()], Wanted(Grouping.STEP, drop_first=drop_first))
    assert rank.steps is not None
    return rank.steps


def test_host_steps_go_from_mark_to_mark_and_device_steps_from_first_to_last() -> None:
    found = stats(drop_first=False)
    assert found.host is not None
    assert found.device is not None
    assert (found.host.count, found.host.mean_ns, found.host.max_ns) == (3, 6.0, 10)
    assert (found.device.min_ns, found.device.p50_ns) == (1, 3.0)


def test_the_first_step_can_be_left_out() -> None:
    found = stats(drop_first=True)
    assert found.host is not None
    assert (found.host.count, found.host.mean_ns, found.host.variation) == (2, 4.0, 0.0)


def test_variation_is_the_deviation_over_the_mean() -> None:
    """1 and 3: mean 2, deviation 1."""
    found = spread([1, 3])
    assert found is not None
    assert found.variation == pytest.approx(0.5)


def test_no_steps_have_no_spread() -> None:
    assert spread([]) is None
