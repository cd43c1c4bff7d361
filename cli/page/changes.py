"""The waterfall of what-ifs: each change starts where the one before it ended."""

from ...simulator.whatif import Stage, WhatIf
from ..memory_text import memory_cell
from ..output import ms, percent
from .chart import Bar, Segment, chart, legend
from .elements import Markup, element, together
from .figures import code, signed_ms, table, time


def changes(answer: WhatIf | None) -> Markup:
    """Give the section of a machine, nothing where no changes were asked for."""
    if answer is None:
        return together()
    first, last = answer.stages[0], answer.stages[-1]
    bars = [_whole(first.name, first)]
    before = first
    for stage in answer.stages[1:]:
        bars.append(_step(before, stage))
        before = stage
    bars.append(_whole("with all changes", last))
    header = ("stage", "predicted ms", "change ms", "90 % between", "of the run", "memory")
    return element(
        "section",
        element("h3", "What if"),
        element(
            "figure",
            chart(bars, about="waterfall of the changes", unit="ms"),
            legend((("good", "shorter"), ("bad", "longer"), ("compute", "the whole run"))),
        ),
        table(header, [_row(stage, first) for stage in answer.stages], key="whatif"),
        *(_assumption(stage) for stage in answer.stages[1:]),
        class_="card",
    )


def _whole(name: str, stage: Stage) -> Bar:
    told = f"{name}: {ms(stage.predicted_ns)} ms"
    low, high = stage.interval_ns
    return Bar(
        name,
        (Segment(0, stage.predicted_ns / 1e6, "compute", told),),
        f"{ms(stage.predicted_ns)} ms",
        None if low == high else (low / 1e6, high / 1e6),
    )


def _step(before: Stage, stage: Stage) -> Bar:
    """A bar from where the stage before ended to where this one ends."""
    ends = sorted((before.predicted_ns / 1e6, stage.predicted_ns / 1e6))
    colour = "good" if stage.change_ns <= 0 else "bad"
    told = f"{signed_ms(stage.change_ns)} ms"
    return Bar(
        stage.name, (Segment(ends[0], ends[1] - ends[0], colour, f"{stage.name}: {told}"),), told
    )


def _row(stage: Stage, first: Stage) -> tuple[str, ...]:
    low, high = stage.interval_ns
    moved = element("data", signed_ms(stage.change_ns), value=str(stage.change_ns))
    return (
        code(stage.name),
        time(stage.predicted_ns),
        moved if stage is not first else "",
        element("span", time(low), " – ", time(high)),
        percent(stage.predicted_ns / max(1, first.predicted_ns)),
        "" if stage.memory.fits is None else memory_cell(stage.memory),
    )


def _assumption(stage: Stage) -> Markup:
    return element(
        "p", code(stage.name), f": {stage.about} Assumes that {stage.assumes}.", class_="soft"
    )
