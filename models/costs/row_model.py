"""How long row-wise and elementwise operators take: bytes, passes over a row, waves of blocks.

A row that is read again (softmax beyond 1024 columns: three times, a norm: twice) comes from L2
while the rows in flight fit there, from memory once they do not:

    resident  = blocks that a core holds by threads, registers and count
    in flight = resident · cores · row bytes        hit = 1 / (1 + (in flight / share L2)⁶)
    reads     = 1 + (passes - 1)(1 - hit)
    t         = ‖bytes · (reads + writes), waves · cycles a block‖₄ + latency
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from .constants import RowConstants
from .core_limits import CoreLimits
from .figures import Figures
from .matmul_model import REFERENCE_GHZ, Times

Float64s = NDArray[np.float64]

NORM = 4
SHARPNESS = 6  # how suddenly rows in flight stop to fit in L2
WARP_COLUMNS = 1024  # up to these, softmax keeps a row in the registers of one warp
TWO_ROWS_COLUMNS = 128  # up to these, a warp works on two
WARP_THREADS = 128  # of a block of such warps
LARGEST_BLOCK = 1024
LOAD_BYTES = 16  # that one thread loads at once
LOAD_ELEMENTS = 4  # what `element_cycles` counts a load as
WARP_BARRIERS = 0.1
# of a core for an element that is loaded alone, its place computed from the strides: copies
# between layouts on H100 in two models of tracelens_ops, 0.65-0.80
PLACE_CYCLES = 0.75
FEW_REGISTERS = 32
MANY_REGISTERS = 64  # running mean, variance and count of four columns: half the threads fit


class SoftmaxKernels(StrEnum):
    """Which generation of PyTorch's softmax beyond 1024 columns (kernels named in ops_fp32)."""

    SMALL_BLOCKS = "2.1"  # a thread for every eight columns, three passes
    FULL_BLOCKS = "2.4"  # 1024 threads; rows that fit are kept in shared memory


@dataclass(frozen=True, slots=True, eq=False)
class RowPasses:
    """Columns of shape (calls,): rows, bytes read and written once, and how blocks go over them.

    Attributes:
        passes: how often a row is read.
        threads: of a block.
        rows_per_block: how many rows a block works on at a time.
        elements: columns a thread works on, loads that are not full counted as full.
        barriers: share of `block_cycles` spent; warps wait for no other warp.
        registers: of one thread.
    """

    rows: Float64s
    read_bytes: Float64s
    written_bytes: Float64s
    passes: Float64s
    threads: Float64s
    rows_per_block: Float64s
    elements: Float64s
    barriers: Float64s
    registers: int


def softmax_passes(
    core: CoreLimits,
    rows: Float64s,
    columns: Float64s,
    read_bytes: Float64s,
    written_bytes: Float64s,
    kernels: SoftmaxKernels = SoftmaxKernels.FULL_BLOCKS,
) -> RowPasses:
    """Describe softmax as PyTorch runs it: warps up to 1024 columns, a block a row beyond."""
    per_load = LOAD_BYTES / np.maximum(read_bytes / np.maximum(rows * columns, 1), 1)
    if kernels is SoftmaxKernels.SMALL_BLOCKS:
        threads = _power_of_two(np.minimum(columns / per_load, LARGEST_BLOCK) / 2)
        kept = np.zeros(len(rows), dtype=bool)
    else:
        threads = np.full(len(rows), float(LARGEST_BLOCK))
        row_bytes = read_bytes / np.maximum(rows, 1)
        kept = (columns % per_load == 0) & (row_bytes < core.block_memory_bytes)
    full = np.floor(columns / (per_load * threads))
    rest = np.ceil((columns - full * per_load * threads) / threads)  # one column a load
    short = columns <= WARP_COLUMNS
    lanes = np.minimum(_power_of_two(columns), core.wave)  # of a warp, for one row
    warps = WARP_THREADS / lanes * np.where(columns <= TWO_ROWS_COLUMNS, 2.0, 1.0)
    return RowPasses(
        rows, read_bytes, written_bytes,
        passes=np.where(short | kept, 1.0, 3.0),
        threads=np.where(short, WARP_THREADS, threads),
        rows_per_block=np.where(short, warps, 1.0),
        elements=np.where(short, _power_of_two(columns) / lanes, LOAD_ELEMENTS * (full + rest)),
        barriers=np.where(short, WARP_BARRIERS, 1.0),
        registers=FEW_REGISTERS,
    )  # fmt: skip


def norm_passes(
    core: CoreLimits,
    rows: Float64s,
    columns: Float64s,
    read_bytes: Float64s,
    written_bytes: Float64s,
) -> RowPasses:
    """Describe a normalisation: a block of four warps a row, statistics first, then scale."""
    same = np.ones_like(rows)
    threads = 4.0 * core.wave
    return RowPasses(
        rows, read_bytes, written_bytes, passes=2 * same, threads=threads * same,
        rows_per_block=same, barriers=same,
        elements=LOAD_ELEMENTS * np.ceil(columns / (LOAD_ELEMENTS * threads)),
        registers=MANY_REGISTERS,
    )  # fmt: skip


def _power_of_two(values: Float64s) -> Float64s:
    powers: Float64s = 2 ** np.ceil(np.log2(np.maximum(values, 1)))
    return powers


def row_times(figures: Figures, c: RowConstants, share: float, p: RowPasses) -> Times:
    """Give the time of row-wise operators; `share` is the streaming share of the bandwidth.

    Where cores stream vectors instead of running blocks, bytes alone count: a row stays on the
    core that works on it.
    """
    if not figures.in_waves:
        nothing = np.zeros_like(p.rows)
        return stream_times(
            figures, c, share, p.read_bytes + p.written_bytes, nothing, placed=nothing
        )
    core = figures.core
    fitting = min(core.threads, core.registers // p.registers)
    blocks = np.clip(np.floor(fitting / p.threads), 1, core.blocks) * figures.cores
    at_once = blocks * p.rows_per_block
    row_bytes = p.read_bytes / np.maximum(p.rows, 1)
    in_flight = np.minimum(at_once, p.rows) * row_bytes
    hit = 1 / (1 + (in_flight / (c.cache_share * figures.l2_bytes)) ** SHARPNESS)
    reads = 1 + (p.passes - 1) * (1 - hit)
    memory = _moving_ns(figures, share, p.read_bytes * reads + p.written_bytes)
    waves = np.maximum(p.rows / at_once, 1)
    cycles = (c.block_cycles * p.barriers + c.element_cycles * p.elements) * core.slowness
    compute = waves * cycles / figures.clock_ghz
    latency = figures.at_clock(c.latency_ns, REFERENCE_GHZ)
    total = (memory**NORM + compute**NORM) ** (1 / NORM) + latency
    return Times(total, compute, memory)


def stream_times(
    figures: Figures,
    c: RowConstants,
    share: float,
    moved_bytes: Float64s,
    flops: Float64s,
    placed: Float64s,
) -> Times:
    """Give the time of operators that pass over their tensors once.

    `placed` elements are loaded one by one, each after its place has been computed.
    """
    memory = _moving_ns(figures, share, moved_bytes)
    cycles = PLACE_CYCLES if figures.in_waves else 0.0  # an NPU's copy engines walk strides
    places = cycles * placed / (figures.cores * figures.clock_ghz)
    compute = np.maximum(flops / figures.flops_per_ns, places)
    latency = figures.at_clock(c.latency_ns, REFERENCE_GHZ)
    return Times(np.maximum(memory, compute) + latency, compute, memory)


def _moving_ns(figures: Figures, share: float, moved_bytes: Float64s) -> Float64s:
    # What a producer just left in L2 is read no faster in traces (H100 and MI300X alike), so
    # everything counts as streamed.
    return moved_bytes / (figures.bytes_per_ns * share)
