"""How long row-wise and elementwise operators take: bytes, passes over a row, waves of blocks.

A row that is read again (softmax beyond 1024 columns: three times, a norm: twice) comes from L2
while the rows in flight fit there, from memory once they do not:

    in flight = resident blocks · cores · row bytes        hit = 1 / (1 + (in flight / share L2)⁴)
    reads     = 1 + (passes - 1)(1 - hit)
    t         = ‖bytes · (reads + writes), waves · cycles a block‖₃ + latency
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .constants import RowConstants
from .figures import Figures
from .matmul_model import REFERENCE_GHZ, Times

Float64s = NDArray[np.float64]

RESIDENT_THREADS = 2048  # a core (1024 on Turing only)
RESIDENT_BLOCKS = 32
NORM = 3
REREAD_FROM = 1024  # columns beyond which softmax does not keep a row in registers


@dataclass(frozen=True, slots=True, eq=False)
class RowPasses:
    """Columns of shape (calls,): rows, the bytes read and written once, and passes over a row."""

    rows: Float64s
    columns: Float64s
    read_bytes: Float64s
    written_bytes: Float64s
    passes: Float64s
    threads: Float64s  # of the block that works on one row
    rows_per_block: Float64s


def softmax_passes(
    rows: Float64s, columns: Float64s, read_bytes: Float64s, written_bytes: Float64s
) -> RowPasses:
    """Describe softmax as PyTorch runs it: warps up to 1024 columns, a block a row beyond."""
    short = columns <= REREAD_FROM
    threads = np.where(short, 128.0, np.where(columns <= 2 * REREAD_FROM, 256.0, 512.0))
    return RowPasses(
        rows, columns, read_bytes, written_bytes, np.where(short, 1.0, 3.0), threads,
        np.where(short, 4.0, 1.0),
    )  # fmt: skip


def norm_passes(
    rows: Float64s, columns: Float64s, read_bytes: Float64s, written_bytes: Float64s
) -> RowPasses:
    """Describe a normalisation: one block of 128 threads a row, statistics first, then scale."""
    same = np.ones_like(rows)
    return RowPasses(rows, columns, read_bytes, written_bytes, 2 * same, 128 * same, same)


def row_times(figures: Figures, c: RowConstants, share: float, p: RowPasses) -> Times:
    """Give the time of row-wise operators; `share` is the streaming share of the bandwidth."""
    resident = np.minimum(RESIDENT_THREADS / p.threads, RESIDENT_BLOCKS) * p.rows_per_block
    row_bytes = p.read_bytes / np.maximum(p.rows, 1)
    in_flight = np.minimum(resident * figures.cores, p.rows) * row_bytes
    hit = 1 / (1 + (in_flight / (c.cache_share * figures.l2_bytes)) ** 4)
    reads = 1 + (p.passes - 1) * (1 - hit)
    memory = _moving_ns(figures, share, p.read_bytes * reads + p.written_bytes)
    waves = np.maximum(p.rows / (resident * figures.cores), 1)
    cycles = c.block_cycles + c.element_cycles * p.columns / p.threads
    compute = waves * cycles / figures.clock_ghz
    latency = figures.at_clock(c.latency_ns, REFERENCE_GHZ)
    total = (memory**NORM + compute**NORM) ** (1 / NORM) + latency
    return Times(total, compute, memory)


def stream_times(
    figures: Figures, c: RowConstants, share: float, moved_bytes: Float64s, flops: Float64s
) -> Times:
    """Give the time of operators that pass over their tensors once."""
    memory = _moving_ns(figures, share, moved_bytes)
    compute = flops / figures.flops_per_ns
    latency = figures.at_clock(c.latency_ns, REFERENCE_GHZ)
    return Times(np.maximum(memory, compute) + latency, compute, memory)


def _moving_ns(figures: Figures, share: float, moved_bytes: Float64s) -> Float64s:
    # What a producer just left in L2 is read no faster in traces (H100 and MI300X alike), so
    # everything counts as streamed.
    return moved_bytes / (figures.bytes_per_ns * share)
