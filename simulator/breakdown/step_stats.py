"""How long the steps took and how evenly: from mark to mark on the host, and on the device."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .activity import Activity
from .groups import BETWEEN_STEPS, Group
from .selection import Selection, steps_named


@dataclass(frozen=True, slots=True)
class Spread:
    """A sample of durations; `variation` is the standard deviation over the mean."""

    count: int
    mean_ns: float
    p50_ns: float
    p90_ns: float
    p99_ns: float
    min_ns: int
    max_ns: int
    variation: float


@dataclass(frozen=True, slots=True)
class StepStats:
    """Steps of a rank: host from begin mark to end mark, device from first to last operation."""

    host: Spread | None
    device: Spread | None


def step_stats(
    activity: Activity, groups: Sequence[Group], selection: Selection, *, drop_first: bool = False
) -> StepStats:
    """Give the spread of a rank's steps.

    Args:
        activity: the rank's counted operations.
        groups: its breakdown by step.
        selection: which steps.
        drop_first: leave the first step out: it warms caches and compiles.
    """
    graph, start = activity.graph, activity.timeline.start_ns
    wanted = steps_named(graph, selection.steps) if selection.steps else range(len(graph.steps))
    mine = [
        int(start[graph.steps[n].end_row] - start[graph.steps[n].begin_row])
        for n in wanted
        if int(graph.nodes.rank[graph.steps[n].begin_row]) == activity.rank
    ]
    device = [group.parts.window_ns for group in groups if group.name != BETWEEN_STEPS]
    first = 1 if drop_first else 0
    return StepStats(spread(mine[first:]), spread(device[first:]))


def spread(durations_ns: Sequence[int]) -> Spread | None:
    """Describe a sample, None where it is empty."""
    if not durations_ns:
        return None
    values = np.array(durations_ns, dtype=np.float64)
    mean = float(values.mean())
    p50, p90, p99 = (float(np.percentile(values, share)) for share in (50, 90, 99))
    return Spread(
        count=len(values),
        mean_ns=mean,
        p50_ns=p50,
        p90_ns=p90,
        p99_ns=p99,
        min_ns=int(values.min()),
        max_ns=int(values.max()),
        variation=float(values.std() / mean) if mean else 0.0,
    )
