"""Fitting step laws: what was put in comes out, and what cannot be told is told."""

from pathlib import Path

import pytest

from etsim.models.errors import NeedsRecordingError, SpecError
from etsim.models.serving.step_fit import FitStep, StepFit, fit_steps, read_fit, write_fit
from etsim.models.serving.step_time import StepWork

DECODES = [
    FitStep(10 + 0.05 * b + 2e-5 * kv, decode_batch=b, kv_tokens=kv)
    for b, kv in ((1, 500), (8, 9000), (32, 20000), (64, 90000))
]
PREFILLS = [
    FitStep(4 + 0.02 * s + 1e-6 * s * s / 2, prefill_tokens=s, prefill_pairs=s * s / 2, prompts=1)
    for s in (100, 1000, 8000)
]


def test_the_laws_come_out_of_their_own_steps() -> None:
    decode, prefill, notes = fit_steps([*DECODES, *PREFILLS])
    assert decode is not None
    assert prefill is not None
    assert notes == []
    assert decode.gamma_ms == pytest.approx(10)
    assert decode.alpha_batch_us == pytest.approx(50)
    assert decode.alpha_kv_ns == pytest.approx(20)
    assert prefill.base_ms == pytest.approx(4)
    assert prefill.token_us == pytest.approx(20)
    assert prefill.pair_ps == pytest.approx(1000)
    assert max(decode.worst_error, prefill.worst_error) < 1e-9


def test_a_mixed_step_gives_its_prompt_to_the_prefill_law() -> None:
    mixed = [
        FitStep(s.ms + 0.05 * 8, s.prefill_tokens, s.prefill_pairs, 0, 1, 8, 0) for s in PREFILLS
    ]
    _decode, prefill, _notes = fit_steps([*DECODES, *mixed])
    assert prefill is not None
    assert prefill.token_us == pytest.approx(20, rel=1e-3)


def test_one_step_tells_one_number_and_says_so() -> None:
    decode, prefill, notes = fit_steps(DECODES[:1])
    assert decode is not None
    assert prefill is None
    assert decode.gamma_ms == pytest.approx(DECODES[0].ms)
    assert "batch and KV length" in notes[0]
    assert "no prefill step" in notes[1]


def test_one_long_prompt_grows_with_its_tokens() -> None:
    _decode, prefill, _notes = fit_steps(PREFILLS[2:])
    assert prefill is not None
    assert prefill.base_ms == 0
    assert prefill.token_us == pytest.approx(PREFILLS[2].ms * 1e3 / 8000)


def test_no_step_asks_for_a_recording() -> None:
    with pytest.raises(NeedsRecordingError, match="no engine step"):
        fit_steps([])


def test_the_file_comes_back_as_it_was(tmp_path: Path) -> None:
    decode, prefill, _notes = fit_steps([*DECODES, *PREFILLS])
    fit = StepFit(
        source="t", hardware="h100-sxm", decode=decode, prefill=prefill, steps=(*DECODES,)
    )
    (tmp_path / "fit.yaml").write_text(write_fit(fit))
    assert read_fit(tmp_path / "fit.yaml") == fit
    work = StepWork(decode_batch=8, kv_tokens=9000)
    assert fit.cost().step_ns(work) == pytest.approx(DECODES[1].ms * 1e6)


@pytest.mark.parametrize(
    ("text", "told"),
    [("kind: other\n", "must be"), ("decod: 1\n", "decod"), ("kind: etsim step fit\n", "neither")],
)
def test_a_bad_file_is_told(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "fit.yaml").write_text(text)
    with pytest.raises(SpecError, match=told):
        read_fit(tmp_path / "fit.yaml")
