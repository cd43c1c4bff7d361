"""Insert work into a run: host time, or a launch and its kernel where there is a device.

host     ... a |launch| b ...            ... a |operator| b ...        in a run without device
stream      k  [operator]  k'
"""

from dataclasses import dataclass, field

import numpy as np

from ..graph import NONE, Category, EdgeKind, ExecutionGraph, Operator, Provenance
from .calibration import Calibration, calibrated
from .insertion import Insertion
from .recost import dispatch_ns, has_device
from .scenario import Scenario


def median_launch_ns(graph: ExecutionGraph) -> int:
    """Give what a launch call costs in this run."""
    launches = graph.nodes.category == Category.LAUNCH
    return int(np.median(graph.nodes.duration_ns[launches])) if launches.any() else 0


@dataclass(slots=True)
class Worker:
    """Inserts work; `scenario` gives the result."""

    base: Scenario
    insertion: Insertion = field(init=False)
    calibration: Calibration = field(init=False)
    on_device: bool = field(init=False)
    _dispatch_ns: int = field(init=False)
    _launch_ns: int = field(init=False)
    _kernels: list[int] = field(init=False)
    _prices: dict[Operator, int] = field(init=False)

    def __post_init__(self) -> None:
        graph = self.base.graph
        self.insertion = Insertion(graph)
        self.calibration = calibrated(self.base)
        self.on_device = has_device(graph)
        self._dispatch_ns = dispatch_ns(graph)
        self._launch_ns = median_launch_ns(graph)
        self._kernels = np.flatnonzero(graph.nodes.category == Category.KERNEL).tolist()
        self._prices = {}

    @property
    def scenario(self) -> Scenario:
        """Give the scenario with everything inserted."""
        return self.base.with_graph(self.insertion.done())

    def work(
        self, after: int, name: str, lane: int, operator: Operator, calls: int, lag_ns: int = 0
    ) -> int:
        """Insert an operator behind a row: on its host thread, or as launch and kernel.

        Returns:
            The row whose end is the operator's: the kernel, or the host row.
        """
        if operator not in self._prices:
            self._prices[operator] = self.calibration.time_ns(operator)
        time_ns = self._prices[operator]
        if not self.on_device:
            duration = (calls - 1) * self._dispatch_ns + time_ns
            return self.insertion.in_line(
                after, name, lane, Category.HOST, duration, lag_ns, operator=operator
            )
        launch = self.insertion.in_line(
            after, name, lane, Category.LAUNCH, self._launch_ns + calls * self._dispatch_ns, lag_ns
        )
        stream = self._stream(after)
        kernel = self.insertion.in_line(
            after, name, stream, Category.KERNEL, time_ns, self.gap_ns,
            operator=operator, parent=launch, provenance=int(Provenance.ROOFLINE),
        )  # fmt: skip
        self.insertion.edge(launch, kernel, EdgeKind.LAUNCH, self.latency_ns)
        return kernel

    def host(self, after: int, name: str, lane: int, calls: int) -> int:
        """Insert plain host time behind a row."""
        category = Category.LAUNCH if self.on_device else Category.HOST
        return self.insertion.in_line(after, name, lane, category, calls * self._dispatch_ns)

    def last_kernel(self, after: int) -> int:
        """Give the last kernel of a row's rank that stands at or before it, NONE without one."""
        rank = int(self.base.graph.nodes.rank[after])
        ranks = self.base.graph.nodes.rank
        place = int(np.searchsorted(self._kernels, after, side="right")) - 1
        while place >= 0 and ranks[self._kernels[place]] != rank:
            place -= 1
        return self._kernels[place] if place >= 0 else NONE

    def _stream(self, after: int) -> int:
        kernel = self.last_kernel(after)
        if kernel == NONE:
            kernel = self._kernels[0]
        return int(self.base.graph.nodes.lane[kernel])

    @property
    def gap_ns(self) -> int:
        """Give the gap between two kernels of a stream."""
        return self.base.costs.device.kernel_gap_ns

    @property
    def latency_ns(self) -> int:
        """Give the latency of a launch."""
        return self.base.costs.device.launch_latency_ns
