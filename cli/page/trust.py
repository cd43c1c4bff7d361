"""How far to trust the page: memory, what the durations rest on, doubts, how it was made."""

from ...simulator.summary import Memory
from ..memory_text import memory_line
from ..output import size
from ..report_content import Answer, Content
from .chart import Bar, Segment, chart, legend
from .elements import Markup, element, together
from .figures import listed, memory_size, table
from .overview import shares_by_origin

USE_COLOURS = ("compute", "copy", "good", "default", "model", "comm", "other")
LEAST_SEEN = 0.1  # of the device's memory: less is drawn without the device, to be seen at all


def memory(answer: Answer) -> Markup:
    """Show what the tensors take of the device's memory; nothing where that is not known."""
    found = answer.summary.memory
    if found.fits is None:
        return together()
    uses = list(zip(found.by_use.items(), USE_COLOURS, strict=False))
    rows = [(use, memory_size(count)) for (use, count), _ in uses]
    rows.append(("at the peak", memory_size(found.peak_bytes)))
    rows.append((f"of {answer.summary.target}", memory_size(found.device_bytes)))
    return element(
        "section",
        element("h3", "Memory"),
        element("p", memory_line(found, answer.summary.target)),
        element("figure", *_figure(found), legend([(colour, use) for (use, _), colour in uses])),
        table(("", "bytes"), rows, key="memory"),
        class_="card",
    )


def _figure(found: Memory) -> list[Markup]:
    """Draw the uses, and the device's memory as a limit where both can be seen at one scale."""
    largest = max(found.peak_bytes, found.device_bytes)
    beside = found.peak_bytes >= LEAST_SEEN * found.device_bytes
    unit, scale = ("GB", 1e9) if (largest if beside else found.peak_bytes) >= 1e9 else ("MB", 1e6)
    pieces, start = [], 0.0
    for (use, count), colour in zip(found.by_use.items(), USE_COLOURS, strict=False):
        pieces.append(Segment(start, count / scale, colour, f"{use}: {size(count)}"))
        start += count / scale
    bar = Bar("fullest rank, at the peak", tuple(pieces), size(found.peak_bytes))
    limit = found.device_bytes / scale if beside else None
    drawn = chart([bar], about="memory by use", unit=unit, limit=limit)
    told = "The dashed line is the device's memory." if beside else ""
    return [drawn, *([element("figcaption", told)] if told else [])]


def doubts(content: Content) -> Markup:
    """Give every warning once, with its machine where not all have it; nothing if there is none."""
    told: dict[str, list[str]] = {}
    for answer in content.answers:
        for warning in answer.summary.warnings:
            told.setdefault(warning, []).append(answer.summary.target)
        for warning in answer.whatif.warnings if answer.whatif else ():
            if warning not in answer.summary.warnings:
                told.setdefault(warning, []).append(f"{answer.summary.target} with all changes")
    if not told:
        return together()
    everywhere = [answer.summary.target for answer in content.answers]
    lines = [
        warning if where == everywhere else f"{', '.join(where)}: {warning}"
        for warning, where in told.items()
    ]
    return element("div", element("h3", "Doubts"), listed(lines), class_="doubts")


def origin(answer: Answer) -> Markup:
    """Say what the durations rest on."""
    return element(
        "section",
        element("h3", "What it rests on"),
        shares_by_origin(answer),
        class_="card",
    )


def made(content: Content) -> Markup:
    """Say how the page was made, and what the recording could not tell."""
    versions = ", ".join(f"{name} {number}" for name, number in content.versions.items())
    notes = []
    if content.notes:
        notes = [element("h4", "Notes on the recording"), listed(content.notes)]
    return element(
        "section",
        element("h3", "How this was made"),
        element("pre", element("code", content.command)),
        element(
            "p",
            f"{versions}. The same command on the same files gives the same page.",
            class_="soft",
        ),
        *notes,
        class_="card",
        id="made",
    )
