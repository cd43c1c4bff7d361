"""What a step costs, from where: a Protocol, and the formula, the fit and the anchored trace.

Every simulation and every plan asks through `StepCost`; what it rests on is `origin`, which the
command line shows. Times leave here in nanoseconds.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from .group import Group, Precision
from .model_card import ModelCard
from .step_time import Form, StepWork, SumShape, published_sum, step_parts
from .transfer import Calibration, Transfer, part_times

NS = 1e9


class Source(StrEnum):
    """Where step costs come from, most trusted first."""

    TRACE = "scaled"  # the user's own steps, scaled to the target
    FIT = "calibrated"  # a fit file
    FORMULA = "roofline"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a cost comes from, in a sentence, and the relative spread one should allow for it.

    Attributes:
        spread: half width of the 90 % interval as a factor: 0.2 means within 20 % either way.
    """

    source: Source
    text: str
    spread: float


class StepCost(Protocol):
    """How long an engine step takes."""

    @property
    def origin(self) -> Origin:
        """Tell where the cost comes from."""
        ...

    def step_ns(self, work: StepWork) -> float:
        """Give the time of one step."""
        ...


# 90th percentile of |error| on measured serving points of dense models (benchmarks/
# serving_formula.py): the engine form with constants from other models, the bare roofline, and
# steps scaled from a measured source (benchmarks/serving_accuracy.py).
ENGINE_SPREAD = 0.36
FORMULA_SPREAD = 0.50
TRACE_SPREAD = 0.15

# What today's engines (vLLM, TensorRT-LLM, SGLang; CUDA graphs) are from the ideal parts: medians
# over the fits of six engine and model pairs on H100 and H200, benchmarks/serving_formula.py.
# Order of `transfer.PART_NAMES`.
ENGINE = Calibration((1.2, 1.1, 1.15, 1.4, 3.9, 49.0), 700, 0.22)


@dataclass(frozen=True, slots=True)
class FormulaCost:
    """The corrected formula on a group."""

    card: ModelCard
    group: Group
    precision: Precision
    form: Form = Form.ROOFLINE

    @property
    def origin(self) -> Origin:
        """Tell that nothing was measured."""
        text = f"formula ({self.form}) for {self.card.name} on {self.group.tp} x {self.group.name}"
        return Origin(Source.FORMULA, text, FORMULA_SPREAD)

    def step_ns(self, work: StepWork) -> float:
        """Give the formula's time."""
        return step_parts(self.card, self.group, self.precision, work).total(self.form) * NS


@dataclass(frozen=True, slots=True)
class EngineCost:
    """Ideal parts of a step times what an engine's software makes of them; the default form.

    The group must be at its datasheet peaks: the multipliers hold the efficiencies.
    """

    card: ModelCard
    group: Group
    precision: Precision
    engine: Calibration = ENGINE

    @property
    def origin(self) -> Origin:
        """Tell that constants of other models stand in."""
        text = f"engine formula for {self.card.name} on {self.group.tp} x {self.group.name}"
        return Origin(Source.FORMULA, text, ENGINE_SPREAD)

    def step_ns(self, work: StepWork) -> float:
        """Give the parts' sum."""
        parts = part_times(self.card, self.group, self.precision, work)
        return self.engine.seconds(parts) * NS


@dataclass(frozen=True, slots=True)
class PublishedSumCost:
    """`--form sum`: the published decode form to the letter; prompts by its flops alone.

    The form knows one device, int8 weights and the prompt length s; the context it charges is
    therefore s for every sequence, however long it has grown.
    """

    card: ModelCard
    peak_flops_per_s: float
    peak_bytes_per_s: float
    prompt_tokens: float

    @property
    def origin(self) -> Origin:
        """Tell that this is the literal form."""
        text = f"published sum form, literally, for {self.card.name}"
        return Origin(Source.FORMULA, text, FORMULA_SPREAD)

    def step_ns(self, work: StepWork) -> float:
        """Give 24 L h² flops for each prompt token, and the decode form for a batch."""
        card = self.card
        gqa = card.query_heads / card.kv_heads
        shape = SumShape(card.layers, card.hidden, self.prompt_tokens, gqa)
        line = published_sum(shape, self.peak_flops_per_s, self.peak_bytes_per_s)
        prompt = 24 * card.layers * card.hidden**2 * work.prefill_tokens / self.peak_flops_per_s
        decode = line.tbt(work.decode_batch) if work.decode_batch else 0.0
        return (prompt + decode) * NS


@dataclass(frozen=True, slots=True)
class FittedCost:
    """Measured laws: TBT = γ + α_b b + α_kv KV, and a prompt = p0 + p1 tokens + p2 pairs.

    A mixed step pays the larger of the two constants once: the weights are read once.
    """

    gamma_ns: float
    alpha_batch_ns: float
    alpha_kv_ns: float
    prefill_base_ns: float
    prefill_token_ns: float
    prefill_pair_ns: float
    source: str = "fit file"
    spread: float = 0.1

    @property
    def origin(self) -> Origin:
        """Tell which fit."""
        return Origin(Source.FIT, self.source, self.spread)

    def step_ns(self, work: StepWork) -> float:
        """Give the fitted time."""
        decode = self.gamma_ns if work.decode_batch else 0.0
        prompt = self.prefill_base_ns if work.prefill_tokens else 0.0
        grows = self.alpha_batch_ns * work.decode_batch + self.alpha_kv_ns * work.kv_tokens
        computed = self.prefill_token_ns * work.prefill_tokens
        return max(decode, prompt) + grows + computed + self.prefill_pair_ns * work.prefill_pairs


@dataclass(frozen=True, slots=True)
class AnchoredCost:
    """A measured law of the source times modelled target over modelled source."""

    measured: StepCost
    transfer: Transfer

    @property
    def origin(self) -> Origin:
        """Tell from where to where."""
        source, target = self.transfer.source, self.transfer.target
        text = (
            f"{self.measured.origin.text}, scaled from {source.tp} x {source.name} "
            f"to {target.tp} x {target.name}"
        )
        return Origin(Source.TRACE, text, TRACE_SPREAD)

    def step_ns(self, work: StepWork) -> float:
        """Give the source's time scaled."""
        return self.measured.step_ns(work) * self.transfer.ratio(work)
