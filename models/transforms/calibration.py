"""What an operator that was never recorded would take in this run.

time = dispatch + model(work) · how far measured operators of its class are off the model
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..costs.device_model import estimate
from ..costs.work import work_of
from ..graph import Operator
from .recost import dispatch_ns, doers, has_device
from .scenario import Scenario

Float64s = NDArray[np.float64]
PLAUSIBLE_RESIDUAL = 50.0  # beyond this a measurement tells nothing of the model


@dataclass(frozen=True, slots=True)
class Calibration:
    """How far a run is off the model, by class of work; `measured` False: it has no times."""

    scenario: Scenario
    measured: bool
    dispatch_ns: int
    by_class: dict[str, float]
    overall: float

    def time_ns(self, operator: Operator) -> int:
        """Give an operator's time in the source's terms.

        0 where the graph was never measured: then shapes alone price it.
        """
        if not self.measured:
            return 0
        work = work_of(operator)
        model = float(estimate(self.scenario.costs, [work]).time_ns[0])
        return round(
            self.dispatch_ns + model * self.by_class.get(str(work.work_class), self.overall)
        )


def calibrated(scenario: Scenario) -> Calibration:
    """Compare the measured operators of a scenario's graph with the model of its source."""
    graph = scenario.graph
    rows = np.flatnonzero(doers(graph))
    measured = graph.nodes.duration_ns[rows].astype(np.float64)
    fixed = 0 if has_device(graph) else dispatch_ns(graph)
    if not len(rows) or not (measured > 0).any():
        return Calibration(scenario, measured=False, dispatch_ns=fixed, by_class={}, overall=1.0)
    used = np.bincount(graph.nodes.operator[rows], minlength=len(graph.operators)) > 0
    unique, kind = np.flatnonzero(used), (np.cumsum(used) - 1)[graph.nodes.operator[rows]]
    works = [work_of(graph.operators[operator]) for operator in unique.tolist()]
    model = estimate(scenario.costs, works).time_ns[kind]
    residual = np.maximum(measured - fixed, 1.0) / model
    classes = np.array([str(work.work_class) for work in works])[kind]
    by_class = {
        name: _weighted_median(residual[classes == name], measured[classes == name])
        for name in sorted(set(classes.tolist()))
    }
    overall = _weighted_median(residual, measured)
    return Calibration(
        scenario, measured=True, dispatch_ns=fixed, by_class=by_class, overall=overall
    )


def _weighted_median(values: Float64s, weights: Float64s) -> float:
    """Long rows tell more of the model than short ones, which are mostly dispatch."""
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    found = float(values[order][np.searchsorted(total, total[-1] / 2)])
    return min(max(found, 1 / PLAUSIBLE_RESIDUAL), PLAUSIBLE_RESIDUAL)
