"""Where each pass through a module ends: its rows, up to the next rows of other modules.

thread   L0 L0 | L1 | L0          two passes through L0, though nothing says so but their place
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..graph import NONE, Category, ExecutionGraph, Int64s
from .lanes import grouped
from .training import BACKWARD, in_phase

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Passes:
    """The rows of a run by module.

    Attributes:
        rows: module by module, each in order; `cuts` parts them, shape (names + 2,).
        host: which rows stand on host threads.
    """

    graph: ExecutionGraph
    rows: Int64s
    cuts: Int64s
    host: Mask
    backward: Mask

    @classmethod
    def of(cls, graph: ExecutionGraph) -> "Passes":
        """Sort the rows by module."""
        module = graph.nodes.module + 1
        rows = grouped(module)
        cuts = np.searchsorted(module[rows], np.arange(len(graph.names) + 2))
        return cls(graph, rows, cuts, ~graph.on_device(), in_phase(graph, BACKWARD))

    def ends(self, module: int, *, backward: bool) -> tuple[Int64s, Int64s]:
        """Give the last row of every pass forward or backward through a module, and who made it.

        That is the last kernel up to there where there is one, else the row itself.
        """
        mine = self.rows[self.cuts[module + 1] : self.cuts[module + 2]]
        rows = mine[self.backward[mine] == backward]
        host = rows[self.host[rows]]
        if not len(host):
            return host, host
        others = self._others_before(mine, host, int(self.graph.nodes.rank[rows[0]]))
        begins_next = np.append(host[1:][np.diff(others) > 0], len(self.graph))
        lasts = rows[np.searchsorted(rows, begins_next) - 1]
        kernels = rows[self.graph.nodes.category[rows] == Category.KERNEL]
        before = np.searchsorted(kernels, lasts, side="right") - 1
        if not len(kernels):
            return lasts, lasts
        return lasts, np.where(before >= 0, kernels[before], lasts)

    def _others_before(self, mine: Int64s, rows: Int64s, rank: int) -> Int64s:
        """Count the host rows of other modules of a rank up to each row."""
        nodes = self.graph.nodes
        inside = np.flatnonzero(self.host & (nodes.module != NONE) & (nodes.rank == rank))
        own = mine[self.host[mine] & (nodes.rank[mine] == rank)]
        upto = np.searchsorted(inside, rows, side="right")
        return upto - np.searchsorted(own, rows, side="right")
