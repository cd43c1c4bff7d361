"""Host rows of a rank before they become a graph, and blocks of edges between proto rows.

Host rows have three times. `begin` is when the thread arrives, `start` when it stops waiting,
`end` when it goes on; begin to start is a consequence and is never kept as a cost.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ...models.graph import Bytes, EdgeKind, Int32s, Int64s


@dataclass(frozen=True, slots=True, eq=False)
class HostRows:
    """Host rows sorted by thread and begin; columns of shape (host rows,).

    Attributes:
        event: the trace's host event; -2 - k for the end mark of step k.
        row_of_event: shape (host events,), the row that carries the event.
    """

    event: Int64s
    thread: Int32s
    category: Bytes
    begin_ns: Int64s
    start_ns: Int64s
    end_ns: Int64s
    row_of_event: Int64s

    def __len__(self) -> int:
        return len(self.event)


@dataclass(frozen=True, slots=True, eq=False)
class EdgeBlock:
    """Edges of one kind between proto rows: host row h is h, device row d is hosts + d.

    Shapes (edges,). `lag_ns` is the cost that passes after the source; it is settled against the
    measured start when the graph is put together.
    """

    kind: EdgeKind
    source: Int64s
    target: Int64s
    lag_ns: Int64s


def edge_block(
    kind: EdgeKind, source: ArrayLike, target: ArrayLike, lag_ns: ArrayLike
) -> EdgeBlock:
    """Give a block from sequences or arrays; a single lag serves all edges."""
    sources = np.asarray(source, dtype=np.int64)
    lags = np.broadcast_to(np.asarray(lag_ns, dtype=np.int64), sources.shape)
    return EdgeBlock(kind, sources, np.asarray(target, dtype=np.int64), lags.copy())
