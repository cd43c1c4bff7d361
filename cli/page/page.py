"""The whole page: one file that a browser shows without asking anything of anybody."""

from ..report_content import Answer, Content
from .changes import changes
from .elements import Markup, element, together, verbatim
from .memory import memory
from .operators import modules, operators
from .overview import machines, overview
from .reasons import reasons
from .style import STYLE
from .trust import doubts, made, origin
from .whereabouts import collectives, whereabouts

NOTHING_FROM_ELSEWHERE = "default-src 'none'; style-src 'unsafe-inline'"


def page(content: Content) -> str:
    """Give the HTML of a report."""
    body = element(
        "main",
        overview(content),
        doubts(content),
        machines(content),
        *(_machine(content, answer, place) for place, answer in enumerate(content.answers, 1)),
        collectives(content.skew),
        made(content),
    )
    return f"<!DOCTYPE html>\n{element('html', _head(content), element('body', body), lang='en')}\n"


def _head(content: Content) -> Markup:
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=NOTHING_FROM_ELSEWHERE),
        element("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        element("title", f"{content.name} · etsim report"),
        element("style", verbatim(STYLE)),
    )


def _machine(content: Content, answer: Answer, place: int) -> Markup:
    target = answer.summary.target
    told = f"As recorded, replayed on {target}" if answer.self_check else f"On {target}"
    return together(
        element("h2", told, id=f"machine-{place}"),
        changes(answer.whatif),
        whereabouts(content, answer),
        reasons(answer.explanation),
        operators(answer),
        modules(content, answer),
        memory(answer),
        origin(answer),
    )
