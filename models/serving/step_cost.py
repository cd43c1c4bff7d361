"""What a step costs, from where: a Protocol, and the formula, the fit and the anchored trace.

Every simulation and every plan asks through `StepCost`; what it rests on is `origin`, which the
command line shows. Times leave here in nanoseconds.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from operator import mul
from typing import Protocol

from .group import Group, Precision
from .model_card import ModelCard
from .step_time import Form, StepModel, StepWork, SumShape, published_sum
from .transfer import Calibration, IdealParts, Transfer

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


# 90th percentiles of |error| on measured serving points, rounded up: the engine form with its
# constants from other models 0.33 (dense) and 0.51 (experts), the bare roofline 0.52 (dense)
# (benchmarks/serving_formula.py); steps scaled from a measured source 0.07-0.08 for decode and
# 0.21-0.24 for prefill (benchmarks/serving_accuracy.py).
ENGINE_SPREAD = 0.36
ENGINE_SPREAD_EXPERTS = 0.60  # the same of models with experts
FORMULA_SPREAD = 0.50
TRACE_SPREAD = 0.24

# What today's engines (vLLM, TensorRT-LLM, SGLang; CUDA graphs) are from the ideal parts: medians
# over the fits of six engine and model pairs on H100 and H200, benchmarks/serving_formula.py.
# Order of `transfer.PART_NAMES`.
ENGINE = Calibration((1.2, 1.1, 1.15, 1.4, 3.9, 49.0), 700, 0.22)


class FormulaCost:
    """The corrected formula on a group."""

    def __init__(
        self, card: ModelCard, group: Group, precision: Precision, form: Form = Form.ROOFLINE
    ) -> None:
        self.card = card
        self.group = group
        self.form = form
        self._model = StepModel(card, group, precision)

    @property
    def origin(self) -> Origin:
        """Tell that nothing was measured."""
        text = f"formula ({self.form}) for {self.card.name} on {self.group.tp} x {self.group.name}"
        return Origin(Source.FORMULA, text, FORMULA_SPREAD)

    def step_ns(self, work: StepWork) -> float:
        """Give the formula's time."""
        return self._model.parts(work).total(self.form) * NS


class EngineCost:
    """Ideal parts of a step times what an engine's software makes of them; the default form.

    The group must be at its datasheet peaks: the multipliers hold the efficiencies.
    """

    def __init__(
        self,
        card: ModelCard,
        group: Group,
        precision: Precision,
        engine: Calibration = ENGINE,
        origin: Origin | None = None,
    ) -> None:
        self.card = card
        self.group = group
        self._origin = origin
        self._parts = IdealParts(card, group, precision)
        self._multipliers = tuple(m * NS for m in engine.multipliers)

    @property
    def origin(self) -> Origin:
        """Tell that constants of other models stand in, unless they were the user's own."""
        if self._origin is not None:
            return self._origin
        text = f"engine formula for {self.card.name} on {self.group.tp} x {self.group.name}"
        spread = ENGINE_SPREAD if self.card.experts is None else ENGINE_SPREAD_EXPERTS
        return Origin(Source.FORMULA, text, spread)

    def step_ns(self, work: StepWork) -> float:
        """Give the parts' sum."""
        time: float = sum(map(mul, self._multipliers, self._parts.times(work)))
        return time


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
    carried: bool = False  # the steps were measured on other hardware

    @property
    def origin(self) -> Origin:
        """Tell which fit."""
        return Origin(Source.TRACE if self.carried else Source.FIT, self.source, self.spread)

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


class PatchedCost:
    """One cost for prompts, another for decode: where only one phase was measured, or each apart.

    In a mixed step the weights are read and the host works once: what a step costs at the least,
    by the cheaper of the two, is taken off their sum.
    """

    def __init__(self, prefill: StepCost, decode: StepCost) -> None:
        self.prefill = prefill
        self.decode = decode
        self._shared_ns = min(
            prefill.step_ns(StepWork(prefill_tokens=1, prompts=1)),
            decode.step_ns(StepWork(decode_batch=1)),
        )

    @property
    def origin(self) -> Origin:
        """Tell both, with the larger doubt."""
        first, second = self.prefill.origin, self.decode.origin
        if first == second:
            return first
        text = f"prefill: {first.text}; decode: {second.text}"
        trusted = min((first.source, second.source), key=list(Source).index)
        return Origin(trusted, text, max(first.spread, second.spread))

    def step_ns(self, work: StepWork) -> float:
        """Give decode by the one, prompts by the other, their sum less what is shared."""
        if not work.prefill_tokens:
            return self.decode.step_ns(work)
        if not work.decode_batch:
            return self.prefill.step_ns(work)
        decode = StepWork(decode_batch=work.decode_batch, kv_tokens=work.kv_tokens)
        prompts = replace(work, decode_batch=0, kv_tokens=0.0)
        both = self.prefill.step_ns(prompts) + self.decode.step_ns(decode)
        return both - self._shared_ns


@dataclass(frozen=True, slots=True)
class FactorCost:
    """Another cost times a factor: how an answer is tried at the ends of its doubt."""

    cost: StepCost
    factor: float

    @property
    def origin(self) -> Origin:
        """Tell the other's."""
        return self.cost.origin

    def step_ns(self, work: StepWork) -> float:
        """Give the other's time, scaled."""
        return self.cost.step_ns(work) * self.factor
