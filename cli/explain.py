"""`etsim explain`: where a run's time goes on its critical path, and what would help."""

from collections.abc import Sequence

import click

from ..models.graph import ExecutionGraph
from ..simulator.explain import Explanation, explain
from ..simulator.predict import Prediction, predict
from ..simulator.scaling import parse_scale
from .inputs import load_graphs, need_times
from .machines import SOURCE, source_hardware, target_hardware
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

WIDEST_NAME = 60
PATH_HEADER = ("on the critical path", "kind", "count", "ms", "share")
SLACK_HEADER = ("beside it", "count", "ms", "least slack ms", "median slack ms")


@click.command(short_help="Show the critical path and what would help.")
@click.option("--et", "et", multiple=True, required=True, metavar="PATH",
              help="A .et file, a Kineto trace, a folder or a pattern; repeatable.")  # fmt: skip
@click.option("--hw", default=SOURCE, show_default=True, metavar="NAME|FILE",
              help="Explain the run as it would be there.")  # fmt: skip
@click.option("--source-hw", metavar="NAME|FILE", help="What the run was recorded on.")
@click.option("--scale", "scales", multiple=True, metavar="WHAT=FACTOR",
              help="Change costs on the way, as for predict.")  # fmt: skip
@click.option("--change", type=click.FloatRange(0, 90, min_open=True), default=10.0,
              show_default=True, metavar="PERCENT",
              help="How much better each resource is made.")  # fmt: skip
@click.option("--top", type=click.IntRange(min=1), default=10, show_default=True,
              help="How many lines each table shows.")  # fmt: skip
@json_option
@csv_option
def command(  # one per option
    et: Sequence[str], hw: str, source_hw: str | None, scales: Sequence[str], change: float,
    top: int, as_json: bool, as_csv: bool,
) -> None:  # fmt: skip
    """Show the critical path of a run, the slack beside it, and what would make it shorter."""
    asked = [parse_scale(text) for text in scales]
    graphs = load_graphs(et)
    for graph in graphs:
        need_times(graph, "an explanation")
    source, target = target_hardware(hw, source_hardware(graphs, source_hw), graphs)
    prediction = predict(graphs, source, target, asked)
    explanation = explain(prediction, share=change / 100)
    if as_json:
        print_json(document(explanation, target.name, top))
    elif as_csv:
        print_csv(PATH_HEADER, _path_rows(explanation, len(explanation.contributors)))
    else:
        _print(explanation, prediction, top)


def document(explanation: Explanation, target: str, top: int) -> dict[str, object]:
    """Give the published JSON: times in ns, kinds and resources by their keys."""
    return {
        "target": target,
        "total_ns": explanation.total_ns,
        "critical_path": {
            "by_kind": explanation.by_kind,
            "by_rank": {str(rank): ns for rank, ns in explanation.by_rank_ns.items()},
            "top": explanation.contributors[:top],
        },
        "ranks": explanation.ranks,
        "slack": explanation.slack[:top],
        "sensitivity": explanation.sensitivity,
        "notes": explanation.notes,
    }


def _print(explanation: Explanation, prediction: Prediction, top: int) -> None:
    say(_headline(explanation, prediction))
    rows = [
        (kind.label, ms(ns), _share(ns, explanation.total_ns))
        for kind, ns in explanation.by_kind.items()
    ]
    print_table(("kind", "ms", "share"), rows, title="Critical path by kind")
    print_table(PATH_HEADER, _path_rows(explanation, top), title="Largest contributors")
    if len(explanation.ranks) > 1:
        _print_ranks(explanation)
    if explanation.slack:
        print_table(SLACK_HEADER, _slack_rows(explanation, top), title="Slack")
    changes = [(f"{s.resource} {s.change}", f"{100 * s.delta:+.1f} %", ms(s.total_ns))
               for s in explanation.sensitivity]  # fmt: skip
    print_table(("change", "total", "ms"), changes, title="Sensitivity")
    say("\nEach change is replayed by itself; a row with slack may end so much later alone.")
    _remark(explanation, prediction.recorded, prediction.warnings)


def _remark(explanation: Explanation, recorded: ExecutionGraph, warnings: Sequence[str]) -> None:
    for text in warnings:
        warn(text)
    for text in (*explanation.notes, *recorded.meta.notes):
        note(text)


def _headline(explanation: Explanation, prediction: Prediction) -> str:
    total = explanation.total_ns
    largest = ", ".join(
        f"{_share(ns, total)} {kind.label}" for kind, ns in list(explanation.by_kind.items())[:3]
    )
    line = f"The critical path takes {ms(total)} ms on {prediction.target.name}: {largest}."
    best = next(iter(explanation.sensitivity), None)
    if best is None or best.delta >= 0:
        return line
    return f"{line} What helps most: {best.resource} {best.change}: {100 * best.delta:+.1f} %."


def _share(part_ns: int, total_ns: int) -> str:
    return percent(part_ns / total_ns) if total_ns else ""


def _short(name: str) -> str:
    return name if len(name) <= WIDEST_NAME else name[: WIDEST_NAME - 3] + "..."


def _path_rows(explanation: Explanation, top: int) -> list[tuple[str, str, int, str, str]]:
    return [
        (_short(c.name), c.kind.label, c.count, ms(c.duration_ns),
         _share(c.duration_ns, explanation.total_ns))
        for c in explanation.contributors[:top]
    ]  # fmt: skip


def _slack_rows(explanation: Explanation, top: int) -> list[tuple[str, int, str, str, str]]:
    return [
        (_short(s.name), s.count, ms(s.duration_ns), ms(s.least_ns), ms(s.median_ns))
        for s in explanation.slack[:top]
    ]


def _print_ranks(explanation: Explanation) -> None:
    """Each rank's own path; the kinds that matter on any rank are columns."""
    kinds = list(dict.fromkeys(kind for rank in explanation.ranks for kind in rank.by_kind))
    total = sum(rank.total_ns for rank in explanation.ranks)
    shown = [k for k in kinds if sum(r.by_kind.get(k, 0) for r in explanation.ranks) > total / 100]
    rows = [
        (rank.rank, ms(rank.total_ns), *(ms(rank.by_kind.get(kind, 0)) for kind in shown),
         ms(explanation.by_rank_ns.get(rank.rank, 0)))
        for rank in explanation.ranks
    ]  # fmt: skip
    header = ("rank", "ms", *(kind.label for kind in shown), "of the whole path")
    print_table(header, rows, title="Ranks, each by its own path")
