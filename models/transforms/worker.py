"""Insert work into a run: host time, or a launch and its kernel where there is a device.

host     ... a |launch| b ...            ... a |operator| b ...        in a run without device
stream      k  [operator]  k'
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..graph import NONE, Category, EdgeKind, ExecutionGraph, Int64s, Operator, Provenance
from .calibration import Calibration, calibrated
from .insertion import Insertion
from .lanes import Latest
from .recost import dispatch_ns, has_device
from .scenario import Scenario


def median_launch_ns(graph: ExecutionGraph) -> int:
    """Give what a launch call costs in this run."""
    launches = graph.nodes.category == Category.LAUNCH
    return int(np.median(graph.nodes.duration_ns[launches])) if launches.any() else 0


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """Where operators are put in and how.

    Attributes:
        after: the row that each stands behind.
        lane: the host thread of each.
        calls: how many calls of operators each is on the host.
        lag_ns: host time in front of each.
        most_ns: what each takes at most, whatever the model says; None where nothing tells.
    """

    after: Int64s
    name: str
    lane: Int64s
    calls: int | Int64s
    lag_ns: int | Int64s = 0
    most_ns: int | None = None


@dataclass(slots=True)
class Worker:
    """Inserts work; `scenario` gives the result."""

    base: Scenario
    insertion: Insertion = field(init=False)
    calibration: Calibration = field(init=False)
    on_device: bool = field(init=False)
    kernels: Int64s = field(init=False)
    _dispatch_ns: int = field(init=False)
    _launch_ns: int = field(init=False)
    _kernel_of_rank: Latest = field(init=False)
    _prices: dict[Operator, int] = field(init=False)

    def __post_init__(self) -> None:
        graph = self.base.graph
        self.insertion = Insertion(graph)
        self.calibration = calibrated(self.base)
        self.on_device = has_device(graph)
        kernels = graph.nodes.category == Category.KERNEL
        self.kernels = np.flatnonzero(kernels if kernels.any() else graph.on_device())
        self._dispatch_ns = dispatch_ns(graph)
        self._launch_ns = median_launch_ns(graph)
        self._kernel_of_rank = Latest.of(graph.nodes.rank, self.kernels)
        self._prices = {}

    @property
    def scenario(self) -> Scenario:
        """Give the scenario with everything inserted."""
        return self.base.with_graph(self.insertion.done())

    @property
    def rows_of_work(self) -> int:
        """Give how many rows an operator takes: a launch and its kernel, or one on the host."""
        return 2 if self.on_device else 1

    def work(
        self, after: int, name: str, lane: int, operator: Operator, calls: int, lag_ns: int = 0
    ) -> int:
        """Insert an operator behind a row: on its host thread, or as launch and kernel.

        Returns:
            The row whose end is the operator's: the kernel, or the host row.
        """
        numbers = self.insertion.reserve(self.rows_of_work)
        one = Work(np.array([after]), name, np.array([lane]), calls, lag_ns)
        return int(self.works(numbers, one, np.zeros(1, dtype=np.int64), [operator])[0])

    def works(
        self, numbers: Int64s, work: "Work", kind: Int64s, operators: Sequence[Operator]
    ) -> Int64s:
        """Insert many operators at once.

        Args:
            numbers: reserved for them, `rows_of_work` for each.
            work: where and how.
            kind: of each, into `operators`.
            operators: what they do; those that are new get their places in this order.

        Returns:
            The row whose end is each operator's.
        """
        if not len(kind):
            return numbers
        place, price = self._known(operators)
        time_ns, operator = price[kind], place[kind]
        if work.most_ns is not None:
            time_ns = np.minimum(time_ns, work.most_ns)
        if not self.on_device:
            duration = (work.calls - 1) * self._dispatch_ns + time_ns
            self.insertion.put(
                numbers, work.after, work.lag_ns, name=work.name, lane=work.lane,
                category=int(Category.HOST), duration_ns=duration, operator=operator,
                provenance=int(Provenance.ROOFLINE),
            )  # fmt: skip
            return numbers
        launches, kernels = numbers[0::2], numbers[1::2]
        self.insertion.put(
            launches, work.after, work.lag_ns, name=work.name, lane=work.lane,
            category=int(Category.LAUNCH),
            duration_ns=self._launch_ns + work.calls * self._dispatch_ns,
        )  # fmt: skip
        self.insertion.put(
            kernels, work.after, self.gap_ns, name=work.name, lane=self._streams(work.after),
            category=int(Category.KERNEL), duration_ns=time_ns, operator=operator,
            parent=launches, provenance=int(Provenance.ROOFLINE),
        )  # fmt: skip
        self.insertion.edges(launches, kernels, EdgeKind.LAUNCH, self.latency_ns)
        return kernels

    def _known(self, operators: Sequence[Operator]) -> tuple[Int64s, Int64s]:
        """Give the places of operators in the table, and their times."""
        for operator in operators:
            if operator not in self._prices:
                self._prices[operator] = self.calibration.time_ns(operator)
        place = [self.insertion.operator(operator) for operator in operators]
        price = [self._prices[operator] for operator in operators]
        return np.array(place, dtype=np.int64), np.array(price, dtype=np.int64)

    def host(self, number: int, after: int, name: str, lane: int, calls: int) -> None:
        """Insert plain host time behind a row."""
        category = Category.LAUNCH if self.on_device else Category.HOST
        self.insertion.put(
            number, after, 0, name=name, lane=lane, category=int(category),
            duration_ns=calls * self._dispatch_ns,
        )  # fmt: skip

    def last_kernel(self, after: int) -> int:
        """Give the last kernel of a row's rank that stands at or before it, NONE without one."""
        return self._kernel_of_rank.last(int(self.base.graph.nodes.rank[after]), after)

    def _streams(self, after: Int64s) -> Int64s:
        """Give the streams of the last kernels at or before rows; else of the first of all."""
        kernel = self._kernel_of_rank.before(self.base.graph.nodes.rank[after], after + 1)
        kernel = np.where(kernel == NONE, self.kernels[0], kernel)
        return self.base.graph.nodes.lane[kernel].astype(np.int64)

    @property
    def gap_ns(self) -> int:
        """Give the gap between two kernels of a stream."""
        return self.base.costs.device.kernel_gap_ns

    @property
    def latency_ns(self) -> int:
        """Give the latency of a launch."""
        return self.base.costs.device.launch_latency_ns
