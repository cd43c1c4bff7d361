"""`etsim merge`: the Kineto traces of many ranks as one, on one clock."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from ..converters.convert import convert_kineto
from ..converters.merge_traces import MergedRank, RankTrace, find_traces, merge_traces
from ..converters.ranks import expand
from ..converters.trace_clocks import Align, collective_corrections
from ..models.errors import UsageError
from .output import json_option, ms, print_json, print_table, say


@dataclass(frozen=True, slots=True)
class Result:
    """What was merged, for `--json`."""

    output: str
    clocks: str
    events: int
    ranks: list[MergedRank]


@click.command(name="merge")
@click.argument("traces", nargs=-1, required=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True,
              help="The file to write: .json.gz, or .json.")  # fmt: skip
@click.option("--align", type=click.Choice([align.value for align in Align]), default="auto",
              show_default=True, help="Correct clocks so that collectives end together; auto: "
              "where traces come from several hosts.")  # fmt: skip
@json_option
def command(traces: tuple[str, ...], output: Path, align: str, as_json: bool) -> None:
    """Merge Kineto traces of many ranks into one for Perfetto.

    TRACES are files, folders or patterns. Every event is kept; processes are numbered and named
    by rank, flows get ids of their own, and times count from the earliest rank's zero.
    """
    if not output.name.endswith((".json", ".json.gz")):
        raise UsageError("is no trace's name", where=output, remedy="end it with .json.gz or .json")
    found = find_traces(expand(traces, "TRACES"))
    clocks, corrections = _corrections(found, Align(align))
    merged = merge_traces(found, corrections, output)
    result = Result(str(output), clocks, sum(rank.events for rank in merged), merged)
    if as_json:
        print_json(result)
    else:
        _tell(result)


def _corrections(traces: Sequence[RankTrace], align: Align) -> tuple[str, dict[int, int]]:
    """Say which clocks hold, and give what to add to each rank's."""
    hosts = {trace.host_name for trace in traces}
    if align is Align.NONE:
        return "as recorded", {}
    if align is Align.AUTO and len(hosts) < 2:
        return f"as recorded, {'on one host' if all(hosts) else 'as no trace tells its host'}", {}
    graphs = [convert_kineto(trace.path).graph for trace in traces]
    ranks = [trace.rank for trace in traces]
    return "by the ends of collectives", dict(
        zip(ranks, collective_corrections(graphs), strict=True)
    )


def _tell(result: Result) -> None:
    say(
        f"wrote {result.output}: {len(result.ranks)} ranks, {result.events:,} events; "
        f"clocks {result.clocks}"
    )
    rows = [
        (rank.file, rank.rank, rank.host_name or "-", f"{rank.events:,}", ms(rank.shift_ns),
         ms(rank.correction_ns))
        for rank in result.ranks
    ]  # fmt: skip
    print_table(("file", "rank", "host", "events", "moved ms", "of that clock"), rows)
