"""How far to trust the page: what the durations rest on, doubts, how it was made."""

from ..report_content import Answer, Content
from .elements import Markup, element, together
from .figures import listed
from .overview import shares_by_origin


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
