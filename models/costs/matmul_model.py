"""How long matrix products take: every tile and split is priced, the best one counts.

tiles = batch ⌈m/a⌉ ⌈n/b⌉ s          waves w = ⌈tiles / cores⌉
step  = max(2ab / (core's rate · loss), operand bytes / operand rate, least cycles)
t_c   = w (k/s + fill) step, joined with what the power limit allows
t_m   = bytes from memory / sustained bandwidth + bytes from L2 / its bandwidth
t     = max(t_c, t_m) + overlap · min(t_c, t_m) + latency          least over (a, b, s)
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .constants import MatmulConstants
from .figures import Figures

Float64s = NDArray[np.float64]

TILES = (
    (256, 128), (128, 256), (128, 128), (128, 64), (64, 128), (64, 256), (64, 64), (64, 32),
    (32, 64), (32, 32), (32, 128), (16, 64), (16, 32), (16, 128),
)  # fmt: skip
SPLITS = (1, 2, 3, 4, 6, 8, 16)
LEAST_SPLIT_DEPTH = 128  # steps of k that a part must keep
MANY_WAVES = 4  # beyond, tiles end at different times and the last wave is half hidden
FILLED_WAVES = 3  # beyond, filling one tile overlaps with draining another
PARTIAL_BYTES = 8  # a split part's fp32 sums are written and read
REFERENCE_GHZ = 1.41
POWER_NORM = 4
L2_BYTES_PER_CYCLE = 64.0  # a core and cycle, on every NVIDIA device since Volta
OPERAND_FLOPS = 2048  # operand paths are built as wide as the matrix unit: 64 B a cycle at this
LANE_FLOPS = 128  # the same for products on plain lanes: a core of 64
CACHED_SHARE = 1.0  # of L2 that operands in use can hold
CACHE_SHARPNESS = 6  # how suddenly a working set stops to fit

_MENU = [(a, b, s) for a, b in TILES for s in SPLITS]
_HEIGHT, _WIDTH, _SPLIT = (
    np.array(column, dtype=np.float64)[:, None] for column in zip(*_MENU, strict=True)
)


@dataclass(frozen=True, slots=True, eq=False)
class Products:
    """Columns of shape (products,): dimensions and the bytes of operands and result.

    `weight` tells which right operands are weights: they come from memory, unless so many copies
    of them as `weight_copies` fit in L2 (a benchmark that turns over few copies).
    """

    batch: Float64s
    m: Float64s
    n: Float64s
    k: Float64s
    left_bytes: Float64s
    right_bytes: Float64s
    out_bytes: Float64s
    weight: NDArray[np.bool_]
    weight_copies: float = np.inf


@dataclass(frozen=True, slots=True, eq=False)
class Times:
    """Modelled time and its two parts, shape (rows,) each."""

    total_ns: Float64s
    compute_ns: Float64s
    memory_ns: Float64s


def matmul_times(figures: Figures, c: MatmulConstants, p: Products) -> Times:
    """Give the time of each product on a device."""
    compute = _compute_ns(figures, c, p)
    memory = _memory_ns(figures, c, p)
    split = np.where(_SPLIT > 1, figures.at_clock(c.split_ns, REFERENCE_GHZ), 0.0)
    total = np.maximum(compute, memory) + c.overlap * np.minimum(compute, memory) + split
    total = np.where((_SPLIT > 1) & (p.k / _SPLIT < LEAST_SPLIT_DEPTH), np.inf, total)
    best = np.argmin(total, axis=0)
    columns = np.arange(total.shape[1])
    latency = figures.at_clock(c.latency_ns, REFERENCE_GHZ)
    return Times(total[best, columns] + latency, compute[best, columns], memory[best, columns])


def _compute_ns(figures: Figures, c: MatmulConstants, p: Products) -> Float64s:
    tiles = p.batch * np.ceil(p.m / _HEIGHT) * np.ceil(p.n / _WIDTH) * _SPLIT
    waves = tiles / figures.cores
    waves = np.where(waves < MANY_WAVES, np.ceil(waves), waves + 0.5)
    steps = waves * np.maximum(p.k / _SPLIT, 1) + np.minimum(waves, FILLED_WAVES) * c.fill_steps
    free = steps * _step_ns(figures, c, p)
    padded_flops = 2 * tiles / _SPLIT * _HEIGHT * _WIDTH * p.k
    limited = padded_flops / figures.sustained_flops_per_ns(c.power)
    joined: Float64s = (free**POWER_NORM + limited**POWER_NORM) ** (1 / POWER_NORM)
    return joined


def _step_ns(figures: Figures, c: MatmulConstants, p: Products) -> Float64s:
    """Give the time of one step of k for one tile on one core, shape (menu, 1)."""
    core_rate = figures.flops_per_ns * c.compute / figures.cores
    loss = 1 + 1280 * c.tile_loss * (1 / _HEIGHT + 1 / _WIDTH) / 2
    products = 2 * _HEIGHT * _WIDTH / core_rate * loss
    item_bytes = 4.0 if figures.on_vector_lanes else 2.0
    reference = LANE_FLOPS if figures.on_vector_lanes else OPERAND_FLOPS
    path = L2_BYTES_PER_CYCLE * c.operands * figures.flops_per_cycle / reference
    operands = (_HEIGHT + _WIDTH) * item_bytes / (path * figures.clock_ghz)
    least = c.loop_cycles / figures.clock_ghz
    step: Float64s = np.maximum(np.maximum(products, operands), least)
    return step


def _memory_ns(figures: Figures, c: MatmulConstants, p: Products) -> Float64s:
    weights = np.where(p.weight, p.right_bytes, 0.0)
    passing = p.left_bytes + p.right_bytes - weights + p.out_bytes
    usable = CACHED_SHARE * figures.l2_bytes
    kept = cache_hit(passing / usable) * passing
    if np.isfinite(p.weight_copies):
        kept = kept + cache_hit((weights * p.weight_copies + passing) / usable) * weights
    partial = np.where(_SPLIT > 1, PARTIAL_BYTES * p.batch * p.m * p.n * _SPLIT, 0.0)
    cold = (passing + weights - kept) / (figures.bytes_per_ns * c.memory)
    time: Float64s = cold + (kept + partial) / l2_bytes_per_ns(figures, c.cache, c.memory)
    return time


def l2_bytes_per_ns(figures: Figures, share: float, memory_share: float) -> float:
    """Give what L2 delivers: a share of 64 bytes a core and cycle, never less than memory does.

    Few wide cores (an NPU) or very fast memory would else make a hit slower than a miss.
    """
    by_cores = figures.cores * figures.clock_ghz * L2_BYTES_PER_CYCLE * share
    return max(by_cores, figures.bytes_per_ns * memory_share)


def cache_hit(fill: Float64s) -> Float64s:
    """Give the share of accesses that a cache serves when its working set fills it so far."""
    hit: Float64s = 1 / (1 + fill**CACHE_SHARPNESS)
    return hit
