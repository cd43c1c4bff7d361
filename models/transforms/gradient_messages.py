"""The collectives of gradients in a recorded data-parallel run: who issued them, who waits.

host   grad ... |c10d::allreduce_|  ...  |waiter| copy back
comm                  [all_reduce] ----------^
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..costs.collectives import canonical_kind, transfer_ns
from ..edge_columns import Edges
from ..errors import NeedsRecordingError
from ..graph import NONE, Category, EdgeKind, ExecutionGraph
from ..hardware import Hardware
from .edit import Mask
from .training import BACKWARD, in_phase

ISSUES = (EdgeKind.HANDOVER, EdgeKind.LAUNCH)
REDUCTIONS = frozenset(("all_reduce", "reduce_scatter"))


@dataclass(frozen=True, slots=True)
class Message:
    """One rank's part in one collective of gradients.

    Attributes:
        row: the collective.
        issuer: the host row that started it.
        waiters: rows that wait for it, its own lane left out.
        join: where its ranks meet, NONE in a run of one rank.
    """

    row: int
    issuer: int
    waiters: tuple[int, ...]
    join: int


def gradient_messages(graph: ExecutionGraph, what: str) -> list[Message]:
    """Find the collectives that backward issued, in order of rows.

    Raises:
        NeedsRecordingError: there is none.
    """
    edges = Edges.of(graph)
    category, lane = graph.nodes.category, graph.nodes.lane
    sends = category[edges.source] == Category.COLLECTIVE
    sends &= (lane[edges.source] != lane[edges.target]) & (category[edges.target] != Category.JOIN)
    starts = category[edges.target] == Category.COLLECTIVE
    issues = starts & np.isin(edges.kind, ISSUES)
    meets = starts & ~issues & (category[edges.source] == Category.JOIN)
    waiters: dict[int, list[int]] = defaultdict(list)
    for source, target in zip(*_ends(edges, sends), strict=True):
        waiters[source].append(target)
    join = {target: source for source, target in zip(*_ends(edges, meets), strict=True)}
    issuer = {target: source for source, target in zip(*_ends(edges, issues), strict=True)}
    backward = in_phase(graph, BACKWARD)
    reduces = [canonical_kind(message.kind) in REDUCTIONS for message in graph.collectives]
    found = [
        Message(row, at, tuple(waiters[row]), join.get(row, NONE))
        for row, at in sorted(issuer.items())
        if backward[at] and _reduces(graph, row, reduces)
    ]
    if not found:
        raise NeedsRecordingError(
            f"{what}: no collective of gradients in the recording",
            remedy="record a data-parallel run, or scale one rank out first: --apply ddp:ranks=8",
        )
    return found


def _ends(edges: Edges, chosen: Mask) -> tuple[list[int], list[int]]:
    return edges.source[chosen].tolist(), edges.target[chosen].tolist()


def _reduces(graph: ExecutionGraph, row: int, by_message: Sequence[bool]) -> bool:
    index = int(graph.nodes.collective[row])
    if index == NONE:
        return canonical_kind(graph.name_of(row)) in REDUCTIONS
    return by_message[index]


def transfer_ratio(
    hardware: Hardware, old: tuple[str, int, int], new: tuple[str, int, int]
) -> float:
    """Give modelled time of a new message over the old one's; each (kind, bytes, ranks).

    By what each rank sends where the hardware has no link that joins so many devices.
    """
    before, after = (
        transfer_ns(hardware, canonical_kind(kind), size, max(2, ranks))
        for kind, size, ranks in (old, new)
    )
    if before and after:
        return after / before
    return new[1] / max(1, old[1])


def measured(graph: ExecutionGraph, rows: list[int]) -> bool:
    """Tell whether any of these collectives has a time of its own."""
    return bool(np.any(graph.nodes.duration_ns[rows] > 0))
