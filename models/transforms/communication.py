"""Put collectives of gradients into a training run, as DistributedDataParallel's reducer does.

    host     ... grad |copy|   grad |copy||issue| ... backward ends |wait|copy back| optimizer
    comm                                  [all_reduce]   [all_reduce]

With a device the copies are kernels behind their launches and the wait is one stream's for another.
The collective's time is left to the prices of the target: its row has no duration of its own.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..graph import (
    NONE,
    Category,
    Collective,
    EdgeKind,
    ExecutionGraph,
    Int64s,
    LaneKind,
    Operator,
    Provenance,
)
from .buckets import Bucket
from .gradients import Gradients, Kind
from .lanes import Latest
from .links import shares_cores
from .training import Iteration
from .worker import Work, Worker

COMMUNICATION_STREAM = 20
COPY_CALLS = 6  # `reducer::mul_out` in traces: mul_out, mul, to, _to_copy, copy_, empty_strided
COPY_BACK_CALLS = 3  # `reducer::copy_bucket_to_grad`: as_strided, copy_bucket_to_grad, copy_
ISSUE_CALLS = 5  # `c10d::allreduce_`: five times a plain operator in traces of gloo
WAKE_NS = 50_000  # until a worker thread has been woken: tens of microseconds on Linux


@dataclass(slots=True)
class Communicator(Worker):
    """Inserts collectives and the work around them."""

    group: str = "default_pg"
    ranks: int = 1
    _lanes: dict[int, int] = field(default_factory=dict)
    _known_kinds: set[Kind] = field(default_factory=set)
    _on_lane: Latest | None = None

    @property
    def crowded(self) -> bool:
        """Tell whether collectives take the thread that computes."""
        return not self.on_device and shares_cores(self.base.target, self.ranks)

    def lane(self, rank: int) -> int:
        """Give a rank's communication lane, made on first use."""
        if rank not in self._lanes:
            kind = LaneKind.DEVICE if self.on_device else LaneKind.HOST
            number = COMMUNICATION_STREAM + len(self._lanes)
            self._lanes[rank] = self.insertion.lane(kind, rank, number, "communication")
        return self._lanes[rank]

    def collective(
        self,
        after: int,
        kind: str,
        dtype: str,
        message_bytes: int,
        sources: Iterable[int] = (),
        numbers: Int64s | None = None,
    ) -> int:
        """Insert an issue on the host thread of a row and the collective it starts.

        Args:
            after: the host row behind which it is issued.
            kind: as in `Collective.kind`.
            dtype: of the message.
            message_bytes: of the message.
            sources: device rows that it waits for, beside its issue.
            numbers: reserved for its issue and itself; the next ones where left out.
        """
        graph = self.base.graph
        rank, lane = int(graph.nodes.rank[after]), int(graph.nodes.lane[after])
        issue, row = (int(n) for n in (self.insertion.reserve(2) if numbers is None else numbers))
        self.host(issue, after, f"c10d::{kind}", lane, ISSUE_CALLS)
        message = Collective(kind, self.group, tuple(range(self.ranks)), dtype, message_bytes)
        self.insertion.put(
            row, after, self.gap_ns if self.on_device else 0,
            name=f"{'nccl' if self.on_device else 'gloo'}:{kind}",
            lane=lane if self.crowded else self.lane(rank),
            category=int(Category.COLLECTIVE), duration_ns=0,
            collective=message, provenance=int(Provenance.ROOFLINE),
        )  # fmt: skip
        if self.on_device:
            self.insertion.edge(issue, row, EdgeKind.LAUNCH, self.latency_ns)
            for source in {*sources, self.last_kernel(after)} - {NONE}:
                self.insertion.edge(source, row, EdgeKind.STREAM_WAIT, self.gap_ns)
        else:
            self.insertion.edge(issue, row, EdgeKind.HANDOVER, WAKE_NS)
        return row

    def on_lane(self) -> Latest:
        """Give who tells which rows stand around a row on its lane."""
        if self._on_lane is None:
            self._on_lane = Latest.of(self.base.graph.nodes.lane)
        return self._on_lane

    def meet(self, gradients: Gradients) -> bool:
        """Tell whether some of these gradients are of a kind not met before."""
        _, kinds = gradients.by_kind()
        new = not self._known_kinds.issuperset(kinds)
        self._known_kinds.update(kinds)
        return new

    def know(self, bucket: Bucket) -> None:
        """Give the copies of a bucket their places in the table of operators."""
        _, kinds = bucket.gradients.by_kind()
        for copy in (_copy_in, _copy_back):
            for kind in kinds:
                self.insertion.operator(copy(kind))

    def wait(self, collective: int, row: int) -> None:
        """Let a row wait for a collective."""
        kind = EdgeKind.STREAM_WAIT if self.on_device else EdgeKind.HANDOVER
        self.insertion.edge(collective, row, kind, self.gap_ns if self.on_device else 0)


def first_users(graph: ExecutionGraph, iteration: Iteration) -> int:
    """Give the row that must wait for reduced gradients: the optimizer's first on its lane."""
    rows = iteration.optimizer
    kernels = rows[graph.nodes.category[rows] == Category.KERNEL]
    if len(kernels):
        return int(kernels[0])
    return int(iteration.optimizer[0])


def reduce_gradients(
    communicator: Communicator,
    iteration: Iteration,
    buckets: Sequence[Bucket],
    *,
    overlap: bool,
    copies: bool,
    kind: str = "all_reduce",
) -> None:
    """Insert one iteration's reduction: copies into buckets, collectives, wait, copies back."""
    users = first_users(communicator.base.graph, iteration)
    plan = _Plan.of(communicator, iteration, buckets) if copies else None
    copied_in = plan.copies_in(communicator) if plan else []
    sent = []
    for number, bucket in enumerate(buckets):
        after = bucket.ready_row if overlap else iteration.last
        sent.append(
            communicator.collective(
                after, kind, bucket.gradients[0].dtype, bucket.bytes,
                copied_in[number : number + 1], plan.collectives[number] if plan else None,
            )
        )  # fmt: skip
    waiting = plan.copies_back(communicator) if plan else [users] * len(sent)
    for row, user in zip(sent, waiting, strict=True):
        communicator.wait(row, user)


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """Numbers for the rows of one iteration: each bucket's copies in, collective, copies back.

    Attributes:
        gradients: of all buckets, in order.
        first: each bucket's first gradient, shape (buckets,).
        collectives: the numbers of each bucket's issue and collective.
        into, back: the numbers of all copies, bucket by bucket.
    """

    iteration: Iteration
    gradients: Gradients
    first: Int64s
    collectives: list[Int64s]
    into: Int64s
    back: Int64s

    @classmethod
    def of(
        cls, communicator: Communicator, iteration: Iteration, buckets: Sequence[Bucket]
    ) -> "_Plan":
        """Reserve the numbers; let operators take their places bucket by bucket."""
        into, collectives, back = [], [], []
        new = communicator.meet(iteration.gradients)
        for bucket in buckets:
            rows = communicator.rows_of_work * len(bucket.gradients)
            into.append(communicator.insertion.reserve(rows))
            collectives.append(communicator.insertion.reserve(2))
            back.append(communicator.insertion.reserve(rows))
            if new:
                communicator.know(bucket)
        sizes = [len(bucket.gradients) for bucket in buckets]
        first = np.cumsum([0, *sizes])
        return cls(
            iteration, iteration.gradients[: int(first[-1])], first[:-1], collectives,
            np.concatenate(into), np.concatenate(back),
        )  # fmt: skip

    def copies_in(self, communicator: Communicator) -> list[int]:
        """Insert the copies into all buckets; gives each bucket's last row."""
        place, kinds = self.gradients.by_kind()
        rows = self.gradients.rows
        lane = communicator.base.graph.nodes.lane[rows].astype(np.int64)
        work = Work(rows, "reducer::mul_out", lane, COPY_CALLS)
        done = communicator.works(self.into, work, place, [_copy_in(k) for k in kinds])
        last = np.append(self.first[1:], len(done)) - 1
        in_order: list[int] = done[last].tolist()
        return in_order

    def copies_back(self, communicator: Communicator) -> list[int]:
        """Insert the copies out of all buckets; gives each bucket's first row."""
        place, kinds = self.gradients.by_kind()
        rows = np.full(len(self.gradients), self.iteration.last)
        thread = int(communicator.base.graph.nodes.lane[int(self.iteration.optimizer[0])])
        lane = np.full(len(rows), thread)
        work = Work(rows, "reducer::copy_bucket_to_grad", lane, COPY_BACK_CALLS)
        done = communicator.works(self.back, work, place, [_copy_back(k) for k in kinds])
        in_order: list[int] = done[self.first].tolist()
        return in_order


def _copy_in(gradient: Kind) -> Operator:
    """DDP divides by the number of ranks on the way into the bucket."""
    shape, dtype = gradient.shape, gradient.dtype
    return Operator(
        "aten::mul", input_shapes=(shape, ()), input_types=(dtype, "Scalar"),
        output_shapes=(shape,), output_types=(dtype,),
    )  # fmt: skip


def _copy_back(gradient: Kind) -> Operator:
    shape, dtype = gradient.shape, gradient.dtype
    return Operator("aten::copy_", input_shapes=(shape, shape, ()), input_types=(dtype, dtype, ""))
