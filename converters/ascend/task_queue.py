"""torch_npu's task queue: what one thread enqueues another launches; tie the two together.

    main     |aten::mm ... |Enqueue|                      Enqueue --hand-over--> first row of
    worker                     |Dequeue |Node@launch| |   the Dequeue it belongs to
    stream                                        [mm]    operator, module and step: the main's

The k-th Enqueue of a thread and the Dequeue of the same number belong together. The time the worker
stands between two tasks is waiting, not work.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...models.graph import NONE, EdgeKind, ExecutionGraph, Int64s, LaneKind
from ..kineto import whole
from ..link.settle import settle
from .events import AscendEvent
from .trace import DEQUEUE, ENQUEUE

INHERITED = ("operator", "module", "phase", "step")
# Idle workers take a task up within this; what lasts longer had another cause.
LONGEST_PICK_UP_NS = 300_000


@dataclass(frozen=True, slots=True, eq=False)
class Tasks:
    """Rows of Enqueue and Dequeue events that belong together, shape (tasks,) each."""

    enqueue: Int64s
    dequeue: Int64s


def tie_tasks(graph: ExecutionGraph, events: Sequence[AscendEvent]) -> tuple[ExecutionGraph, int]:
    """Give the graph with tasks tied to who enqueued them, and how many were."""
    tasks = _find_tasks(graph, events)
    if not len(tasks.enqueue):
        return graph, 0
    first = _first_rows(graph, tasks.dequeue)
    behind = tasks.enqueue < first
    graph = _inherit(graph, tasks)
    kept = Tasks(tasks.enqueue[behind], first[behind])
    return _with_handovers(graph, kept), len(tasks.enqueue)


def _find_tasks(graph: ExecutionGraph, events: Sequence[AscendEvent]) -> Tasks:
    """Find the rows: the k-th event of a kind on a thread is its k-th row there."""
    row_of = [_rows_by_number(graph, events, cat) for cat in (ENQUEUE, DEQUEUE)]
    common = sorted(row_of[0].keys() & row_of[1].keys())
    return Tasks(*(np.array([rows[c] for c in common], dtype=np.int64) for rows in row_of))


def _rows_by_number(
    graph: ExecutionGraph, events: Sequence[AscendEvent], cat: str
) -> dict[int, int]:
    """Give the row of each event of a category by its correlation number."""
    by_thread: dict[int, list[AscendEvent]] = {}
    for event in events:
        if event.cat == cat and event.ph == "X" and event.ts is not None:
            by_thread.setdefault(whole(event.tid), []).append(event)
    names = {event.name for ones in by_thread.values() for event in ones}
    is_named = np.array([name in names for name in graph.names], dtype=bool)[graph.nodes.name]
    result: dict[int, int] = {}
    for lane, place in enumerate(graph.lanes):
        ones = by_thread.get(place.number, [])
        if place.kind is not LaneKind.HOST or not ones:
            continue
        rows = np.flatnonzero(is_named & (graph.nodes.lane == lane)).tolist()
        ones.sort(key=lambda event: event.start_ns())
        if len(rows) != len(ones):
            continue
        numbers = [whole(event.args.correlation) if event.args else NONE for event in ones]
        result.update(zip(numbers, rows, strict=True))
    return result


def _first_rows(graph: ExecutionGraph, dequeue: Int64s) -> Int64s:
    """Give the first row inside each Dequeue: it carries only its own largest piece of time."""
    inside = _enclosing(graph, dequeue)
    tasks, first = np.unique(inside, return_index=True)
    first_of = dict(zip(tasks.tolist(), first.tolist(), strict=True))
    return np.array([first_of[row] for row in dequeue.tolist()], dtype=np.int64)


def _enclosing(graph: ExecutionGraph, wanted: Int64s) -> Int64s:
    """Give the wanted row around each row (itself included), -1 for none; shape (nodes,)."""
    is_wanted = np.zeros(len(graph), dtype=bool)
    is_wanted[wanted] = True
    found = np.full(len(graph), NONE, dtype=np.int64)
    row, above = np.arange(len(graph)), np.arange(len(graph))
    while len(row):
        hit = is_wanted[above]
        found[row[hit]] = above[hit]
        above = graph.nodes.parent[above].astype(np.int64)
        open_ = ~hit & (above >= 0)
        row, above = row[open_], above[open_]
    return found


def _inherit(graph: ExecutionGraph, tasks: Tasks) -> ExecutionGraph:
    """Hang each Dequeue under its Enqueue; rows inside take over what is known there."""
    inside = _enclosing(graph, tasks.dequeue)
    parent = graph.nodes.parent.copy()
    parent[tasks.dequeue] = tasks.enqueue
    enqueue_of = np.full(len(graph) + 1, NONE, dtype=np.int64)  # the last place serves row -1
    enqueue_of[tasks.dequeue] = tasks.enqueue
    source = enqueue_of[inside]
    operator = _nearest_operators(graph)
    columns = {}
    for name in INHERITED:
        values = getattr(graph.nodes, name).copy()
        known = operator if name == "operator" else values
        if name == "operator":  # of device rows: host rows name their own
            takes = (source >= 0) & (values == NONE) & graph.on_device()
        else:
            takes = source >= 0
        values[takes] = known[source[takes]]
        columns[name] = values
    return replace(graph, nodes=replace(graph.nodes, parent=parent, **columns))


def _nearest_operators(graph: ExecutionGraph) -> Int64s:
    """Give the operator of each row or of the nearest row around it that has one."""
    operator = graph.nodes.operator.astype(np.int64)
    above = graph.nodes.parent.astype(np.int64)
    open_ = np.flatnonzero((operator == NONE) & (above >= 0))
    at = above[open_]
    while len(open_):
        found = graph.nodes.operator[at] != NONE
        operator[open_[found]] = graph.nodes.operator[at[found]]
        at = graph.nodes.parent[at].astype(np.int64)
        going = ~found & (at >= 0)
        open_, at = open_[going], at[going]
    return operator


def _with_handovers(graph: ExecutionGraph, tasks: Tasks) -> ExecutionGraph:
    """Add the edges; the worker's own order keeps no time before a task."""
    end = graph.nodes.start_ns + graph.nodes.duration_ns
    target = graph.edge_target()
    starts_task = np.zeros(len(graph), dtype=bool)
    starts_task[tasks.dequeue] = True
    order = (graph.edge_kind == EdgeKind.HOST_ORDER) & starts_task[target]
    lag = np.where(order, np.minimum(graph.edge_lag_ns, 0), graph.edge_lag_ns)
    picked_up = graph.nodes.start_ns[tasks.dequeue] - end[tasks.enqueue]
    usual = picked_up[(picked_up >= 0) & (picked_up <= LONGEST_PICK_UP_NS)]
    pick_up = int(np.median(usual)) if len(usual) else 0
    count = len(tasks.enqueue)
    sources = np.concatenate((graph.edge_source.astype(np.int64), tasks.enqueue))
    targets = np.concatenate((target, tasks.dequeue))
    kinds = np.concatenate((graph.edge_kind, np.full(count, EdgeKind.HANDOVER, dtype=np.uint8)))
    lags = np.concatenate((lag, np.full(count, pick_up, dtype=np.int64)))
    by_target = np.lexsort((kinds, sources, targets))
    edge_start = np.concatenate(
        ([0], np.cumsum(np.bincount(targets, minlength=len(graph))))
    ).astype(np.int64)
    settled = settle(edge_start, sources[by_target], lags[by_target], graph.nodes.start_ns, end)
    return replace(
        graph,
        edge_start=edge_start,
        edge_source=sources[by_target].astype(np.int32),
        edge_kind=kinds[by_target],
        edge_lag_ns=settled.lag_ns,
    )
