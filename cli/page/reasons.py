"""Why it takes that long: the critical path by kind, and what a tenth more of anything brings."""

from ...simulator.explain import Explanation
from ...simulator.path_kinds import PathKind
from ..output import ms, percent
from .chart import Bar, Segment, chart
from .elements import Markup, element, together
from .figures import change, code, share, signed_percent, table, time

LARGEST = 10
COLOURS = {
    PathKind.COMPUTE_KERNEL: "compute",
    PathKind.MEMORY_KERNEL: "compute",
    PathKind.SHORT_KERNEL: "compute",
    PathKind.COPY: "copy",
    PathKind.COMMUNICATION: "comm",
    PathKind.RANK_WAIT: "comm",
    PathKind.HOST_WORK: "default",
    PathKind.LAUNCH_CALL: "default",
}


def reasons(explanation: Explanation) -> Markup:
    """Give the section of a machine."""
    return together(_path(explanation), _sensitivity(explanation))


def _path(explanation: Explanation) -> Markup:
    total = explanation.total_ns
    bars = [
        Bar(
            kind.label,
            (Segment(0, ns / 1e6, COLOURS.get(kind, "idle"), f"{kind.label}: {ms(ns)} ms"),),
            f"{ms(ns)} ms · {percent(ns / total)}" if total else "",
        )
        for kind, ns in explanation.by_kind.items()
    ]
    rows = [
        (code(c.name), c.kind.label, f"{c.count:,}", time(c.duration_ns),
         share(c.duration_ns / total) if total else "")
        for c in explanation.contributors[:LARGEST]
    ]  # fmt: skip
    header = ("on the critical path", "kind", "count", "ms", "share")
    return element(
        "section",
        element("h3", "Critical path"),
        element(
            "p",
            "What the end waited for, and what that waited for, back to the beginning; the "
            "stretches add up to the total.",
            class_="soft",
        ),
        element("figure", chart(bars, about="critical path by kind", unit="ms")),
        element("h4", "Largest contributors"),
        table(header, rows, key="critical-path"),
        *_remarks(explanation),
        class_="card",
    )


def _remarks(explanation: Explanation) -> list[Markup]:
    return [element("p", note, class_="soft") for note in explanation.notes]


def _sensitivity(explanation: Explanation) -> Markup:
    found = explanation.sensitivity
    if not found:
        return together()
    bars = [
        Bar(
            f"{entry.resource} {entry.change}",
            (
                Segment(
                    0,
                    abs(100 * entry.delta),
                    "good" if entry.delta <= 0 else "bad",
                    f"{entry.resource} {entry.change}: {100 * entry.delta:+.2f} %",
                ),
            ),
            signed_percent(entry.delta),
        )
        for entry in found
    ]
    rows = [
        (f"{entry.resource} {entry.change}", change(entry.delta), time(entry.total_ns))
        for entry in found
    ]
    return element(
        "section",
        element("h3", "What would help"),
        element(
            "p",
            "Each resource made a tenth better by itself and everything replayed: what hides "
            "behind something else brings nothing.",
            class_="soft",
        ),
        element("figure", chart(bars, about="change of the total by resource", unit="% of time")),
        table(("change", "total", "ms"), rows, key="sensitivity"),
        class_="card",
    )
