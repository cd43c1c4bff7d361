"""`etsim breakdown` as text and CSV: first the sentence, then tables, then what they rest on."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..simulator.breakdown.groups import Group, Grouping
from ..simulator.breakdown.parts import Parts
from ..simulator.breakdown.report import RankBreakdown
from ..simulator.breakdown.step_stats import Spread
from ..simulator.collective_skew import SkewReport
from ..simulator.idle import IdleCause
from .breakdown_json import parts_json
from .output import ms, note, percent, print_csv, print_table, say

_HEADER = ("ms", "computing", "exposed comm", "exposed copies", "idle", "comm overlapped")
_UNKNOWN = "-"
MOST_RANKS_ABREAST = 8
MOST_GROUPS = 30  # shown as text; --csv and --json have all


@dataclass(frozen=True, slots=True)
class Result:
    """What there is to show."""

    ranks: tuple[RankBreakdown, ...]
    skew: SkewReport | None
    by: Grouping


def show(result: Result) -> None:
    """Print the answer."""
    say(_headline(result))
    rows = [(f"rank {r.rank}", *_cells(r.parts)) for r in result.ranks]
    print_table(("", *_HEADER), rows, title="Where the time went (shares of each window)")
    if result.by is not Grouping.RANK:
        _show_groups(result)
    _show_steps(result)
    _show_idle(result)
    _show_launches(result)
    if result.skew is not None and result.skew.collectives:
        _show_skew(result.skew)


def _headline(result: Result) -> str:
    worst = max(result.ranks, key=lambda r: r.parts.window_ns)
    who = f"Rank {worst.rank} takes longest:" if len(result.ranks) > 1 else "The run takes"
    parts = worst.parts
    shares = (
        f"{_share(parts.computing_ns, parts)} computing, "
        f"{_share(parts.exposed_communication_ns, parts)} exposed communication, "
        f"{_share(parts.exposed_memcpy_ns, parts)} copies, {_share(parts.idle_ns, parts)} idle"
    )
    if worst.idle_by_cause and not worst.cpu_only:
        cause, lost = max(worst.idle_by_cause.items(), key=lambda item: item[1])
        shares += f" ({percent(lost / parts.idle_ns)} of it {cause})"
    bound = "; launch-bound" if worst.is_launch_bound else ""
    return f"{who} {ms(parts.window_ns)} ms: {shares}{bound}."


def _share(part_ns: int, parts: Parts) -> str:
    return percent(part_ns / parts.window_ns) if parts.window_ns else _UNKNOWN


def _cells(parts: Parts) -> tuple[str, ...]:
    overlap = parts.overlap_share
    return (
        ms(parts.window_ns),
        _share(parts.computing_ns, parts),
        _share(parts.exposed_communication_ns, parts),
        _share(parts.exposed_memcpy_ns, parts),
        _share(parts.idle_ns, parts),
        percent(overlap) if overlap is not None else _UNKNOWN,
    )


def _show_groups(result: Result) -> None:
    for rank in result.ranks:
        shown = rank.groups[:MOST_GROUPS]
        title = f"By {result.by}" + (f", rank {rank.rank}" if len(result.ranks) > 1 else "")
        print_table((str(result.by), *_HEADER), [_group_row(g) for g in shown], title=title)
        if len(rank.groups) > len(shown):
            say(f"... and {len(rank.groups) - len(shown)} more; --csv has all")


def _group_row(group: Group) -> tuple[str, ...]:
    return (group.name, *_cells(group.parts))


def _show_steps(result: Result) -> None:
    rows = []
    for rank in result.ranks:
        if rank.steps is None:
            continue
        for where, found in (("host", rank.steps.host), ("device", rank.steps.device)):
            if found is not None and not (where == "device" and rank.cpu_only):
                rows.append((f"rank {rank.rank}, {where}", *_spread_cells(found)))
    header = ("step times, ms", "n", "mean", "p50", "p90", "p99", "min", "max", "CV")
    if rows:
        print_table(
            header, rows, title="How long the steps take: marks on the host, device windows"
        )


def _spread_cells(found: Spread) -> tuple[str, ...]:
    times = (found.mean_ns, found.p50_ns, found.p90_ns, found.p99_ns, found.min_ns, found.max_ns)
    return (f"{found.count:,}", *(ms(time) for time in times), percent(found.variation))


def _show_idle(result: Result) -> None:
    causes = sorted({cause for rank in result.ranks for cause in rank.idle_by_cause})
    if not causes or all(rank.cpu_only for rank in result.ranks):
        return
    lost = {c: [r.idle_by_cause.get(c, 0) for r in result.ranks] for c in causes}
    ordered = sorted(causes, key=lambda c: -sum(lost[c]))
    if len(result.ranks) <= MOST_RANKS_ABREAST:
        header = ("idle because of", *(f"rank {r.rank} ms" for r in result.ranks))
        rows = [(c, *map(ms, lost[c])) for c in ordered]
    else:
        header = ("idle because of", "mean ms", "most ms", "on rank")
        rows = [_worst_rank(result, cause, lost[cause]) for cause in ordered]
    print_table(header, rows, title="Why the device was idle")


def _worst_rank(result: Result, cause: IdleCause, lost_ns: list[int]) -> tuple[str, ...]:
    place = max(range(len(lost_ns)), key=lambda i: lost_ns[i])
    mean, worst = ms(sum(lost_ns) / len(lost_ns)), ms(lost_ns[place])
    return cause, mean, worst, str(result.ranks[place].rank)


def _show_launches(result: Result) -> None:
    rows = []
    for rank in result.ranks:
        if rank.launches is None:
            continue
        found = rank.launches
        longest = max((queue.longest for queue in rank.queues), default=0)
        full = sum(queue.full_ns for queue in rank.queues)
        rows.append((
            f"rank {rank.rank}", f"{found.launches:,}", percent(found.index),
            percent(found.host_share), f"{found.median_kernel_ns / 1000:.1f}",
            f"{found.median_launch_ns / 1000:.1f}", f"{longest:,}", ms(full),
        ))  # fmt: skip
    header = ("", "launches", "launch-bound index", "host share", "median kernel us",
              "median launch us", "longest queue", "queue full ms")  # fmt: skip
    if rows:
        print_table(header, rows, title="Launches")


def _show_skew(skew: SkewReport) -> None:
    rows = [
        (
            kind.kind, f"{kind.count:,}", f"{kind.message_bytes / 1e6:,.3f}", ms(kind.transfer_ns),
            ms(kind.mean_wait_ns), ms(kind.largest_skew_ns),
            _UNKNOWN if kind.median_bus_gbps is None else f"{kind.median_bus_gbps:.3g}",
        )
        for kind in skew.kinds
    ]  # fmt: skip
    header = ("collective", "count", "MB", "transfer ms", "mean wait ms", "largest skew ms",
              "median bus GB/s")  # fmt: skip
    print_table(header, rows, title=f"Collectives across ranks (clocks: {skew.clock})")
    straggler = skew.straggler
    if straggler is not None:
        count = skew.stragglers[straggler]
        standing_out = skew.slow_ranks.get(straggler, 0)
        say(
            f"Rank {straggler} came last in {count} of {len(skew.collectives)} collectives"
            f" (in {standing_out} by far); ranks waited "
            + ", ".join(f"{rank}: {ms(wait)}" for rank, wait in skew.wait_ns.items())
            + " ms in all."
        )


def tell(result: Result, notes: Sequence[str], *, include_unlinked: bool) -> None:
    """Print on stderr what the answer rests on."""
    for rank in result.ranks:
        if rank.cpu_only:
            note(f"rank {rank.rank}: no device work; computing is operators, lanes are threads")
        if rank.unlinked:
            counted = "counted" if include_unlinked else "left out"
            note(f"rank {rank.rank}: {rank.unlinked:,} operations without launch, {counted}")
        clamped = sum(queue.clamped for queue in rank.queues)
        if clamped:
            note(f"rank {rank.rank}: {clamped:,} kernels start before their launch (clock skew)")
    if result.skew is not None and result.skew.alone:
        note(f"{result.skew.alone:,} collectives have no partner among the ranks given")
    for told in notes:
        note(told)


def show_csv(result: Result) -> None:
    """Print one line a rank or group."""
    entries: list[tuple[str, Parts]] = []
    rank_column: list[int] = []
    for rank in result.ranks:
        if result.by is Grouping.RANK:
            listed = [(str(rank.rank), rank.parts)]
        else:
            listed = [(group.name, group.parts) for group in rank.groups]
        entries.extend(listed)
        rank_column.extend([rank.rank] * len(listed))
    keys = list(parts_json(result.ranks[0].parts)) if result.ranks else []
    rows = [
        (rank, name, *parts_json(parts).values())
        for rank, (name, parts) in zip(rank_column, entries, strict=True)
    ]
    print_csv(("rank", str(result.by), *keys), rows)
