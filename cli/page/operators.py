"""The largest operators and the modules they belong to, as recorded and as predicted."""

from ...simulator.breakdown.owners import NO_GROUP
from ...simulator.breakdown.parts import Parts
from ...simulator.breakdown.report import RankBreakdown
from ...simulator.summary import Share
from ..report_content import Answer, Content
from .elements import Markup, element, together
from .figures import code, share, table, time

MOST_MODULES = 15
SHARE_HEADER = ("", "calls", "source ms", "predicted ms", "share", "bound")


def operators(answer: Answer) -> Markup:
    """Give the categories and the ten largest operators."""
    summary = answer.summary
    return element(
        "section",
        element("h3", "Largest operators"),
        element(
            "p",
            "The time of rows, which run side by side on threads and streams: shares are of "
            "their sum, not of the wall time. The bound limits most of the predicted time.",
            class_="soft",
        ),
        table(SHARE_HEADER, [_row(part) for part in summary.operators], key="operators"),
        element("h4", "By category"),
        table(SHARE_HEADER, [_row(part) for part in summary.categories], key="categories"),
        class_="card",
    )


def _row(part: Share) -> tuple[str, ...]:
    return (
        code(part.name),
        f"{part.count:,}",
        time(part.measured_ns) if part.measured_ns else "",
        time(part.predicted_ns),
        share(part.share),
        part.bound,
    )


def modules(content: Content, answer: Answer) -> Markup:
    """Give the modules of the rank that takes longest; nothing where none is known."""
    rank = answer.split.longest().rank
    after = _by_name(answer.split.modules_of(rank))
    before = _by_name(content.recorded.modules_of(rank))
    names = sorted({*before, *after}, key=lambda name: (-_time(after, before, name), name))
    if not set(names) - {NO_GROUP}:
        return together()
    rows = [_module_row(name, before.get(name), after.get(name)) for name in names[:MOST_MODULES]]
    header = ("module", "recorded ms", "predicted ms", "of it computing", "exposed comm", "idle")
    told = (
        f"Rank {rank}, all instances of a class together: every moment belongs to one module, an "
        "idle one to the module whose operation comes next."
    )
    if len(names) > MOST_MODULES:
        told += f" The {MOST_MODULES} largest of {len(names)}."
    return element(
        "section",
        element("h3", "Modules"),
        element("p", told, class_="soft"),
        table(header, rows, key="modules"),
        class_="card",
    )


def _by_name(rank: RankBreakdown | None) -> dict[str, Parts]:
    return {} if rank is None else {group.name: group.parts for group in rank.groups}


def _time(after: dict[str, Parts], before: dict[str, Parts], name: str) -> int:
    found = after.get(name) or before.get(name)
    return found.window_ns if found else 0


def _module_row(name: str, before: Parts | None, after: Parts | None) -> tuple[str, ...]:
    cells = ("", "", "", "")
    if after is not None:
        cells = (
            time(after.window_ns),
            time(after.computing_ns),
            time(after.exposed_communication_ns),
            time(after.idle_ns),
        )
    return (code(name, 70), time(before.window_ns) if before else "", *cells)
