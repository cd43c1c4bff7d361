"""Gather gradients into buckets, as PyTorch's DistributedDataParallel does.

ready   g7 g6 g5 | g4 g3 g2 g1 | g0        a bucket closes when it reaches its cap
"""

from collections.abc import Sequence
from dataclasses import dataclass

from .training import Gradient

FIRST_BUCKET_BYTES = 1 << 20  # DDP's first bucket is small, so that the first all-reduce is early
MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Bucket:
    """Gradients that travel together; it is ready with the last of them."""

    gradients: tuple[Gradient, ...]

    @property
    def bytes(self) -> int:
        """Give the size of the message."""
        return sum(gradient.bytes for gradient in self.gradients)

    @property
    def ready_row(self) -> int:
        """Give the row after which it may be sent."""
        return max(gradient.row for gradient in self.gradients)


def bucketed(gradients: Sequence[Gradient], cap_bytes: float) -> list[Bucket]:
    """Give the buckets in order; the one that reaches its cap is closed with what made it full."""
    buckets: list[Bucket] = []
    open_: list[Gradient] = []
    for gradient in gradients:
        open_.append(gradient)
        limit = min(cap_bytes, FIRST_BUCKET_BYTES) if not buckets else cap_bytes
        if sum(g.bytes for g in open_) >= limit:
            buckets.append(Bucket(tuple(open_)))
            open_ = []
    if open_:
        buckets.append(Bucket(tuple(open_)))
    return buckets
