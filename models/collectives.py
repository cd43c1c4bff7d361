"""Match the collectives of many ranks: which rows are one and the same rendezvous."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .graph import NONE, Category, EdgeKind, ExecutionGraph, Int64s

_Key = tuple[str, str, int, int]
# Ranks give and take different amounts here: the size tells nothing.
UNEVEN = frozenset(("all_to_all", "gather", "scatter"))
ISSUING_EDGES = (EdgeKind.HANDOVER, EdgeKind.LAUNCH)


@dataclass(frozen=True, slots=True)
class Instance:
    """One collective: its row in each rank's graph, by the graph's place in the sequence."""

    kind: str
    members: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Matching:
    """All instances with two members or more, and how many collective rows found no partner."""

    instances: tuple[Instance, ...]
    alone: int


def match_collectives(graphs: Sequence[ExecutionGraph]) -> Matching:
    """Match by group and sequence where recorded, else by group, kind, size and order of issue.

    A send meets the recv of its peer (point to point, matched by order between the two).
    """
    rows_of_key: dict[_Key, list[tuple[int, int]]] = defaultdict(list)
    for place, graph in enumerate(graphs):
        for key, row in _keyed(graph):
            rows_of_key[key].append((place, row))
    instances, alone = [], 0
    for key, members in rows_of_key.items():
        if len(members) > 1:
            instances.append(Instance(key[1], tuple(members)))
        else:
            alone += 1
    return Matching(tuple(instances), alone)


def _keyed(graph: ExecutionGraph) -> list[tuple[_Key, int]]:
    """Give each collective row its key; the last part counts equal ones."""
    category = graph.nodes.category
    rows = np.flatnonzero(
        (category == Category.COLLECTIVE)
        | (category == Category.SEND)
        | (category == Category.RECV)
    )
    issued = _issue_order(graph, rows)
    seen: dict[tuple[str, str, int], int] = defaultdict(int)
    result = []
    for row in rows[np.argsort(issued, kind="stable")].tolist():
        index = int(graph.nodes.collective[row])
        if index == NONE:
            continue
        what = graph.collectives[index]
        kind, size = what.kind, 0 if what.kind in UNEVEN else what.message_bytes
        group = f"{what.group}{what.ranks}"  # groups side by side may share their name
        if kind in ("send", "recv"):
            mine, peer = graph.meta.rank, what.peer
            pair = (mine, peer) if kind == "send" else (peer, mine)
            group, kind, size = f"{group}:{pair[0]}>{pair[1]}", "p2p", 0
        sequence = int(graph.nodes.sequence[row])
        if sequence >= 0 and kind != "p2p":
            key = (group, kind, -1, sequence)
            seen_before = seen[f"{group}#{sequence}", kind, -1]
            seen[f"{group}#{sequence}", kind, -1] += 1
            key = (group, kind, -1 - seen_before, sequence)
        else:
            key = (group, kind, size, seen[group, kind, size])
            seen[group, kind, size] += 1
        result.append((key, row))
    return result


def _issue_order(graph: ExecutionGraph, rows: Int64s) -> Int64s:
    """Give the row that issued each collective: workers may start them in another order."""
    issuer = []
    for row in rows.tolist():
        issuing = [p for p, kind, _ in graph.predecessors(row) if kind in ISSUING_EDGES]
        issuer.append(max(issuing, default=row))
    return np.array(issuer, dtype=np.int64)
