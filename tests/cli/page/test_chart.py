"""The chart: lengths in proportion, ticks at round numbers, whiskers and limits in their place."""

import re

import pytest

from etsim.cli.page.chart import LABEL, PLOT, Bar, Segment, chart, tick_step


def widths(svg: str) -> list[float]:
    return [float(found) for found in re.findall(r'<rect [^>]*?width="([\d.]+)"', svg)]


def bar(*lengths: float, whisker: tuple[float, float] | None = None) -> Bar:
    segments, start = [], 0.0
    for length in lengths:
        segments.append(Segment(start, length, "compute", f"{length}"))
        start += length
    return Bar("a", tuple(segments), "", whisker)


def test_the_longest_bar_fills_the_axis_and_the_others_are_in_proportion() -> None:
    found = widths(chart([bar(4), bar(1, 2)], about="", unit="ms"))
    assert found == pytest.approx([PLOT, PLOT / 4, PLOT / 2], abs=0.1)


def test_the_axis_reaches_to_whiskers_and_limits() -> None:
    assert widths(chart([bar(1, whisker=(0.5, 2))], about="", unit="")) == [PLOT / 2]
    svg = chart([bar(1)], about="", unit="", limit=4)
    assert widths(svg) == [PLOT / 4]
    assert f'x1="{LABEL + PLOT}" x2="{LABEL + PLOT}"' in svg


@pytest.mark.parametrize(("largest", "step"), [(10, 2), (11, 5), (7, 2), (0.3, 0.1), (100, 20)])
def test_ticks_are_one_two_or_five(largest: float, step: float) -> None:
    assert tick_step(largest) == pytest.approx(step)


def test_nothing_to_draw_is_an_empty_chart() -> None:
    assert widths(chart([], about="", unit="")) == []
    assert widths(chart([bar(0)], about="", unit="")) == []
