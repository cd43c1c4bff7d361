"""bf16 attention, whole prompts and decode: fitted without the target's family."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cache

import numpy as np

from etsim.models.costs.attention_model import Attentions, decode_times, prefill_times
from etsim.models.costs.constants import AttentionConstants, DecodeConstants
from etsim.models.costs.figures import Figures, figures_for
from etsim.models.costs.fitting import capped_loss, fit
from etsim.models.costs.transfer import residual_limit
from etsim.models.costs.work_values import WorkClass

from .folds import FOLDS
from .tables import FAMILY, Float64s, columns, machine, sample, table, where
from .transfers import Judged

DEVICES = ("a100_sxm", "h100_sxm", "h200_sxm", "l40s")
FITTED_ROWS = 400
PREFILL_WIDTHS = {
    "memory": 0.05, "compute": 0.05, "softmax_operations": 0.1, "latency_ns": 0.1, "traffic": 0.1,
    "cache": 0.3, "power": 0.05, "tile_cycles": 0.05,
}  # fmt: skip
DECODE_WIDTHS = {
    "memory": 0.05, "latency_ns": 0.2, "cache": 0.4, "key_cycles": 0.2, "split_fill": 0.3,
    "head_cycles": 0.4, "query_cycles": 0.4, "join_ns": 0.7, "sharpness": 0.5,
}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One device's measured calls."""

    gpu: str
    figures: Figures
    calls: Attentions
    keys: list[tuple[float, ...]]
    measured_ns: Float64s

    def take(self, most: int) -> "Case":
        """Give the same case with fewer rows."""
        rows = sample(len(self.measured_ns), most)
        picked = Attentions(*(getattr(self.calls, item.name)[rows] for item in fields(Attentions)))
        keys = [self.keys[row] for row in rows.tolist()]
        return Case(self.gpu, self.figures, picked, keys, self.measured_ns[rows])


@cache
def case(name: str, gpu: str) -> Case:
    """Give a device's calls from `attn_prefill` or `attn_decode`."""
    rows = where(table(name), lambda row: row["gpu"] == gpu)
    batch, isl, step, heads, kv, width, us = columns(
        rows, "batch_size", "isl", "step", "num_heads", "num_key_value_heads", "head_dim", "us"
    )
    keys = isl + step
    calls = Attentions(
        batch, isl, keys, heads, kv, width, np.ones(len(us), dtype=bool), np.full(len(us), 2.0),
        np.ones(len(us)),
    )  # fmt: skip
    names = list(zip(*(c.tolist() for c in (batch, isl, step, heads, kv, width)), strict=True))
    return Case(gpu, figures_for(machine(gpu), "bf16"), calls, names, us * 1e3)


def _fitted(name: str, family: str, times: Callable[[Case], Float64s]) -> float:
    """Give the loss over every family but one, each with the same weight."""
    kept = [_few(name, gpu) for gpu in DEVICES if FAMILY[gpu] != family]
    families = [FAMILY[each.gpu] for each in kept]
    weights = np.array([1 / families.count(one) for one in families])
    errors = [capped_loss(times(each), each.measured_ns) for each in kept]
    return float(weights @ errors / weights.sum())


@cache
def _few(name: str, gpu: str) -> Case:
    return case(name, gpu).take(FITTED_ROWS)


@cache
def prefill_without(family: str) -> AttentionConstants:
    """Fit to every family but one ("" for all)."""

    def loss(constants: AttentionConstants) -> float:
        return _fitted(
            "attn_prefill", family,
            lambda c: prefill_times(c.figures, constants, c.calls).total_ns,
        )  # fmt: skip

    def make() -> AttentionConstants:
        return fit(AttentionConstants(), PREFILL_WIDTHS, loss, iterations=500)

    return FOLDS.get(f"prefill without {family or 'none'}", AttentionConstants(), make)


@cache
def decode_without(family: str) -> DecodeConstants:
    """Fit to every family but one ("" for all)."""

    def loss(constants: DecodeConstants) -> float:
        return _fitted(
            "attn_decode", family, lambda c: decode_times(c.figures, constants, c.calls).total_ns
        )

    def make() -> DecodeConstants:
        return fit(DecodeConstants(), DECODE_WIDTHS, loss, iterations=500)

    return FOLDS.get(f"decode without {family or 'none'}", DecodeConstants(), make)


def prefill_judged(gpu: str, family: str) -> Judged:
    """Give a device's prompts, modelled without a family."""
    c = case("attn_prefill", gpu)
    times = prefill_times(c.figures, prefill_without(family), c.calls)
    return Judged(gpu, c.keys, c.measured_ns, times.total_ns, residual_limit(WorkClass.PREFILL))


def decode_judged(gpu: str, family: str) -> Judged:
    """Give a device's decode calls, modelled without a family."""
    c = case("attn_decode", gpu)
    times = decode_times(c.figures, decode_without(family), c.calls)
    return Judged(gpu, c.keys, c.measured_ns, times.total_ns, residual_limit(WorkClass.DECODE))
