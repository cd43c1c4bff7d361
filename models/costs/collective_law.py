"""The law of one kind of collective, its fit to measurements and what the fit leaves.

    t = α₀ + α₁ (n - 1) + γ √S + S / B(n) · (1 + κ / (n - 1))          S what a rank sends

A ring of n ranks makes n - 1 steps of a chunk S / (n - 1) over the links and one in its own memory:
κ of a step. So the bandwidth that a bus benchmark reports rises with the group and levels off.
The root stands for the protocols between latency- and bandwidth-bound. B(n) = B₀ (1 + c log₂ n)
with c < 0 where devices share PCIe roots.
"""

from dataclasses import dataclass
from itertools import combinations
from math import log2

import numpy as np
from numpy.typing import NDArray

Float64s = NDArray[np.float64]

FALLS = (-0.3, -0.2, -0.1, 0.0)  # of the bandwidth with each doubling of the group
ENOUGH_SIZES = 5  # of one group, to keep what the law leaves
# Protocols change by chunk, so half of what the law leaves for one group is found in another
# (chosen on each of A100 and Hopper for the other, docs/cost-models.md).
OTHER_GROUP_SHARE = 0.5
OUTLYING = 0.1  # relative errors beyond this count by their size, not by its square
REWEIGHTINGS = 8


@dataclass(frozen=True, slots=True)
class LeftOver:
    """What a law leaves: ln(measured / law) of a group of so many ranks, by bytes of a chunk."""

    ranks: float
    chunk_bytes: tuple[float, ...]
    logs: tuple[float, ...]

    def factor(self, sent: Float64s, ranks: Float64s) -> Float64s:
        """Give the factor on a law's time."""
        chunk = np.log(np.maximum(sent / np.maximum(ranks - 1, 1), 1.0))
        left = np.interp(chunk, np.log(self.chunk_bytes), self.logs)
        share = np.where(ranks == self.ranks, 1.0, OTHER_GROUP_SHARE)
        factor: Float64s = np.exp(share * left)
        return factor


@dataclass(frozen=True, slots=True)
class CollectiveLaw:
    """One kind of collective on one machine.

    Attributes:
        start_ns: α₀.
        step_ns: α₁, for each further rank.
        root: γ, ns for the root of a byte.
        bytes_per_ns: B₀.
        growth: c.
        local: κ, the step in a rank's own memory.
        left: what a fit left, of the largest group measured.
    """

    start_ns: float
    step_ns: float
    root: float
    bytes_per_ns: float
    growth: float = 0.0
    local: float = 0.0
    left: LeftOver | None = None

    def time_ns(self, sent: Float64s, ranks: Float64s) -> Float64s:
        """Give the time to send so many bytes a rank."""
        time = self.plain_ns(sent, ranks)
        return time if self.left is None else time * self.left.factor(sent, ranks)

    def plain_ns(self, sent: Float64s, ranks: Float64s) -> Float64s:
        """Give the law's own time."""
        bandwidth = self.bytes_per_ns * (1 + self.growth * np.log2(ranks))
        steps = 1 + self.local / np.maximum(ranks - 1, 1)
        time: Float64s = (
            self.start_ns + self.step_ns * (ranks - 1) + self.root * np.sqrt(sent)
            + sent / bandwidth * steps
        )  # fmt: skip
        return time


def fit_law(sent: Float64s, ranks: Float64s, measured_ns: Float64s) -> CollectiveLaw:
    """Fit a law by relative errors, no term negative, and keep what it leaves.

    Arrays of shape (messages,). At least four messages of two sizes are needed to tell the terms.
    """
    law = min(
        (
            _fit(sent, ranks, measured_ns, fall)
            for fall in FALLS
            if 1 + fall * log2(float(np.max(ranks))) > 0
        ),
        key=lambda found: float(np.sum(_loss(found.plain_ns(sent, ranks) / measured_ns - 1))),
    )
    largest = ranks == np.max(ranks)
    chunk = sent[largest] / np.maximum(ranks[largest] - 1, 1)
    if len(np.unique(chunk)) < ENOUGH_SIZES:
        return law
    logs = np.log(measured_ns / law.plain_ns(sent, ranks))[largest]
    sizes, place = np.unique(chunk, return_inverse=True)
    means = np.bincount(place.reshape(-1), weights=logs) / np.bincount(place.reshape(-1))
    left = LeftOver(float(np.max(ranks)), tuple(sizes.tolist()), tuple(means.tolist()))
    return CollectiveLaw(
        law.start_ns, law.step_ns, law.root, law.bytes_per_ns, law.growth, law.local, left
    )


def _loss(errors: Float64s) -> Float64s:
    """Give Huber's loss: squares of small errors, sizes of large ones."""
    size = np.abs(errors)
    loss: Float64s = np.where(size < OUTLYING, size**2 / 2, OUTLYING * (size - OUTLYING / 2))
    return loss


def _fit(sent: Float64s, ranks: Float64s, measured_ns: Float64s, fall: float) -> CollectiveLaw:
    """Fit the terms at one fall of the bandwidth, outlying messages weighted down."""
    over_links = sent / (1 + fall * np.log2(ranks))
    # two group sizes cannot tell a fall from a step of one's own: shared roots have the fall
    own = over_links / np.maximum(ranks - 1, 1) * (fall == 0)
    terms = np.stack([np.ones_like(sent), ranks - 1, np.sqrt(sent), over_links, own], axis=1)
    terms /= measured_ns[:, None]
    trust = np.ones_like(sent)
    weights = [0.0] * terms.shape[1]
    for _ in range(REWEIGHTINGS):
        weights = _least_squares(terms * trust[:, None], trust)
        errors = np.abs(terms @ np.array(weights) - 1)
        trust = np.sqrt(OUTLYING / np.maximum(errors, OUTLYING))
    slope = max(weights[3], 1e-12)
    return CollectiveLaw(weights[0], weights[1], weights[2], 1 / slope, fall, weights[4] / slope)


def _least_squares(terms: Float64s, wanted: Float64s) -> list[float]:
    """Give non-negative weights w of least ‖terms w - wanted‖², by trying every set of terms."""
    count = terms.shape[1]
    best: tuple[list[float], float] = ([0.0] * count, float(wanted @ wanted))
    for size in range(1, count + 1):
        for chosen in combinations(range(count), size):
            found = np.linalg.lstsq(terms[:, chosen], wanted, rcond=None)[0]
            misfit = terms[:, chosen] @ found - wanted
            error = float(misfit @ misfit)
            if np.all(found >= 0) and error < best[1]:
                weights = [0.0] * count
                for place, value in zip(chosen, found.tolist(), strict=True):
                    weights[place] = value
                best = (weights, error)
    return best[0]
