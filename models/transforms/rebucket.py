"""Other buckets in a recorded data-parallel run, or no overlap with backward.

    recorded   g3 g2 |send| g1 g0 |send|        bucket=100MB    g3 g2 g1 g0 |send|

The old collectives go with their issue; new ones are put behind the gradients that fill a bucket.
A new message takes the model's start and, for each byte, what the recorded ones took.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isnan

import numpy as np

from ..costs.collectives import transfer_ns
from ..graph import NONE, Category, Collective, EdgeKind, ExecutionGraph, Provenance
from ..memory.effect import unchanged
from .buckets import Bucket, bucketed
from .edit import ORDER_KINDS, Mask
from .gradient_messages import Message, gradient_messages, measured
from .insertion import Insertion
from .lanes import Latest
from .links import shares_cores
from .recost import has_device
from .registry import MEBI_25, Parameter, Transform, Value, flag, register
from .scenario import Scenario
from .splice import without_time
from .training import Iteration, iterations, named_rows

COPY_BACK = "copy_bucket_to_grad"


def _rebucket(scenario: Scenario, values: Mapping[str, Value]) -> Scenario:
    graph = scenario.graph
    messages = gradient_messages(graph, "buckets")
    found = iterations(graph, "buckets")
    overlap = flag(values, "overlap", "buckets")
    buckets = [bucketed(it.gradients, float(values["bucket"])) for it in found]
    of_iteration = [_of(graph, messages, it) for it in found]
    recorded = [[_bytes(graph, m) for m in mine] for mine in of_iteration]
    if overlap and recorded == [[b.bytes for b in each] for each in buckets]:
        return scenario
    sender = _Sender(scenario, messages)
    for number in range(max(_occurrence(found), default=-1) + 1):
        together = [k for k, place in enumerate(_occurrence(found)) if place == number]
        sender.send([(found[k], buckets[k], of_iteration[k]) for k in together], overlap=overlap)
    return scenario.with_graph(sender.done())


def _of(graph: ExecutionGraph, messages: Sequence[Message], iteration: Iteration) -> list[Message]:
    return [
        message
        for message in messages
        if iteration.first <= message.issuer <= iteration.last
        and graph.nodes.rank[message.issuer] == iteration.rank
    ]


def _bytes(graph: ExecutionGraph, message: Message) -> int:
    index = int(graph.nodes.collective[message.row])
    return graph.collectives[index].message_bytes if index != NONE else 0


def _occurrence(found: Sequence[Iteration]) -> list[int]:
    """Give the number of each iteration among those of its rank: equal numbers meet."""
    seen: dict[int, int] = {}
    result = []
    for iteration in found:
        result.append(seen.get(iteration.rank, 0))
        seen[iteration.rank] = result[-1] + 1
    return result


_Part = tuple[Iteration, list[Bucket], list[Message]]


class _Sender:
    """Puts new collectives in, and takes the old ones out."""

    def __init__(self, scenario: Scenario, messages: Sequence[Message]) -> None:
        self.graph = scenario.graph
        self.insertion = Insertion(self.graph)
        self.rows = [message.row for message in messages]
        self.device = self.graph.on_device()
        self.copies_back = named_rows(self.graph, COPY_BACK)
        kernels = np.flatnonzero(self.graph.nodes.category == Category.KERNEL)
        self.kernel_of_rank = Latest.of(self.graph.nodes.rank, kernels)
        self.gone = np.zeros(len(self.graph), dtype=bool)
        self.gone[self.rows] = True
        self.gone[[message.issuer for message in messages]] = True
        self.gone[[message.join for message in messages if message.join != NONE]] = True
        self.example = self.graph.collectives[int(self.graph.nodes.collective[self.rows[0]])]
        joins = np.flatnonzero(self.gone & (self.graph.nodes.category == Category.JOIN))
        self.meeting_lane = int(self.graph.nodes.lane[joins[0]]) if len(joins) else 0
        self.ranks = max(2, len(self.example.ranks) or self.graph.meta.world_size)
        self.crowded = not has_device(self.graph) and shares_cores(scenario.target, self.ranks)
        issued = self.graph.nodes.duration_ns[[message.issuer for message in messages]]
        self.usual_issue_ns = round(float(np.median(issued)))
        self.start_ns = transfer_ns(scenario.costs, "all_reduce", 0, self.ranks) or 0.0
        self.per_byte = self._per_byte()

    def _per_byte(self) -> float:
        """Give what a byte took beyond a message's start, in ns; NaN where nothing is measured."""
        if not measured(self.graph, self.rows):
            return float("nan")
        kinds = self.graph.nodes.collective[self.rows].tolist()
        size = sum(self.graph.collectives[kind].message_bytes for kind in kinds)
        time = float(self.graph.nodes.duration_ns[self.rows].sum())
        return float(max(0.0, time - self.start_ns * len(self.rows)) / max(1, size))

    def _time_ns(self, message_bytes: int) -> int:
        """Give a new message's time: the model's start, and the recorded rate; 0 unmeasured."""
        if isnan(self.per_byte):
            return 0
        return round(self.start_ns + self.per_byte * message_bytes)

    def send(self, parts: Sequence[_Part], *, overlap: bool) -> None:
        """Insert the collectives of one iteration of all ranks."""
        counts = {len(buckets) for _, buckets, _ in parts}
        meet = len(parts) > 1 and len(counts) == 1
        for place in range(max(counts)):
            rows = [
                self._issued(part, place, overlap=overlap) for part in parts if place < len(part[1])
            ]
            if meet:
                self._joined(rows, parts[0][0].first)

    def _issued(self, part: _Part, place: int, *, overlap: bool) -> tuple[int, int]:
        """Insert one rank's issue and collective, and let its user wait; gives both rows."""
        iteration, buckets, messages = part
        bucket = buckets[place]
        last = int(iteration.gradients.rows.max(initial=iteration.first))
        after = bucket.ready_row if overlap else last
        old = messages[0]
        lane = int(self.graph.nodes.lane[old.issuer])
        kind = EdgeKind.LAUNCH if self._on_device(old.row) else EdgeKind.HANDOVER
        issue = self.insertion.in_line(
            after, self.graph.name_of(old.issuer), lane,
            Category(int(self.graph.nodes.category[old.issuer])), self._issue_ns(messages, place),
            rank=iteration.rank,
        )  # fmt: skip
        lag = max([0, *(lag for _, k, lag in self.graph.predecessors(old.row) if k == kind)])
        if self.crowded and overlap and self._was_exposed(part, place):
            self.insertion.in_line(
                after, "gloo on this core", lane, Category.HOST, self._time_ns(bucket.bytes),
                rank=iteration.rank,
            )  # fmt: skip
        message = Collective(
            self.example.kind, self.example.group, self.example.ranks,
            bucket.gradients[0].dtype, bucket.bytes,
        )  # fmt: skip
        row = self.insertion.in_line(
            after, self.graph.name_of(old.row),
            int(self.graph.nodes.lane[old.row]),
            Category.COLLECTIVE, self._time_ns(bucket.bytes),
            collective=message, rank=iteration.rank,
            provenance=int(Provenance.ROOFLINE if isnan(self.per_byte) else Provenance.SCALED),
        )  # fmt: skip
        self.insertion.edge(issue, row, kind, lag)
        for waiter in self._waiters(part, place):
            wait = EdgeKind.STREAM_WAIT if self._on_device(old.row) else EdgeKind.HANDOVER
            self.insertion.edge(row, waiter, wait)
        return issue, row

    def _issue_ns(self, messages: Sequence[Message], place: int) -> int:
        """Give what issuing takes: as the recorded message in its place, more as usual."""
        if place >= len(messages):
            return self.usual_issue_ns
        return int(self.graph.nodes.duration_ns[messages[place].issuer])

    def _was_exposed(self, part: _Part, place: int) -> bool:
        """Tell whether a message now overlaps backward that was sent last, with nothing beside it.

        Without a spare core it takes its time from compute; what overlapped before has done so
        in the recorded times already.
        """
        _, buckets, messages = part
        before = messages[-2].issuer if len(messages) > 1 else NONE
        return place < len(buckets) - 1 and buckets[place].ready_row > before

    def _on_device(self, row: int) -> bool:
        return bool(self.device[row])

    def _waiters(self, part: _Part, place: int) -> list[int]:
        """Give the rows that use a bucket: its first copy back, else who waited for the last."""
        iteration, buckets, messages = part
        copies = self.copies_back
        mine = copies[slice(*np.searchsorted(copies, (iteration.first, iteration.last + 1)))]
        mine = mine[self.graph.nodes.rank[mine] == iteration.rank]
        mine = mine[self.graph.nodes.category[mine] != Category.KERNEL]
        if len(mine) == len(iteration.gradients):
            before = sum(len(bucket.gradients) for bucket in buckets[:place])
            return [self._user(int(mine[before]), on_device=self._on_device(messages[0].row))]
        last = [waiter for message in messages for waiter in message.waiters]
        return sorted(set(last))[:1] if not last else [max(last)]

    def _user(self, row: int, *, on_device: bool) -> int:
        """Give who reads a bucket: the copy back itself, or the kernel that it launches."""
        if not on_device:
            return row
        kernel = self.kernel_of_rank.next(int(self.graph.nodes.rank[row]), row - 1)
        return row if kernel == NONE else kernel

    def _joined(self, rows: Sequence[tuple[int, int]], first: int) -> None:
        """Let all ranks' collectives start when the last of them is issued."""
        join = self.insertion.row(first, "rendezvous", self.meeting_lane, Category.JOIN, 0, rank=-1)
        for issue, row in rows:
            self.insertion.edge(issue, join, EdgeKind.RENDEZVOUS)
            self.insertion.edge(join, row, EdgeKind.RENDEZVOUS)

    def done(self) -> ExecutionGraph:
        """Give the graph with the new collectives alone."""
        place = self.insertion.places()
        graph = self.insertion.done()
        removed = np.zeros(len(graph), dtype=bool)
        removed[place[np.flatnonzero(self.gone)]] = True
        return without_time(_without_waits(graph, removed), removed)


def _without_waits(graph: ExecutionGraph, gone: Mask) -> ExecutionGraph:
    """Let nobody wait for the old collectives: whoever did waits for his new one alone."""
    target = graph.edge_target()
    sent = gone & (graph.nodes.category == Category.COLLECTIVE)
    order = np.isin(graph.edge_kind, ORDER_KINDS)
    kept = ~sent[graph.edge_source] | gone[target] | order
    counts = np.bincount(target[kept], minlength=len(graph))
    return replace(
        graph,
        edge_start=np.concatenate(([0], np.cumsum(counts))).astype(np.int64),
        edge_source=graph.edge_source[kept],
        edge_kind=graph.edge_kind[kept],
        edge_lag_ns=graph.edge_lag_ns[kept],
    )


register(
    Transform(
        name="buckets",
        about="Other buckets of gradients, or all-reduces only after backward.",
        edit="Removes the recorded collectives of gradients with their issue, gathers gradients "
        "anew and inserts collectives behind what fills a bucket; who copies a bucket back waits "
        "for it.",
        assumes="a message takes the model's start, and for each byte what the recorded ones took",
        needs="a recorded data-parallel run with AccumulateGrad and Optimizer.step",
        parameters=(
            MEBI_25,
            Parameter("overlap", "0: all-reduces start when backward has ended", 1.0),
        ),
        apply=_rebucket,
        memory=unchanged("buckets hold all gradients, however many they are"),
    )
)
