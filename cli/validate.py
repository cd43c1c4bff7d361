"""`etsim validate`: predicted against measured, for a pair of traces or a table of measurements."""

from pathlib import Path

import click

from ..converters.measured_kernels import read_measured_kernels
from ..models.costs.judged_kernels import JudgedKernels, judge
from ..models.errors import UsageError
from ..models.specs import load
from ..simulator.validate import ErrorRow, Validation, validate
from .inputs import load_graphs
from .machines import source_hardware
from .output import json_option, ms, percent, print_json, print_table, say, warn
from .scatter import write_scatter

HEADER = ("", "measured ms", "predicted ms", "error")


@click.command(short_help="Compare predictions with measurements.")
@click.option("--source", metavar="FILE", help="The trace to predict from.")
@click.option("--target", metavar="FILE", help="The same run recorded on the target: the truth.")
@click.option("--table", metavar="CSV", help="Measured kernels of the target, instead of traces.")
@click.option("--hw", metavar="NAME|FILE", help="The target; without it, as its trace says.")
@click.option("--source-hw", metavar="NAME|FILE", help="What the source was recorded on.")
@click.option("--top", type=click.IntRange(min=1), default=15, show_default=True,
              help="How many operators to print.")  # fmt: skip
@click.option("--plot", metavar="FILE", help="Write a scatter plot (.svg) of the operators.")
@json_option
def command(  # one parameter an option
    source: str | None, target: str | None, table: str | None, hw: str | None,
    source_hw: str | None, top: int, plot: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Hold predictions against measurements: a pair of traces, or a table of kernels."""
    if table is not None:
        if hw is None or source or target:
            raise UsageError("--table wants --hw and no traces")
        _show_table(judge(load(hw), read_measured_kernels(Path(table))), plot, as_json)
        return
    if source is None or target is None:
        raise UsageError("give --source and --target, or --table")
    here, there = load_graphs([source]), load_graphs([target])
    wanted = source_hardware(there, hw)
    if wanted is None:
        raise UsageError("the target's trace names no known device", remedy="add --hw")
    found = validate(here, there, source_hardware(here, source_hw), wanted)
    if plot:
        write_scatter(
            Path(plot), [(row.measured_ns, row.predicted_ns) for row in found.operators],
            f"{found.source} to {found.target}",
        )  # fmt: skip
    if as_json:
        print_json(found)
    else:
        _show(found, top)


def _signed(error: float | None) -> str:
    return "" if error is None else f"{100 * error:+.1f} %"


def _rows(rows: tuple[ErrorRow, ...]) -> list[tuple[str, str, str, str]]:
    return [
        (_named(row), ms(row.measured_ns), ms(row.predicted_ns), _signed(row.error)) for row in rows
    ]


def _named(row: ErrorRow) -> str:
    name = f"{row.name} {row.shapes}" if row.shapes else row.name
    return name if len(name) <= 72 else name[:69] + "..."


def _show(found: Validation, top: int) -> None:
    low, high = found.interval_ns
    inside = "inside" if found.step_in_interval else "outside"
    say(
        f"From {found.source}, {found.target} was predicted at {ms(found.predicted_step_ns)} ms "
        f"and took {ms(found.measured_step_ns)} ms: {_signed(found.step_error)}, {inside} the 90 % "
        f"interval of {ms(low)} to {ms(high)} ms."
    )
    say(
        f"Device busy {ms(found.predicted_busy_ns)} ms predicted, {ms(found.measured_busy_ns)} ms "
        f"measured: {_signed(found.device_busy_error)} (the source's own times as they are: "
        f"{_signed(found.unpriced_busy_error)}). {percent(found.coverage)} of the operators lie "
        "in their 90 % intervals."
    )
    print_table(HEADER, _rows(found.categories), title="By category")
    print_table(HEADER, _rows(found.operators[:top]), title="Largest operators on the device")
    for text in found.warnings:
        warn(text)


def _show_table(found: JudgedKernels, plot: str | None, as_json: bool) -> None:
    if plot:
        points = list(zip(found.measured_ns, found.predicted_ns, strict=True))
        write_scatter(Path(plot), points, found.target)
    if as_json:
        print_json(found)
        return
    say(
        f"{len(found.measured_ns)} kernels on {found.target}: median error "
        f"{percent(found.median_error)}, mean {percent(found.mean_error)}; "
        f"{percent(found.coverage)} lie in their 90 % intervals."
    )
    rows = [
        (one.work_class, one.count, percent(one.median_error), percent(one.mean_error))
        for one in found.classes
    ]
    print_table(("class", "kernels", "median", "mean"), rows, title="By class")
