"""`etsim predict`: how long a recorded run takes on other hardware, and why."""

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..models.costs.kernel_rules import with_own_rules
from ..models.errors import UsageError
from ..simulator.predict import Prediction, predict
from ..simulator.scaling import Scale, parse_scale
from ..simulator.summary import Share, Summary, summarise
from .contention_text import contention_option, placement_option, print_basis, print_contention
from .headline import headline
from .inputs import load_graphs, salvage_option
from .machines import SOURCE, source_hardware, target_hardware
from .memory_text import memory_line
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
    warn,
)

if TYPE_CHECKING:
    from ..simulator.events.contention import Contention

SHARE_HEADER = ("", "calls", "measured ms", "predicted ms", "share", "bound")


@click.command(short_help="Replay a run on other hardware.")
@click.option(
    "--et",
    "et",
    multiple=True,
    required=True,
    metavar="FILE",
    help="A .et file, a Kineto trace, a folder or a pattern; repeatable.",
)
@click.option(
    "--hw",
    required=True,
    metavar="NAME|FILE",
    help="The target: a catalogue name (see `etsim hw list`), a YAML, or `source`.",
)
@click.option("--source-hw", metavar="NAME|FILE", help="What the run was recorded on.")
@click.option(
    "--scale",
    "scales",
    multiple=True,
    metavar="WHAT=FACTOR",
    help="Change costs on the way: kernel=0.5, host=2, collective=1.5, 'name:aten::mm*=0.8'.",
)
@salvage_option
@click.option(
    "--kernel-rules",
    "kernel_rules",
    type=click.Path(path_type=Path),
    help="A YAML of what kernels do by name, put before etsim's own rules.",
)
@contention_option
@placement_option
@json_option
@csv_option
def command(
    et: tuple[str, ...],
    hw: str,
    source_hw: str | None,
    scales: tuple[str, ...],
    kernel_rules: Path | None,
    salvage: bool,
    shared_links: bool,
    placement: str,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Predict how long a recorded run takes on other hardware, and why."""
    if placement and not shared_links:
        raise UsageError("--placement says where links are shared", remedy="add --contention")
    if shared_links and as_csv:
        raise UsageError("--csv has the operators only", remedy="--contention goes with --json")
    asked = [parse_scale(text) for text in scales]
    graphs = load_graphs(et, salvage=salvage)
    source, target = target_hardware(hw, source_hardware(graphs, source_hw), graphs)
    rules = with_own_rules(kernel_rules) if kernel_rules else None
    prediction = predict(graphs, source, target, asked, rules)
    summary = summarise(prediction)
    shared = _on_shared_links(prediction, placement) if shared_links else None
    if as_json:
        print_json({**_published(summary), "contention": shared} if shared else summary)
    elif as_csv:
        print_csv(SHARE_HEADER, [_row(share) for share in summary.operators])
    else:
        _print(prediction, summary, asked, shared, self_check=hw == SOURCE)


def _on_shared_links(prediction: Prediction, placement: str) -> "Contention":
    # a simulation by events: few ask for it, and its import would cost all
    from ..simulator.events.contention import contention  # noqa: PLC0415

    return contention(prediction.graph, prediction.priced, prediction.target, placement)


def _published(summary: Summary) -> dict[str, object]:
    """The summary's own keys, for one more beside them."""
    return {field.name: getattr(summary, field.name) for field in fields(summary)}


def _print(
    prediction: Prediction,
    summary: Summary,
    scales: list[Scale],
    shared: "Contention | None",
    *,
    self_check: bool,
) -> None:
    say(headline(summary, scales, self_check=self_check))
    if shared:
        print_contention(shared)
    if len(summary.ranks) > 1 or self_check:
        _print_ranks(summary)
    if summary.steps:
        _print_steps(summary)
    print_table(SHARE_HEADER, [_row(s) for s in summary.categories], title="Time by category")
    print_table(SHARE_HEADER, [_row(s) for s in summary.operators], title="Largest operators")
    shares = ", ".join(f"{percent(v)} {k}" for k, v in summary.provenance.items())
    say(f"\nRests on: {shares or 'nothing measured'} (share of the time of all rows).")
    say(memory_line(summary.memory, summary.target))
    if shared:
        print_basis(shared)
    for text in summary.warnings:
        warn(text)
    for text in prediction.recorded.meta.notes:
        note(text)


def _print_ranks(summary: Summary) -> None:
    rows = [
        (
            rank.rank,
            ms(rank.measured_ns),
            ms(rank.predicted_ns),
            _change(rank.measured_ns, rank.predicted_ns),
            ms(rank.measured_busy_ns),
            ms(rank.predicted_busy_ns),
        )
        for rank in summary.ranks
    ]
    header = ("rank", "measured ms", "predicted ms", "change", "device busy ms", "predicted busy")
    print_table(header, rows, title="Ranks")


def _print_steps(summary: Summary) -> None:
    rows = [
        (
            s.name,
            s.rank,
            ms(s.measured_ns),
            ms(s.predicted_ns),
            _change(s.measured_ns, s.predicted_ns),
        )
        for s in summary.steps
    ]
    print_table(("step", "rank", "measured ms", "predicted ms", "change"), rows, title="Steps")


def _change(measured_ns: int, predicted_ns: int) -> str:
    return f"{100 * (predicted_ns / measured_ns - 1):+.2f} %" if measured_ns else ""


def _row(share: Share) -> tuple[str, int, str, str, str, str]:
    name = share.name if len(share.name) <= 60 else share.name[:57] + "..."
    return (
        name,
        share.count,
        ms(share.measured_ns) if share.measured_ns else "",
        ms(share.predicted_ns),
        percent(share.share),
        share.bound,
    )
