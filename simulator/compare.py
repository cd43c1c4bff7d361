"""Lay two timelines side by side: by category, operator and module, with what has no partner."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ..models.errors import AnalysisError
from ..models.graph import Dims
from ..models.timeline import Timeline
from .breakdown.activity import Activity, activity_of, ranks_of
from .breakdown.groups import Grouping, grouped
from .breakdown.parts import Parts, split
from .breakdown.selection import Selection, Window, counted, steps_named, window_of
from .operator_match import Match, MatchedBy, match_operators
from .operator_times import OperatorTime, operator_times

LINKED_ONLY = Selection(include_unlinked=False)


@dataclass(frozen=True, slots=True)
class Pair:
    """One thing on both sides; a count of 0 says that a side does not have it.

    Attributes:
        a_ns, b_ns: what it kept busy, as a mean over the side's ranks.
        host_a_ns, host_b_ns: of operators, their time on the host.
        matched_by: of operators only.
    """

    name: str
    count_a: int
    count_b: int
    a_ns: int
    b_ns: int
    host_a_ns: int = 0
    host_b_ns: int = 0
    shapes: tuple[Dims, ...] = ()
    matched_by: MatchedBy = MatchedBy.NOTHING

    @property
    def ratio(self) -> float | None:
        """Give B over A, None where A took no time."""
        return self.b_ns / self.a_ns if self.a_ns else None

    @property
    def difference_ns(self) -> int:
        """Give B less A."""
        return self.b_ns - self.a_ns


@dataclass(frozen=True, slots=True)
class Side:
    """One side's totals.

    Attributes:
        window_ns: of the rank that takes longest.
        operators, operator_ns: all of them and their time, as a mean over ranks.
        matched, matched_ns: those that found a partner.
        left_out: device operations without launch that were not counted.
    """

    ranks: int
    cpu_only: bool
    device: str
    window_ns: int
    operators: int
    operator_ns: int
    matched: int
    matched_ns: int
    left_out: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two sides and their pairs; the largest difference comes first."""

    a: Side
    b: Side
    categories: tuple[Pair, ...]
    operators: tuple[Pair, ...]
    modules: tuple[Pair, ...]

    @property
    def ratio(self) -> float | None:
        """Give B's window over A's, None where A's is empty."""
        return self.b.window_ns / self.a.window_ns if self.a.window_ns else None


@dataclass(frozen=True, slots=True)
class _Rank:
    activity: Activity
    window: Window
    steps: list[int] | None
    left_out: int

    def parts(self) -> Parts:
        return split(self.activity.busy(), self.window.first_ns, self.window.last_ns)


_Ranks = list[_Rank]


def compare(
    a: Sequence[Timeline], b: Sequence[Timeline], selection: Selection | None = None
) -> Comparison:
    """Compare two runs.

    Args:
        a: one timeline a rank, or one of merged ranks.
        b: the same.
        selection: steps, by names that both runs know. Unlinked work is left out by default: it
            belongs to what ran before. A side that has no launches at all keeps its work.

    Raises:
        AnalysisError: a side on which nothing ran, or without such a step.
    """
    ranks_a, ranks_b = (_ranks(side, selection or LINKED_ONLY) for side in (a, b))
    matches = match_operators(_operators(ranks_a), _operators(ranks_b))
    pairs = [_operator_pair(match, len(ranks_a), len(ranks_b)) for match in matches]
    return Comparison(
        a=_side(ranks_a, [(match.by, match.a) for match in matches]),
        b=_side(ranks_b, [(match.by, match.b) for match in matches]),
        categories=_categories(ranks_a, ranks_b),
        operators=_by_difference(pairs),
        modules=_modules(ranks_a, ranks_b),
    )


def _ranks(timelines: Sequence[Timeline], selection: Selection) -> _Ranks:
    found = []
    for timeline in timelines:
        steps = steps_named(timeline.graph, selection.steps) if selection.steps else None
        for rank in ranks_of(timeline.graph):
            every = activity_of(timeline, rank)
            activity = every if every.unlinked.all() else counted(every, selection)
            window = window_of(activity, selection)
            found.append(_Rank(activity, window, steps, len(every) - len(activity)))
    if not found:
        raise AnalysisError("nothing ran on one of the sides")
    return found


def _operators(ranks: _Ranks) -> list[OperatorTime]:
    return [one for r in ranks for one in operator_times(r.activity, r.window, r.steps)]


def _side(ranks: _Ranks, operators: Sequence[tuple[MatchedBy, tuple[OperatorTime, ...]]]) -> Side:
    matched = [one for how, ones in operators if how is not MatchedBy.NOTHING for one in ones]
    every = [one for _, ones in operators for one in ones]
    return Side(
        ranks=len(ranks),
        cpu_only=all(rank.activity.cpu_only for rank in ranks),
        device=ranks[0].activity.graph.meta.source_device,
        window_ns=max(rank.window.duration_ns for rank in ranks),
        operators=len(every),
        operator_ns=_mean(sum(one.time_ns for one in every), len(ranks)),
        matched=len(matched),
        matched_ns=_mean(sum(one.time_ns for one in matched), len(ranks)),
        left_out=sum(rank.left_out for rank in ranks),
    )


def _mean(total_ns: int, ranks: int) -> int:
    return round(total_ns / ranks)


def _operator_pair(match: Match, ranks_a: int, ranks_b: int) -> Pair:
    return Pair(
        name=match.key.name,
        count_a=len(match.a),
        count_b=len(match.b),
        a_ns=_mean(sum(one.time_ns for one in match.a), ranks_a),
        b_ns=_mean(sum(one.time_ns for one in match.b), ranks_b),
        host_a_ns=_mean(sum(one.host_ns for one in match.a), ranks_a),
        host_b_ns=_mean(sum(one.host_ns for one in match.b), ranks_b),
        shapes=match.key.shapes,
        matched_by=match.by,
    )


def _by_difference(pairs: Sequence[Pair]) -> tuple[Pair, ...]:
    """Sort by the size of the difference, in time on the device, then on the host."""
    return tuple(
        sorted(
            pairs,
            key=lambda p: (-abs(p.difference_ns), -abs(p.host_b_ns - p.host_a_ns), p.name),
        )
    )


def _categories(ranks_a: _Ranks, ranks_b: _Ranks) -> tuple[Pair, ...]:
    a, b = [rank.parts() for rank in ranks_a], [rank.parts() for rank in ranks_b]
    values = {
        "window": ([p.window_ns for p in a], [p.window_ns for p in b]),
        "computing": ([p.computing_ns for p in a], [p.computing_ns for p in b]),
        "exposed communication": (
            [p.exposed_communication_ns for p in a],
            [p.exposed_communication_ns for p in b],
        ),
        "exposed copies": ([p.exposed_memcpy_ns for p in a], [p.exposed_memcpy_ns for p in b]),
        "idle": ([p.idle_ns for p in a], [p.idle_ns for p in b]),
        "communication": ([p.communication_ns for p in a], [p.communication_ns for p in b]),
    }
    return tuple(
        Pair(
            name,
            sum(value > 0 for value in of_a),
            sum(value > 0 for value in of_b),
            _mean(sum(of_a), len(a)),
            _mean(sum(of_b), len(b)),
        )
        for name, (of_a, of_b) in values.items()
    )


def _modules(ranks_a: _Ranks, ranks_b: _Ranks) -> tuple[Pair, ...]:
    (time_a, count_a), (time_b, count_b) = _module_times(ranks_a), _module_times(ranks_b)
    return _by_difference(
        [
            Pair(
                name,
                count_a[name],
                count_b[name],
                _mean(time_a[name], len(ranks_a)),
                _mean(time_b[name], len(ranks_b)),
            )
            for name in sorted({*count_a, *count_b})
        ]
    )


def _module_times(ranks: _Ranks) -> tuple[Counter[str], Counter[str]]:
    """Give each module's busy time and operations over all ranks."""
    time: Counter[str] = Counter()
    count: Counter[str] = Counter()
    for rank in ranks:
        for group in grouped(rank.activity, rank.window, Grouping.MODULE):
            time[group.name] += group.parts.window_ns - group.parts.idle_ns
            count[group.name] += group.operations
    return time, count
