"""Gather gradients into buckets, as PyTorch's DistributedDataParallel does.

ready   g7 g6 g5 | g4 g3 g2 g1 | g0        a bucket closes when it reaches its cap
"""

from collections.abc import Sequence
from dataclasses import dataclass

from .training import Gradient

# With its default cap DDP's first bucket is small, so that the first all-reduce is early; a cap
# that a user gives holds for the first bucket too (torch/nn/parallel/distributed.py).
FIRST_BUCKET_BYTES = 1 << 20
DEFAULT_CAPS = (25 << 20, 25_000_000)


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
    first = FIRST_BUCKET_BYTES if cap_bytes in DEFAULT_CAPS else cap_bytes
    buckets: list[Bucket] = []
    open_: list[Gradient] = []
    for gradient in gradients:
        open_.append(gradient)
        limit = cap_bytes if buckets else first
        if sum(g.bytes for g in open_) >= limit:
            buckets.append(Bucket(tuple(open_)))
            open_ = []
    if open_:
        buckets.append(Bucket(tuple(open_)))
    return buckets
