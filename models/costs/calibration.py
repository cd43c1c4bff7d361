"""Fit a machine's constants to kernels measured on it, with their intervals and held-out error.

kernels --by set of constants--> at least 10: refit with the defaults as prior
                                 5 to 9:      one share, memory-bound sets only
                                 fewer:       left alone, and said
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from ..hardware import DeviceKind, Hardware
from .collective_law import CollectiveLaw, fit_law
from .collectives import sent_share
from .constant_sets import ConstantSets, constants_for, with_values
from .constants import Constants
from .device_model import estimate, floor_ns
from .figures import figures_for, peak_tflops
from .fitting import RESIDUAL_CAP, capped_loss, fit
from .measured_kernel import MeasuredKernel, MeasuredMessage
from .residuals import ResidualField, residual_field
from .work import work_of
from .work_values import Gemm, Unit, Work, WorkClass

Float64s = NDArray[np.float64]
Flags = NDArray[np.bool_]
FOLDS = 5
ENOUGH_FOR_FIELD = 20
ENOUGH = 10  # with fewer a refit is worse than the defaults (cost-model.md, section 6)
LEAST = 5
ITERATIONS = 200
Z_90 = 1.645

WIDTHS: Mapping[str, Mapping[str, float]] = {
    "matmul": {"compute": 0.1, "memory": 0.06, "latency_ns": 0.2, "loop_cycles": 0.4,
               "overlap": 1.0, "operands": 0.4, "power": 0.2, "tile_loss": 1.0,
               "fill_steps": 1.2, "split_ns": 1.0},
    "prefill": {"compute": 0.2, "memory": 0.1, "latency_ns": 0.3, "softmax_operations": 0.2,
                "power": 0.2, "tile_cycles": 0.3, "traffic": 0.2},
    "decode": {"memory": 0.1, "latency_ns": 0.3, "key_cycles": 0.3, "head_cycles": 0.5,
               "query_cycles": 0.5},
    "rows": {"latency_ns": 0.5, "cache_share": 0.5, "block_cycles": 0.5, "element_cycles": 0.5},
}  # fmt: skip
_WIDTHS_OF = {
    "matmul": "matmul", "matmul_lanes": "matmul", "convolution": "matmul",
    "convolution_lanes": "matmul", "prefill": "prefill", "decode": "decode",
    "softmax": "rows", "norm": "rows",
}  # fmt: skip
STREAMING = "streaming"
CPU_PRODUCTS = "cpu products"
# sets of one share each: set -> (key of a spec's `efficiency`, name of the constant)
SHARES: Mapping[str, tuple[str, str]] = {
    STREAMING: ("vector.memory", "memory"), CPU_PRODUCTS: ("matmul.compute", "compute"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class FittedSet:
    """One set of constants as fitted.

    Attributes:
        constants: name -> value.
        intervals: name -> (low, high) of 90 %, by leaving out each fifth of the kernels.
        kernels: how many it rests on.
        error_before, error_after: median held-out error, each fifth from the others.
        residuals: of products, what the constants leave, over shapes.
    """

    constants: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    kernels: int
    error_before: float
    error_after: float
    residuals: ResidualField | None = None


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a calibration found.

    Attributes:
        sets: name of the set -> its constants; `streaming` holds `memory`, a share.
        collectives: kind -> its law.
        refused: what the data could not tell, one sentence each.
    """

    sets: Mapping[str, FittedSet]
    collectives: Mapping[str, CollectiveLaw]
    refused: tuple[str, ...]


def calibrate(
    base: Hardware,
    kernels: Sequence[MeasuredKernel],
    messages: Sequence[MeasuredMessage] = (),
) -> Calibration:
    """Fit a machine's constants to what was measured on it."""
    groups: dict[str, list[tuple[Work, float]]] = defaultdict(list)
    for kernel in kernels:
        work = work_of(kernel.operator)
        if work.work_class is not WorkClass.FREE:
            groups[_set_of(base, work)].append((work, kernel.duration_ns))
    sets: dict[str, FittedSet] = {}
    refused = []
    for name, rows in sorted(groups.items()):
        least = LEAST if name in SHARES else ENOUGH
        if len(rows) < least:
            refused.append(f"{name}: {len(rows)} kernels, at least {least} are needed")
            continue
        sets[name] = _share(base, name, rows) if name in SHARES else _refit(base, name, rows)
    laws = _laws(messages, refused)
    return Calibration(sets, laws, tuple(refused))


_SET_OF: Mapping[WorkClass, str] = {
    WorkClass.MATMUL: "matmul", WorkClass.CONVOLUTION: "convolution",
    WorkClass.PREFILL: "prefill", WorkClass.DECODE: "decode", WorkClass.SOFTMAX: "softmax",
    WorkClass.NORMALISATION: "norm",
}  # fmt: skip


def _set_of(base: Hardware, work: Work) -> str:
    if base.device.kind is DeviceKind.CPU:
        return CPU_PRODUCTS if work.unit is Unit.MATRIX else STREAMING
    name = _SET_OF.get(work.work_class, STREAMING)
    on_lanes = work.unit is Unit.MATRIX and figures_for(base, work.dtype).on_vector_lanes
    return f"{name}_lanes" if on_lanes and name in {"matmul", "convolution"} else name


def _with(sets: ConstantSets, name: str, constants: Constants) -> ConstantSets:
    return with_values(sets, {name: asdict(constants)}, "calibration")


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    """Fits one set of constants to kernels of its class, all of them or some."""

    base: Hardware
    name: str
    works: Sequence[Work]
    measured: Float64s

    def modelled(self, sets: ConstantSets, chosen: Flags) -> Float64s:
        """Give the modelled times of some kernels."""
        kept = [work for work, taken in zip(self.works, chosen, strict=True) if taken]
        return estimate(self.base, kept, sets).time_ns

    def fitted(self, chosen: Flags) -> ConstantSets:
        """Fit to some kernels."""
        before = constants_for(self.base)
        prior: Constants = getattr(before, self.name)

        def loss(constants: Constants) -> float:
            sets = _with(before, self.name, constants)
            return capped_loss(self.modelled(sets, chosen), self.measured[chosen])

        found = fit(prior, WIDTHS[_WIDTHS_OF[self.name]], loss, iterations=ITERATIONS)
        return _with(before, self.name, found)

    def field(self, sets: ConstantSets, chosen: Flags) -> ResidualField | None:
        """Learn what the constants leave; only of products, and only from enough of them."""
        if not self.name.startswith("matmul") or np.sum(chosen) < ENOUGH_FOR_FIELD:
            return None
        left = np.log(self.measured[chosen] / self.modelled(sets, chosen))
        return residual_field(self._features(chosen), np.clip(left, -RESIDUAL_CAP, RESIDUAL_CAP))

    def errors(self, sets: ConstantSets, field: ResidualField | None, chosen: Flags) -> Float64s:
        """Give the errors on some kernels."""
        predicted = self.modelled(sets, chosen)
        if field is not None:
            predicted = predicted * np.exp(field.at(self._features(chosen)))
        errors: Float64s = np.abs(predicted / self.measured[chosen] - 1)
        return errors

    def _features(self, chosen: Flags) -> Float64s:
        shapes = [work.geometry for work in self.works]
        dims = [(g.m, g.n, g.k) if isinstance(g, Gemm) else (1, 1, 1) for g in shapes]
        features: Float64s = np.log2(np.array(dims, dtype=np.float64))[chosen]
        return features


def _refit(base: Hardware, name: str, rows: Sequence[tuple[Work, float]]) -> FittedSet:
    one = _Fit(base, name, [work for work, _ in rows], np.array([time for _, time in rows]))
    everything = np.ones(len(rows), dtype=bool)
    every = one.fitted(everything)
    folds = np.random.default_rng(0).permutation(len(rows)) % FOLDS
    left_out = [one.fitted(folds != fold) for fold in range(FOLDS)]
    plain, smooth = (
        np.concatenate(
            [
                one.errors(
                    sets, one.field(sets, folds != fold) if with_field else None, folds == fold
                )
                for fold, sets in enumerate(left_out)
            ]
        )
        for with_field in (False, True)
    )
    helps = float(np.mean(smooth)) < float(np.mean(plain))
    values = asdict(getattr(every, name))
    spread = [asdict(getattr(sets, name)) for sets in left_out]
    return FittedSet(
        constants=values,
        intervals={key: _jackknife(values[key], [v[key] for v in spread]) for key in values},
        kernels=len(rows),
        error_before=float(np.median(one.errors(constants_for(base), None, everything))),
        error_after=float(np.median(smooth if helps else plain)),
        residuals=one.field(every, everything) if helps else None,
    )


def _jackknife(value: float, without: Sequence[float]) -> tuple[float, float]:
    """Give value ± 1.645 √((k - 1) / k Σ (θᵢ - θ̄)²), the delete-a-group jackknife."""
    k = len(without)
    error = float(np.sqrt((k - 1) / k * np.sum((np.array(without) - np.mean(without)) ** 2)))
    return max(0.0, value - Z_90 * error), value + Z_90 * error


def _share(base: Hardware, name: str, rows: Sequence[tuple[Work, float]]) -> FittedSet:
    """Fit the one share of a peak that kernels reach, from those long enough to tell."""
    latency = floor_ns(base)
    works = [work for work, _ in rows]
    least = np.array([_least_ns(base, name, work) for work in works])
    measured = np.array([time for _, time in rows])
    shares = least / np.maximum(measured - latency, 0.05 * measured)
    long = measured > 4 * latency
    shares = shares[long] if np.sum(long) >= LEAST else shares
    share = float(min(1.0, np.median(shares)))
    half = 1.57 * float(np.subtract(*np.quantile(shares, [0.75, 0.25]))) / len(shares) ** 0.5
    before = estimate(base, works).time_ns
    after = least / share + latency
    return FittedSet(
        constants={SHARES[name][1]: share},
        intervals={SHARES[name][1]: (max(0.0, share - half), min(1.0, share + half))},
        kernels=len(rows),
        error_before=float(np.median(np.abs(before / measured - 1))),
        error_after=float(np.median(np.abs(after / measured - 1))),
    )


def _least_ns(base: Hardware, name: str, work: Work) -> float:
    """Give the time at the whole of the peak."""
    if name == CPU_PRODUCTS:
        return work.flops / (peak_tflops(base.device, work.dtype, work.unit) * 1e3)
    return work.bytes_moved / base.device.memory_bandwidth_gbps


def _laws(messages: Sequence[MeasuredMessage], refused: list[str]) -> dict[str, CollectiveLaw]:
    laws = {}
    for kind in sorted({message.kind for message in messages}):
        chosen = [message for message in messages if message.kind == kind]
        if len({message.message_bytes for message in chosen}) < LEAST:
            refused.append(f"{kind}: fewer than {LEAST} sizes of message")
            continue
        ranks = np.array([float(message.ranks) for message in chosen])
        sent = np.array([sent_share(kind, m.ranks) * m.message_bytes for m in chosen])
        laws[kind] = fit_law(sent, ranks, np.array([m.duration_ns for m in chosen]))
    return laws
