"""Put nodes in an order where each stands after what it waits for, or name the circle."""

from collections.abc import Sequence
from heapq import heapify, heappop, heappush


class CircleError(Exception):
    """Some nodes wait for each other; `circle` has them in order, the first one last again."""

    def __init__(self, circle: list[int]) -> None:
        super().__init__(circle)
        self.circle = circle


def topological(waits_for: Sequence[Sequence[int]], key: Sequence[tuple[int, int]]) -> list[int]:
    """Give the order: as it stands where that will do, else the smallest ready key first.

    >>> topological([[1], []], key=[(0, 0), (0, 1)])
    [1, 0]

    Raises:
        CircleError: there is none.
    """
    if all(before < node for node, needed in enumerate(waits_for) for before in needed):
        return list(range(len(waits_for)))
    missing = [len(needed) for needed in waits_for]
    followers: list[list[int]] = [[] for _ in waits_for]
    for node, needed in enumerate(waits_for):
        for before in needed:
            followers[before].append(node)
    ready = [(key[node], node) for node, count in enumerate(missing) if count == 0]
    heapify(ready)
    order: list[int] = []
    while ready:
        _, node = heappop(ready)
        order.append(node)
        for follower in followers[node]:
            missing[follower] -= 1
            if missing[follower] == 0:
                heappush(ready, (key[follower], follower))
    if len(order) < len(waits_for):
        raise CircleError(_circle(waits_for, missing))
    return order


def _circle(waits_for: Sequence[Sequence[int]], missing: Sequence[int]) -> list[int]:
    """Walk back among the nodes that never became ready until one comes again."""
    node = next(node for node, count in enumerate(missing) if count)
    seen: dict[int, int] = {}
    walk: list[int] = []
    while node not in seen:
        seen[node] = len(walk)
        walk.append(node)
        node = next(before for before in waits_for[node] if missing[before])
    return [*reversed(walk[seen[node] :]), walk[-1]]
