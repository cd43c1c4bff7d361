"""`etsim breakdown`: where a run's time went, by rank and below, and why the rest was idle."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import click

from ..models.errors import UsageError
from ..models.graph import ExecutionGraph
from ..models.timeline import Timeline, measured
from ..simulator.breakdown.activity import activity_of, ranks_of
from ..simulator.breakdown.ascend_style import ASCEND_COLUMNS, AscendRow, ascend_rows
from ..simulator.breakdown.groups import Group, Grouping
from ..simulator.breakdown.intervals import Intervals
from ..simulator.breakdown.parts import Parts
from ..simulator.breakdown.report import RankBreakdown, Wanted, break_down
from ..simulator.breakdown.selection import Selection
from ..simulator.collective_skew import SkewReport, collective_skew
from .breakdown_json import document, parts_json
from .inputs import load_recordings, need_times
from .output import (
    csv_option,
    json_option,
    ms,
    note,
    percent,
    print_csv,
    print_json,
    print_table,
    say,
)

_HEADER = ("ms", "computing", "exposed comm", "exposed copies", "idle", "comm overlapped")
_UNKNOWN = "-"
MOST_GROUPS = 30  # shown as text; --csv and --json have all


@dataclass(frozen=True, slots=True)
class _Result:
    ranks: tuple[RankBreakdown, ...]
    skew: SkewReport | None
    by: Grouping


@click.command(name="breakdown")
@click.option("--et", "et", multiple=True, required=True, metavar="PATH",
              help=".et files, traces, folders or patterns; one rank or many.")  # fmt: skip
@click.option("--by", type=click.Choice([g.value for g in Grouping]), default=Grouping.RANK.value,
              show_default=True, help="What to group by below the ranks.")  # fmt: skip
@click.option("--step", "steps", multiple=True, metavar="NAME",
              help="Only what these steps launched: name, number or pattern.")  # fmt: skip
@click.option("--depth", type=click.IntRange(min=0), default=0,
              help="Cut module paths to so many levels; 0 keeps them whole.")  # fmt: skip
@click.option("--include-unlinked/--no-include-unlinked", default=True, show_default=True,
              help="Count device work whose launch is not in the file.")  # fmt: skip
@click.option("--comm-kernels", metavar="REGEX",
              help="Kernels that communicate, besides those known by name.")  # fmt: skip
@click.option("--style", type=click.Choice(["etsim", "ascend"]), default="etsim",
              show_default=True, help="Whose columns to print.")  # fmt: skip
@json_option
@csv_option
def command(
    et: Sequence[str], by: str, steps: Sequence[str], depth: int, include_unlinked: bool,
    comm_kernels: str | None, style: str, as_json: bool, as_csv: bool,
) -> None:  # fmt: skip
    """Split the time of a run into computing, communication, copies and idle.

    The parts of every rank and group add up to its window to the nanosecond.
    """
    recordings = load_recordings(et)
    graphs = [recording.graph for recording in recordings]
    for graph in graphs:
        need_times(graph, "a breakdown")
    wanted = Wanted(
        by=Grouping(by),
        selection=Selection(tuple(steps), include_unlinked),
        depth=depth,
        communicates=_pattern(comm_kernels),
        overhead={
            recording.graph.meta.rank: Intervals(
                recording.overhead.start_ns, recording.overhead.end_ns
            )
            for recording in recordings
        },
    )
    timelines = [measured(graph) for graph in graphs]
    if style == "ascend":
        _show_ascend(timelines, wanted, as_json=as_json, as_csv=as_csv)
        return
    skew = collective_skew(timelines) if len(timelines) > 1 else None
    result = _Result(break_down(timelines, wanted), skew, wanted.by)
    if as_json:
        print_json(document(result.ranks, result.skew, result.by, _notes(graphs)))
    elif as_csv:
        _show_csv(result)
    else:
        _show(result)
        _tell(result, graphs, include_unlinked=include_unlinked)


def _pattern(regex: str | None) -> re.Pattern[str] | None:
    if regex is None:
        return None
    try:
        return re.compile(regex, re.IGNORECASE)
    except re.error as error:
        raise UsageError(f"--comm-kernels: not a regular expression: {error}") from None


def _notes(graphs: Sequence[ExecutionGraph]) -> list[str]:
    several = len(graphs) > 1
    return [
        f"rank {graph.meta.rank}: {told}" if several else told
        for graph in graphs
        for told in graph.meta.notes
    ]


def _show(result: _Result) -> None:
    say(_headline(result))
    rows = [(f"rank {r.rank}", *_cells(r.parts)) for r in result.ranks]
    print_table(("", *_HEADER), rows, title="Where the time went (shares of each window)")
    if result.by is not Grouping.RANK:
        _show_groups(result)
    _show_idle(result)
    _show_launches(result)
    if result.skew is not None and result.skew.collectives:
        _show_skew(result.skew)


def _headline(result: _Result) -> str:
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


def _show_groups(result: _Result) -> None:
    for rank in result.ranks:
        shown = rank.groups[:MOST_GROUPS]
        title = f"By {result.by}" + (f", rank {rank.rank}" if len(result.ranks) > 1 else "")
        print_table((str(result.by), *_HEADER), [_group_row(g) for g in shown], title=title)
        if len(rank.groups) > len(shown):
            say(f"... and {len(rank.groups) - len(shown)} more; --csv has all")


def _group_row(group: Group) -> tuple[str, ...]:
    return (group.name, *_cells(group.parts))


def _show_idle(result: _Result) -> None:
    causes = sorted({cause for rank in result.ranks for cause in rank.idle_by_cause})
    if not causes or all(rank.cpu_only for rank in result.ranks):
        return
    totals = {c: sum(r.idle_by_cause.get(c, 0) for r in result.ranks) for c in causes}
    ordered = sorted(causes, key=lambda c: -totals[c])
    header = ("idle because of", *(f"rank {r.rank} ms" for r in result.ranks))
    rows = [(c, *(ms(r.idle_by_cause.get(c, 0)) for r in result.ranks)) for c in ordered]
    print_table(header, rows, title="Why the device was idle")


def _show_launches(result: _Result) -> None:
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


def _tell(result: _Result, graphs: Sequence[ExecutionGraph], *, include_unlinked: bool) -> None:
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
    for told in _notes(graphs):
        note(told)


def _show_csv(result: _Result) -> None:
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


def _show_ascend(
    timelines: Sequence[Timeline], wanted: Wanted, *, as_json: bool, as_csv: bool
) -> None:
    found = [
        (rank, row)
        for timeline in timelines
        for rank in ranks_of(timeline.graph)
        for row in ascend_rows(activity_of(timeline, rank, wanted.communicates), wanted.selection)
    ]
    header = ("Rank", *ASCEND_COLUMNS)
    if as_json:
        print_json(
            {"style": "ascend", "unit": "us", "rows": [_ascend_json(r, a) for r, a in found]}
        )
    elif as_csv:
        print_csv(header, [(rank, *row.cells_us()) for rank, row in found])
    else:
        say(f"{len(found)} steps in Ascend's columns, microseconds; Free holds idle and copies.")
        rows = [
            (rank, *(c if isinstance(c, str) else f"{c:,.3f}" for c in row.cells_us()))
            for rank, row in found
        ]
        print_table(header, rows, title="As step_trace_time.csv")


def _ascend_json(rank: int, row: AscendRow) -> dict[str, str | float | int]:
    return {"Rank": rank, **dict(zip(ASCEND_COLUMNS, row.cells_us(), strict=True))}
