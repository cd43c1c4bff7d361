"""Idle time and its causes: each gap drawn, each threshold met from both sides."""

import numpy as np
import pytest

from etsim.models.graph import Category
from etsim.simulator.breakdown.activity import activity_of
from etsim.simulator.breakdown.intervals import Intervals
from etsim.simulator.breakdown.selection import Selection, window_of
from etsim.simulator.idle import BACK_TO_BACK_NS, LONGEST_LATENCY_NS, IdleCause, idle_by_cause
from etsim.tests.timelines import Drawing

US = 1000


def causes(drawing: Drawing) -> dict[IdleCause, int]:
    activity = activity_of(drawing.done(), 0)
    return idle_by_cause(activity, window_of(activity, Selection()))


def test_a_late_host_idles_the_device_until_its_launch_then_the_latency_does() -> None:
    """
    host     |L|            |L| 10-12
    device     [2-4]  4 ......... 15 [k]      host 4-10, latency 10-15
    """
    drawing = Drawing()
    drawing.device(2 * US, 4 * US, launch=drawing.launch(0, US))
    drawing.device(15 * US, 16 * US, launch=drawing.launch(10 * US, 12 * US))
    assert causes(drawing) == {IdleCause.HOST: 6 * US, IdleCause.LATENCY: 5 * US}


def test_what_the_host_waited_for_the_device_is_sync_wait() -> None:
    """
    host     |L| sync 3 ..... 7|8|    |L| 10-11     waits from 3, goes on at 7, call ends at 8
    device     [2-7]                     [12-13]    idle 7-12: sync 7-8, host 8-10, latency 10-12
    """
    drawing = Drawing()
    drawing.device(2 * US, 7 * US, launch=drawing.launch(0, US))
    drawing.host("cudaDeviceSynchronize", 7 * US, 8 * US, category=Category.SYNC, begin=3 * US)
    drawing.device(12 * US, 13 * US, launch=drawing.launch(10 * US, 11 * US))
    assert causes(drawing) == {
        IdleCause.SYNC: US,
        IdleCause.HOST: 2 * US,
        IdleCause.LATENCY: 2 * US,
    }


def test_loading_data_is_told_apart_from_other_host_work() -> None:
    """
    host   |L|  |loader mark 3| aten::stack 4-6 | aten::to 8-9 | |L| 10
    device   [1-2]                                               [11-12]   loader: 3 to 8
    """
    drawing = Drawing()
    drawing.device(1 * US, 2 * US, launch=drawing.launch(0, US))
    mark = drawing.host(
        "enumerate(DataLoader)#_SingleProcessDataLoaderIter.__next__", 3 * US, 3 * US,
        category=Category.ANNOTATION,
    )  # fmt: skip
    drawing.host("aten::stack", 4 * US, 6 * US, parent=mark)
    drawing.host("aten::to", 8 * US, 9 * US)
    drawing.device(11 * US, 12 * US, launch=drawing.launch(10 * US, 11 * US))
    assert causes(drawing) == {
        IdleCause.DATALOADER: 5 * US,
        IdleCause.HOST: 3 * US,
        IdleCause.LATENCY: 1 * US,
    }


def test_the_profilers_own_work_is_told_and_what_the_host_waited_comes_first() -> None:
    """
    host      |L| sync 3 ... 7|8|      |L| 12-13
    overhead                 7-10                     idle 7-14: sync 7-8, overhead 8-10, host 10-12
    device      [2-7]                        [14-15]
    """
    drawing = Drawing()
    drawing.device(2 * US, 7 * US, launch=drawing.launch(0, US))
    drawing.host("cudaDeviceSynchronize", 7 * US, 8 * US, category=Category.SYNC, begin=3 * US)
    drawing.device(14 * US, 15 * US, launch=drawing.launch(12 * US, 13 * US))
    activity = activity_of(drawing.done(), 0)
    overhead = Intervals(np.array([7 * US]), np.array([10 * US]))
    assert idle_by_cause(activity, window_of(activity, Selection()), overhead) == {
        IdleCause.SYNC: US,
        IdleCause.OVERHEAD: 2 * US,
        IdleCause.HOST: 2 * US,
        IdleCause.LATENCY: 2 * US,
    }


def test_queued_work_waits_for_a_dependency_or_a_collective() -> None:
    """
    stream 7     [k0 0-10]       [k1 20-30] waits for the collective   [k2 40-41] for nothing known
    stream 20       [coll 2-10]
    """
    drawing = Drawing()
    calls = [drawing.launch(t, t + 1) for t in range(4)]
    drawing.device(0, 10 * US, launch=calls[0])
    collective = drawing.device(
        2 * US, 10 * US, stream=20, launch=calls[1], category=Category.COLLECTIVE
    )
    drawing.device(20 * US, 30 * US, launch=calls[2], waits_for=collective)
    drawing.device(40 * US, 41 * US, launch=calls[3])
    assert causes(drawing) == {IdleCause.DEPENDENCY: 10 * US, IdleCause.COLLECTIVE: 10 * US}


@pytest.mark.parametrize(
    ("gap", "cause"),
    [(BACK_TO_BACK_NS, IdleCause.BACK_TO_BACK), (BACK_TO_BACK_NS + 1, IdleCause.DEPENDENCY)],
)
def test_short_gaps_between_queued_kernels_are_back_to_back(gap: int, cause: IdleCause) -> None:
    drawing = Drawing()
    calls = [drawing.launch(t, t + 1) for t in range(2)]
    drawing.device(2, 10, launch=calls[0])
    drawing.device(10 + gap, 11 + gap, launch=calls[1])
    assert causes(drawing) == {cause: gap}


@pytest.mark.parametrize(
    ("latency", "cause"),
    [(LONGEST_LATENCY_NS, IdleCause.LATENCY), (LONGEST_LATENCY_NS + 1, IdleCause.STALL)],
)
def test_a_launch_that_takes_too_long_is_a_stall(latency: int, cause: IdleCause) -> None:
    drawing = Drawing()
    drawing.device(0, 1, launch=drawing.launch(0, 0))
    drawing.device(2 + latency, 3 + latency, launch=drawing.launch(2, 3))
    assert causes(drawing) == {IdleCause.HOST: 1, cause: latency}


def test_a_gap_before_work_without_launch_stays_unlinked() -> None:
    drawing = Drawing()
    drawing.device(0, 1)
    drawing.device(5, 6)
    assert causes(drawing) == {IdleCause.UNLINKED: 4}


def test_a_cpu_only_rank_is_idle_where_no_operator_runs() -> None:
    drawing = Drawing()
    drawing.host("aten::mm", 0, 2)
    drawing.host("aten::mm", 5, 6)
    assert causes(drawing) == {IdleCause.CPU: 3}
