"""NCCL inside one machine: other sizes, and eight devices from two and four."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from etsim.models.costs.collective_law import CollectiveLaw, fit_law
from etsim.models.costs.collectives import sent_share

from .tables import Float64s, ape, columns, table

SWITCHED = ("a100_sxm", "h100_sxm", "h200_sxm")
SHARED_ROOTS = ("l40s",)
KINDS = {"all_reduce": "all_reduce", "all_gather": "all_gather",
         "reduce_scatter": "reduce_scatter", "alltoall": "all_to_all"}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Messages:
    """One kind of collective on one machine."""

    gpu: str
    kind: str
    sent: Float64s
    ranks: Float64s
    size: Float64s
    measured_ns: Float64s


def messages(gpus: tuple[str, ...]) -> Iterator[Messages]:
    """Give every kind on every machine."""
    for gpu in gpus:
        for name, kind in KINDS.items():
            rows = [
                row
                for row in table("nccl_intranode")
                if row["gpu"] == gpu and row["collective"] == name
            ]
            ranks, size, us = columns(rows, "num_gpus", "bytes", "us")
            share = np.array([sent_share(kind, int(count)) for count in ranks])
            yield Messages(gpu, kind, share * size, ranks, size, us * 1e3)


def _law(m: Messages, known: NDArray[np.bool_]) -> CollectiveLaw:
    return fit_law(m.sent[known], m.ranks[known], m.measured_ns[known])


def other_sizes(gpus: tuple[str, ...]) -> float:
    """Give the mean error, per cent, of every second size from the others.

    The law carries the shape; what it leaves is interpolated between measured sizes.
    """
    errors = []
    for m in messages(gpus):
        known = np.searchsorted(np.unique(m.size), m.size) % 2 == 0
        modelled = _law(m, known).plain_ns(m.sent, m.ranks)
        for count in np.unique(m.ranks):
            here = m.ranks == count
            sizes = np.log(m.size[here & known])
            left = np.log(m.measured_ns[here & known] / modelled[here & known])
            order = np.argsort(sizes)
            modelled[here] *= np.exp(np.interp(np.log(m.size[here]), sizes[order], left[order]))
        errors.append(np.mean(ape(modelled[~known], m.measured_ns[~known])))
    return float(np.mean(errors))


def eight_from_fewer(gpus: tuple[str, ...]) -> float:
    """Give the mean error, per cent, of eight devices from a law fitted to two and four.

    Half of what the law leaves at four is added at the same chunk.
    """
    errors = []
    for m in messages(gpus):
        known = m.ranks < 8
        modelled = _law(m, known).time_ns(m.sent, m.ranks)
        errors.append(np.mean(ape(modelled[~known], m.measured_ns[~known])))
    return float(np.mean(errors))
