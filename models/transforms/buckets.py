"""Gather gradients into buckets, as PyTorch's DistributedDataParallel does.

ready   g7 g6 g5 | g4 g3 g2 g1 | g0        a bucket closes when it reaches its cap
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .gradients import Gradient, Gradients

# With its default cap DDP's first bucket is small, so that the first all-reduce is early; a cap
# that a user gives holds for the first bucket too (torch/nn/parallel/distributed.py).
FIRST_BUCKET_BYTES = 1 << 20
DEFAULT_CAPS = (25 << 20, 25_000_000)


@dataclass(frozen=True, slots=True, eq=False)
class Bucket:
    """Gradients that travel together; it is ready with the last of them."""

    gradients: Gradients

    @property
    def bytes(self) -> int:
        """Give the size of the message."""
        return int(self.gradients.bytes.sum())

    @property
    def ready_row(self) -> int:
        """Give the row after which it may be sent."""
        return int(self.gradients.rows.max())


def bucketed(gradients: Sequence[Gradient], cap_bytes: float) -> list[Bucket]:
    """Give the buckets in order; the one that reaches its cap is closed with what made it full."""
    columns = Gradients.of(gradients)
    filled = np.cumsum(columns.bytes)
    buckets: list[Bucket] = []
    limit = FIRST_BUCKET_BYTES if cap_bytes in DEFAULT_CAPS else cap_bytes
    first, sent = 0, 0
    while first < len(columns):
        after = min(int(np.searchsorted(filled, sent + limit)) + 1, len(columns))
        after = max(after, first + 1)
        buckets.append(Bucket(columns[first:after]))
        first, sent, limit = after, int(filled[after - 1]), cap_bytes
    return buckets
