"""What is served on what: model, precision, machines, and the step costs that follow.

Step costs come, in this order, from steps measured on the very group, from measured steps scaled
to it, from the formula.
"""

from dataclasses import dataclass
from enum import StrEnum

from ..errors import AnalysisError
from ..hardware import Hardware
from .group import (
    COMPUTE_EFFICIENCY,
    MEMORY_EFFICIENCY,
    Group,
    HostCost,
    Precision,
    group_of,
    peak_flops,
)
from .measured_cost import Place, measured_cost
from .memory_limit import KvBudget, budget_from_memory, least_devices
from .model_card import ModelCard
from .step_cost import EngineCost, FormulaCost, PublishedSumCost, StepCost
from .step_fit import StepFit

# The bare roofline knows no engine: what a layer costs the host where graphs are replayed, and a
# step of scheduling and sampling. Guesses; the engine form has fitted figures.
ROOFLINE_HOST = HostCost(s_per_layer=20e-6, s_per_step=1e-3)
ENGINE_BYTES = 2e9  # activations and buffers of an engine on each device


class FormulaKind(StrEnum):
    """Which formula stands in where nothing was measured."""

    ENGINE = "engine"  # ideal parts times what today's engines make of them
    ROOFLINE = "roofline"  # the corrected closed form
    SUM = "sum"  # the published form, to the letter


@dataclass(frozen=True, slots=True)
class MeasuredSteps:
    """Steps of the user's own trace and where they ran."""

    fit: StepFit
    hardware: Hardware


@dataclass(frozen=True, slots=True)
class Setup:
    """What is served on what.

    Attributes:
        prompt_tokens: mean prompt, which the published sum form takes for the context.
        network_bytes_per_s: of one device, for KV between pools.
        notes: what was taken for want of better, to be shown.
    """

    card: ModelCard
    precision: Precision
    hardware: Hardware
    prefill_hardware: Hardware
    decode_hardware: Hardware
    form: FormulaKind
    prompt_tokens: float
    network_bytes_per_s: float
    measured: MeasuredSteps | None = None
    notes: tuple[str, ...] = ()

    def cost(self, hardware: Hardware, tp: int) -> StepCost:
        """Give the step cost on a group."""
        formula = self._formula(hardware, tp)
        if self.measured is None:
            return formula
        source = self._at_peak(self.measured.hardware, self.measured.fit.tp)
        place = Place(self.card, self.precision, source, self._at_peak(hardware, tp))
        return measured_cost(self.measured.fit, place, formula)

    def _formula(self, hardware: Hardware, tp: int) -> StepCost:
        if self.form is FormulaKind.SUM:
            peak = peak_flops(hardware, "fp16")
            bandwidth = hardware.device.memory_bandwidth_gbps * 1e9
            return PublishedSumCost(self.card, peak, bandwidth, self.prompt_tokens)
        if self.form is FormulaKind.ROOFLINE:
            group = group_of(
                hardware,
                tp,
                self.precision,
                compute_efficiency=COMPUTE_EFFICIENCY,
                memory_efficiency=MEMORY_EFFICIENCY,
                host=ROOFLINE_HOST,
            )
            return FormulaCost(self.card, group, self.precision)
        return EngineCost(self.card, self._at_peak(hardware, tp), self.precision)

    def _at_peak(self, hardware: Hardware, tp: int) -> Group:
        return group_of(hardware, tp, self.precision, compute_efficiency=1.0, memory_efficiency=1.0)

    def budget(self, hardware: Hardware, tp: int) -> KvBudget:
        """Give the room for KV; at most 0 tokens where the weights do not fit."""
        kept = ENGINE_BYTES * tp
        group = self._at_peak(hardware, tp)
        return budget_from_memory(self.card, group, self.precision, activation_bytes=kept)

    def fitting_budget(self, hardware: Hardware, tp: int) -> KvBudget:
        """Give the room for KV.

        Raises:
            AnalysisError: the weights do not fit; how many devices would hold them is told.
        """
        budget = self.budget(hardware, tp)
        if budget.tokens >= 1:
            return budget
        need = self.card.total_params * self.precision.weight_bytes / 1e9
        have = hardware.device.memory_bytes * tp / 1e9
        least = least_devices(self.card, hardware.device.memory_bytes, self.precision)
        raise AnalysisError(
            f"{self.card.name} does not fit: {need:,.0f} GB of weights, {tp} x {hardware.name} "
            f"have {have:,.0f} GB of which an engine keeps a part",
            remedy=f"memory binds: tp {max(least, tp + 1)} or more, or a narrower --dtype",
        )
