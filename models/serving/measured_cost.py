"""Step costs from the user's own steps: their laws where they tell enough, else their shares.

A law needs steps that differ in batch and KV length (or in prompt length). From fewer steps the
structure comes from the model and the devices, and only the multipliers of its parts from the
steps (`transfer.calibrate`): one measured decode step then still tells how a larger batch would
do. Either goes to other devices part by part.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from .group import Group, Precision
from .model_card import ModelCard
from .step_cost import (
    TRACE_SPREAD,
    AnchoredCost,
    EngineCost,
    Origin,
    PatchedCost,
    Source,
    StepCost,
)
from .step_fit import FitStep, StepFit
from .transfer import Calibration, MeasuredStep, Transfer, calibrate

# A law of so few steps would follow their noise.
LEAST_STEPS = 4
FEW_STEPS_SPREAD = 0.30  # a guess, above that of many steps


@dataclass(frozen=True, slots=True)
class Place:
    """The model, and the groups it was measured on and is asked for; both at datasheet peaks."""

    card: ModelCard
    precision: Precision
    source: Group
    target: Group

    @property
    def moves(self) -> bool:
        """Tell whether the steps go to another group."""
        return (self.source.name, self.source.tp) != (self.target.name, self.target.tp)


def measured_cost(fit: StepFit, place: Place, formula: StepCost) -> StepCost:
    """Give the cost of both phases; a phase without steps is left to the formula."""
    decodes = [s for s in fit.steps if not s.prefill_tokens]
    prefills = [s for s in fit.steps if s.prefill_tokens]
    d, p = fit.decode, fit.prefill
    whole_d = d is not None and bool(d.alpha_batch_us and d.alpha_kv_ns)
    whole_p = p is not None and bool(p.token_us)
    decode = _phase_cost(fit, place, decodes, law_is_whole=whole_d) if d else formula
    prefill = _phase_cost(fit, place, prefills, law_is_whole=whole_p) if p else formula
    return PatchedCost(prefill, decode)


def _phase_cost(
    fit: StepFit, place: Place, steps: Sequence[FitStep], *, law_is_whole: bool
) -> StepCost:
    """Give the cost of one phase, on the source or carried to the target."""
    calibration = _calibrated(place, steps)
    if law_is_whole and len(steps) >= LEAST_STEPS:
        law = fit.cost()
        if not place.moves:
            return law
        move = Transfer(place.card, place.precision, calibration, place.source, place.target)
        return AnchoredCost(law, move)
    spread = TRACE_SPREAD if len(steps) >= LEAST_STEPS else FEW_STEPS_SPREAD
    text = f"parts of {place.card.name} calibrated on {fit.told(len(steps))}"
    if place.moves:
        source, target = place.source, place.target
        text += f", from {source.tp} x {source.name} to {target.tp} x {target.name}"
    scaled = place.moves or bool(fit.carried_from)
    origin = Origin(Source.TRACE if scaled else Source.FIT, text, spread)
    return EngineCost(place.card, place.target, place.precision, calibration, origin)


def _calibrated(place: Place, steps: Sequence[FitStep]) -> Calibration:
    return calibrate([
        MeasuredStep(place.card, place.precision, step.work(), place.source, step.ms / 1e3)
        for step in steps
    ])  # fmt: skip
