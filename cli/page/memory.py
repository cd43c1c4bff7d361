"""What the run's tensors take, change by change, against the memory of the device."""

from collections.abc import Sequence
from itertools import cycle

from ...simulator.memory import Memory
from ..memory_text import memory_line
from ..output import size
from ..report_content import Answer
from .chart import Bar, Segment, chart, legend
from .elements import Markup, element, together
from .figures import memory_size, table

COLOURS = ("compute", "copy", "good", "default", "model", "comm", "other")
LEAST_SEEN = 0.1  # of the device's memory: less is drawn without the device, to be seen at all
Stages = Sequence[tuple[str, Memory]]


def memory(answer: Answer) -> Markup:
    """Give the section of a machine; where the memory is not known it says why."""
    stages = _stages(answer)
    last = stages[-1][1]
    known = [(name, found) for name, found in stages if found.fits is not None]
    return element(
        "section",
        element("h3", "Memory"),
        *(element("p", line) for line in _lines(answer)),
        _picture(known) if known else together(),
        _table(known, answer.summary.target) if known else together(),
        *(element("p", note, class_="soft") for note in last.notes),
        class_="card",
    )


def _stages(answer: Answer) -> Stages:
    if answer.whatif is None:
        return [("fullest rank, at the peak", answer.summary.memory)]
    return [(stage.name, stage.memory) for stage in answer.whatif.stages]


def _lines(answer: Answer) -> list[str]:
    told = [memory_line(answer.summary.memory, answer.summary.target)]
    if answer.whatif is not None:
        line = memory_line(answer.whatif.memory, answer.whatif.target)
        told.append(f"With all changes: {line.removeprefix('Memory: ')}")
    return told


def _colours(stages: Stages) -> dict[str, str]:
    uses = dict.fromkeys(use for _, found in stages for use in found.by_use)
    return dict(zip(uses, cycle(COLOURS), strict=False))


def _picture(stages: Stages) -> Markup:
    """Draw the uses, and the device's memory as a limit where both can be seen at one scale."""
    colours = _colours(stages)
    largest = max(found.peak_bytes for _, found in stages)
    device = max(found.device_bytes for _, found in stages)
    beside = largest >= LEAST_SEEN * device
    unit, scale = ("GB", 1e9) if largest >= 1e9 else ("MB", 1e6)
    bars = [_bar(name, found, colours, scale) for name, found in stages]
    told = "The dashed line is the device's memory." if beside else ""
    return element(
        "figure",
        chart(bars, about="memory by use", unit=unit, limit=device / scale if beside else None),
        legend([(colour, use) for use, colour in colours.items()]),
        element("figcaption", told) if told else together(),
    )


def _bar(name: str, found: Memory, colours: dict[str, str], scale: float) -> Bar:
    pieces, start = [], 0
    for use, count in found.by_use.items():
        tip = f"{name}: {size(count)} {use}"
        pieces.append(Segment(start / scale, count / scale, colours[use], tip))
        start += count
    return Bar(name, tuple(pieces), size(found.peak_bytes))


def _table(stages: Stages, target: str) -> Markup:
    """Give the uses at the beginning and, where there are changes, at the end."""
    columns = [stages[0]] if len(stages) == 1 else [stages[0], stages[-1]]
    found = [m for _, m in columns]
    rows = [
        (use, *(memory_size(m.by_use[use]) if use in m.by_use else "" for m in found))
        for use in _colours(stages)
    ]
    rows.append(("at the peak", *(memory_size(m.peak_bytes) for m in found)))
    rows.append((f"of {target}", *(memory_size(m.device_bytes) for m in found)))
    return table(("", *(name for name, _ in columns)), rows, key="memory")
