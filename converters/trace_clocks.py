"""Bring the clocks of traces together: as recorded, or so that collectives end when they must.

    correction[r] = - median over the collectives of rank r (end[r] - median over its ranks (end))

A collective ends on all its ranks at nearly the same moment, so what is left of the ends is the
difference of the clocks. On one host the clocks are the same one, and what is left is real skew.
"""

from collections.abc import Sequence
from enum import Enum

import numpy as np

from ..models.collectives import match_collectives
from ..models.errors import AnalysisError
from ..models.graph import ExecutionGraph


class Align(Enum):
    """Whether to correct clocks."""

    AUTO = "auto"  # by collectives where the traces come from several hosts
    NONE = "none"
    COLLECTIVES = "collectives"


def collective_corrections(graphs: Sequence[ExecutionGraph]) -> list[int]:
    """Give what to add to each rank's clock, ns, so that collectives end together in the median.

    Raises:
        AnalysisError: a rank shares no collective with another.
    """
    ends = [
        graph.meta.clock_base_ns + graph.nodes.start_ns + graph.nodes.duration_ns
        for graph in graphs
    ]
    late: list[list[float]] = [[] for _ in graphs]
    for instance in match_collectives(graphs).instances:
        moments = [int(ends[place][row]) for place, row in instance.members]
        middle = float(np.median(np.array(moments) - moments[0])) + moments[0]
        for (place, _), moment in zip(instance.members, moments, strict=True):
            late[place].append(moment - middle)
    for graph, differences in zip(graphs, late, strict=True):
        if not differences:
            raise AnalysisError(
                f"rank {graph.meta.rank} shares no collective with another rank",
                remedy="use --align none to keep the clocks as recorded",
            )
    return [-round(float(np.median(differences))) for differences in late]
