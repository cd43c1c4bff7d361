"""Put collectives of gradients into a training run, as DistributedDataParallel's reducer does.

    host     ... grad |copy|   grad |copy||issue| ... backward ends |wait|copy back| optimizer
    comm                                  [all_reduce]   [all_reduce]

With a device the copies are kernels behind their launches and the wait is one stream's for another.
The collective's time is left to the prices of the target: its row has no duration of its own.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from ..graph import (
    NONE,
    Category,
    Collective,
    EdgeKind,
    ExecutionGraph,
    LaneKind,
    Operator,
    Provenance,
)
from .buckets import Bucket
from .links import shares_cores
from .training import Gradient, Iteration
from .worker import Worker

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
        self, after: int, kind: str, dtype: str, message_bytes: int, sources: Iterable[int] = ()
    ) -> int:
        """Insert an issue on the host thread of a row and the collective it starts.

        Args:
            after: the host row behind which it is issued.
            kind: as in `Collective.kind`.
            dtype: of the message.
            message_bytes: of the message.
            sources: device rows that it waits for, beside its issue.
        """
        graph = self.base.graph
        rank, lane = int(graph.nodes.rank[after]), int(graph.nodes.lane[after])
        issue = self.host(after, f"c10d::{kind}", lane, ISSUE_CALLS)
        message = Collective(kind, self.group, tuple(range(self.ranks)), dtype, message_bytes)
        crowded = self.crowded
        row = self.insertion.in_line(
            after, f"{'nccl' if self.on_device else 'gloo'}:{kind}",
            lane if crowded else self.lane(rank),
            Category.COLLECTIVE, 0, self.gap_ns if self.on_device else 0,
            collective=message, provenance=int(Provenance.ROOFLINE),
        )  # fmt: skip
        if self.on_device:
            self.insertion.edge(issue, row, EdgeKind.LAUNCH, self.latency_ns)
            for source in {*sources, self.last_kernel(after)} - {NONE}:
                self.insertion.edge(source, row, EdgeKind.STREAM_WAIT, self.gap_ns)
        else:
            self.insertion.edge(issue, row, EdgeKind.HANDOVER, WAKE_NS)
        return row

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
    buckets: Iterable[Bucket],
    *,
    overlap: bool,
    copies: bool,
    kind: str = "all_reduce",
) -> None:
    """Insert one iteration's reduction: copies into buckets, collectives, wait, copies back."""
    graph = communicator.base.graph
    for bucket in buckets:
        sources = []
        if copies:
            sources = [_copy_in(communicator, gradient) for gradient in bucket.gradients]
        after = bucket.ready_row if overlap else iteration.last
        sent = communicator.collective(
            after, kind, bucket.gradients[0].dtype, bucket.bytes, sources[-1:]
        )
        if not copies:
            communicator.wait(sent, first_users(graph, iteration))
            continue
        for number, gradient in enumerate(bucket.gradients):
            back = _copy_back(communicator, iteration, gradient)
            if number == 0:
                communicator.wait(sent, back)


def _copy_in(communicator: Communicator, gradient: Gradient) -> int:
    """DDP divides by the number of ranks on the way into the bucket."""
    shape, dtype = gradient.shape, gradient.dtype
    operator = Operator(
        "aten::mul", input_shapes=(shape, ()), input_types=(dtype, "Scalar"),
        output_shapes=(shape,), output_types=(dtype,),
    )  # fmt: skip
    lane = int(communicator.base.graph.nodes.lane[gradient.row])
    return communicator.work(gradient.row, "reducer::mul_out", lane, operator, COPY_CALLS)


def _copy_back(communicator: Communicator, iteration: Iteration, gradient: Gradient) -> int:
    shape, dtype = gradient.shape, gradient.dtype
    operator = Operator(
        "aten::copy_", input_shapes=(shape, shape, ()), input_types=(dtype, dtype, "")
    )
    lane = int(communicator.base.graph.nodes.lane[int(iteration.optimizer[0])])
    return communicator.work(
        iteration.last, "reducer::copy_bucket_to_grad", lane, operator, COPY_BACK_CALLS
    )
