"""Sum a prediction up for people and scripts: ranks, steps, categories, operators, provenance."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..models.costs.bound import Bound
from ..models.graph import Category, Int64s, LaneKind, Provenance
from ..models.timeline import Timeline
from ..models.transforms.scenario import Scenario
from .memory import Memory, memory_as_told, with_memory
from .predict import Prediction, total_ns

__all__ = [
    "LARGEST", "Memory", "RankTime", "Share", "StepTime", "Summary", "busy_ns", "summarise",
    "union_ns",
]  # fmt: skip
LARGEST = 10  # operators listed


@dataclass(frozen=True, slots=True)
class RankTime:
    """A rank's time, measured and predicted."""

    rank: int
    measured_ns: int
    predicted_ns: int
    measured_busy_ns: int
    predicted_busy_ns: int


@dataclass(frozen=True, slots=True)
class StepTime:
    """A step's time between its marks."""

    name: str
    rank: int
    measured_ns: int
    predicted_ns: int


@dataclass(frozen=True, slots=True)
class Share:
    """Rows of one category or operator.

    Attributes:
        bound: what limits most of their predicted time.
        share: of the predicted time of all rows (lanes run side by side: not of the wall time).
    """

    name: str
    count: int
    measured_ns: int
    predicted_ns: int
    bound: str
    share: float


@dataclass(frozen=True, slots=True)
class Summary:
    """Everything `etsim predict --json` publishes."""

    measured_ns: int
    predicted_ns: int
    interval_ns: tuple[int, int]
    source: str
    target: str
    ranks: tuple[RankTime, ...]
    steps: tuple[StepTime, ...]
    categories: tuple[Share, ...]
    operators: tuple[Share, ...]
    provenance: Mapping[str, float]
    memory: Memory
    warnings: tuple[str, ...]


def summarise(prediction: Prediction) -> Summary:
    """Give the summary of a prediction."""
    before, after = prediction.measured, prediction.timeline
    ranks = sorted({int(r) for r in np.unique(after.graph.nodes.rank) if r >= 0})
    return Summary(
        measured_ns=total_ns(before) if prediction.recorded.meta.has_times else 0,
        predicted_ns=total_ns(after),
        interval_ns=prediction.interval_ns,
        source=_source_name(prediction),
        target=prediction.target.name,
        ranks=tuple(_rank_time(before, after, rank) for rank in ranks),
        steps=_step_times(before, after),
        categories=_categories(prediction),
        operators=_operators(prediction)[:LARGEST],
        provenance=_provenance(prediction),
        memory=_memory(prediction),
        warnings=prediction.warnings,
    )


def _memory(prediction: Prediction) -> Memory:
    told = prediction.properties_of_ranks
    scenario = Scenario(prediction.recorded, prediction.source, prediction.target)
    return memory_as_told(told, with_memory(scenario, told))


def _source_name(prediction: Prediction) -> str:
    if prediction.source is not None:
        return prediction.source.name
    return prediction.recorded.meta.source_device or "the recording CPU"


def _rank_time(before: Timeline, after: Timeline, rank: int) -> RankTime:
    return RankTime(
        rank,
        total_ns(before, rank),
        total_ns(after, rank),
        busy_ns(before, rank),
        busy_ns(after, rank),
    )


def _step_times(before: Timeline, after: Timeline) -> tuple[StepTime, ...]:
    pairs = zip(before.graph.steps, after.graph.steps, strict=True)
    return tuple(
        StepTime(
            old.name,
            int(after.graph.nodes.rank[new.begin_row]),
            int(before.end_ns[old.end_row] - before.start_ns[old.begin_row]),
            int(after.end_ns[new.end_row] - after.start_ns[new.begin_row]),
        )
        for old, new in pairs
    )


def busy_ns(timeline: Timeline, rank: int) -> int:
    """Give the time in which at least one stream of the rank's devices is busy."""
    rows = np.flatnonzero(timeline.graph.on_device() & (timeline.graph.nodes.rank == rank))
    return union_ns(timeline.start_ns[rows], timeline.end_ns[rows])


def union_ns(start_ns: Int64s, end_ns: Int64s) -> int:
    """Give the length of the union of intervals, shape (intervals,) each."""
    if not len(start_ns):
        return 0
    order = np.argsort(start_ns, kind="stable")
    start, end = start_ns[order], np.maximum.accumulate(end_ns[order])
    covered_before = np.concatenate(([start[0]], end[:-1]))
    return int(np.maximum(0, end - np.maximum(start, covered_before)).sum())


CATEGORY_NAMES = {
    Category.HOST: "host operators and calls",
    Category.LAUNCH: "launch calls",
    Category.SYNC: "synchronisation, waits taken out",
    Category.ANNOTATION: "annotations",
    Category.KERNEL: "kernels",
    Category.MEMCPY: "memory copies",
    Category.MEMSET: "memory fills",
    Category.COLLECTIVE: "collectives, waits taken out",
    Category.SEND: "sends",
    Category.RECV: "receives",
    Category.ORIGIN: "origin",
    Category.JOIN: "rendezvous",
}


def _categories(prediction: Prediction) -> tuple[Share, ...]:
    pool = [CATEGORY_NAMES[category] for category in Category]
    return _shares(prediction, pool, prediction.graph.nodes.category)


def _operators(prediction: Prediction) -> tuple[Share, ...]:
    """By operator; device rows without one by their own name, host calls by theirs."""
    graph = prediction.graph
    names = [operator.name for operator in graph.operators]
    own = graph.nodes.operator < 0
    key = np.where(own, graph.nodes.name, graph.nodes.operator + len(graph.names))
    return _shares(prediction, [*graph.names, *names], key)


def _shares(prediction: Prediction, pool: list[str], key: NDArray[np.integer]) -> tuple[Share, ...]:
    """Sum rows by key (an index into `pool`), largest predicted time first."""
    graph, priced = prediction.graph, prediction.priced
    table: dict[str, int] = {}
    group_of_index = np.array([table.setdefault(name, len(table)) for name in pool])
    group = group_of_index[key]
    timed = np.array([lane.kind != LaneKind.VIRTUAL for lane in graph.lanes])[graph.nodes.lane]
    count = np.bincount(group[timed], minlength=len(table))
    measured = _sum(group, graph.nodes.duration_ns * (not prediction.offloaded), len(table))
    predicted = _sum(group, priced.duration_ns, len(table))
    bound = _dominant_bound(group, priced.bound, priced.duration_ns, len(table))
    total = max(1, int(predicted.sum()))
    shares = [
        Share(
            name,
            int(count[index]),
            int(measured[index]),
            int(predicted[index]),
            bound[index],
            float(predicted[index] / total),
        )
        for name, index in table.items()
        if predicted[index] or measured[index]
    ]
    return tuple(sorted(shares, key=lambda share: (-share.predicted_ns, share.name)))


def _sum(group: Int64s, values: Int64s, count: int) -> Int64s:
    sums = np.zeros(count, dtype=np.int64)
    np.add.at(sums, group, values)
    return sums


def _dominant_bound(
    group: Int64s, bound: NDArray[np.uint8], duration_ns: Int64s, count: int
) -> list[str]:
    """The bound under which most of each group's time stands."""
    kinds = len(Bound)
    time = np.zeros(count * kinds, dtype=np.int64)
    np.add.at(time, group * kinds + bound, duration_ns)
    best = time.reshape(count, kinds).argmax(axis=1)
    return [Bound(int(index)).name.lower() for index in best]


def _provenance(prediction: Prediction) -> dict[str, float]:
    """Share of all predicted row time by where it comes from."""
    time = np.zeros(len(Provenance), dtype=np.int64)
    np.add.at(time, prediction.priced.provenance, prediction.priced.duration_ns)
    total = int(time.sum())
    if not total:
        return {}
    return {p.name.lower(): float(time[p] / total) for p in Provenance if time[p]}
