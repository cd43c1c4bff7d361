"""The plan: closed forms over all fleets, the best tried by simulation, the cheapest kept."""

from dataclasses import dataclass

from ...models.errors import AnalysisError
from ...models.serving.candidates import Candidates, Fleet, curves_of, evaluate
from ...models.serving.curves import Ask
from ...models.serving.setup import Setup
from ...models.serving.verdict import (
    BreakEven,
    break_evens,
    by_cost,
    cheapest,
    front,
    refuse_empty,
    refuse_impossible,
    refuse_too_many,
)
from .plan_check import Trial, trial_requests, try_fleet

# Fleets that the forms put just outside the promise are tried too: the forms may be too strict.
NEAR_MISS = 1.1
FRONT_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Doubt:
    """The cheapest fleet at the ends of the step costs' 90 % interval; None: none keeps them."""

    spread: float
    fast: Fleet | None
    slow: Fleet | None


@dataclass(frozen=True, slots=True)
class Plan:
    """The answer.

    Attributes:
        best: the cheapest fleet that the simulation confirms.
        together, apart: the cheapest confirmed of each kind, None where none was.
        trials: all that were simulated, in order of cost.
        front: cost against TPOT, by the closed forms.
        confirmed: False where no simulated fleet kept the promises and `best` rests on forms.
    """

    best: Fleet
    best_trial: Trial | None
    together: Fleet | None
    apart: Fleet | None
    trials: tuple[Trial, ...]
    front: tuple[Fleet, ...]
    candidates: int
    feasible: int
    doubt: Doubt
    break_evens: tuple[BreakEven, ...]
    origin: str
    confirmed: bool


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is tried: fleets simulated in all, the most devices, whether to seek break-evens."""

    trials: int = 20
    most_devices: int | None = None
    break_evens: bool = True
    seed: int = 0


def plan(setup: Setup, ask: Ask, effort: Effort) -> Plan:
    """Plan a fleet.

    Raises:
        AnalysisError: what is asked cannot be; what binds and what would help is told.
    """
    curves = curves_of(setup, ask)
    refuse_impossible(setup, ask, curves)
    found = evaluate(setup, ask, curves)
    refuse_empty(found, ask)
    if effort.most_devices is not None:
        refuse_too_many(found, ask, effort.most_devices)
    trials = _try_best(setup, ask, found, effort)
    kept = [t for t in trials if t.keeps]
    together = next((t for t in kept if not t.fleet.apart), None)
    apart = next((t for t in kept if t.fleet.apart), None)
    winner = min(kept, key=_cost_key) if kept else None
    formal = cheapest(found, ask)
    if winner is None and formal is None:
        raise AnalysisError("no fleet keeps the promises in the simulation", remedy="relax one")
    best = winner.fleet if winner else found.fleet(formal if formal is not None else 0)
    return Plan(
        best=best,
        best_trial=winner,
        together=together.fleet if together else None,
        apart=apart.fleet if apart else None,
        trials=tuple(sorted(trials, key=_cost_key)),
        front=tuple(found.fleet(int(i)) for i in front(found, ask)[:FRONT_SHOWN]),
        candidates=len(found),
        feasible=len(by_cost(found, ask)),
        doubt=_doubt(setup, ask, best),
        break_evens=break_evens(setup, ask) if effort.break_evens else (),
        origin=setup.cost(best.prefill.hardware, best.prefill.tp).origin.text,
        confirmed=winner is not None,
    )


def _cost_key(trial: Trial) -> tuple[float, int, float]:
    fleet = trial.fleet
    return (fleet.usd_per_hour or float(fleet.devices), fleet.devices, trial.tpot_s)


def _try_best(setup: Setup, ask: Ask, found: Candidates, effort: Effort) -> list[Trial]:
    """Simulate the cheapest of both kinds, half each, cheapest first."""
    load = trial_requests(ask, effort.seed)
    trials: list[Trial] = []
    for apart in (False, True):
        index = by_cost(found, ask, apart=apart, near=NEAR_MISS)
        if effort.most_devices is not None:
            index = index[found.devices[index] <= effort.most_devices]
        chosen = index[: effort.trials // 2].tolist()
        trials += [try_fleet(setup, ask, found.fleet(i), load, effort.seed) for i in chosen]
    return trials


def _doubt(setup: Setup, ask: Ask, best: Fleet) -> Doubt:
    spread = setup.cost(best.decode.hardware, best.decode.tp).origin.spread
    ends: list[Fleet | None] = []
    for factor in (1 / (1 + spread), 1 + spread):
        found = evaluate(setup, ask, curves_of(setup, ask, cost_factor=factor))
        index = cheapest(found, ask)
        ends.append(None if index is None else found.fleet(index))
    return Doubt(spread, ends[0], ends[1])
