"""Fits the step laws to steps found in a trace, and keeps them in a small YAML.

    TBT = γ + α_b b + α_kv KV            prefill = p0 + p1 tokens + p2 pairs

Least squares of relative errors, no coefficient negative. What the steps do not vary cannot be
told apart: such a coefficient stays 0 and the fit says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from ..errors import NeedsRecordingError, SpecError
from .outcome import Floats
from .step_cost import TRACE_SPREAD, FittedCost
from .step_time import StepWork
from .transfer import nonnegative_least_squares

FILE_KIND = "etsim step fit"
LONG_PROMPT = 512  # tokens from which computing, not launching, fills a step


class FitStep(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One measured step as it stands in the file."""

    ms: float
    prefill_tokens: float = 0
    prefill_pairs: float = 0
    prefill_context: float = 0
    prompts: float = 0
    decode_batch: float = 0
    kv_tokens: float = 0

    def work(self) -> StepWork:
        """Give what it computed."""
        return StepWork(
            self.prefill_tokens,
            self.prefill_pairs,
            self.prefill_context,
            self.prompts,
            self.decode_batch,
            self.kv_tokens,
        )


class DecodeLaw(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """TBT = γ + α_b b + α_kv KV, with its worst and mean |relative error| on its steps."""

    gamma_ms: float
    alpha_batch_us: float = 0.0
    alpha_kv_ns: float = 0.0
    steps: int = 0
    mean_error: float = 0.0
    worst_error: float = 0.0


class PrefillLaw(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """p0 + p1 tokens + p2 pairs, with its errors."""

    base_ms: float
    token_us: float = 0.0
    pair_ps: float = 0.0
    steps: int = 0
    mean_error: float = 0.0
    worst_error: float = 0.0


class StepFit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file: laws, where they were measured, the steps themselves, what could not be told.

    Attributes:
        hardware: what the times hold on.
        carried_from: what they were measured on, where a prediction carried them here; else "".
    """

    kind: str = FILE_KIND
    source: str = ""
    hardware: str = ""
    carried_from: str = ""
    tp: int = 1
    model: str = ""
    dtype: str = ""
    decode: DecodeLaw | None = None
    prefill: PrefillLaw | None = None
    steps: tuple[FitStep, ...] = ()
    notes: tuple[str, ...] = ()

    def cost(self) -> FittedCost:
        """Give the laws as a cost; where a law is missing it costs nothing: see `PatchedCost`."""
        d = self.decode or DecodeLaw(0.0)
        p = self.prefill or PrefillLaw(0.0)
        worst = max(TRACE_SPREAD if self.carried_from else 0.05, d.worst_error, p.worst_error)
        return FittedCost(
            d.gamma_ms * 1e6,
            d.alpha_batch_us * 1e3,
            d.alpha_kv_ns,
            p.base_ms * 1e6,
            p.token_us * 1e3,
            p.pair_ps / 1e3,
            source=self.told(len(self.steps)),
            spread=worst,
            carried=bool(self.carried_from),
        )

    def told(self, steps: int) -> str:
        """Say where the steps come from."""
        text = f"{steps} steps measured in {self.source or 'a trace'}"
        if not self.carried_from:
            return text
        return f"{text} on {self.carried_from}, carried kernel by kernel to {self.hardware}"


@dataclass(frozen=True, slots=True)
class _Law:
    coefficients: Floats
    mean_error: float
    worst_error: float


def fit_steps(steps: Sequence[FitStep]) -> tuple[DecodeLaw | None, PrefillLaw | None, list[str]]:
    """Fit both laws; mixed steps enter the prefill law with the decode law's growth taken off.

    Raises:
        NeedsRecordingError: there is no step at all.
    """
    if not steps:
        raise NeedsRecordingError(
            "no engine step found", remedy="record some steps with the engine's profiler running"
        )
    notes: list[str] = []
    pure = [s for s in steps if s.decode_batch and not s.prefill_tokens]
    decode = _fit_decode(pure, notes)
    prefill = _fit_prefill([s for s in steps if s.prefill_tokens], decode, notes)
    return decode, prefill, notes


def _fit_decode(steps: Sequence[FitStep], notes: list[str]) -> DecodeLaw | None:
    if not steps:
        notes.append("no decode step: the decode law is missing")
        return None
    terms = np.array([[1.0, s.decode_batch, s.kv_tokens] for s in steps])
    names = ("gamma", "batch", "KV length")
    law = _least_squares(terms, np.array([s.ms for s in steps]), names, notes)
    gamma, batch, kv = law.coefficients.tolist()
    return DecodeLaw(gamma, batch * 1e3, kv * 1e6, len(steps), law.mean_error, law.worst_error)


def _fit_prefill(
    steps: Sequence[FitStep], decode: DecodeLaw | None, notes: list[str]
) -> PrefillLaw | None:
    if not steps:
        notes.append("no prefill step: the prefill law is missing")
        return None
    if decode is None and any(s.decode_batch for s in steps):
        notes.append("mixed steps only: their decode share is charged to the prefill law")
    left = [_without_decode(s, decode or DecodeLaw(0.0)) for s in steps]
    terms = np.array([[1.0, s.prefill_tokens, s.prefill_pairs] for s in steps])
    # Few long prompts: their time grows with their tokens rather than being a constant.
    order = (1, 0, 2) if min(s.prefill_tokens for s in steps) >= LONG_PROMPT else (0, 1, 2)
    law = _least_squares(terms, np.array(left), ("base", "tokens", "pairs"), notes, order)
    base, token, pair = law.coefficients.tolist()
    return PrefillLaw(base, token * 1e3, pair * 1e9, len(steps), law.mean_error, law.worst_error)


def _without_decode(step: FitStep, law: DecodeLaw) -> float:
    """Take off what the decode beside a prompt adds; at least half is the prompt's."""
    grown = law.alpha_batch_us * step.decode_batch / 1e3 + law.alpha_kv_ns * step.kv_tokens / 1e6
    return max(step.ms - grown, step.ms / 2)


def _least_squares(
    terms: Floats,
    wanted: Floats,
    names: tuple[str, ...],
    notes: list[str],
    order: tuple[int, ...] = (0, 1, 2),
) -> _Law:
    """Fit wanted = terms x, x >= 0, in relative error, with the terms that can be told apart."""
    told = _independent(terms, order)
    lost = [name for i, name in enumerate(names) if i not in told]
    if lost:
        notes.append(f"the {len(terms)} steps do not tell {' and '.join(lost)} apart: taken as 0")
    coefficients = np.zeros(terms.shape[1])
    scale = np.max(terms[:, told], axis=0)
    matrix = terms[:, told] / scale / wanted[:, None]
    coefficients[told] = nonnegative_least_squares(matrix, np.ones(len(wanted))) / scale
    errors = np.abs(terms @ coefficients / wanted - 1)
    return _Law(coefficients, float(errors.mean()), float(errors.max()))


def _independent(terms: Floats, order: tuple[int, ...]) -> list[int]:
    """Give the columns, tried in this order, that add something to those before them."""
    kept: list[int] = []
    for column in order:
        tried = [*kept, column]
        scaled = terms[:, tried] / np.maximum(np.abs(terms[:, tried]).max(axis=0), 1e-300)
        if np.linalg.matrix_rank(scaled, tol=1e-3) == len(tried):
            kept = tried
    return sorted(kept)


def write_fit(fit: StepFit) -> str:
    """Give the fit as YAML."""
    return msgspec.yaml.encode(fit).decode()


def read_fit(path: Path) -> StepFit:
    """Read a fit file.

    Raises:
        SpecError: it is no such file or has faults.
    """
    try:
        fit = msgspec.yaml.decode(path.read_bytes(), type=StepFit)
    except OSError as error:
        raise SpecError(path, {"file": error.strerror or str(error)}) from error
    except msgspec.MsgspecError as error:
        raise SpecError(path, {"fit": f"{error}; `etsim phases` writes such files"}) from error
    if fit.kind != FILE_KIND:
        raise SpecError(path, {"kind": f"must be '{FILE_KIND}', is '{fit.kind}'"})
    if fit.decode is None and fit.prefill is None:
        raise SpecError(path, {"decode": "neither a decode nor a prefill law"})
    return fit
