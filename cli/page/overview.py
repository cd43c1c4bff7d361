"""The head of the page: the answer in a sentence, and every machine beside the measurement."""

from ..output import ms, percent
from ..report_content import Answer, Content
from ..report_headline import headline, whatif_line
from .chart import Bar, Segment, chart
from .elements import Markup, element
from .figures import change, share, table, time


def overview(content: Content) -> Markup:
    """Give title, sentences, facts and the comparison of machines."""
    sentences = [element("p", headline(answer), class_="lead") for answer in content.answers]
    stacked = [answer.whatif for answer in content.answers if answer.whatif is not None]
    sentences += [element("p", whatif_line(whatif)) for whatif in stacked]
    return element(
        "header",
        element("p", "etsim report", class_="kicker"),
        element("h1", content.name),
        *sentences,
        _facts(content),
        _contents(content),
    )


def _facts(content: Content) -> Markup:
    first = content.answers[0].summary
    facts = [
        ("recorded on", first.source),
        ("measured", f"{ms(first.measured_ns)} ms"),
        ("ranks", f"{len(content.ranks):,}"),
        ("steps", f"{len(content.steps):,}" if content.steps else "none marked"),
        ("operators, calls and kernels", f"{content.rows:,}"),
    ]
    pairs = [element("div", element("dt", key), element("dd", value)) for key, value in facts]
    return element("dl", *pairs, class_="facts")


def _contents(content: Content) -> Markup:
    entries = [
        (f"machine-{place}", _title(answer))
        for place, answer in enumerate(content.answers, start=1)
    ]
    return element(
        "nav",
        *(element("a", told, href=f"#{key}") for key, told in entries),
        element("a", "How this was made", href="#made"),
    )


def _title(answer: Answer) -> str:
    return "Self-check" if answer.self_check else answer.summary.target


def machines(content: Content) -> Markup:
    """Compare the machines: time with its interval, memory, what the answer rests on."""
    first = content.answers[0].summary
    bars = [_bar(f"measured on {first.source}", first.measured_ns, "other", None)]
    bars += [
        _bar(_named(answer), answer.summary.predicted_ns, "compute", answer.summary.interval_ns)
        for answer in content.answers
    ]
    header = ("", "ms", "90 % between", "against measured", "fits the memory", "rests on")
    rows = [_row(answer) for answer in content.answers]
    return element(
        "section",
        element("h3", "Measured and predicted"),
        element(
            "figure",
            chart(bars, about="measured and predicted times", unit="ms"),
            element("figcaption", "The thin line spans 90 % of the doubt."),
        ),
        table(header, rows, key="machines"),
        class_="card",
    )


def _named(answer: Answer) -> str:
    told = "replayed" if answer.self_check else "predicted"
    return f"{told} on {answer.summary.target}"


def _bar(name: str, time_ns: int, colour: str, interval_ns: tuple[int, int] | None) -> Bar:
    whisker = None
    if interval_ns is not None and interval_ns[0] != interval_ns[1]:
        whisker = (interval_ns[0] / 1e6, interval_ns[1] / 1e6)
    tip = f"{name}: {ms(time_ns)} ms"
    return Bar(name, (Segment(0, time_ns / 1e6, colour, tip),), f"{ms(time_ns)} ms", whisker)


def _row(answer: Answer) -> tuple[str, ...]:
    summary = answer.summary
    low, high = summary.interval_ns
    ratio = summary.predicted_ns / summary.measured_ns - 1 if summary.measured_ns else None
    fits = {None: "not known", True: "yes", False: "no"}[summary.memory.fits]
    rests = ", ".join(f"{percent(part)} {kind}" for kind, part in summary.provenance.items())
    return (
        _named(answer),
        time(summary.predicted_ns),
        element("span", time(low), " – ", time(high)),
        "" if ratio is None else change(ratio),
        fits if fits != "no" else element("span", fits, class_="verdict-bad"),
        rests,
    )


def shares_by_origin(answer: Answer) -> Markup:
    """Show where the durations come from, as one bar and in figures."""
    summary = answer.summary
    segments, start = [], 0.0
    for kind, part in summary.provenance.items():
        tip = f"{kind}: {percent(part)}"
        segments.append(Segment(start, 100 * part, ORIGIN_COLOURS.get(kind, "other"), tip))
        start += 100 * part
    rows = [(kind, share(part), ORIGINS.get(kind, "")) for kind, part in summary.provenance.items()]
    return element(
        "figure",
        chart(
            [Bar("time of all rows", tuple(segments), "")],
            about="what the durations rest on",
            unit="%",
        ),
        table(("what the durations rest on", "share", ""), rows, key="provenance"),
    )


ORIGIN_COLOURS = {
    "measured": "good",
    "scaled": "compute",
    "calibrated": "model",
    "roofline": "copy",
    "default": "default",
}
ORIGINS = {
    "measured": "as recorded",
    "scaled": "the recording, times the ratio of two modelled times",
    "calibrated": "fitted to measurements of the target",
    "roofline": "from shapes and datasheet figures alone",
    "default": "an assumption, for want of anything better",
}
