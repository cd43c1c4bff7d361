"""The same inference step recorded on H100 and MI300X: each predicted from the other's trace."""

from dataclasses import dataclass
from functools import cache
from itertools import permutations

import numpy as np

from etsim.cli.inputs import load_graphs
from etsim.models.graph import Category, ExecutionGraph
from etsim.models.specs import load
from etsim.models.timeline import Timeline
from etsim.simulator.predict import predict, total_ns

from .tables import SHARED

FOLDER = SHARED / "traces" / "pair_h100_mi300"
DEVICE = {"h100": "h100-sxm", "mi300": "mi300x"}
MODELS = ("bert_small", "qwen0.5b")
BUSY = (Category.KERNEL, Category.MEMCPY, Category.MEMSET, Category.COLLECTIVE)


@dataclass(frozen=True, slots=True)
class PairResult:
    """One model carried one way; errors and the interval in per cent and ns."""

    model: str
    source: str
    target: str
    busy_error: float
    naive_busy_error: float
    step_error: float
    covered: bool


@cache
def _graphs(device: str, model: str) -> list[ExecutionGraph]:
    return load_graphs([str(FOLDER / f"{device}_{model}.json.gz")])


def busy_ns(timeline: Timeline) -> int:
    """Give the time in which at least one device row ran."""
    chosen = np.isin(timeline.graph.nodes.category, BUSY)
    order = np.argsort(timeline.start_ns[chosen], kind="stable")
    starts, ends = timeline.start_ns[chosen][order], timeline.end_ns[chosen][order]
    reached = np.concatenate(([0], np.maximum.accumulate(ends)[:-1])) if len(ends) else ends
    return int(np.sum(np.maximum(0, ends - np.maximum(starts, reached))))


@cache
def results() -> tuple[PairResult, ...]:
    """Predict both models both ways."""
    return tuple(
        _result(model, source, target)
        for model in MODELS
        for source, target in permutations(DEVICE, 2)
    )


def _result(model: str, source: str, target: str) -> PairResult:
    here, there = load(DEVICE[source]), load(DEVICE[target])
    predicted = predict(_graphs(source, model), here, there)
    truth = predict(_graphs(target, model), there, there).measured
    busy, step = busy_ns(truth), total_ns(truth)
    low, high = predicted.interval_ns
    return PairResult(
        model, source, target,
        busy_error=100 * (busy_ns(predicted.timeline) / busy - 1),
        naive_busy_error=100 * (busy_ns(predicted.measured) / busy - 1),
        step_error=100 * (total_ns(predicted.timeline) / step - 1),
        covered=low <= step <= high,
    )  # fmt: skip
