"""The collectives of gradients in a recorded data-parallel run: who issued them, who waits.

host   grad ... |c10d::allreduce_|  ...  |waiter| copy back
comm                  [all_reduce] ----------^
"""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from ..costs.collectives import canonical_kind, transfer_ns
from ..errors import NeedsRecordingError
from ..graph import NONE, Category, EdgeKind, ExecutionGraph
from ..hardware import Hardware
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
    waiters: dict[int, list[int]] = defaultdict(list)
    issuer: dict[int, int] = {}
    join: dict[int, int] = {}
    category, lane = graph.nodes.category.tolist(), graph.nodes.lane.tolist()
    targets = graph.edge_target().tolist()
    for source, target, kind in zip(
        graph.edge_source.tolist(), targets, graph.edge_kind.tolist(), strict=True
    ):
        elsewhere = lane[source] != lane[target] and category[target] != Category.JOIN
        if category[source] == Category.COLLECTIVE and elsewhere:
            waiters[source].append(target)
        if category[target] == Category.COLLECTIVE:
            if kind in ISSUES:
                issuer[target] = source
            elif category[source] == Category.JOIN:
                join[target] = source
    backward = in_phase(graph, BACKWARD)
    found = [
        Message(row, at, tuple(waiters[row]), join.get(row, NONE))
        for row, at in sorted(issuer.items())
        if backward[at] and _reduces(graph, row)
    ]
    if not found:
        raise NeedsRecordingError(
            f"{what}: no collective of gradients in the recording",
            remedy="record a data-parallel run, or scale one rank out first: --apply ddp:ranks=8",
        )
    return found


def _reduces(graph: ExecutionGraph, row: int) -> bool:
    index = int(graph.nodes.collective[row])
    kind = graph.collectives[index].kind if index != NONE else graph.name_of(row)
    return canonical_kind(kind) in REDUCTIONS


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
