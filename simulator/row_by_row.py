"""The scenario kernel without numba: row by row, each step one numpy operation over a block."""

import numpy as np

from .kernels import EdgeColumns, Float64s, Outcome, RowColumns, Tables


def rows_block(
    rows: RowColumns, edges: EdgeColumns, tables: Tables, live: Float64s, out: Outcome
) -> None:
    """Do what `kernels.replay_block` does, with equal results."""
    lines = list(live)
    prices = _Prices(rows, tables)
    source, lag, kind = edges.source_slot.tolist(), edges.lag_ns.tolist(), edges.kind.tolist()
    lag_factor = list(tables.lag)
    start, gap = np.empty(live.shape[1]), np.empty(live.shape[1])
    first = 0
    marks = zip(rows.slot.tolist(), rows.may_be_last.tolist(), rows.watched.tolist(), strict=True)
    for row, (after, (slot, may_be_last, watched)) in enumerate(
        zip(edges.start[1:].tolist(), marks, strict=True)
    ):
        start.fill(0.0)
        for edge in range(first, after):
            ready = lines[source[edge]]
            if kind[edge] >= 0:
                np.multiply(lag_factor[kind[edge]], lag[edge], out=gap)
                np.rint(gap, out=gap)
                ready = np.add(gap, ready, out=gap)
            elif lag[edge]:
                ready = np.add(ready, lag[edge], out=gap)
            np.maximum(start, ready, out=start)
        first = after
        end = np.add(prices.duration_of(row), start, out=lines[slot])
        if may_be_last:
            np.maximum(out.makespan_ns, end, out=out.makespan_ns)
        if watched >= 0:
            out.start_ns[watched], out.end_ns[watched] = start, end


class _Prices:
    """Gives a row's duration in all scenarios of the block; the result is good until the next."""

    def __init__(self, rows: RowColumns, tables: Tables) -> None:
        self.kind = rows.kind.tolist()
        self.work, self.traffic = rows.work.tolist(), rows.traffic.tolist()
        self.work_price, self.traffic_price = list(tables.work), list(tables.traffic)
        self.fixed = list(tables.fixed_ns)
        self.is_plain = tables.is_plain.tolist()
        self.first, self.second = np.empty(tables.work.shape[1]), np.empty(tables.work.shape[1])

    def duration_of(self, row: int) -> Float64s:
        kind = self.kind[row]
        cost = self.first
        np.multiply(self.work_price[kind], self.work[row], out=cost)
        if self.traffic[row]:
            np.multiply(self.traffic_price[kind], self.traffic[row], out=self.second)
            np.maximum(cost, self.second, out=cost)
            np.add(cost, self.fixed[kind], out=cost)
        elif not self.is_plain[kind]:
            np.add(cost, self.fixed[kind], out=cost)
        np.rint(cost, out=cost)
        return cost
