"""Explain a replay: its critical path, the slack beside it, and what would make it shorter."""

from dataclasses import dataclass

import numpy as np

from ..models.costs.price import price
from ..models.graph import Bytes, Category
from ..models.hardware import DeviceKind, Hardware
from ..models.specs import load
from ..models.timeline import Timeline
from .critical_path import Contributor, Stretch, by_kind, contributors, critical_path
from .path_kinds import PathKind, PathKinds
from .predict import Prediction, region
from .sensitivity import SHARE, Sensitivity, sensitivities
from .slack import Slack, slack_by_name, slack_ns

# Where the recording's device is unknown, kernels are called bound as they would be on this one.
STAND_IN_DEVICE = "a100-sxm-80gb"


@dataclass(frozen=True, slots=True)
class RankPath:
    """One rank's own path: time by kind, waiting for other ranks among it."""

    rank: int
    total_ns: int
    by_kind: dict[PathKind, int]


@dataclass(frozen=True, slots=True)
class Explanation:
    """What `etsim explain` tells; lists are sorted, the largest first."""

    total_ns: int
    by_kind: dict[PathKind, int]
    by_rank_ns: dict[int, int]
    contributors: tuple[Contributor, ...]
    ranks: tuple[RankPath, ...]
    slack: tuple[Slack, ...]
    sensitivity: tuple[Sensitivity, ...]
    notes: tuple[str, ...]


def explain(prediction: Prediction, share: float = SHARE) -> Explanation:
    """Explain a prediction (of the source itself: the run as recorded).

    Args:
        prediction: with its timeline and prices.
        share: how much better each resource is made for the sensitivities.
    """
    timeline, lag_ns = prediction.timeline, prediction.priced.lag_ns
    bound, notes = bounds_of(prediction)
    kinds = PathKinds(timeline.graph, bound)
    begin, end = region(timeline)
    path = critical_path(timeline, lag_ns, kinds, _row_ending(timeline, end), begin_ns=begin)
    slack = slack_ns(timeline, lag_ns, end)
    return Explanation(
        total_ns=end - begin,
        by_kind=by_kind(path),
        by_rank_ns=_by_rank(timeline, path),
        contributors=tuple(contributors(timeline.graph, path)),
        ranks=tuple(_rank_paths(prediction, kinds)),
        slack=tuple(slack_by_name(timeline, slack, begin)),
        sensitivity=tuple(sensitivities(timeline, lag_ns, bound, prediction.target, share)),
        notes=notes,
    )


def bounds_of(prediction: Prediction) -> tuple[Bytes, tuple[str, ...]]:
    """Give what binds each row, and how that is known where nothing was priced.

    On the source itself nothing is priced; the model then names the bounds alone.
    """
    source, target = prediction.source, prediction.target
    if source is None or source.name != target.name:
        return prediction.priced.bound, ()
    graph = prediction.graph
    has_kernels = bool(np.any(graph.nodes.category == Category.KERNEL))
    if not has_kernels:
        return prediction.priced.bound, ()
    known = target.device.kind is not DeviceKind.CPU
    device: Hardware = target if known else load(STAND_IN_DEVICE)
    note = (
        f"the recording's device is not in the catalogue: kernels count as bound by what would "
        f"bind them on {device.name}"
    )
    return price(graph, None, device).bound, () if known else (note,)


def _row_ending(timeline: Timeline, end_ns: int) -> int:
    """Give the row whose end is the end; of several the last."""
    return int(np.flatnonzero(timeline.end_ns == end_ns)[-1])


def _by_rank(timeline: Timeline, path: list[Stretch]) -> dict[int, int]:
    """Give the time of the path on each rank; a rendezvous belongs to none."""
    total: dict[int, int] = {}
    for stretch in path:
        rank = int(timeline.graph.nodes.rank[stretch.row])
        total[rank] = total.get(rank, 0) + stretch.duration_ns
    return dict(sorted((rank, ns) for rank, ns in total.items() if rank >= 0))


def _rank_paths(prediction: Prediction, kinds: PathKinds) -> list[RankPath]:
    timeline = prediction.timeline
    rank_of_row = timeline.graph.nodes.rank
    paths = []
    for rank in np.unique(rank_of_row[rank_of_row >= 0]).tolist():
        begin, end = region(timeline, rank)
        mine = np.flatnonzero((timeline.end_ns == end) & (rank_of_row == rank))
        path = critical_path(
            timeline, prediction.priced.lag_ns, kinds, int(mine[-1]), begin_ns=begin, rank=rank
        )
        paths.append(RankPath(rank, end - begin, by_kind(path)))
    return paths
