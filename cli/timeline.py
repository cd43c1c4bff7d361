"""`etsim timeline`: a run as recorded, and as predicted beside it, for Perfetto."""

from dataclasses import dataclass
from pathlib import Path

import click

from ..converters.perfetto import Track, Written, write_timelines
from ..models.errors import UsageError
from ..models.merge import merge_ranks
from ..models.timeline import measured
from ..simulator.predict import predict
from ..simulator.scaling import parse_scale
from .inputs import load_graphs, need_times
from .machines import source_hardware, target_hardware
from .output import json_option, ms, note, print_json, say, warn

VIEWER = "https://ui.perfetto.dev"


@dataclass(frozen=True, slots=True)
class TrackTold:
    """A track for `--json`."""

    title: str
    makespan_ns: int


@dataclass(frozen=True, slots=True)
class Result:
    """What was written, for `--json`."""

    output: str
    tracks: list[TrackTold]
    slices: int
    flows: int
    cut: int
    warnings: list[str]


@click.command(name="timeline")
@click.option("--et", "et", multiple=True, required=True, metavar="PATH",
              help=".et files, traces, folders or patterns; one rank or many.")  # fmt: skip
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True,
              help="The file to write: .json.gz, or .json.")  # fmt: skip
@click.option("--hw", metavar="NAME|FILE", help="Add the run as predicted there; `source` replays.")
@click.option("--source-hw", metavar="NAME|FILE", help="What the run was recorded on.")
@click.option("--scale", "scales", multiple=True, metavar="WHAT=FACTOR",
              help="Change costs in the prediction: kernel=0.5, host=2.")  # fmt: skip
@json_option
def command(  # one per option
    et: tuple[str, ...],
    output: Path,
    hw: str | None,
    source_hw: str | None,
    scales: tuple[str, ...],
    as_json: bool,
) -> None:
    """Write a run's timeline for Perfetto, measured and predicted side by side.

    Each rank is a process for each of them, each thread and stream a lane; launches, waits and the
    last rank to arrive at a collective are arrows.
    """
    if not output.name.endswith((".json", ".json.gz")):
        raise UsageError("is no trace's name", where=output, remedy="end it with .json.gz or .json")
    if hw is None and (scales or source_hw):
        raise UsageError("--scale and --source-hw change a prediction", remedy="give --hw, too")
    tracks, warnings = _tracks(et, hw, source_hw, scales)
    written = write_timelines(output, tracks)
    if as_json:
        print_json(_result(output, tracks, written, warnings))
    else:
        told = " and ".join(f"{track.title} {_span(track)} ms" for track in tracks)
        say(f"wrote {output}: {told}; {written.slices:,} slices. Open it in {VIEWER}")
    for warning in warnings:
        warn(warning)
    if written.cut:
        note(f"{written.cut:,} slices overlap another without being inside it, and were cut short")


def _tracks(
    et: tuple[str, ...], hw: str | None, source_hw: str | None, scales: tuple[str, ...]
) -> tuple[list[Track], tuple[str, ...]]:
    graphs = load_graphs(et)
    for graph in graphs:
        need_times(graph, "a timeline")
    if hw is None:
        return [Track("measured", measured(merge_ranks(graphs)))], ()
    source, target = target_hardware(hw, source_hardware(graphs, source_hw), graphs)
    prediction = predict(graphs, source, target, [parse_scale(text) for text in scales])
    tracks = [
        Track("measured", prediction.measured),
        Track(f"predicted on {target.name}", prediction.timeline, prediction.priced.provenance),
    ]
    return tracks, prediction.warnings


def _span(track: Track) -> str:
    return ms(track.timeline.makespan_ns)


def _result(
    output: Path, tracks: list[Track], written: Written, warnings: tuple[str, ...]
) -> Result:
    told = [TrackTold(track.title, track.timeline.makespan_ns) for track in tracks]
    return Result(str(output), told, written.slices, written.flows, written.cut, list(warnings))
