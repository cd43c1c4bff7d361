"""Where things stand on the page: nothing overlaps, every arrow is to be followed, text fits."""

import math
from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etsim.converters.draw.band import Band, Frame, frame_of, split
from etsim.converters.draw.box_shapes import NAME_SIZE
from etsim.converters.draw.picture import Arrow, Box, Picture, Strip
from etsim.converters.draw.place import BOX_HEIGHT, BOX_WIDTH, place
from etsim.converters.draw.shapes import Drawing, Line, Point, Rect, Text, text_width, trim, wrap
from etsim.converters.draw.sheet import draw
from etsim.converters.draw.style import duration_text, short_name
from etsim.converters.draw.wires import wire_shapes
from etsim.models.graph import Category, EdgeKind, LaneKind


def picture_of(strips: list[int], arrows: list[tuple[int, int, EdgeKind, int]]) -> Picture:
    """Give a picture with a box on each of these strips."""
    return Picture(
        title="test",
        subtitle="of the layout",
        level="rows",
        strips=tuple(Strip(f"strip {i}", LaneKind.HOST) for i in range(max(strips) + 1)),
        boxes=tuple(
            Box(number=i, name=f"box{i}", category=Category.HOST, strip=strip, duration_ns=1000)
            for i, strip in enumerate(strips)
        ),
        arrows=tuple(Arrow(*arrow) for arrow in arrows),
    )


def chain(length: int) -> Picture:
    """0 > 1 > 2 > ... on one strip."""
    order = [(i, i + 1, EdgeKind.HOST_ORDER, 1) for i in range(length - 1)]
    return picture_of([0] * length, order)


@st.composite
def pictures(draw_value: st.DrawFn) -> Picture:
    strips = draw_value(st.lists(st.integers(0, 3), min_size=1, max_size=24))
    count = len(strips)
    rising = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)).filter(
        lambda pair: pair[0] < pair[1]
    )
    ends = draw_value(st.lists(rising, max_size=2 * count, unique=True)) if count > 1 else []
    kinds = [draw_value(st.sampled_from(EdgeKind)) for _ in ends]
    return picture_of(
        strips,
        [(*pair, kind, 1 + n % 3) for n, (pair, kind) in enumerate(zip(ends, kinds, strict=True))],
    )


def test_a_box_stands_right_of_all_it_waits_for() -> None:
    """0 > 1 > 3, 0 --> 2 on another strip, 2 --> 3"""
    launch = EdgeKind.LAUNCH
    picture = picture_of(
        [0, 0, 1, 0],
        [(0, 1, EdgeKind.HOST_ORDER, 1), (0, 2, launch, 1), (1, 3, launch, 1), (2, 3, launch, 1)],
    )
    assert [spot.column for spot in place(picture)] == [0, 1, 1, 2]


def test_boxes_that_do_not_wait_for_each_other_stand_above_each_other() -> None:
    spots = place(picture_of([0, 0, 0], []))
    assert {(spot.column, spot.slot) for spot in spots} == {(0, 0), (0, 1), (0, 2)}


def test_a_short_chain_is_one_line_and_a_long_one_breaks_like_text() -> None:
    assert {spot.band for spot in place(chain(10))} == {0}
    spots = place(chain(300))
    widest = max(spot.column for spot in spots) + 1
    assert [(spot.band, spot.column) for spot in spots] == [divmod(i, widest) for i in range(300)]


@pytest.mark.parametrize("length", [30, 100, 400])
def test_the_sheet_has_the_shape_of_a_screen(length: int) -> None:
    drawing = draw(chain(length))
    assert 1.0 < drawing.width / drawing.height < 2.6


def test_an_arrow_to_another_band_is_named_at_both_ends() -> None:
    """A chain of 30, and a launch from its first box to its last."""
    long = chain(30)
    jump = Arrow(0, 29, EdgeKind.DATA)
    texts = [
        shape.text
        for shape in draw(
            Picture(long.title, "", "rows", long.strips, long.boxes, (*long.arrows, jump))
        ).shapes
        if isinstance(shape, Text)
    ]
    assert texts.count("to") == texts.count("from") == 1
    assert texts.count("#29") == texts.count("#0") == 2  # on the box, and at the arrow's other end


def test_arrows_from_one_box_share_a_line_without_drawing_it_twice() -> None:
    """0 --data--> 1 and --data--> 2, on the strips below: dashes must not fill each other."""
    picture = picture_of([0, 1, 2], [(0, 1, EdgeKind.LAUNCH, 1), (0, 2, EdgeKind.LAUNCH, 1)])
    (band,) = split(picture, place(picture))
    lines, _ = wire_shapes(frame_of(band), picture)
    assert not overlaps(lines)
    assert sum(line.head for line in lines) == 2


def test_what_the_picture_leaves_out_stands_at_its_foot() -> None:
    small = chain(2)
    remarked = Picture("t", "", "rows", small.strips, small.boxes, (), ("seven rows are hidden",))
    last = draw(remarked).shapes[-1]
    assert isinstance(last, Text)
    assert last.text == "Seven rows are hidden."


def test_untimed_boxes_show_no_time() -> None:
    small = chain(2)
    untimed = Picture("t", "", "rows", small.strips, small.boxes, (), timed=False)
    assert not any("µs" in shape.text for shape in draw(untimed).shapes if isinstance(shape, Text))


@pytest.mark.parametrize(
    ("duration_ns", "text"),
    [(0, "0"), (1, "0.001 µs"), (999, "0.999 µs"), (1000, "1.00 µs"), (99_960, "100 µs"),
     (999_499, "999 µs"), (999_500, "1.00 ms"), (1_234_567, "1.23 ms"), (60_000_000_000, "60.0 s"),
     (3_600_000_000_000, "3,600 s")],
)  # fmt: skip
def test_durations_have_three_digits_and_a_unit(duration_ns: int, text: str) -> None:
    assert duration_text(duration_ns) == text


@pytest.mark.parametrize(
    ("name", "short"),
    [("aten::mm", "aten::mm"),
     ("void at::native::(anonymous namespace)::fill<4, float>(int, float*)", "at::native::fill"),
     ("autograd::engine::evaluate_function: MmBackward0", "MmBackward0"),
     ("<unknown>", "<unknown>"), ("operator<(a, b)", "operator")],
)  # fmt: skip
def test_kernel_names_lose_what_the_compiler_added(name: str, short: str) -> None:
    assert short_name(name) == short


@given(st.text(max_size=200))
def test_names_are_broken_and_trimmed_to_fit(name: str) -> None:
    lines = wrap(name, BOX_WIDTH, NAME_SIZE)
    assert len(lines) <= 2
    assert all(text_width(line, NAME_SIZE) <= BOX_WIDTH for line in lines)
    assert text_width(trim(name, 50.0, NAME_SIZE), NAME_SIZE) <= 50.0


@settings(deadline=None, max_examples=150)
@given(pictures())
def test_nothing_overlaps_and_no_arrow_runs_through_a_box(picture: Picture) -> None:
    for band in split(picture, place(picture)):
        frame = frame_of(band)
        boxes = [frame.box_corner(end) for end in band.ends.values()]
        for (ax, ay), (bx, by) in combinations(boxes, 2):
            assert abs(ax - bx) >= BOX_WIDTH or abs(ay - by) >= BOX_HEIGHT
        lines, _ = wire_shapes(frame, picture)
        for line in lines:
            for start, end in pairwise(line.points):
                assert not any(crosses(corner, start, end) for corner in boxes)
        assert not overlaps(lines)
        assert_arrows_arrive(band, frame, lines)


@settings(deadline=None, max_examples=40)
@given(pictures())
def test_everything_is_on_the_sheet(picture: Picture) -> None:
    drawing = draw(picture)
    for shape in drawing.shapes:
        for x, y in corners(shape):
            assert -0.01 <= x <= drawing.width + 0.01
            assert -0.01 <= y <= drawing.height + 0.01
    assert math.isfinite(drawing.width * drawing.height)


def corners(shape: Rect | Line | Text) -> list[tuple[float, float]]:
    match shape:
        case Rect(x=x, y=y, width=width, height=height):
            return [(x, y), (x + width, y + height)]
        case Line(points=points):
            return list(points)
        case Text(x=x, y=y, text=text, size=size, anchor="start"):
            return [(x, y), (x + text_width(text, size), y - size)]
        case Text(x=x, y=y):
            return [(x, y)]


def crosses(corner: Point, start: Point, end: Point) -> bool:
    """Tell whether a level or upright stretch enters a box's inside."""
    (left, top), slack = corner, 0.01
    low_x, high_x = sorted((start[0], end[0]))
    low_y, high_y = sorted((start[1], end[1]))
    return (
        high_x > left + slack
        and low_x < left + BOX_WIDTH - slack
        and high_y > top + slack
        and low_y < top + BOX_HEIGHT - slack
    )


def assert_arrows_arrive(band: Band, frame: Frame, lines: list[Line]) -> None:
    """Each box that an arrow of the band ends at has an arrow's head at its side."""
    tips = {(round(line.points[-1][0], 2), line.points[-1][1]) for line in lines if line.head}
    for arrow in band.inside:
        x, y = frame.box_corner(band.ends[arrow.target])
        sides = {round(x, 2), round(x + BOX_WIDTH, 2)}
        assert any(tip[0] in sides and y <= tip[1] <= y + BOX_HEIGHT for tip in tips)


def overlaps(lines: list[Line]) -> list[tuple[float, float, float]]:
    """Find where upright stretches lie on each other: x, from and to."""
    upright: list[tuple[float, float, float]] = [
        (round(a[0], 2), min(a[1], b[1]), max(a[1], b[1]))
        for line in lines
        for a, b in pairwise(line.points)
        if a[0] == b[0]
    ]
    return [
        (x, max(low, other_low), min(high, other_high))
        for (x, low, high), (other_x, other_low, other_high) in combinations(upright, 2)
        if x == other_x and min(high, other_high) - max(low, other_low) > 0.01
    ]


def test_a_drawing_has_its_title() -> None:
    drawing = draw(chain(1))
    assert isinstance(drawing, Drawing)
    assert drawing.title == "test"
