"""A thread's time split among its events: each gets its largest own piece, nobody's twice."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etsim.converters.link.segments import Segments, ancestors_where, segment
from etsim.models.graph import Category, EdgeKind
from etsim.tests.kineto_maker import WORKER, Recording


def pieces(
    events: list[tuple[str, float, float]], no_time: str = ""
) -> tuple[dict[str, tuple[float, float]], Segments, list[str]]:
    """Give each event's piece in us, and the names in the table's order."""
    run = Recording()
    first = min(start for _, start, _ in events)
    for name, start, end in events:
        run.op(name, start, end)
    trace = run.trace()
    names = [trace.names[i] for i in trace.host.name.tolist()]
    found = segment(trace.host, np.array([name != no_time for name in names]))
    return (
        {
            name: (first + begin / 1000, first + end / 1000)
            for name, begin, end in zip(
                names, found.begin_ns.tolist(), found.end_ns.tolist(), strict=True
            )
        },
        found,
        names,
    )


def test_an_operator_keeps_the_larger_piece_of_its_own_time() -> None:
    """Draw two nested operators: linear owns 10 us before and 20 us after addmm.

    linear  |--------------------------|
    addmm        |----------------|
             0   10               80   100
    """
    found, _, _ = pieces([("linear", 0, 100), ("addmm", 10, 80)])
    assert found == {"linear": (80, 100), "addmm": (10, 80)}


def test_of_equal_pieces_the_first_is_kept() -> None:
    found, _, _ = pieces([("outer", 0, 100), ("inner", 10, 90)])
    assert found["outer"] == (0, 10)


def test_the_piece_may_lie_between_two_children() -> None:
    found, _, _ = pieces([("outer", 0, 100), ("a", 5, 20), ("b", 70, 98)])
    assert found["outer"] == (20, 70)


def test_a_grandchilds_time_is_nobody_elses() -> None:
    found, _, _ = pieces([("outer", 0, 100), ("middle", 10, 60), ("inner", 12, 58)])
    assert found == {"outer": (60, 100), "middle": (10, 12), "inner": (12, 58)}


def test_an_operator_that_is_all_child_has_no_time_of_its_own() -> None:
    found, _, _ = pieces([("outer", 0, 50), ("inner", 0, 50)])
    begin, end = found["outer"]
    assert begin == end
    assert found["inner"] == (0, 50)


def test_one_that_starts_when_another_ends_is_beside_it_not_inside() -> None:
    _, found, names = pieces([("first", 0, 10), ("second", 10, 20)])
    assert found.parent[names.index("second")] == -1


def test_annotations_own_nothing() -> None:
    found, _, _ = pieces([("mark", 0, 100), ("op", 10, 20)], no_time="mark")
    assert found["mark"] == (0, 0)
    run = Recording()
    run.mark("mark", 0, 100)
    run.op("op", 10, 20)
    seen = run.linked()
    assert seen.duration_us("mark") == 0
    assert seen.graph.nodes.category[seen.row("mark")] == Category.ANNOTATION


@pytest.mark.parametrize(("after_us", "counted"), [(2, 0), (2.001, 1)])
def test_a_child_that_ends_up_to_2_us_after_its_parent_is_rounding(
    after_us: float, counted: int
) -> None:
    """It is cut to its parent's end either way; beyond that the cut is counted."""
    found, segments, _ = pieces([("outer", 0, 100), ("inner", 50, 100 + after_us)])
    assert segments.clamped == counted
    assert found["inner"] == (50, 100)


def test_a_cut_event_is_told_in_the_notes() -> None:
    run = Recording()
    run.op("outer", 0, 100)
    run.op("inner", 50, 150)
    assert run.graph().meta.notes == ("1 events end after the event that encloses them",)


def test_threads_do_not_enclose_each_other() -> None:
    run = Recording()
    run.op("outer", 0, 100)
    run.op("other", 10, 20, thread=WORKER)
    seen = run.linked()
    assert seen.duration_us("outer") == 100
    assert seen.graph.nodes.parent[seen.row("other")] == -1


def test_the_nearest_wanted_ancestor_may_be_the_event_itself() -> None:
    _, found, names = pieces([("outer", 0, 100), ("middle", 10, 60), ("inner", 12, 58)])
    wanted = np.array([name in ("outer", "inner") for name in names])
    nearest = ancestors_where(found.parent, wanted)
    assert [names[i] for i in nearest] == ["outer", "outer", "inner"]
    assert ancestors_where(found.parent, np.zeros(3, dtype=bool)).tolist() == [-1, -1, -1]


@st.composite
def nested(draw: st.DrawFn, begin: int = 0, end: int = 64, depth: int = 0) -> list[tuple[int, int]]:
    """Give properly nested intervals inside [begin, end]."""
    if depth > 3 or end - begin < 2:
        return []
    cuts = sorted(draw(st.lists(st.integers(begin, end), max_size=6)))
    result = []
    for left, right in zip(cuts[::2], cuts[1::2], strict=False):
        if left < right:
            result += [(left, right), *draw(nested(left, right, depth + 1))]
    return result


@given(nested())
def test_pieces_never_overlap_and_lie_inside_their_event(spans: list[tuple[int, int]]) -> None:
    if not spans:
        return
    found, _, _ = pieces([(f"e{i}", start, end) for i, (start, end) in enumerate(spans)])
    for i, (start, end) in enumerate(spans):
        begin, until = found[f"e{i}"]
        assert start <= begin <= until <= end
    timed = sorted(piece for piece in found.values() if piece[0] < piece[1])
    assert all(before[1] <= after[0] for before, after in pairwise(timed))


def test_host_rows_stand_in_order_of_their_pieces() -> None:
    """The outer operator's own time comes after its child, so its row does too."""
    run = Recording()
    run.op("linear", 0, 100)
    run.op("addmm", 10, 80)
    seen = run.linked()
    assert seen.order() == ["addmm", "linear"]
    assert seen.edges(EdgeKind.HOST_ORDER) == {("addmm", "linear")}
    assert seen.graph.nodes.parent[seen.row("addmm")] == seen.row("linear")
