"""Put a file's nodes in an order where each stands after what it waits for, or say why not."""

from collections.abc import Iterable, Sequence
from heapq import heapify, heappop, heappush
from pathlib import Path

from ...models.errors import InputError

_CIRCLE_TOLD = 5  # nodes of a circle that are named

Label = tuple[int, str]  # id and name


def indexed_ids(labels: Sequence[Label], where: Path) -> dict[int, int]:
    """Give each id's index.

    Raises:
        InputError: two nodes have one id.
    """
    index_of_id: dict[int, int] = {}
    for index, (node, name) in enumerate(labels):
        first = index_of_id.setdefault(node, index)
        if first != index:
            raise InputError(
                f"nodes {first + 1} ({labels[first][1]!r}) and {index + 1} ({name!r}) "
                f"both have id {node}",
                where=where,
                remedy="ids must differ: the trace was damaged or two were joined",
            )
    return index_of_id


def ordered(
    labels: Sequence[Label],
    waits_for: Sequence[Iterable[int]],
    where: Path,
    start_ns: Sequence[int] | None = None,
) -> list[int]:
    """Give the nodes' order: the file's where it will do, else by start and id.

    Raises:
        InputError: nodes wait for each other in a circle.
    """
    index_of_id = indexed_ids(labels, where)
    needed = [[index_of_id[i] for i in ids if i in index_of_id] for ids in waits_for]
    starts = [0] * len(labels) if start_ns is None else start_ns
    try:
        return topological(needed, [(starts[i], label[0]) for i, label in enumerate(labels)])
    except CircleError as error:
        told = [f"{labels[i][0]} ({labels[i][1]!r})" for i in error.circle[:_CIRCLE_TOLD]]
        if len(error.circle) > _CIRCLE_TOLD:
            told.append("...")
        raise InputError(
            f"nodes wait for each other in a circle: {' -> '.join(told)}",
            where=where,
            remedy="no order of running satisfies them: write the trace again",
        ) from error


class CircleError(Exception):
    """Some nodes wait for each other; `circle` has them in order, the first one last again."""

    def __init__(self, circle: list[int]) -> None:
        super().__init__(circle)
        self.circle = circle


def topological(waits_for: Sequence[Sequence[int]], key: Sequence[tuple[int, int]]) -> list[int]:
    """Give the order of indices: as they stand where that will do, else the smallest ready key.

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
