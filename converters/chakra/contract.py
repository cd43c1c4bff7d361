"""Keep some rows of a graph; what they wait for through the others becomes their own edge.

    k0 --sync--> wait --host--> launch --launch--> k1        kept: k0, k1        k0 --> k1

Also finds the time in which none of the kept rows ran: host time that the device waited for.
"""

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...models.graph import ExecutionGraph, Int64s

Place: TypeAlias = tuple[int, int]  # rank, lane
Latest: TypeAlias = Mapping[Place, int]  # the last kept row of each place

_NOTHING: Latest = {}


def kept_predecessors(graph: ExecutionGraph, keep: NDArray[np.bool_]) -> dict[int, list[int]]:
    """Give for each kept row the kept rows it waits for: of each lane of its rank the last.

    A lane runs its rows in order, so the last stands for all before it, and every kept row
    waits for the one before it on its lane.
    """
    source, bounds = graph.edge_source.tolist(), graph.edge_start.tolist()
    places = list(zip(graph.nodes.rank.tolist(), graph.nodes.lane.tolist(), strict=True))
    kept = keep.tolist()
    reached: list[Latest] = []
    last_on_lane: dict[Place, int] = {}
    predecessors: dict[int, list[int]] = {}
    for row, place in enumerate(places):
        latest = _joined([reached[before] for before in source[bounds[row] : bounds[row + 1]]])
        if not kept[row]:
            reached.append(latest)
            continue
        own = {before for (rank, _), before in latest.items() if rank == place[0]}
        if place in last_on_lane:
            own.add(last_on_lane[place])
        predecessors[row] = sorted(own)
        last_on_lane[place] = row
        reached.append({place: row})
    return predecessors


def _joined(parts: list[Latest]) -> Latest:
    if not parts:
        return _NOTHING
    first, *others = parts
    if all(other is first for other in others):
        return first
    joined = dict(first)
    for other in others:
        for place, row in other.items():
            if row > joined.get(place, -1):
                joined[place] = row
    return joined


def idle_before(start_ns: Int64s, duration_ns: Int64s) -> Int64s:
    """Give for each row the time right before its start in which no row ran, from time 0 on.

    >>> idle_before(np.array([2, 3, 9]), np.array([4, 1, 1])).tolist()
    [2, 0, 3]
    """
    order = np.argsort(start_ns, kind="stable")
    begin = start_ns[order]
    busy_until = np.maximum.accumulate(np.concatenate(([0], (begin + duration_ns[order])[:-1])))
    idle = np.zeros(len(order), dtype=np.int64)
    idle[order] = np.maximum(begin - busy_until[: len(order)], 0)
    return idle
