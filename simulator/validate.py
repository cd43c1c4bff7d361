"""Hold a prediction against the same run recorded on the target: errors by row, and intervals."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..models.costs.device_work import DEVICE_CATEGORIES
from ..models.errors import AnalysisError
from ..models.graph import NONE, Category, ExecutionGraph
from ..models.hardware import Hardware
from ..models.timeline import Timeline
from .compare import Pair, compare
from .predict import Z_90, Prediction, predict, total_ns
from .summary import busy_ns

ON_DEVICE = (*DEVICE_CATEGORIES, Category.COLLECTIVE, Category.SEND, Category.RECV)
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """One category or operator; `error` is predicted / measured - 1, None where nothing ran."""

    name: str
    measured_ns: int
    predicted_ns: int
    error: float | None
    shapes: str = ""


@dataclass(frozen=True, slots=True)
class Validation:
    """How far a prediction is from the truth.

    Attributes:
        step_error, device_busy_error: predicted / measured - 1.
        unpriced_busy_error: the same for the source's times taken as they are.
        coverage: share of the operators whose measured time lies in their 90 % interval.
        step_in_interval: whether the whole's does.
    """

    source: str
    target: str
    measured_step_ns: int
    predicted_step_ns: int
    interval_ns: tuple[int, int]
    step_in_interval: bool
    step_error: float
    measured_busy_ns: int
    predicted_busy_ns: int
    device_busy_error: float
    unpriced_busy_error: float
    coverage: float
    categories: tuple[ErrorRow, ...]
    operators: tuple[ErrorRow, ...]
    warnings: tuple[str, ...]


def validate(
    source_graphs: Sequence[ExecutionGraph],
    target_graphs: Sequence[ExecutionGraph],
    source: Hardware | None,
    target: Hardware,
) -> Validation:
    """Predict the source's run on the target and compare with the run recorded there.

    Raises:
        AnalysisError: nothing ran on a device on one of the sides.
    """
    predicted = predict(source_graphs, source, target)
    truth = predict(target_graphs, target, target).measured
    measured_busy, predicted_busy = _busy(truth), _busy(predicted.timeline)
    if not measured_busy or not predicted_busy:
        raise AnalysisError("nothing ran on a device on one of the sides")
    step, asked = total_ns(truth), total_ns(predicted.timeline)
    low, high = predicted.interval_ns
    operators, coverage = _operators(predicted, truth)
    return Validation(
        source=source.name if source else "unknown",
        target=target.name,
        measured_step_ns=step,
        predicted_step_ns=asked,
        interval_ns=(low, high),
        step_in_interval=low <= step <= high,
        step_error=asked / step - 1,
        measured_busy_ns=measured_busy,
        predicted_busy_ns=predicted_busy,
        device_busy_error=predicted_busy / measured_busy - 1,
        unpriced_busy_error=_busy(predicted.measured) / measured_busy - 1,
        coverage=coverage,
        categories=tuple(_error_row(pair) for pair in _compared(predicted, truth)),
        operators=operators,
        warnings=predicted.warnings,
    )


def _busy(timeline: Timeline) -> int:
    """Give the device-busy time of all ranks together."""
    ranks = np.unique(timeline.graph.nodes.rank).tolist()
    return sum(busy_ns(timeline, rank) for rank in ranks)


def _compared(predicted: Prediction, truth: Timeline) -> tuple[Pair, ...]:
    # the timeline's waits are read off its edges, so it needs the lags it was replayed with
    graph = replace(predicted.graph, edge_lag_ns=predicted.priced.lag_ns)
    return compare([replace(predicted.timeline, graph=graph)], [truth]).categories


def _error_row(pair: Pair) -> ErrorRow:
    error = pair.a_ns / pair.b_ns - 1 if pair.b_ns else None
    return ErrorRow(pair.name, pair.b_ns, pair.a_ns, error)


@dataclass(slots=True)
class _Sum:
    """Times of one operator with its shapes on one side."""

    time_ns: int = 0
    doubt_ns: float = 0.0  # Σ time · spread


def _sums(
    graph: ExecutionGraph, time_ns: NDArray[np.int64], spread: NDArray[np.float64]
) -> dict[Key, _Sum]:
    sums: dict[Key, _Sum] = {}
    rows = np.flatnonzero(np.isin(graph.nodes.category, ON_DEVICE))
    for row in rows.tolist():
        index = int(graph.nodes.operator[row])
        if index == NONE:
            continue
        operator = graph.operators[index]
        one = sums.setdefault((operator.name, str(operator.input_shapes)), _Sum())
        one.time_ns += int(time_ns[row])
        one.doubt_ns += float(time_ns[row] * spread[row])
    return sums


def _operators(predicted: Prediction, truth: Timeline) -> tuple[tuple[ErrorRow, ...], float]:
    """Give the operators that both runs have, the largest first, and how many are covered."""
    here = _sums(predicted.graph, predicted.timeline.duration_ns, predicted.priced.spread)
    there = _sums(truth.graph, truth.duration_ns, np.zeros(len(truth.graph)))
    rows, covered = [], []
    for key in here.keys() & there.keys():
        a, b = here[key], there[key]
        if a.time_ns <= 0 or b.time_ns <= 0:
            continue
        rows.append(ErrorRow(key[0], b.time_ns, a.time_ns, a.time_ns / b.time_ns - 1, key[1]))
        limit = Z_90 * a.doubt_ns / a.time_ns
        covered.append(abs(np.log(a.time_ns / b.time_ns)) <= limit)
    rows.sort(key=lambda row: (-row.measured_ns, row.name, row.shapes))
    return tuple(rows), float(np.mean(covered)) if covered else 0.0
