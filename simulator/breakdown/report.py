"""The whole breakdown of a timeline: parts, idle causes, launches and queues of every rank."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ...models.timeline import Timeline
from ..idle import IdleCause, idle_by_cause
from ..launch_bound import LaunchBound, QueueLength, launch_bound, queue_lengths
from .activity import Activity, activity_of, ranks_of
from .groups import Group, Grouping, grouped
from .intervals import NO_INTERVALS, Intervals
from .owners import WHOLE_PATHS, ModulePaths
from .parts import Parts, split
from .selection import Selection, Window, counted, window_of
from .step_stats import StepStats, step_stats


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a breakdown should tell.

    Attributes:
        by: what to group by below the ranks.
        paths: how module paths are told.
        drop_first: leave the first step out of the steps' statistics.
        communicates: kernels whose name this finds count as communication, too.
        overhead: by rank, when the profiler itself held the process up.
    """

    by: Grouping = Grouping.RANK
    selection: Selection = field(default_factory=Selection)
    paths: ModulePaths = WHOLE_PATHS
    drop_first: bool = False
    communicates: re.Pattern[str] | None = None
    overhead: Mapping[int, Intervals] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RankBreakdown:
    """One rank's window and where it went.

    Attributes:
        cpu_only: no device: computing is operators on threads.
        unlinked: device operations without a launch in the file, counted or not.
        launches: None where nothing has a launch.
        steps: their statistics, where steps were asked for.
    """

    rank: int
    cpu_only: bool
    window: Window
    parts: Parts
    operations: int
    unlinked: int
    idle_by_cause: dict[IdleCause, int]
    launches: LaunchBound | None
    queues: tuple[QueueLength, ...]
    groups: tuple[Group, ...]
    steps: StepStats | None

    @property
    def is_launch_bound(self) -> bool:
        """Tell whether launches bind this rank."""
        host = self.idle_by_cause.get(IdleCause.HOST, 0)
        share = host / self.parts.window_ns if self.parts.window_ns else 0.0
        return self.launches is not None and self.launches.is_bound(share)


def break_down(timelines: Sequence[Timeline], wanted: Wanted) -> tuple[RankBreakdown, ...]:
    """Break timelines down, each of one rank or many.

    Raises:
        AnalysisError: a rank on which nothing ran in the selected steps, or an unknown step.
    """
    return tuple(
        _of_rank(activity_of(timeline, rank, wanted.communicates), wanted)
        for timeline in timelines
        for rank in ranks_of(timeline.graph)
    )


def _of_rank(every: Activity, wanted: Wanted) -> RankBreakdown:
    activity = counted(every, wanted.selection)
    window = window_of(activity, wanted.selection)
    groups = grouped(activity, window, wanted.by, wanted.paths)
    steps = None
    if wanted.by is Grouping.STEP:
        steps = step_stats(activity, groups, wanted.selection, drop_first=wanted.drop_first)
    return RankBreakdown(
        rank=every.rank,
        cpu_only=every.cpu_only,
        window=window,
        parts=split(activity.busy(), window.first_ns, window.last_ns),
        operations=len(activity),
        unlinked=int(every.unlinked.sum()),
        idle_by_cause=idle_by_cause(
            activity, window, wanted.overhead.get(every.rank, NO_INTERVALS)
        ),
        launches=launch_bound(activity, window),
        queues=queue_lengths(activity, window),
        groups=groups,
        steps=steps,
    )
