"""Break a window down by step, stream, phase or module; each group's parts add up, too.

Steps and streams have windows of their own. Phases and modules share one: every moment of it goes
to exactly one of them, a busy moment to the operation that covers it first, an idle one to the
operation that comes next (it is what came late). So their parts add up to the run's.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from ...models.graph import NONE, Int64s
from ..launch_bound import stream_name
from .activity import Activity, Part
from .intervals import Intervals, overlap_ns, together
from .owners import WHOLE_PATHS, ModulePaths, module_keys, phase_keys
from .parts import Busy, Parts, split
from .selection import Window, span

BETWEEN_STEPS = "(between steps)"


class Grouping(StrEnum):
    """By what a breakdown is grouped."""

    RANK = "rank"
    STEP = "step"
    STREAM = "stream"
    PHASE = "phase"
    MODULE = "module"


@dataclass(frozen=True, slots=True)
class Group:
    """One group's name, parts and number of operations."""

    name: str
    parts: Parts
    operations: int


def grouped(
    activity: Activity, window: Window, by: Grouping, paths: ModulePaths = WHOLE_PATHS
) -> tuple[Group, ...]:
    """Break a window down.

    Args:
        activity: the rank's counted operations.
        window: of the rank.
        by: what to group by; by rank there is nothing below.
        paths: how module paths are told.
    """
    match by:
        case Grouping.RANK:
            return ()
        case Grouping.STEP:
            return _by_step(activity, window)
        case Grouping.STREAM:
            return _by_stream(activity, window)
        case Grouping.PHASE:
            return _by_owner(activity, window, phase_keys(activity))
        case Grouping.MODULE:
            return _by_owner(activity, window, module_keys(activity, paths))


def _by_step(activity: Activity, window: Window) -> tuple[Group, ...]:
    """Each step's own window by its launches; what no such window covers comes last."""
    groups, windows = [], []
    busy = activity.busy()
    for number in np.unique(activity.step[activity.step != NONE]).tolist():
        launched = activity.step == number
        own = span(activity, launched)
        if own is None or own.last_ns <= window.first_ns or own.first_ns >= window.last_ns:
            continue
        own = Window(max(own.first_ns, window.first_ns), min(own.last_ns, window.last_ns))
        windows.append(own)
        name = activity.graph.steps[number].name
        groups.append(Group(name, split(busy, own.first_ns, own.last_ns), int(launched.sum())))
    covered = Intervals(
        np.array([w.first_ns for w in windows], dtype=np.int64),
        np.array([w.last_ns for w in windows], dtype=np.int64),
    )
    outside = covered.gaps(window.first_ns, window.last_ns)
    if len(outside):
        groups.append(_between(activity, busy, outside))
    return tuple(groups)


def _between(activity: Activity, busy: Busy, outside: Intervals) -> Group:
    pieces = [
        split(busy, first, last)
        for first, last in zip(outside.start_ns.tolist(), outside.end_ns.tolist(), strict=True)
    ]
    starts = np.searchsorted(outside.start_ns, activity.start_ns, side="right") - 1
    ends = outside.end_ns[np.maximum(starts, 0)]
    inside = (starts >= 0) & (activity.start_ns < ends)
    return Group(BETWEEN_STEPS, summed(pieces), int(inside.sum()))


def summed(pieces: list[Parts]) -> Parts:
    """Add parts of windows that do not overlap."""
    return Parts(
        window_ns=sum(p.window_ns for p in pieces),
        computing_ns=sum(p.computing_ns for p in pieces),
        communication_ns=sum(p.communication_ns for p in pieces),
        exposed_communication_ns=sum(p.exposed_communication_ns for p in pieces),
        memcpy_ns=sum(p.memcpy_ns for p in pieces),
        exposed_memcpy_ns=sum(p.exposed_memcpy_ns for p in pieces),
        idle_ns=sum(p.idle_ns for p in pieces),
    )


def _by_stream(activity: Activity, window: Window) -> tuple[Group, ...]:
    lanes = activity.graph.nodes.lane[activity.row]
    groups = []
    for lane in np.unique(lanes).tolist():
        mine = activity.where(lanes == lane)
        parts = split(mine.busy(), window.first_ns, window.last_ns)
        groups.append(Group(stream_name(activity, lane), parts, len(mine)))
    return tuple(groups)


def _by_owner(activity: Activity, window: Window, keys: list[str]) -> tuple[Group, ...]:
    """Give every moment of the window to one operation, and its time to the operation's key."""
    count = len(activity)
    every = activity.intervals().within(window.first_ns, window.last_ns)
    of_part = [activity.part == part for part in Part]
    computing, communication, memcpy = (every.where(chosen) for chosen in of_part)
    own = [part.owned() for part in (computing, communication, memcpy)]
    above = [Intervals(own[0].start_ns[:0], own[0].end_ns[:0]), computing]
    above.append(together([computing, communication]))
    total = [np.zeros(count, dtype=np.int64) for _ in Part]
    exposed = [np.zeros(count, dtype=np.int64) for _ in Part]
    for part in Part:
        lengths = own[part].end_ns - own[part].start_ns
        total[part][of_part[part]] = lengths
        exposed[part][of_part[part]] = lengths - overlap_ns(own[part], above[part])
    idle = _idle_before(activity, every.gaps(window.first_ns, window.last_ns))
    order = sorted(set(keys))
    place_of = {key: place for place, key in enumerate(order)}
    places = np.array([place_of[key] for key in keys], dtype=np.int64)

    def of_group(values: Int64s) -> list[int]:
        sums = np.zeros(len(order), dtype=np.int64)
        np.add.at(sums, places, values)
        listed: list[int] = sums.tolist()
        return listed

    columns = [of_group(v) for v in (*total, *exposed, idle, np.ones(count, dtype=np.int64))]
    groups = [_group(order[i], [column[i] for column in columns]) for i in range(len(order))]
    return tuple(sorted(groups, key=lambda group: (-group.parts.window_ns, group.name)))


def _group(name: str, values: list[int]) -> Group:
    computing, communication, memcpy, alone, exposed, exposed_memcpy, idle, count = values
    parts = Parts(
        window_ns=alone + exposed + exposed_memcpy + idle,
        computing_ns=computing,
        communication_ns=communication,
        exposed_communication_ns=exposed,
        memcpy_ns=memcpy,
        exposed_memcpy_ns=exposed_memcpy,
        idle_ns=idle,
    )
    return Group(name, parts, count)


def _idle_before(activity: Activity, gaps: Intervals) -> Int64s:
    """Give each operation the gap that ends where it starts, else (at the end) the last one's."""
    idle = np.zeros(len(activity), dtype=np.int64)
    order = np.lexsort((activity.row, activity.start_ns))
    place = np.searchsorted(activity.start_ns[order], gaps.end_ns, side="left")
    following = order[np.minimum(place, len(order) - 1)]
    np.add.at(idle, following, gaps.end_ns - gaps.start_ns)
    return idle
