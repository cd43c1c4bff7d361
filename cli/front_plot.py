"""A sweep as a picture: every point's time against its price, the front as a line, as SVG."""

from collections.abc import Callable, Sequence
from math import log10
from pathlib import Path
from xml.sax.saxutils import escape

from ..converters.atomic import write_atomically
from ..models.errors import AnalysisError, UsageError
from ..simulator.sweep import Result

WIDTH, HEIGHT, MARGIN = 760, 480, 70
LABEL_LETTERS = 34


def write_front(path: Path, results: Sequence[Result], front: set[str]) -> None:
    """Write the picture; points without a price are left out, energy stands in if none has one.

    Raises:
        UsageError: the file is to be something else than an SVG.
        AnalysisError: no point has an answer.
    """
    if path.suffix.lower() != ".svg":
        raise UsageError("a plot is written as .svg", where=path)
    answered = [result for result in results if not result.fault]
    priced = [result for result in answered if result.price_usd is not None]
    shown = priced or answered
    if not shown:
        raise AnalysisError("no point has an answer: nothing to draw", where=path)
    write_atomically(path, _svg(shown, front, "USD a run" if priced else "J a run at most"))


def _cost(result: Result) -> float:
    return result.energy_j if result.price_usd is None else result.price_usd


def _svg(shown: Sequence[Result], front: set[str], cost_title: str) -> str:
    across = _scale([r.predicted_ns / 1e6 for r in shown], MARGIN, WIDTH - MARGIN)
    up = _scale([_cost(r) for r in shown], HEIGHT - MARGIN, MARGIN)
    place = {r.key: (across(r.predicted_ns / 1e6), up(_cost(r))) for r in shown}
    best = sorted((r for r in shown if r.key in front), key=lambda r: r.predicted_ns)
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place[r.key] for r in best))
    dots = "".join(_dot(*place[r.key], on_front=r.key in front) for r in shown)
    labels = "".join(_label(r, *place[r.key]) for r in best)
    times = [r.predicted_ns / 1e6 for r in shown]
    costs = [_cost(r) for r in shown]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        'font-family="sans-serif" font-size="12">'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>'
        f'<path d="M{MARGIN} {MARGIN / 2}V{HEIGHT - MARGIN / 2}H{WIDTH - MARGIN / 2}" '
        'stroke="black" fill="none"/>'
        f'<polyline points="{line}" stroke="#d62728" fill="none"/>{dots}{labels}'
        f'<text x="{WIDTH / 2}" y="20" text-anchor="middle">{len(shown)} points; '
        "the line joins those that nothing beats in both</text>"
        f'<text x="{WIDTH / 2}" y="{HEIGHT - 10}" text-anchor="middle">predicted ms, '
        f"{min(times):.3g} to {max(times):.3g}, logarithmic</text>"
        f'<text x="18" y="{HEIGHT / 2}" text-anchor="middle" '
        f'transform="rotate(-90 18 {HEIGHT / 2})">{cost_title}, {min(costs):.3g} to '
        f"{max(costs):.3g}, logarithmic</text></svg>\n"
    )


def _scale(values: Sequence[float], low_at: float, high_at: float) -> Callable[[float], float]:
    """Give a logarithmic axis from `low_at` to `high_at`; equal values stand in its middle."""
    low, high = log10(min(values)), log10(max(values))

    def place(value: float) -> float:
        share = (log10(value) - low) / (high - low) if high > low else 0.5
        return low_at + share * (high_at - low_at)

    return place


def _dot(x: float, y: float, *, on_front: bool) -> str:
    colour, radius = ("#d62728", 5) if on_front else ("#1f77b4", 3)
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{colour}"/>'


def _label(result: Result, x: float, y: float) -> str:
    """Beside the dot, on the side where there is room."""
    figures = ", ".join(f"{key}={value}" for key, value in result.figures)
    text = "; ".join(part for part in (result.hardware, figures, *result.changes) if part)
    text = text if len(text) <= LABEL_LETTERS else text[: LABEL_LETTERS - 1] + "…"
    anchor, shift = ("start", 8) if x < WIDTH / 2 else ("end", -8)
    return f'<text x="{x + shift:.1f}" y="{y - 6:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
