"""`etsim breakdown`: where a run's time went, by rank and below, and why the rest was idle."""

import re
from collections.abc import Sequence

import click

from ..converters.recording import Recording
from ..models.errors import UsageError
from ..models.timeline import Timeline, measured
from ..simulator.breakdown.activity import activity_of, ranks_of
from ..simulator.breakdown.ascend_style import ASCEND_COLUMNS, AscendRow, ascend_rows
from ..simulator.breakdown.groups import Grouping
from ..simulator.breakdown.intervals import Intervals
from ..simulator.breakdown.owners import ModulePaths
from ..simulator.breakdown.report import Wanted, break_down
from ..simulator.breakdown.selection import Selection
from ..simulator.collective_skew import collective_skew
from .breakdown_json import document
from .breakdown_text import Result, show, show_csv, tell
from .inputs import load_recordings, need_times, notes_of
from .output import csv_option, json_option, print_csv, print_json, print_table, say


@click.command(name="breakdown")
@click.option("--et", "et", multiple=True, required=True, metavar="PATH",
              help=".et files, traces, folders or patterns; one rank or many.")  # fmt: skip
@click.option("--by", type=click.Choice([g.value for g in Grouping]), default=Grouping.RANK.value,
              show_default=True, help="What to group by below the ranks.")  # fmt: skip
@click.option("--step", "steps", multiple=True, metavar="NAME",
              help="Only what these steps launched: name, number or pattern.")  # fmt: skip
@click.option("--depth", type=click.IntRange(min=0), default=0,
              help="Cut module paths to so many levels; 0 keeps them whole.")  # fmt: skip
@click.option("--classes", is_flag=True,
              help="Tell modules by class: all Linear_3 become Linear.")  # fmt: skip
@click.option("--drop-first", is_flag=True,
              help="Leave the first step out of the steps' statistics.")  # fmt: skip
@click.option("--include-unlinked/--no-include-unlinked", default=True, show_default=True,
              help="Count device work whose launch is not in the file.")  # fmt: skip
@click.option("--comm-kernels", metavar="REGEX",
              help="Kernels that communicate, besides those known by name.")  # fmt: skip
@click.option("--style", type=click.Choice(["etsim", "ascend"]), default="etsim",
              show_default=True, help="Whose columns to print.")  # fmt: skip
@json_option
@csv_option
def command(
    et: Sequence[str], by: str, steps: Sequence[str], depth: int, classes: bool,
    drop_first: bool, include_unlinked: bool, comm_kernels: str | None, style: str,
    as_json: bool, as_csv: bool,
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
        paths=ModulePaths(depth, classes),
        drop_first=drop_first,
        communicates=_pattern(comm_kernels),
        overhead=_overhead(recordings),
    )
    timelines = [measured(graph) for graph in graphs]
    if style == "ascend":
        _show_ascend(timelines, wanted, as_json=as_json, as_csv=as_csv)
        return
    ranks = break_down(timelines, wanted)
    skew = collective_skew(timelines) if len(ranks) > 1 else None
    result = Result(ranks, skew, wanted.by)
    if as_json:
        print_json(document(result.ranks, result.skew, result.by, notes_of(graphs)))
    elif as_csv:
        show_csv(result)
    else:
        show(result)
        tell(result, notes_of(graphs), include_unlinked=include_unlinked)


def _pattern(regex: str | None) -> re.Pattern[str] | None:
    if regex is None:
        return None
    try:
        return re.compile(regex, re.IGNORECASE)
    except re.error as error:
        raise UsageError(f"--comm-kernels: not a regular expression: {error}") from None


def _overhead(recordings: Sequence[Recording]) -> dict[int, Intervals]:
    return {
        recording.graph.meta.rank: Intervals(recording.overhead.start_ns, recording.overhead.end_ns)
        for recording in recordings
    }


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
