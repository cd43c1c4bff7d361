"""`etsim convert`: join execution traces and profiles into Chakra .et files."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import click

from ..converters.chakra import write_graphs
from ..converters.chakra.astra import write_astra
from ..converters.convert import Converted, RankReport, Sources, convert, find_sources
from ..models.errors import UsageError
from ..models.graph import ExecutionGraph
from .inputs import salvage_option
from .output import json_option, ms, note, percent, print_json, say


@click.command(short_help="Join an execution trace and a profile into a .et file.")
@click.option(
    "--et", "et", multiple=True, metavar="FILE", help="Execution trace(s): a path or a pattern."
)
@click.option(
    "--trace", "trace", multiple=True, metavar="FILE", help="Kineto trace(s): a path or a pattern."
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="The .et to write; of many ranks run.et becomes run.<rank>.et.",
)
@click.option(
    "--profile",
    type=click.Choice(("etsim", "astra")),
    default="etsim",
    help="`astra` writes what ASTRA-sim can run: device work only, -o run gives run.<rank>.et.",
)
@click.option("--allow-partial", is_flag=True, help="Convert although less than 80 % was joined.")
@salvage_option
@json_option
def command(
    et: tuple[str, ...],
    trace: tuple[str, ...],
    output: Path,
    profile: str,
    allow_partial: bool,
    salvage: bool,
    as_json: bool,
) -> None:
    """Join execution traces and profiles into Chakra .et files, and report how well."""
    if not et and not trace:
        raise UsageError("nothing to convert", remedy="give --et, --trace or both")
    sources = find_sources(et, trace)
    _keep_inputs(output, sources)
    if profile == "astra":
        converted = [convert(s, allow_partial=allow_partial, salvage=salvage) for s in sources]
        _astra(converted, output, as_json=as_json)
        return
    written: list[tuple[Path, RankReport]] = []

    def ranks() -> Iterator[tuple[ExecutionGraph, Path]]:
        for source in sources:
            converted = convert(source, allow_partial=allow_partial, salvage=salvage)
            path = _place(output, source, many=len(sources) > 1)
            written.append((path, converted.report))
            yield converted.graph, path

    write_graphs(ranks())
    if as_json:
        print_json([{"file": str(path), **asdict(report)} for path, report in written])
        return
    for path, report in written:
        _print(path, source_of(sources, report), report)


def _astra(converted: list[Converted], output: Path, *, as_json: bool) -> None:
    """Write all ranks for ASTRA-sim, and say what it cannot run as recorded."""
    report = write_astra([c.graph for c in converted], output.with_suffix(""))
    if as_json:
        print_json(report)
        return
    listed = ", ".join(str(path) for path in report.files)
    say(f"{listed}: {report.nodes:,} nodes for ASTRA-sim.")
    if report.group_file is not None:
        say(f"  communication groups: {report.group_file}")
    if report.idle_nodes:
        say(f"  {report.idle_nodes:,} nodes stand for host time ({ms(report.idle_ns)} ms)")
    for text in report.approximations:
        note(text)


def source_of(sources: list[Sources], report: RankReport) -> Sources:
    """Give the files a graph came from; a single pair may not know its rank by name."""
    return next((s for s in sources if s.rank == report.rank), sources[0])


def _keep_inputs(output: Path, sources: list[Sources]) -> None:
    """Refuse to write over a recording: it may be the only one."""
    inputs = {path.resolve() for s in sources for path in (s.et, s.trace) if path is not None}
    for source in sources:
        path = _place(output, source, many=len(sources) > 1)
        if path.resolve() in inputs:
            raise UsageError("is one of the inputs", where=path, remedy="choose another -o")


def _place(output: Path, source: Sources, *, many: bool) -> Path:
    return output.with_name(f"{output.stem}.{source.rank}{output.suffix}") if many else output


def _print(path: Path, source: Sources, report: RankReport) -> None:
    say(f"{path}: {report.rows:,} nodes, {report.edges:,} dependencies{_steps(report)}.")
    if report.joined_by:
        say(
            f"  joined by {report.joined_by}: {report.et_matched:,} of {report.et_nodes:,} "
            f"execution-trace nodes, {report.kineto_matched:,} of {report.kineto_events:,} "
            f"profile events, {percent(report.time_covered)} of the time"
        )
    elif source.trace is None:
        say("  no times: an execution trace alone tells order and shapes only")
    if report.device_events:
        say(f"  {report.device_kept:,} of {report.device_events:,} device events kept")
    if report.name_mismatches:
        note(f"{report.name_mismatches:,} equal ids have different names and were not joined")
    for text in report.notes:
        note(text)


def _steps(report: RankReport) -> str:
    return f", {report.steps} steps" if report.steps else ""
