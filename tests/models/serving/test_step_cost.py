"""Where step costs come from, and how they join."""

from pathlib import Path

import pytest

from etsim.models import specs
from etsim.models.serving.card_files import load_card
from etsim.models.serving.group import PRECISIONS, group_of
from etsim.models.serving.setup import FormulaKind, MeasuredSteps, Setup
from etsim.models.serving.step_cost import (
    EngineCost,
    FactorCost,
    FittedCost,
    PatchedCost,
    Source,
)
from etsim.models.serving.step_fit import FitStep, StepFit, fit_steps
from etsim.models.serving.step_time import StepWork, decode_work, prefill_work

H100 = specs.load("h100-sxm")
A100 = specs.load("a100-sxm-80gb")
CARD = load_card("llama3-8b")
BF16 = PRECISIONS["bf16"]
MIXED = StepWork(500, 125_000, 0, 1, 8, 9000)


def setup(form: FormulaKind, measured: StepFit | None = None, on: str = "h100-sxm") -> Setup:
    steps = MeasuredSteps(measured, specs.load(on)) if measured else None
    return Setup(CARD, BF16, H100, H100, H100, form, 1024, 50e9, steps)


def test_the_published_sum_form_takes_its_constants_from_the_spec(tmp_path: Path) -> None:
    """V1 with 2 TB/s, as published for an A100: TBT(1) = 32.709118 ms."""
    spec = tmp_path / "a100-as-published.yaml"
    spec.write_text(
        "name: a100-as-published\nlike: a100\nsource: FastDecode\nmemory: {bandwidth: 2 TB/s}\n"
    )
    machine = specs.load(str(spec))
    card = load_card("llama2-70b")
    asked = Setup(card, BF16, machine, machine, machine, FormulaKind.SUM, 1024, 50e9)
    for batch, tbt_ms in ((1, 32.709118), (128, 95.810809)):
        cost = asked.cost(machine, 1)
        assert cost.step_ns(decode_work(batch, 1024)) / 1e6 == pytest.approx(tbt_ms, rel=1e-6)


@pytest.mark.parametrize("form", list(FormulaKind))
def test_more_work_never_takes_less_time(form: FormulaKind) -> None:
    cost = setup(form).cost(H100, 1)
    assert cost.origin.source is Source.FORMULA
    assert cost.step_ns(decode_work(8, 1000)) <= cost.step_ns(decode_work(64, 1000))
    assert cost.step_ns(prefill_work(500)) < cost.step_ns(prefill_work(5000))
    assert cost.step_ns(decode_work(8, 1000)) < cost.step_ns(MIXED)


def test_a_mixed_step_reads_the_weights_once() -> None:
    cost = EngineCost(CARD, group_of(H100, 1, BF16), BF16)
    both = PatchedCost(cost, cost)
    apart = cost.step_ns(prefill_work(500)) + cost.step_ns(decode_work(8, 1125))
    assert both.step_ns(MIXED) < apart
    assert both.step_ns(MIXED) > max(
        cost.step_ns(prefill_work(500)), cost.step_ns(decode_work(8, 1125))
    )


def test_a_factor_is_a_factor_and_keeps_the_origin() -> None:
    cost = FittedCost(10.0, 1.0, 0.5, 5.0, 2.0, 0.0)
    assert FactorCost(cost, 3).step_ns(MIXED) == 3 * cost.step_ns(MIXED)
    assert FactorCost(cost, 3).origin == cost.origin


def measured_fit(count: int, truth: EngineCost) -> StepFit:
    works = [decode_work(b, 300 + 7 * b) for b in (1, 4, 16, 48, 96, 160)[:count]]
    works += [prefill_work(s) for s in (64, 300, 1500, 4000, 7000)[: max(count - 1, 0)]]
    steps = tuple(
        FitStep(
            truth.step_ns(w) / 1e6, w.prefill_tokens, w.prefill_pairs, 0, w.prompts,
            w.decode_batch, w.kv_tokens,
        )
        for w in works
    )  # fmt: skip
    decode, prefill, notes = fit_steps(steps)
    return StepFit("fit", "t", "h100-sxm", "", 1, "", "", decode, prefill, steps, tuple(notes))


@pytest.fixture
def engine() -> EngineCost:
    return EngineCost(CARD, group_of(H100, 1, BF16), BF16)


def test_many_steps_give_their_law_on_their_own_hardware(engine: EngineCost) -> None:
    cost = setup(FormulaKind.ENGINE, measured_fit(6, engine)).cost(H100, 1)
    assert cost.origin.source is Source.FIT
    for work in (decode_work(32, 800), prefill_work(1000)):
        assert cost.step_ns(work) == pytest.approx(engine.step_ns(work), rel=0.15)


def test_steps_go_to_other_hardware_as_scaled(engine: EngineCost) -> None:
    cost = setup(FormulaKind.ENGINE, measured_fit(6, engine)).cost(A100, 1)
    assert cost.origin.source is Source.TRACE
    there = EngineCost(CARD, group_of(A100, 1, BF16), BF16)
    for work in (decode_work(32, 800), prefill_work(1000)):
        assert cost.step_ns(work) == pytest.approx(there.step_ns(work), rel=0.2)


def test_one_step_still_tells_how_a_larger_batch_would_do(engine: EngineCost) -> None:
    cost = setup(FormulaKind.ENGINE, measured_fit(1, engine)).cost(H100, 1)
    small, large = decode_work(1, 307), decode_work(128, 2000)
    assert cost.step_ns(small) == pytest.approx(engine.step_ns(small), rel=0.05)
    assert cost.step_ns(large) > 1.3 * cost.step_ns(small)
    assert "prefill: engine formula" in cost.origin.text
