"""The analytic device model: how long a device should take for a piece of work, and why.

works --by class, dtype and unit--> columns --matmul | attention | rows | stream--> times
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..graph import Bytes
from ..hardware import DeviceKind, Hardware, LinkTier
from .attention_model import BACKWARD_COST, Attentions, decode_times, prefill_times
from .bound import Bound
from .constant_sets import ConstantSets, constants_for
from .constants import MatmulConstants
from .figures import Figures, figures_for, peak_tflops, streaming_share
from .matmul_model import Products, Times, matmul_times
from .residuals import read_field
from .row_model import RowPasses, norm_passes, row_times, softmax_passes, stream_times
from .tensors import ITEM_BYTES
from .work_values import Attention, Gemm, Rows, Unit, Work, WorkClass
from .works import Works, once

Float64s = NDArray[np.float64]

CPU_FLOOR_NS = 500.0  # of an operator on the reference host, whatever it computes
CPU_COMPUTE_SHARE = 0.7
CPU_MEMORY_SHARE = 0.7
HOST_LINK_GBPS = 25.0  # where a spec states no host link: PCIe 4.0 x16 as copies see it
HOST_LINK_SHARE = 0.8
HOST_LINK_LATENCY_NS = 2000.0
STAGING_GBPS = 6.0  # one thread copying into a pinned buffer on the reference host
RANDOM_ROWS_SHARE = 0.7  # of streaming, for gathered rows: every row is a short run of its own


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """Modelled time of each piece of work, shape (works,), and what binds it."""

    time_ns: Float64s
    bound: Bytes


@dataclass(frozen=True, slots=True)
class _Place:
    """Where works run: the machine, its figures for one dtype, its constants."""

    hardware: Hardware
    figures: Figures
    constants: ConstantSets


_Model = Callable[[_Place, Sequence[Work]], Times]


def estimate(
    hardware: Hardware, works: Sequence[Work], constants: ConstantSets | None = None
) -> Estimate:
    """Give the modelled time of every piece of work on a machine."""
    if hardware.device.kind is DeviceKind.CPU:
        return _on_cpu(hardware, works)
    sets = constants or constants_for(hardware)
    time = np.zeros(len(works))
    bound = np.full(len(works), Bound.LAUNCH, dtype=np.uint8)
    for (model, dtype, unit), (places, group) in _grouped(works).items():
        figures = figures_for(hardware, dtype, unit)
        times = model(_Place(hardware, figures, sets), group)
        time[places] = times.total_ns
        bound[places] = _bounds(times)
    return Estimate(time, bound)


def _bounds(times: Times) -> Bytes:
    larger = np.maximum(times.compute_ns, times.memory_ns)
    bound = np.where(times.compute_ns >= times.memory_ns, Bound.COMPUTE, Bound.MEMORY)
    return np.where(larger < times.total_ns / 2, Bound.LAUNCH, bound).astype(np.uint8)


@once
def _grouped(works: Sequence[Work]) -> Mapping[tuple[_Model, str, Unit], tuple[list[int], Works]]:
    groups: dict[tuple[_Model, str, Unit], list[int]] = defaultdict(list)
    for place, work in enumerate(works):
        groups[_model_of(work), work.dtype, work.unit].append(place)
    return {key: (at, Works(works[place] for place in at)) for key, at in groups.items()}


def _model_of(work: Work) -> _Model:
    if work.unit in {Unit.LINK, Unit.HOST}:
        return _copy_over_link
    by_class, geometry = _MODELS.get(work.work_class, (_stream, object))
    if isinstance(work.geometry, geometry):
        return by_class
    return _matmul if isinstance(work.geometry, Gemm) else _stream


@once
def _products(works: Sequence[Work]) -> Products:
    shapes = [work.geometry for work in works if isinstance(work.geometry, Gemm)]
    batch, m, n, k = (
        np.array([getattr(shape, name) for shape in shapes], dtype=np.float64)
        for name in ("batch", "m", "n", "k")
    )
    passes = np.array(
        [w.flops / (2 * s.batch * s.m * s.n * s.k or 1) for w, s in zip(works, shapes, strict=True)]
    )
    read = np.array([float(work.bytes_read) for work in works])
    item = np.array([float(ITEM_BYTES[work.dtype]) for work in works])
    right = np.minimum(batch * n * k * item, read)
    # a backward does the same product twice: as many more batches
    return Products(
        batch * np.maximum(np.rint(passes), 1), m, n, k, read - right, right,
        np.array([float(work.bytes_written) for work in works]), weight=batch == 1,
    )  # fmt: skip


def _matmul(place: _Place, works: Sequence[Work]) -> Times:
    sets = place.constants
    name = "matmul_lanes" if place.figures.on_vector_lanes else "matmul"
    products = _products(works)
    times = matmul_times(place.figures, getattr(sets, name), products)
    fields = place.hardware.calibration.get("residuals")
    field = read_field(fields.get(name)) if isinstance(fields, Mapping) else None
    if field is None:
        return times
    factor = np.exp(field.at(np.log2(np.stack([products.m, products.n, products.k], axis=1))))
    return Times(times.total_ns * factor, times.compute_ns * factor, times.memory_ns * factor)


def _convolution(place: _Place, works: Sequence[Work]) -> Times:
    sets = place.constants
    lanes = place.figures.on_vector_lanes
    constants: MatmulConstants = sets.convolution_lanes if lanes else sets.convolution
    return matmul_times(place.figures, constants, _products(works))


@once
def _attentions(works: Sequence[Work]) -> Attentions:
    calls = [work.geometry for work in works if isinstance(work.geometry, Attention)]
    batch, queries, keys, heads, kv_heads = (
        np.array([getattr(call, name) for call in calls], dtype=np.float64)
        for name in ("batch", "queries", "keys", "heads", "kv_heads")
    )
    return Attentions(
        batch, queries, keys, heads, np.maximum(kv_heads, 1),
        np.array([(call.head_dim + call.value_dim) / 2 for call in calls]),
        np.array([call.causal for call in calls], dtype=bool),
        np.array([float(ITEM_BYTES[work.dtype]) for work in works]),
        np.array([BACKWARD_COST if call.backward else 1.0 for call in calls]),
    )  # fmt: skip


def _prefill(place: _Place, works: Sequence[Work]) -> Times:
    return prefill_times(place.figures, place.constants.prefill, _attentions(works))


def _decode(place: _Place, works: Sequence[Work]) -> Times:
    return decode_times(place.figures, place.constants.decode, _attentions(works))


@once
def _row_columns(works: Sequence[Work]) -> tuple[Float64s, Float64s, Float64s, Float64s]:
    shapes = [work.geometry for work in works if isinstance(work.geometry, Rows)]
    return (
        np.array([float(shape.rows) for shape in shapes]),
        np.array([float(shape.columns) for shape in shapes]),
        np.array([float(work.bytes_read) for work in works]),
        np.array([float(work.bytes_written) for work in works]),
    )


def _by_rows(place: _Place, passes: RowPasses, softmax: bool) -> Times:
    sets = place.constants
    constants = sets.softmax if softmax else sets.norm
    return row_times(place.figures, constants, streaming_share(place.hardware), passes)


def _softmax(place: _Place, works: Sequence[Work]) -> Times:
    return _by_rows(place, softmax_passes(place.figures.core, *_row_columns(works)), softmax=True)


def _norm(place: _Place, works: Sequence[Work]) -> Times:
    return _by_rows(place, norm_passes(place.figures.core, *_row_columns(works)), softmax=False)


@once
def _stream_columns(works: Sequence[Work]) -> tuple[Float64s, Float64s, Float64s]:
    scattered = np.array([work.work_class is WorkClass.EMBEDDING for work in works])
    moved = np.array([float(work.bytes_moved) for work in works])
    return (
        np.where(scattered, moved / RANDOM_ROWS_SHARE, moved),
        np.array([float(work.flops) for work in works]),
        np.array([float(work.placed) for work in works]),
    )


def _stream(place: _Place, works: Sequence[Work]) -> Times:
    share = streaming_share(place.hardware)
    return stream_times(place.figures, place.constants.streaming, share, *_stream_columns(works))


def _copy_over_link(place: _Place, works: Sequence[Work]) -> Times:
    moved = np.array([float(work.bytes_moved) for work in works])
    staged = np.array([work.unit is Unit.HOST for work in works])
    link = link_gbps(place.hardware)
    memory = moved / np.where(staged, min(link, staging_gbps(place.hardware)), link)
    return Times(memory + HOST_LINK_LATENCY_NS, np.zeros(len(works)), memory)


_MODELS: Mapping[WorkClass, tuple[_Model, type]] = {
    WorkClass.PREFILL: (_prefill, Attention),
    WorkClass.DECODE: (_decode, Attention),
    WorkClass.CONVOLUTION: (_convolution, Gemm),
    WorkClass.MATMUL: (_matmul, Gemm),
    WorkClass.SOFTMAX: (_softmax, Rows),
    WorkClass.NORMALISATION: (_norm, Rows),
}


def link_gbps(hardware: Hardware) -> float:
    """Give the sustained bandwidth between host and device."""
    link = hardware.link(LinkTier.HOST)
    share = hardware.device.efficiency.get("host_link", HOST_LINK_SHARE)
    return link.bandwidth_gbps * share if link else HOST_LINK_GBPS


def staging_gbps(hardware: Hardware) -> float:
    """Give the bandwidth of copies from pageable memory: one host thread copies them first."""
    return STAGING_GBPS * hardware.host.relative_speed


def _on_cpu(hardware: Hardware, works: Sequence[Work]) -> Estimate:
    """Give a plain roofline: a CPU's kernels are too various for more."""
    rate = np.array([peak_tflops(hardware.device, w.dtype, w.unit) for w in works]) * 1e3
    flops = np.array([float(work.flops) for work in works])
    moved = np.array([float(work.bytes_moved) for work in works])
    compute = flops / (rate * _stated(hardware, "matmul.compute", CPU_COMPUTE_SHARE))
    share = _stated(hardware, "vector.memory", CPU_MEMORY_SHARE)
    memory = moved / (hardware.device.memory_bandwidth_gbps * share)
    total = np.maximum(compute, memory) + floor_ns(hardware)
    return Estimate(total, _bounds(Times(total, compute, memory)))


def _stated(hardware: Hardware, key: str, default: float) -> float:
    """Give a share that the spec itself states, else a default."""
    if f"efficiency.{key}" in hardware.defaulted:
        return default
    return hardware.device.efficiency.get(key, default)


def floor_ns(hardware: Hardware) -> float:
    """Give the least time of any kernel (or, on a CPU, of any operator)."""
    if hardware.device.kind is DeviceKind.CPU:
        return CPU_FLOOR_NS / hardware.host.relative_speed
    return constants_for(hardware).streaming.latency_ns
