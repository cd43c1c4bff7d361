"""What a stretch of a critical path is: the kinds that `etsim explain` tells apart."""

from enum import StrEnum

from ..models.costs.bound import Bound
from ..models.graph import Bytes, Category, EdgeKind, ExecutionGraph


class PathKind(StrEnum):
    """A kind of time on a path; the values are the keys of the published JSON."""

    HOST_WORK = "host_work"  # operators and runtime calls on host threads
    HOST_GAP = "host_gaps"  # host time between them: Python, or nothing that was recorded
    LAUNCH_CALL = "launch_calls"
    LAUNCH_LATENCY = "launch_latency"  # from the call to the kernel
    COMPUTE_KERNEL = "compute_bound_kernels"
    MEMORY_KERNEL = "memory_bound_kernels"
    SHORT_KERNEL = "short_kernels"  # too little work to be bound by either
    COPY = "memory_copies"  # and fills
    KERNEL_GAP = "kernel_gaps"  # between two kernels of a device
    COMMUNICATION = "communication"  # transfer; of a rank given alone, waiting too
    RANK_WAIT = "waiting_for_ranks"  # for the last rank of a collective
    SYNC_TAIL = "sync_tails"  # from the end of device work to the host's next
    HANDOVER = "thread_handover"
    EXTERNAL = "outside_window"  # work launched before the recording, or never seen
    OTHER = "other"

    @property
    def label(self) -> str:
        """Give the kind in words."""
        return self.value.replace("_", " ")


_OF_CATEGORY: dict[Category, PathKind] = {
    Category.HOST: PathKind.HOST_WORK,
    Category.ANNOTATION: PathKind.HOST_WORK,
    Category.LAUNCH: PathKind.LAUNCH_CALL,
    Category.KERNEL: PathKind.MEMORY_KERNEL,
    Category.MEMCPY: PathKind.COPY,
    Category.MEMSET: PathKind.COPY,
    Category.COLLECTIVE: PathKind.COMMUNICATION,
    Category.SEND: PathKind.COMMUNICATION,
    Category.RECV: PathKind.COMMUNICATION,
    Category.SYNC: PathKind.SYNC_TAIL,
    Category.ORIGIN: PathKind.EXTERNAL,
    Category.JOIN: PathKind.RANK_WAIT,
}
_OF_EDGE: dict[EdgeKind, PathKind] = {
    EdgeKind.HOST_ORDER: PathKind.HOST_GAP,
    EdgeKind.STREAM_ORDER: PathKind.KERNEL_GAP,
    EdgeKind.STREAM_WAIT: PathKind.KERNEL_GAP,
    EdgeKind.LAUNCH: PathKind.LAUNCH_LATENCY,
    EdgeKind.SYNC: PathKind.SYNC_TAIL,
    EdgeKind.HANDOVER: PathKind.HANDOVER,
    EdgeKind.EXTERNAL: PathKind.EXTERNAL,
}
_OF_BOUND = {Bound.COMPUTE: PathKind.COMPUTE_KERNEL, Bound.LAUNCH: PathKind.SHORT_KERNEL}


class PathKinds:
    """Tells the kind of a row's own time and of the lag on an edge."""

    def __init__(self, graph: ExecutionGraph, bound: Bytes) -> None:
        self._category = graph.nodes.category
        self._bound = bound
        self._edge_kind = graph.edge_kind
        self._source = graph.edge_source
        self._on_device = graph.on_device()

    def of_row(self, row: int) -> PathKind:
        """Give the kind of a row's own time."""
        category = Category(int(self._category[row]))
        if category is Category.KERNEL:
            return _OF_BOUND.get(Bound(int(self._bound[row])), PathKind.MEMORY_KERNEL)
        return _OF_CATEGORY.get(category, PathKind.OTHER)

    def of_lag(self, edge: int) -> PathKind:
        """Give the kind of the time between an edge's rows."""
        kind = EdgeKind(int(self._edge_kind[edge]))
        if kind is not EdgeKind.RENDEZVOUS:
            return _OF_EDGE.get(kind, PathKind.OTHER)
        source = int(self._source[edge])  # merged from what led to the collective on its rank
        if self._on_device[source]:
            return PathKind.KERNEL_GAP
        launched = self._category[source] == Category.LAUNCH
        return PathKind.LAUNCH_LATENCY if launched else PathKind.HOST_GAP
