"""Align the clocks of ranks: as recorded on one host, by their collectives across hosts."""

from collections.abc import Sequence

import numpy as np

from .collectives import Matching
from .graph import ExecutionGraph

# Ranks of one job start recording within this; a larger difference of clocks is no clock at all.
LONGEST_OFFSET_NS = 600 * 10**9


def clock_offsets(graphs: Sequence[ExecutionGraph], matching: Matching) -> tuple[list[int], str]:
    """Give each rank's window start on a common clock (the earliest is 0), and how it was found."""
    recorded = [graph.meta.clock_base_ns for graph in graphs]
    hosts = {graph.meta.property("host_name") for graph in graphs}
    span = max(recorded, default=0) - min(recorded, default=0)
    if len(hosts) <= 1 and span < LONGEST_OFFSET_NS:
        offsets, how = recorded, "recorded clocks (one host)"
    else:
        offsets, how = _by_collectives(graphs, matching, recorded), "ends of collectives"
    earliest = min(offsets, default=0)
    return [offset - earliest for offset in offsets], how


def _by_collectives(
    graphs: Sequence[ExecutionGraph], matching: Matching, recorded: list[int]
) -> list[int]:
    """Shift each rank so that its collectives end, in the median, when the first rank's do."""
    ends = [graph.nodes.start_ns + graph.nodes.duration_ns for graph in graphs]
    offsets = list(recorded)
    for place in range(1, len(graphs)):
        differences = []
        for instance in matching.instances:
            rows = dict(instance.members)
            if 0 in rows and place in rows:
                differences.append(int(ends[0][rows[0]]) - int(ends[place][rows[place]]))
        if differences:
            offsets[place] = offsets[0] + int(np.median(differences))
    return offsets
