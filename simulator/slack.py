"""Slack: how much later a row may end before the end of everything moves.

latest_end[v] = min(end of all, min over successors w (latest_end[w] - duration[w] - lag))
slack[v] = latest_end[v] - end[v]
"""

from collections import defaultdict
from dataclasses import dataclass
from statistics import median_low

import numpy as np

from ..models.graph import Int64s
from ..models.timeline import Timeline

UNLIMITED = 2**62


@dataclass(frozen=True, slots=True)
class Slack:
    """All rows of one name that have slack: their time, and how much later they may end."""

    name: str
    count: int
    duration_ns: int
    least_ns: int
    median_ns: int


def slack_ns(timeline: Timeline, lag_ns: Int64s, end_ns: int) -> Int64s:
    """Give the slack of every row, shape (nodes,); `UNLIMITED` for rows that `end_ns` needs not.

    Args:
        timeline: a replay.
        lag_ns: the lags it was made with, shape (edges,).
        end_ns: the end that must not move; rows that end after it are no part of it.
    """
    graph = timeline.graph
    latest = np.where(timeline.end_ns <= end_ns, end_ns, UNLIMITED).tolist()
    duration = timeline.duration_ns.tolist()
    edge_start, source = graph.edge_start.tolist(), graph.edge_source.tolist()
    lag = lag_ns.tolist()
    for row in range(len(graph) - 1, -1, -1):
        if latest[row] == UNLIMITED:
            continue
        latest_start = latest[row] - duration[row]
        for edge in range(edge_start[row], edge_start[row + 1]):
            allowed = latest_start - lag[edge]
            latest[source[edge]] = min(latest[source[edge]], allowed)
    limit = np.array(latest, dtype=np.int64)
    return np.where(limit == UNLIMITED, UNLIMITED, limit - timeline.end_ns)


def slack_by_name(timeline: Timeline, slack: Int64s, begin_ns: int) -> list[Slack]:
    """Sum up the rows that have slack and run after `begin_ns`, those with most time first."""
    graph = timeline.graph
    wanted = (slack > 0) & (slack < UNLIMITED) & (timeline.duration_ns > 0)
    wanted &= timeline.start_ns >= begin_ns
    rows_of_name: dict[str, list[int]] = defaultdict(list)
    for row in np.flatnonzero(wanted).tolist():
        rows_of_name[graph.name_of(row)].append(row)
    found = [
        Slack(
            name,
            len(rows),
            int(timeline.duration_ns[rows].sum()),
            int(slack[rows].min()),
            int(median_low(slack[rows].tolist())),
        )
        for name, rows in rows_of_name.items()
    ]
    return sorted(found, key=lambda entry: (-entry.duration_ns, entry.name))
