"""The hot loops, written so that one body runs as plain Python and compiled by numba alike.

They take indexable columns (lists are fastest for Python, arrays for numba), use no other code of
etsim, and are exact: times are whole nanoseconds, in float64 too as long as they stay below 2^53.
"""

from collections.abc import MutableSequence, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..models.graph import Bytes, Int32s, Int64s

Float64s = NDArray[np.float64]


def longest_ends(
    edge_start: Sequence[int] | Int64s,
    source: Sequence[int] | NDArray[np.uint32],
    lag_ns: Sequence[int] | Int64s,
    duration_ns: Sequence[int] | Int64s,
    ends_ns: MutableSequence[int] | Int64s,
) -> None:
    """Write the end of every row into `ends_ns`.

    start[v] = max(0, max over predecessors p (end[p] + lag))       end[v] = start[v] + duration[v]
    """
    edge = 0
    for row in range(len(duration_ns)):
        start = 0
        after = edge_start[row + 1]
        while edge < after:
            ready = ends_ns[source[edge]] + lag_ns[edge]
            if ready > start:  # noqa: PLR1730  # max() is a call; this is the hot loop
                start = ready
            edge += 1
        ends_ns[row] = start + duration_ns[row]


def longest_ends_unsigned(
    edge_start: NDArray[np.uint64],
    source: NDArray[np.uint32],
    lag_ns: Int64s,
    duration_ns: Int64s,
    ends_ns: Int64s,
) -> None:
    """Do what `longest_ends` does, in the form that compiles best.

    Indices without a sign need no look for those from the end, and rows of one or two edges, nearly
    all, no inner loop.
    """
    one, two = np.uint64(1), np.uint64(2)
    edge = np.uint64(0)
    for row in range(len(duration_ns)):
        start = np.int64(0)
        after = edge_start[row + 1]
        if edge + one == after:
            start = max(start, ends_ns[source[edge]] + lag_ns[edge])
        elif edge + two == after:
            other = ends_ns[source[edge + one]] + lag_ns[edge + one]
            start = max(start, max(ends_ns[source[edge]] + lag_ns[edge], other))  # noqa: PLW3301
        else:
            while edge < after:
                start = max(start, ends_ns[source[edge]] + lag_ns[edge])
                edge += one
        edge = after
        ends_ns[row] = start + duration_ns[row]


def assign_slots(
    edge_start: Sequence[int] | Int64s,
    source: Sequence[int] | Int32s,
    last_reader: MutableSequence[int] | Int64s,
    slot: MutableSequence[int] | Int32s,
    free: MutableSequence[int] | Int32s,
) -> int:
    """Give every row's end a slot that is free until its last reader; return how many there are.

    Like register allocation, but a row's slot is never one that it still reads: what is read and
    what is written do not overlap, so that a compiler can take several scenarios at a time.
    `free` is scratch of shape (rows,); `last_reader` is used up.
    """
    slots = 0
    free_count = 0
    edge = 0
    for row in range(len(slot)):
        if free_count:
            free_count -= 1
            slot[row] = free[free_count]
        else:
            slot[row] = slots
            slots += 1
        while edge < edge_start[row + 1]:
            before = source[edge]
            if last_reader[before] == row:
                last_reader[before] = -1  # two edges may come from one predecessor
                free[free_count] = slot[before]
                free_count += 1
            edge += 1
        if last_reader[row] == row:  # nobody reads it
            free[free_count] = slot[row]
            free_count += 1
    return slots


class RowColumns(NamedTuple):
    """What the scenario kernel reads of each row, shape (rows,) each.

    Attributes:
        slot: where its end lives.
        kind: its class, a line of the cost tables.
        work, traffic: what the tables' prices multiply.
        may_be_last: whether its end can be the makespan.
        watched: its place among the watched rows, -1 for none.
    """

    slot: Int32s
    kind: Int32s
    work: Float64s
    traffic: Float64s
    may_be_last: Bytes
    watched: Int32s


class EdgeColumns(NamedTuple):
    """What the scenario kernel reads of the edges: CSR by successor, sources as slots.

    `kind` is a line of the lag table, -1 where the lag is the same in every scenario.
    """

    start: Int64s
    source_slot: Int32s
    lag_ns: Float64s
    kind: Int32s


class Tables(NamedTuple):
    """Prices of shape (classes, scenarios of the block).

    `is_plain` tells of each class whether a row without traffic takes `work` alone, shape
    (classes,): nothing fixed. Where all rows are so, `traffic` and `fixed_ns` have no lines.
    """

    work: Float64s
    traffic: Float64s
    fixed_ns: Float64s
    lag: Float64s
    is_plain: Bytes


class Outcome(NamedTuple):
    """What the scenario kernel writes: makespans (block,), starts and ends (watched, block)."""

    makespan_ns: Float64s
    start_ns: Float64s
    end_ns: Float64s


def replay_block(  # noqa: C901, PLR0912, PLR0915  # numba sees one function
    rows: RowColumns, edges: EdgeColumns, tables: Tables, live: Float64s, out: Outcome
) -> None:
    """Replay a block of scenarios in one pass, costs fused in; for numba only.

    `live` has shape (slots, block): the state that stays in cache however many rows there are.
    Elements are reached by two indices: a line taken out would cost a reference count. A row of one
    edge, or of two whose lags stay, is one loop; others gather their start first.
    """
    width = live.shape[1]
    slot, row_kind, work_of, traffic_of, may_be_last, watched = rows
    edge_start, source_slot, lag_of, edge_kind = edges
    work_price, traffic_price, fixed, lag_factor, is_plain = tables
    makespan, starts, ends = out
    start = np.empty(width)
    edge = edge_start[0]
    for row in range(len(slot)):
        v, c, work, traffic, w = (
            slot[row],
            row_kind[row],
            work_of[row],
            traffic_of[row],
            watched[row],
        )
        plain = is_plain[c] and traffic == 0.0
        after = edge_start[row + 1]
        if edge + 1 == after and w < 0:
            p, lag, k = source_slot[edge], lag_of[edge], edge_kind[edge]
            edge = after
            if k < 0 and plain:
                for s in range(width):
                    live[v, s] = max(0.0, live[p, s] + lag) + np.rint(work * work_price[c, s])
            elif k < 0:
                for s in range(width):
                    longer = max(work * work_price[c, s], traffic * traffic_price[c, s])
                    live[v, s] = max(0.0, live[p, s] + lag) + np.rint(longer + fixed[c, s])
            elif plain:
                for s in range(width):
                    ready = max(0.0, live[p, s] + np.rint(lag * lag_factor[k, s]))
                    live[v, s] = ready + np.rint(work * work_price[c, s])
            else:
                for s in range(width):
                    longer = max(work * work_price[c, s], traffic * traffic_price[c, s])
                    ready = max(0.0, live[p, s] + np.rint(lag * lag_factor[k, s]))
                    live[v, s] = ready + np.rint(longer + fixed[c, s])
        elif edge + 2 == after and w < 0 and edge_kind[edge] < 0 and edge_kind[edge + 1] < 0:
            p, lag = source_slot[edge], lag_of[edge]
            q, other = source_slot[edge + 1], lag_of[edge + 1]
            edge = after
            if plain:
                for s in range(width):
                    ready = max(live[p, s] + lag, live[q, s] + other)
                    live[v, s] = max(0.0, ready) + np.rint(work * work_price[c, s])
            else:
                for s in range(width):
                    ready = max(live[p, s] + lag, live[q, s] + other)
                    longer = max(work * work_price[c, s], traffic * traffic_price[c, s])
                    live[v, s] = max(0.0, ready) + np.rint(longer + fixed[c, s])
        else:
            if edge == after:
                for s in range(width):
                    start[s] = 0.0
            first = edge
            while edge < after:
                p, lag, k = source_slot[edge], lag_of[edge], edge_kind[edge]
                if edge == first and k >= 0:
                    for s in range(width):
                        start[s] = max(0.0, live[p, s] + np.rint(lag * lag_factor[k, s]))
                elif edge == first:
                    for s in range(width):
                        start[s] = max(0.0, live[p, s] + lag)
                elif k >= 0:
                    for s in range(width):
                        start[s] = max(start[s], live[p, s] + np.rint(lag * lag_factor[k, s]))
                else:
                    for s in range(width):
                        start[s] = max(start[s], live[p, s] + lag)
                edge += 1
            if plain:
                for s in range(width):
                    live[v, s] = start[s] + np.rint(work * work_price[c, s])
            else:
                for s in range(width):
                    longer = max(work * work_price[c, s], traffic * traffic_price[c, s])
                    live[v, s] = start[s] + np.rint(longer + fixed[c, s])
        if may_be_last[row]:
            for s in range(width):
                makespan[s] = max(makespan[s], live[v, s])
        if w >= 0:
            for s in range(width):
                starts[w, s], ends[w, s] = start[s], live[v, s]
