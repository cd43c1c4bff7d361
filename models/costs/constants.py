"""The constants of the analytic model by class, with their logarithms as fits move them.

Every constant is dimensionless or counted in the device's own cycles where it can be, so that
one set holds for devices of other clocks, widths and sizes.
"""

from dataclasses import dataclass, fields
from math import exp, log
from typing import TypeVar


@dataclass(frozen=True, slots=True)
class MatmulConstants:
    """Of matrix products.

    Attributes:
        compute: share of the peak in the inner loop of a large tile.
        memory: share of the bandwidth that streaming reaches.
        latency_ns: of the shortest kernel at 1.41 GHz.
        loop_cycles: least cycles for one step of k.
        overlap: part of the shorter of compute and memory that is not hidden.
        operands: operand bytes a cycle and core, as a share of the widest (128 B at 4096 FLOPs).
        power: sustained TFLOP/s a watt at 7 nm and 1024 FLOPs a cycle and core.
        tile_loss: loss of a small tile, ∝ mean of 1/height and 1/width.
        fill_steps: steps of k that filling and draining a tile cost.
        split_ns: a second kernel or pass that sums split parts, at 1.41 GHz.
        cache: bandwidth of L2 as a share of 64 bytes a cycle and core.
    """

    compute: float = 1.02
    memory: float = 0.855
    latency_ns: float = 2800.0
    loop_cycles: float = 2.85
    overlap: float = 0.19
    operands: float = 0.45
    power: float = 0.58
    tile_loss: float = 0.0092
    fill_steps: float = 120.0
    split_ns: float = 2500.0
    cache: float = 0.35


@dataclass(frozen=True, slots=True)
class AttentionConstants:
    """Of fused attention over whole prompts.

    Attributes:
        memory, cache, power: as of matrix products.
        compute: share of the peak of the two products.
        softmax_operations: plain operations a score, on the vector lanes.
        tile_cycles: what each tile of queries costs besides.
        traffic: bytes moved over the least possible.
        latency_ns: of the shortest call at 1.5 GHz.
    """

    memory: float = 0.86
    compute: float = 0.77
    softmax_operations: float = 10.5
    latency_ns: float = 12000.0
    traffic: float = 1.85
    cache: float = 0.18
    power: float = 0.55
    tile_cycles: float = 4500.0


@dataclass(frozen=True, slots=True)
class DecodeConstants:
    """Of attention with few queries over a long cache.

    Attributes:
        key_cycles: cycles a core needs for one key of 128 elements.
        split_fill: how many parts of a sequence are made for one free core.
        head_cycles, query_cycles: of one block, and of each further query head in it.
        join_ns: the pass that joins the parts of a sequence, at 1.5 GHz.
        sharpness: of the bend between latency- and bandwidth-bound (the norm's order).
    """

    memory: float = 0.86
    latency_ns: float = 8500.0
    cache: float = 0.33
    key_cycles: float = 29.0
    split_fill: float = 0.9
    head_cycles: float = 2000.0
    query_cycles: float = 420.0
    join_ns: float = 1300.0
    sharpness: float = 4.0


@dataclass(frozen=True, slots=True)
class RowConstants:
    """Of row-wise and elementwise operators.

    Attributes:
        latency_ns: of the shortest kernel at 1.41 GHz.
        cache_share: share of L2 that rows in flight can use before they are read again.
        block_cycles: of one block of threads, whatever its row.
        element_cycles: of one element a thread.
    """

    latency_ns: float = 2500.0
    cache_share: float = 0.65
    block_cycles: float = 6500.0
    element_cycles: float = 220.0


Constants = MatmulConstants | AttentionConstants | DecodeConstants | RowConstants
C = TypeVar("C", bound=Constants)


def to_logs(constants: Constants) -> list[float]:
    """Give the constants' logarithms in the order of their fields: what a fit moves."""
    return [log(getattr(constants, field.name)) for field in fields(constants)]


def from_logs(like: C, logs: list[float]) -> C:
    """Give constants of the same kind from logarithms."""
    return type(like)(*(exp(value) for value in logs))
