"""Ascend's columns on a drawn step: copies are Free, receiving is Bubble."""

from etsim.models.graph import Category, Collective
from etsim.simulator.breakdown.activity import activity_of
from etsim.simulator.breakdown.ascend_style import WHOLE_RUN, ascend_rows
from etsim.simulator.breakdown.selection import Selection
from etsim.tests.timelines import Drawing


def test_a_step_in_ascends_columns() -> None:
    """
    host      begin 0
    stream    [copy 1-2]  [k 4-8]        [recv 12-14]
    comm                     [6 - 10]
    """
    drawing = Drawing()
    mark = drawing.host("ProfilerStep#7", 0, 0, category=Category.ANNOTATION)
    drawing.step("ProfilerStep#7", mark, mark)
    drawing.device(1, 2, category=Category.MEMCPY, step=0)
    drawing.device(4, 8, step=0)
    drawing.device(
        6, 10, stream=20, category=Category.COLLECTIVE, step=0, collective=Collective("all_reduce")
    )
    drawing.device(12, 14, stream=20, category=Category.RECV, step=0, collective=Collective("recv"))
    (row,) = ascend_rows(activity_of(drawing.done(), 0), Selection())
    assert row.cells_us() == (
        "7", 0.004, 0.004, 0.002, 0.006, 0.002, 0.008, 0.002, 0.002, 0.004,
    )  # fmt: skip
    assert row.computing_ns + row.exposed_communication_ns + row.free_ns == 14 - 4


def test_a_run_without_steps_is_one_row() -> None:
    drawing = Drawing()
    drawing.device(1, 3)
    (row,) = ascend_rows(activity_of(drawing.done(), 0), Selection())
    assert (row.step, row.stage_ns, row.preparing_ns) == (WHOLE_RUN, 2, 0)
