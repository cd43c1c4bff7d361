"""How long fused attention takes: tiles of queries over whole prompts, blocks of keys in decode.

prompts   a core's cycles for a key and a tile of r queries = 4 r d / FLOPs a cycle
                                                            + operations · r / vector lanes
          t = max(all tiles / cores, longest tile), joined with the power limit, + bytes + latency
decode    every (sequence, key head) is one block, or s parts where cores would idle
          t = ‖cache bytes / bandwidth, waves (keys / s · cycles + cycles a block)‖ + latency
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .constants import AttentionConstants, DecodeConstants
from .figures import Figures
from .matmul_model import L2_BYTES_PER_CYCLE, POWER_NORM, Times

Float64s = NDArray[np.float64]

TILE_QUERIES = 128
ROUNDING = 16  # rows and keys of a short prompt are padded to so many
REFERENCE_GHZ = 1.5
CLOCK_POWER = 0.8  # of a call's latency: several dependent steps on the device
LEAST_PART_KEYS = 64
HEADS_TOGETHER = 16  # query heads that one block serves at once
BACKWARD_COST = 2.5  # five products instead of two


@dataclass(frozen=True, slots=True, eq=False)
class Attentions:
    """Columns of shape (calls,)."""

    batch: Float64s
    queries: Float64s
    keys: Float64s
    heads: Float64s
    kv_heads: Float64s
    head_dim: Float64s
    causal: NDArray[np.bool_]
    item_bytes: Float64s
    cost: Float64s  # 1 forward, BACKWARD_COST backward


def prefill_times(figures: Figures, c: AttentionConstants, a: Attentions) -> Times:
    """Give the time of attention over whole prompts."""
    rows = np.minimum(np.ceil(a.queries / ROUNDING) * ROUNDING, TILE_QUERIES)
    tiles = np.ceil(a.queries / TILE_QUERIES)
    seen, longest = _keys_seen(a, tiles)
    products = 4 * rows * a.head_dim / figures.flops_per_cycle / c.compute
    softmax = c.softmax_operations * rows / figures.lanes
    key_cycles = (products + softmax) * a.cost
    sequences = a.batch * a.heads
    everything = sequences * (seen * key_cycles + tiles * c.tile_cycles) / figures.cores
    busy = np.maximum(everything, longest * key_cycles + c.tile_cycles) / figures.clock_ghz
    flops = sequences * seen * 4 * rows * a.head_dim * a.cost
    limited = flops / figures.sustained_flops_per_ns(c.power)
    compute = (busy**POWER_NORM + limited**POWER_NORM) ** (1 / POWER_NORM)
    memory = _prefill_memory_ns(figures, c, a)
    latency = c.latency_ns * (REFERENCE_GHZ / figures.clock_ghz) ** CLOCK_POWER
    return Times(compute + memory + latency, compute, memory)


def _keys_seen(a: Attentions, tiles: Float64s) -> tuple[Float64s, Float64s]:
    """Give the keys that all tiles of one head see together, and those of the longest tile."""
    padded = np.ceil(a.keys / ROUNDING) * ROUNDING
    before = np.maximum(0.0, a.keys - a.queries)  # keys of an earlier part of the prompt
    triangle = TILE_QUERIES * (tiles - 1) * tiles / 2 + padded - before + before * tiles
    return np.where(a.causal, triangle, padded * tiles), padded


def _prefill_memory_ns(figures: Figures, c: AttentionConstants, a: Attentions) -> Float64s:
    queries = 2 * a.heads * a.queries
    keys = 2 * a.kv_heads * a.keys
    moved = a.item_bytes * a.batch * a.head_dim * (queries + keys) * c.traffic * a.cost
    l2_rate = _l2_bytes_per_ns(figures, c.cache, c.memory)
    cold = moved / (figures.bytes_per_ns * c.memory)
    time: Float64s = np.where(moved < figures.l2_bytes, moved / l2_rate, cold)
    return time


def _l2_bytes_per_ns(figures: Figures, share: float, memory_share: float) -> float:
    """Give what L2 delivers to calls as short as these: by core and cycle.

    Few wide cores (an NPU) are fed from elsewhere: there at least as fast as memory. On GPUs the
    share stands for short calls' latency, too, and may lie below memory's (with memory's rate as
    the least, refitted: prompts 12.6 instead of 11.9 %).
    """
    by_cores = figures.cores * figures.clock_ghz * L2_BYTES_PER_CYCLE * share
    return by_cores if figures.in_waves else max(by_cores, figures.bytes_per_ns * memory_share)


def decode_times(figures: Figures, c: DecodeConstants, a: Attentions) -> Times:
    """Give the time of attention with few queries a sequence."""
    cache_bytes = 2 * a.item_bytes * a.batch * a.keys * a.kv_heads * a.head_dim
    l2_rate = _l2_bytes_per_ns(figures, c.cache, c.memory)
    cold = cache_bytes / (figures.bytes_per_ns * c.memory)
    memory = np.where(cache_bytes < figures.l2_bytes, cache_bytes / l2_rate, cold)
    group = a.heads / a.kv_heads * a.queries
    blocks = a.batch * a.kv_heads * np.ceil(group / HEADS_TOGETHER)
    most = np.maximum(1, np.ceil(a.keys / LEAST_PART_KEYS))
    parts = np.clip(np.floor(c.split_fill * figures.cores / blocks), 1, most)
    waves = blocks * parts / figures.cores
    waves = np.where(waves <= 1, 1.0, np.where(waves < 3, np.ceil(waves), waves + 0.5))
    key_cycles = c.key_cycles * (a.head_dim / 128) ** 0.5
    fixed = c.head_cycles + c.query_cycles * np.minimum(group, HEADS_TOGETHER)
    compute = waves * (a.keys / parts * key_cycles + fixed) / figures.clock_ghz
    joined = (memory**c.sharpness + compute**c.sharpness) ** (1 / c.sharpness)
    slower = (REFERENCE_GHZ / figures.clock_ghz) ** 0.5
    latency = slower * (c.latency_ns + np.where(parts > 1, c.join_ns, 0.0))
    return Times(joined + latency, compute, memory)
