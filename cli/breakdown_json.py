"""The published JSON of `etsim breakdown`: ranks, their parts, groups, causes and collectives."""

from collections.abc import Sequence

import msgspec

from ..simulator.breakdown.groups import Grouping
from ..simulator.breakdown.parts import Parts
from ..simulator.breakdown.report import RankBreakdown
from ..simulator.collective_skew import SkewReport

Json = dict[str, object]


def document(
    ranks: Sequence[RankBreakdown],
    skew: SkewReport | None,
    by: Grouping,
    notes: Sequence[str],
) -> Json:
    """Give the whole answer; a single rank's parts stand at the top level, too."""
    top: Json = dict(parts_json(ranks[0].parts)) if len(ranks) == 1 else {}
    groups = [
        {"rank": rank.rank, str(by): group.name, **parts_json(group.parts),
         "operations": group.operations}
        for rank in ranks for group in rank.groups
    ]  # fmt: skip
    return {
        **top,
        "by": str(by),
        "ranks": [_rank_json(rank) for rank in ranks],
        "groups": groups,
        "collectives": _skew_json(skew) if skew is not None else None,
        "notes": list(notes),
    }


def parts_json(parts: Parts) -> dict[str, int]:
    """Give the parts with their published keys."""
    return {
        "window_ns": parts.window_ns,
        "computing_ns": parts.computing_ns,
        "communication_ns": parts.communication_ns,
        "exposed_communication_ns": parts.exposed_communication_ns,
        "overlapped_communication_ns": parts.overlapped_communication_ns,
        "memcpy_ns": parts.memcpy_ns,
        "exposed_memcpy_ns": parts.exposed_memcpy_ns,
        "idle_ns": parts.idle_ns,
    }


def _rank_json(rank: RankBreakdown) -> Json:
    return {
        "rank": rank.rank,
        **parts_json(rank.parts),
        "overlap_share": rank.parts.overlap_share,
        "window_start_ns": rank.window.first_ns,
        "cpu_only": rank.cpu_only,
        "operations": rank.operations,
        "unlinked_operations": rank.unlinked,
        "idle_by_cause_ns": {str(cause): lost for cause, lost in rank.idle_by_cause.items()},
        "is_launch_bound": rank.is_launch_bound,
        "launches": msgspec.to_builtins(rank.launches),
        "queues": msgspec.to_builtins(rank.queues),
        "steps": msgspec.to_builtins(rank.steps),
    }


def _skew_json(skew: SkewReport) -> Json:
    return {
        "clock": skew.clock,
        "straggler": skew.straggler,
        "stragglers": {str(rank): count for rank, count in skew.stragglers.items()},
        "slow_ranks": {str(rank): count for rank, count in skew.slow_ranks.items()},
        "wait_ns": {str(rank): wait for rank, wait in skew.wait_ns.items()},
        "alone": skew.alone,
        "kinds": msgspec.to_builtins(skew.kinds),
        "instances": msgspec.to_builtins(skew.collectives),
    }
