"""The breakdown in the columns of Ascend's `step_trace_time.csv`, to compare number by number.

The window goes from the first to the last kernel or collective of a step; copies are not seen, so
that Free holds them. Checked against the files of a real run (tests/simulator/breakdown/).
"""

from dataclasses import dataclass

import numpy as np

from ...models.graph import Category
from .activity import Activity, Part
from .intervals import Flags, overlap_ns
from .selection import Selection, counted, steps_named

WHOLE_RUN = "all"
ASCEND_COLUMNS = (
    "Step",
    "Computing",
    "Communication(Not Overlapped)",
    "Overlapped",
    "Communication",
    "Free",
    "Stage",
    "Bubble",
    "Communication(Not Overlapped and Exclude Receive)",
    "Preparing",
)


@dataclass(frozen=True, slots=True)
class AscendRow:
    """One step as Ascend tells it, in ns.

    Attributes:
        free_ns: idle and exposed copies.
        bubble_ns: all receiving; stage_ns is the window without it.
        preparing_ns: from the step's begin on the host to its first device operation.
    """

    step: str
    computing_ns: int
    exposed_communication_ns: int
    overlapped_ns: int
    communication_ns: int
    free_ns: int
    stage_ns: int
    bubble_ns: int
    exposed_without_receive_ns: int
    preparing_ns: int

    def cells_us(self) -> tuple[str | float, ...]:
        """Give the row as Ascend writes it: the step, then microseconds."""
        return (
            self.step,
            self.computing_ns / 1000,
            self.exposed_communication_ns / 1000,
            self.overlapped_ns / 1000,
            self.communication_ns / 1000,
            self.free_ns / 1000,
            self.stage_ns / 1000,
            self.bubble_ns / 1000,
            self.exposed_without_receive_ns / 1000,
            self.preparing_ns / 1000,
        )


def ascend_rows(every: Activity, selection: Selection) -> tuple[AscendRow, ...]:
    """Give one row a step in which anything ran, or one for the whole run where none is marked."""
    activity = counted(every, selection)
    activity = activity.where(activity.part != Part.MEMCPY)
    steps = steps_named(activity.graph, selection.steps or ("*",)) if activity.graph.steps else []
    of_step = [(number, activity.step == number) for number in steps]
    rows = [_row(activity, chosen, number) for number, chosen in of_step if chosen.any()]
    if not rows and not selection.steps and len(activity):
        rows = [_row(activity, np.ones(len(activity), dtype=bool), None)]
    return tuple(rows)


def _row(activity: Activity, chosen: Flags, step: int | None) -> AscendRow:
    """Charge each operation wholly to the step that launched it."""
    mine = activity.where(chosen)
    first, last = int(mine.start_ns.min()), int(mine.end_ns.max())
    busy = mine.busy()
    communication = busy.communication.merged()
    hidden = int(overlap_ns(communication, busy.computing).sum())
    receives = mine.graph.nodes.category[mine.row] == Category.RECV
    bubble = int((mine.end_ns - mine.start_ns)[receives].sum())
    exposed = communication.length_ns() - hidden
    name, begin = _step_begin(activity, step, first)
    return AscendRow(
        step=name,
        computing_ns=busy.computing.length_ns(),
        exposed_communication_ns=exposed,
        overlapped_ns=hidden,
        communication_ns=communication.length_ns(),
        free_ns=last - first - mine.intervals().length_ns(),
        stage_ns=last - first - bubble,
        bubble_ns=bubble,
        exposed_without_receive_ns=exposed - bubble,
        preparing_ns=first - begin,
    )


def _step_begin(activity: Activity, step: int | None, first_ns: int) -> tuple[str, int]:
    if step is None:
        return WHOLE_RUN, first_ns
    mark = activity.graph.steps[step]
    return mark.name.rpartition("#")[2], int(activity.timeline.start_ns[mark.begin_row])
