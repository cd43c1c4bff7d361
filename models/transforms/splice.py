"""Lay the rows of a graph out anew: some left out, some repeated, in any sound order.

    rows        a  b  c  d          repeat b c          a  b  c  b' c' d

The order of each lane goes through the new neighbours; other edges stay within their copy, else
they lead to the latest copy that stands before. What waited for a row that is gone waits for what
stood before it on its lane. All rows are laid out at once, column by column.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from ..edge_columns import Edges
from ..graph import NONE, Category, EdgeKind, ExecutionGraph, Int64s, LaneKind, Step
from .edit import ORDER_KINDS, Mask
from .lanes import Latest, before_on_lane

Placed: TypeAlias = tuple[int, int]  # an old row, and which copy of it: 0 is the row itself


def spliced(
    graph: ExecutionGraph, order: Int64s | Sequence[Placed], lanes: Int64s | None = None
) -> ExecutionGraph:
    """Give the graph whose rows are the given ones, in this order.

    Args:
        graph: the graph; its origin and the marks of its steps must stay.
        order: rows with their copy's number, shape (new rows, 2); every (row, copy) once.
        lanes: where each runs now, NONE for its own lane, shape (new rows,).
    """
    placed = np.asarray(order, dtype=np.int64).reshape(-1, 2)
    rows, copies = placed[:, 0].copy(), placed[:, 1].copy()
    if np.array_equal(rows, np.arange(len(graph))) and not copies.any():
        return graph
    lane = graph.nodes.lane[rows].astype(np.int64)
    if lanes is not None:
        lane = np.where(lanes == NONE, lane, lanes)
    places = _Places.of(rows, copies, len(graph))
    return _Splicer(graph, rows, copies, lane, places, before_on_lane(lane)).run()


def without_time(graph: ExecutionGraph, gone: Mask) -> ExecutionGraph:
    """Remove rows together with the host time before them (`edit.without` keeps that)."""
    return spliced(graph, originals(np.flatnonzero(~gone)))


def originals(rows: Int64s) -> Int64s:
    """Give an order of rows themselves, shape (rows, 2)."""
    return copied(rows, 0)


def copied(rows: Int64s, copy: int | Int64s) -> Int64s:
    """Give an order of copies of rows, shape (rows, 2)."""
    return np.stack((rows, np.broadcast_to(copy, rows.shape)), axis=1)


def with_copies(kept: Int64s, copies: Int64s, anchor: Int64s, *, in_front: bool) -> Int64s:
    """Give an order of rows with copies put in front of some, or behind them.

    Args:
        kept: rows that stay, ascending.
        copies: orders to put in, shape (copies, 2), in the order of each anchor.
        anchor: the row that each stands at, shape (copies,); it need not stay.
        in_front: put them before the anchor, not behind it.
    """
    at = np.concatenate((2 * kept, 2 * anchor + (-1 if in_front else 1)))
    order = np.concatenate((originals(kept), copies))
    return order[np.argsort(at, kind="stable")]


@dataclass(frozen=True, slots=True, eq=False)
class _Places:
    """Where each (row, copy) stands now; tables grow with the copies that are there."""

    of_original: Int64s  # (old rows + 1,); the last is for no row
    of_copies: Int64s  # (copied rows + 1, most copies)
    copied_row: Int64s  # (old rows + 1,): into `of_copies`

    @classmethod
    def of(cls, rows: Int64s, copies: Int64s, old_rows: int) -> "_Places":
        of_original = np.full(old_rows + 1, NONE, dtype=np.int64)
        first = np.flatnonzero(copies == 0)
        of_original[rows[first]] = first
        more = np.flatnonzero(copies)
        distinct, index = np.unique(rows[more], return_inverse=True)
        copied_row = np.full(old_rows + 1, len(distinct), dtype=np.int64)
        copied_row[distinct] = np.arange(len(distinct))
        table = np.full((len(distinct) + 1, int(copies.max(initial=0)) + 1), NONE, dtype=np.int64)
        table[index, copies[more]] = more
        return cls(of_original, table, copied_row)

    def at(self, row: Int64s, copy: Int64s) -> Int64s:
        """Give the places of copies of rows, NONE where they are not."""
        if self.of_copies.shape[1] == 1:
            return self.of_original[row]
        of_copy = self.of_copies[self.copied_row[row], copy]
        return np.where(copy == 0, self.of_original[row], of_copy)


@dataclass(frozen=True, slots=True, eq=False)
class _Splicer:
    """The new rows: which old row, which copy of it, on which lane, behind whom on that lane."""

    graph: ExecutionGraph
    rows: Int64s
    copies: Int64s
    lane: Int64s
    places: _Places
    before: Int64s

    def run(self) -> ExecutionGraph:
        graph, count = self.graph, len(self.rows)
        old = self._old_edges()
        edges = self._followed(old)
        edges = edges.followed_by(self._lane_order(edges))
        edges = edges.followed_by(self._hung_up(edges, old))
        nodes = replace(
            graph.nodes.take(self.rows),
            lane=self.lane.astype(np.int32),
            parent=self._same_copy(graph.nodes.parent),
            fw_parent=self._same_copy(graph.nodes.fw_parent),
        )
        place = self.places.of_original
        steps = tuple(
            Step(s.name, int(place[s.begin_row]), int(place[s.end_row])) for s in graph.steps
        )
        laid_out = replace(graph, nodes=nodes, steps=steps)
        return edges.longest(count).into(laid_out).checked()

    def _old_edges(self) -> Edges:
        """Give each new row the edges of its old row: targets are new rows, sources old ones."""
        counts = np.diff(self.graph.edge_start)[self.rows]
        ends = np.cumsum(counts)
        target = np.repeat(np.arange(len(self.rows)), counts)
        shift = self.graph.edge_start[self.rows] - (ends - counts)
        edge = np.arange(len(target)) + shift[target]
        source = self.graph.edge_source[edge].astype(np.int64)
        return Edges(target, source, self.graph.edge_kind[edge], self.graph.edge_lag_ns[edge])

    def _followed(self, old: Edges) -> Edges:
        """Lead edges to new rows; the order of a lane to the new neighbour where it is another."""
        target, copy = old.target, self.copies[old.target]
        at = self.places.at(old.source, copy)
        absent = np.flatnonzero((at == NONE) | (at >= target))
        at[absent] = self._latest_copy(old.source[absent], target[absent])
        foreign = (copy > 0) & (old.kind == EdgeKind.RENDEZVOUS) & (self.copies[at] != copy)
        lost = np.flatnonzero((at == NONE) | foreign)
        at[lost] = self._last_on_lane(old.source[lost], target[lost])
        new_neighbour = (self.before != NONE) & ~self._same_neighbour()
        turned = np.isin(old.kind, ORDER_KINDS) & new_neighbour[target]
        at = np.where(turned, self.before[target], at)
        crosses = np.isin(old.kind, ORDER_KINDS) & (self.lane[at] != self.lane[target])
        kind = np.where(crosses, np.uint8(EdgeKind.HANDOVER), old.kind)
        return replace(old, source=at, kind=kind).take(at != NONE)

    def _same_neighbour(self) -> Mask:
        """Tell which rows follow on their lane the copy of the row that they followed."""
        old_before = before_on_lane(self.graph.nodes.lane)[self.rows]
        same: Mask = (self.before != NONE) & (self.rows[self.before] == old_before)
        same &= self.copies[self.before] == self.copies
        return same

    def _latest_copy(self, source: Int64s, target: Int64s) -> Int64s:
        """Give the latest copy of old rows that stands before new ones."""
        if not self.copies.any():  # each stands once, and not there
            return np.full(len(source), NONE, dtype=np.int64)
        return Latest.of(self.rows).before(source, target)

    def _last_on_lane(self, source: Int64s, target: Int64s) -> Int64s:
        """Give who stands before new rows on the lane of old ones; NONE for ranks that part."""
        if not len(source):
            return source
        found = Latest.of(self.lane).before(self.graph.nodes.lane[source], target)
        return np.where(self.graph.nodes.category[source] == Category.JOIN, NONE, found)

    def _lane_order(self, edges: Edges) -> Edges:
        """Give copies, and what follows them, their turn on a lane where no order holds them."""
        device = np.array([lane.kind is LaneKind.DEVICE for lane in self.graph.lanes], dtype=bool)
        virtual = np.array([lane.kind is LaneKind.VIRTUAL for lane in self.graph.lanes], dtype=bool)
        ordered = np.zeros(len(self.rows), dtype=bool)
        ordered[edges.target[np.isin(edges.kind, ORDER_KINDS)]] = True
        beside_copy = (self.copies > 0) | (self.copies[self.before] > 0)
        loose = beside_copy & (self.before != NONE) & ~ordered & ~virtual[self.lane]
        row = np.flatnonzero(loose)
        kind = np.where(device[self.lane[row]], EdgeKind.STREAM_ORDER, EdgeKind.HOST_ORDER)
        return Edges.to(row, self.before[row], kind)

    def _hung_up(self, edges: Edges, old: Edges) -> Edges:
        """Hang rows that wait for nothing any more on the origin, by the host time before them."""
        waits = np.zeros(len(self.rows), dtype=bool)
        waits[edges.target] = True
        lag = np.zeros(len(self.rows), dtype=np.int64)
        mine = np.flatnonzero(~waits[old.target] & np.isin(old.kind, ORDER_KINDS))
        np.maximum.at(lag, old.target[mine], old.lag_ns[mine])
        category = self.graph.nodes.category[self.rows]
        row = np.flatnonzero(~waits & (category != Category.ORIGIN))
        return Edges.to(row, np.zeros(len(row), dtype=np.int64), EdgeKind.EXTERNAL, lag[row])

    def _same_copy(
        self, column: np.ndarray[tuple[int], np.dtype[np.int32]]
    ) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
        """Let a column of rows point to the same copy, else to the row itself."""
        old = column[self.rows].astype(np.int64)
        at = self.places.at(old, self.copies)
        return np.where(at == NONE, self.places.of_original[old], at).astype(np.int32)
