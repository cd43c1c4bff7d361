"""Match the operators of two runs: by name and shapes, then by name alone; the rest stands alone.

A   mm(4x4)  mm(4x4)  relu(4)          mm(4x4): 1 with 1, one mm left over in A
B   mm(4x4)  mm(8x4)  gelu(4)          mm: the left-over with mm(8x4), by name
                                       relu only in A, gelu only in B
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from .operator_times import OperatorKey, OperatorTime


class MatchedBy(StrEnum):
    """How operators found their partners."""

    NAME_AND_SHAPES = "name and shapes"
    NAME = "name"
    NOTHING = ""


@dataclass(frozen=True, slots=True)
class Match:
    """Operators of one key: as many of A as of B, the k-th with the k-th, or of one side only."""

    key: OperatorKey
    by: MatchedBy
    a: tuple[OperatorTime, ...]
    b: tuple[OperatorTime, ...]


def match_operators(a: Sequence[OperatorTime], b: Sequence[OperatorTime]) -> list[Match]:
    """Match operators, each at most once; every operator is in exactly one match."""
    found: list[Match] = []
    left_a, left_b = list(a), list(b)
    for how, key_of in _RULES:
        rest_a: list[OperatorTime] = []
        rest_b: list[OperatorTime] = []
        for key, ones_a, ones_b in _by_key(left_a, left_b, key_of):
            common = min(len(ones_a), len(ones_b))
            if common:
                found.append(Match(key, how, tuple(ones_a[:common]), tuple(ones_b[:common])))
            rest_a.extend(ones_a[common:])
            rest_b.extend(ones_b[common:])
        left_a, left_b = rest_a, rest_b
    found.extend(
        Match(key, MatchedBy.NOTHING, tuple(ones_a), tuple(ones_b))
        for key, ones_a, ones_b in _by_key(left_a, left_b, _own_key)
    )
    return found


def _own_key(one: OperatorTime) -> OperatorKey:
    return one.key


def _name_only(one: OperatorTime) -> OperatorKey:
    return OperatorKey(one.key.name)


_RULES: tuple[tuple[MatchedBy, Callable[[OperatorTime], OperatorKey]], ...] = (
    (MatchedBy.NAME_AND_SHAPES, _own_key),
    (MatchedBy.NAME, _name_only),
)


def _by_key(
    a: Iterable[OperatorTime],
    b: Iterable[OperatorTime],
    key_of: Callable[[OperatorTime], OperatorKey],
) -> Iterator[tuple[OperatorKey, list[OperatorTime], list[OperatorTime]]]:
    """Give both sides' operators by key, keys in order of first sight."""
    found: dict[OperatorKey, tuple[list[OperatorTime], list[OperatorTime]]] = defaultdict(
        lambda: ([], [])
    )
    for one in a:
        found[key_of(one)][0].append(one)
    for one in b:
        found[key_of(one)][1].append(one)
    for key, (ones_a, ones_b) in found.items():
        yield key, ones_a, ones_b
