"""A scatter plot of measured and predicted times, as SVG without any library."""

from collections.abc import Sequence
from math import log10
from pathlib import Path

from ..converters.atomic import write_atomically
from ..models.errors import AnalysisError, UsageError

SIZE, MARGIN = 480, 56


def write_scatter(path: Path, points: Sequence[tuple[float, float]], title: str) -> None:
    """Write measured against predicted on two logarithmic axes, with the line of no error.

    Raises:
        UsageError: the file is to be something else than an SVG.
        AnalysisError: there is nothing to draw.
    """
    if path.suffix.lower() != ".svg":
        raise UsageError("a plot is written as .svg", where=path)
    shown = [(x, y) for x, y in points if x > 0 and y > 0]
    if not shown:
        raise AnalysisError("no operator ran on both sides: nothing to draw", where=path)
    values = [log10(value) for point in shown for value in point]
    low, high = min(values), max(values) + 1e-6
    write_atomically(path, _svg(shown, low, high, title))


def _svg(points: Sequence[tuple[float, float]], low: float, high: float, title: str) -> str:
    span = SIZE - 2 * MARGIN

    def place(value: float) -> float:
        return MARGIN + span * (log10(value) - low) / (high - low)

    dots = "".join(
        f'<circle cx="{place(x):.1f}" cy="{SIZE - place(y):.1f}" r="3"/>' for x, y in points
    )
    end = SIZE - MARGIN
    safe = title.replace("&", "&amp;").replace("<", "&lt;")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{SIZE}" height="{SIZE}" '
        f'font-family="sans-serif" font-size="12">'
        f'<rect width="{SIZE}" height="{SIZE}" fill="white"/>'
        f'<path d="M{MARGIN} {end}H{end}M{MARGIN} {end}V{MARGIN}" stroke="black" fill="none"/>'
        f'<path d="M{MARGIN} {end}L{end} {MARGIN}" stroke="grey" stroke-dasharray="4"/>'
        f'<g fill="#1f77b4" fill-opacity="0.6">{dots}</g>'
        f'<text x="{SIZE / 2}" y="24" text-anchor="middle">{safe}</text>'
        f'<text x="{SIZE / 2}" y="{SIZE - 16}" text-anchor="middle">measured, '
        f"{10 ** (low - 3):.3g} to {10 ** (high - 3):.3g} us, logarithmic</text>"
        f'<text x="16" y="{SIZE / 2}" text-anchor="middle" '
        f'transform="rotate(-90 16 {SIZE / 2})">predicted</text></svg>\n'
    )
