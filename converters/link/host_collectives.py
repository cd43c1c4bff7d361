"""Collectives on host threads (gloo): who issued them, who waits for them.

    main    |c10d::allreduce_|  backward ...  wait |as_strided(bucket)|
    worker      |------- gloo:all_reduce -------|

The wait on the main thread is only a gap, so it is found by structure: the first operator after
the collective, on the thread that issued it, that takes a tensor of the collective's shape.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...models.graph import NONE, Category, EdgeKind, Int32s, Int64s
from ..kineto import KinetoTrace, Source
from ..kineto_events import Args
from . import names
from .handover import HANDOVER_GAP_NS
from .rows import EdgeBlock, HostRows, edge_block
from .segments import ancestors_where


@dataclass(frozen=True, slots=True, eq=False)
class HostCollectives:
    """Edges of collectives on host threads.

    Attributes:
        explained: host rows whose gap before them is a wait, not work.
        sequence: place of each host event's collective in the order of issue, -1 for others.
        without_issuer, without_waiter: collectives for which none was found.
    """

    edges: EdgeBlock
    explained: Int64s
    sequence: Int64s
    without_issuer: int
    without_waiter: int


def link_host_collectives(trace: KinetoTrace, host: HostRows, parent: Int32s) -> HostCollectives:
    """Link every collective row of a host thread with its issuer and its first user."""
    finder = _Finder(trace, host, parent)
    rows = np.flatnonzero((host.category == Category.COLLECTIVE) & (host.event >= 0))
    in_time = rows[np.argsort(host.begin_ns[rows], kind="stable")].tolist()
    issuer = finder.issuers(in_time)
    issued = [row for row in in_time if issuer[row] != NONE]
    waiter = {row: finder.waiter(row, issuer[row]) for row in issued}
    waited = [row for row in issued if waiter[row] != NONE]
    source = [issuer[row] for row in issued] + waited
    target = issued + [waiter[row] for row in waited]
    return HostCollectives(
        edges=edge_block(EdgeKind.HANDOVER, source, target, 0),
        explained=np.array(sorted(set(target)), dtype=np.int64),
        sequence=_sequence(trace, host, in_time, issuer),
        without_issuer=len(in_time) - len(issued),
        without_waiter=len(issued) - len(waited),
    )


def _sequence(
    trace: KinetoTrace, host: HostRows, rows: list[int], issuer: dict[int, int]
) -> Int64s:
    """Number collectives in the order in which they were issued; workers may start them later."""
    result = np.full(len(trace.host), NONE, dtype=np.int64)
    issued = [issuer[row] if issuer[row] != NONE else row for row in rows]
    order = np.argsort(host.begin_ns[issued], kind="stable")
    for number, place in enumerate(order.tolist()):
        result[int(host.event[rows[place]])] = number
    return result


class _Finder:
    def __init__(self, trace: KinetoTrace, host: HostRows, parent: Int32s) -> None:
        self.trace = trace
        self.host = host
        self.parent = parent
        self.shape_of_saying = [_first_shape(args) for args in trace.host.sayings]
        self.issuing = self._issuing_rows()
        self.issuers_by_shape: dict[tuple[int, bytes], list[int]] = defaultdict(list)
        for row in sorted(self.issuing):
            shape = self._shape(int(host.event[row]))
            self.issuers_by_shape[int(host.thread[row]), shape].append(row)
        self.rows_by_shape = self._operators_by_shape()

    def issuers(self, collectives: list[int]) -> dict[int, int]:
        """Pair the k-th collective of a kind and shape with the k-th operator that issues it.

        Where the operators' shapes are not those of the tensors sent, by kind alone.
        """
        by_shape = self._paired(collectives, with_shape=True)
        missing = [row for row in collectives if by_shape[row] == NONE]
        if not missing:
            return by_shape
        by_kind = self._paired(collectives, with_shape=False)
        used = set(by_shape.values())
        for row in missing:
            by_shape[row] = by_kind[row] if by_kind[row] not in used else NONE
        return by_shape

    def _paired(self, collectives: list[int], *, with_shape: bool) -> dict[int, int]:
        def key(row: int) -> tuple[str, bytes]:
            kind = names.collective_kind(self._name(row))
            return kind, self._shape(int(self.host.event[row])) if with_shape else b""

        waiting: dict[tuple[str, bytes], list[int]] = defaultdict(list)
        for row in self.issuing:
            waiting[key(row)].append(row)
        taken: dict[tuple[str, bytes], int] = defaultdict(int)
        result = {}
        for row in collectives:
            wanted = key(row)
            queue, place = waiting[wanted], taken[wanted]
            fits = (
                place < len(queue) and self.host.begin_ns[queue[place]] <= self.host.begin_ns[row]
            )
            result[row] = queue[place] if fits else NONE
            taken[wanted] += fits
        return result

    def waiter(self, collective: int, issuer: int) -> int:
        """Give the issuing thread's first operator on the tensor after the collective ended.

        Before the tensor is sent again. A worker may be seen to end after those whom it woke have
        gone on: then the first operator on the tensor that its thread waited long before.
        """
        shape = self._shape(int(self.host.event[collective]))
        key = (int(self.host.thread[issuer]), shape)
        sent_again = self.issuers_by_shape[key]
        later = bisect_right(sent_again, issuer)
        until = sent_again[later] if later < len(sent_again) else len(self.host)
        rows = self.rows_by_shape[key]
        among = rows[bisect_right(rows, issuer) : bisect_left(rows, until)]
        users = np.array(among, dtype=np.int64)
        after = users[self.host.begin_ns[users] >= self.host.end_ns[collective]]
        idle_before = self.host.begin_ns[users] - self.host.end_ns[users - 1]
        chosen = after if len(after) else users[idle_before > HANDOVER_GAP_NS]
        return int(chosen[0]) if len(chosen) else NONE

    def _name(self, row: int) -> str:
        return self.trace.names[int(self.trace.host.name[int(self.host.event[row])])]

    def _issuing_rows(self) -> list[int]:
        """Outermost `c10d::` operators in time order."""
        host = self.trace.host
        if not len(host):
            return []
        issues = np.array([names.issues_collective(name) for name in self.trace.names], dtype=bool)
        flags: NDArray[np.bool_] = issues[host.name] & (host.source == Source.OPERATOR)
        above = np.append(ancestors_where(self.parent, flags), NONE)  # index -1 finds the -1
        outermost = flags & (above[self.parent] == NONE)
        rows = self.host.row_of_event[np.flatnonzero(outermost)]
        in_time: list[int] = rows[np.argsort(self.host.begin_ns[rows], kind="stable")].tolist()
        return in_time

    def _operators_by_shape(self) -> dict[tuple[int, bytes], list[int]]:
        """Rows of operators by (thread, shape of their first tensor), in time order."""
        table: dict[tuple[int, bytes], list[int]] = defaultdict(list)
        if not np.any(self.host.category == Category.COLLECTIVE):
            return table
        wanted = {
            self._shape(int(self.host.event[row]))
            for row in np.flatnonzero(self.host.category == Category.COLLECTIVE)
        }
        is_host = (self.host.category == Category.HOST) & (self.host.event >= 0)
        is_host[self.issuing] = False
        for row in np.flatnonzero(is_host).tolist():
            shape = self._shape(int(self.host.event[row]))
            if shape and shape in wanted:
                table[int(self.host.thread[row]), shape].append(row)
        return table

    def _shape(self, event: int) -> bytes:
        return self.shape_of_saying[int(self.trace.host.saying[event])]


def _first_shape(args: Args) -> bytes:
    """The first tensor's shape as recorded: the text up to its closing bracket."""
    dims = bytes(args.input_dims).replace(b" ", b"").lstrip(b"[")
    return dims[: dims.find(b"]")]
