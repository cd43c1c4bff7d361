"""Where the time goes: ranks and steps, recorded and predicted; idle causes; collectives."""

from collections.abc import Sequence
from dataclasses import replace

from ...simulator.breakdown.parts import Parts
from ...simulator.breakdown.report import RankBreakdown
from ...simulator.collective_skew import SkewReport
from ..output import ms, percent
from ..report_content import Answer, Content, Split
from .chart import Bar, Segment, chart, legend
from .elements import Markup, element, together
from .figures import share, table, time

MOST_RANKS, MOST_STEPS = 16, 12  # drawn; --json has all
LEGEND = (
    ("compute", "computing"),
    ("comm", "exposed communication"),
    ("copy", "exposed copies"),
    ("idle", "idle"),
)
HEADER = ("", "ms", "computing", "exposed comm", "exposed copies", "idle", "comm overlapped")
Pair = tuple[str, Parts | None, Parts | None]


def whereabouts(content: Content, answer: Answer) -> Markup:
    """Give the section of a machine."""
    ranks = _ranks(content.recorded, answer.split)
    steps, step_title = _steps(content.recorded, answer.split)
    now = "replayed" if answer.self_check else "predicted"
    parts = [_block(ranks, now, key="breakdown")]
    if steps:
        parts += [element("h4", step_title), _block(steps, now, key="steps")]
    return element(
        "section",
        element("h3", "Where the time goes"),
        element("p", _told(content, answer), class_="soft"),
        *parts,
        _idle(content.recorded.longest(), answer),
        class_="card",
    )


def _block(pairs: Sequence[Pair], now: str, *, key: str) -> Markup:
    about = f"time by what was done, recorded and {now}"
    drawn = element("figure", chart(_bars(pairs, now), about=about, unit="ms"), legend(LEGEND))
    return together(drawn, table(HEADER, _rows(pairs, now), key=key))


def _told(content: Content, answer: Answer) -> str:
    """Say what the windows are."""
    told = "From the first to the last operation of each rank."
    if answer.offloaded:
        told += " As recorded the threads of the CPU count, as predicted the device."
    elif content.recorded.steps[0].cpu_only:
        told += " There is no device: computing is operators on threads."
    ranks = answer.split.steps
    if len(ranks) > MOST_RANKS:
        told += f" Of {len(ranks)} ranks the {MOST_RANKS} that take longest are shown."
    bound = sum(rank.is_launch_bound for rank in ranks)
    if bound:
        which = "the run is" if len(ranks) == 1 else f"{bound} of {len(ranks)} ranks are"
        told += f" On {answer.summary.target} {which} bound by launches."
    return told


def _ranks(recorded: Split, predicted: Split) -> list[Pair]:
    """Pair the ranks, of too many those that take longest."""
    before = {rank.rank: rank.parts for rank in recorded.steps}
    after = {rank.rank: rank.parts for rank in predicted.steps}
    chosen = sorted({*before, *after}, key=lambda r: (-_longer(before.get(r), after.get(r)), r))
    return [(f"rank {r}", before.get(r), after.get(r)) for r in sorted(chosen[:MOST_RANKS])]


def _longer(*parts: Parts | None) -> int:
    return max(part.window_ns if part else 0 for part in parts)


def _steps(recorded: Split, predicted: Split) -> tuple[list[Pair], str]:
    """Pair the steps of the rank that takes longest; none where there is but one window."""
    rank = predicted.longest()
    before = next((found for found in recorded.steps if found.rank == rank.rank), None)
    mine, theirs = _numbered(rank), _numbered(before) if before else {}
    names = list(dict.fromkeys([*theirs, *mine]))
    if len(names) < 2:
        return [], ""
    told = f"Steps of rank {rank.rank}, by what they launched"
    if len(names) > MOST_STEPS:
        told += f": the first {MOST_STEPS} of {len(names)}"
    return [(name, theirs.get(name), mine.get(name)) for name in names[:MOST_STEPS]], told


def _numbered(rank: RankBreakdown) -> dict[str, Parts]:
    """Give the steps by name; a name that comes again is numbered."""
    found: dict[str, Parts] = {}
    for group in rank.groups:
        name, number = group.name, 1
        while name in found:
            number += 1
            name = f"{group.name} ({number})"
        found[name] = group.parts
    return found


def _bars(pairs: Sequence[Pair], now: str) -> list[Bar]:
    bars = []
    for name, before, after in pairs:
        if before is not None:
            recorded = _bar(f"{name}, recorded", before, close=False)
            bars.append(replace(recorded, faint=after is not None))
        if after is not None:
            told = now if before else f"{name}, {now}"
            bars.append(_bar(told, after, close=before is not None))
    return bars


def _bar(name: str, parts: Parts, *, close: bool) -> Bar:
    lengths = (
        parts.computing_ns,
        parts.exposed_communication_ns,
        parts.exposed_memcpy_ns,
        parts.idle_ns,
    )
    segments, start = [], 0
    for (colour, meaning), length in zip(LEGEND, lengths, strict=True):
        told = percent(length / parts.window_ns) if parts.window_ns else ""
        tip = f"{name}: {ms(length)} ms {meaning} ({told})"
        segments.append(Segment(start / 1e6, length / 1e6, colour, tip))
        start += length
    return Bar(name, tuple(segments), f"{ms(parts.window_ns)} ms", close=close)


def _rows(pairs: Sequence[Pair], now: str) -> list[tuple[str, ...]]:
    return [
        _row(f"{name}, {how}", parts)
        for name, before, after in pairs
        for how, parts in (("recorded", before), (now, after))
        if parts is not None
    ]


def _row(name: str, parts: Parts) -> tuple[str, ...]:
    overlap = parts.overlap_share
    exposed = (
        parts.computing_ns,
        parts.exposed_communication_ns,
        parts.exposed_memcpy_ns,
        parts.idle_ns,
    )
    cells = [share(length / parts.window_ns) if parts.window_ns else "" for length in exposed]
    return (name, time(parts.window_ns), *cells, "" if overlap is None else share(overlap))


def _idle(before: RankBreakdown, answer: Answer) -> Markup:
    """Lay the idle time of the ranks that take longest to its causes."""
    after = answer.split.longest()
    causes = list(dict.fromkeys([*before.idle_by_cause, *after.idle_by_cause]))
    if not causes:
        return together()
    lost = {cause: (before.idle_by_cause.get(cause, 0), after.idle_by_cause.get(cause, 0))
            for cause in causes}  # fmt: skip
    ordered = sorted(causes, key=lambda cause: -max(lost[cause]))
    rows = [(str(cause), *(time(ns) if ns else "" for ns in lost[cause])) for cause in ordered]
    header = (
        "idle because of",
        f"recorded, rank {before.rank}, ms",
        f"{'replayed' if answer.self_check else 'predicted'}, rank {after.rank}, ms",
    )
    return together(element("h4", "Why nothing ran"), table(header, rows, key="idle"))


def collectives(skew: SkewReport | None) -> Markup:
    """Tell how the ranks met, as recorded; nothing where they never did."""
    if skew is None or not skew.collectives:
        return together()
    rows = [
        (
            kind.kind,
            f"{kind.count:,}",
            f"{kind.message_bytes / 1e6:,.3f}",
            time(kind.transfer_ns),
            time(kind.mean_wait_ns),
            time(kind.largest_skew_ns),
            "" if kind.median_bus_gbps is None else f"{kind.median_bus_gbps:.3g}",
        )
        for kind in skew.kinds
    ]
    header = ("collective", "count", "MB", "transfer ms", "mean wait ms", "largest skew ms",
              "median bus GB/s")  # fmt: skip
    late = skew.straggler
    count = skew.stragglers[late] if late is not None else 0
    told = f"Rank {late} came last most often: {count} of {len(skew.collectives)} times."
    return element(
        "section",
        element("h3", "Collectives, as recorded"),
        element("p", told, class_="soft"),
        table(header, rows, key="collectives"),
        class_="card",
    )
