"""Operators find their partners by name and shapes, then by name; every one stands in one match."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from etsim.simulator.operator_match import MatchedBy, match_operators
from etsim.simulator.operator_times import OperatorKey, OperatorTime

keys = st.builds(OperatorKey, st.sampled_from("ab"), st.sampled_from([(1,), (2,)]))
operators = st.lists(st.builds(OperatorTime, keys, st.integers(0, 9), st.just(0)), max_size=8)


def mm(rows: int, time_ns: int = 1) -> OperatorTime:
    return OperatorTime(OperatorKey("mm", ((rows, 4),)), time_ns, 0)


def test_equal_shapes_match_first_in_order() -> None:
    """A: mm(4) mm(4); B: mm(4) mm(8)  ->  the first by shapes, the second by name."""
    found = match_operators([mm(4, 1), mm(4, 2)], [mm(4, 3), mm(8, 4)])
    assert [(m.by, m.a[0].time_ns, m.b[0].time_ns) for m in found] == [
        (MatchedBy.NAME_AND_SHAPES, 1, 3),
        (MatchedBy.NAME, 2, 4),
    ]


def test_what_only_one_side_has_stands_alone() -> None:
    relu = OperatorTime(OperatorKey("relu"), 1, 0)
    (found,) = match_operators([relu], [])
    assert (found.by, found.a, found.b) == (MatchedBy.NOTHING, (relu,), ())


@given(operators, operators)
def test_every_operator_is_in_exactly_one_match(
    a: list[OperatorTime], b: list[OperatorTime]
) -> None:
    found = match_operators(a, b)
    assert Counter(one for m in found for one in m.a) == Counter(a)
    assert Counter(one for m in found for one in m.b) == Counter(b)
    for match in found:
        if match.by is MatchedBy.NOTHING:
            assert not (match.a and match.b)
        else:
            assert len(match.a) == len(match.b) > 0


@given(operators)
def test_a_run_matches_itself_wholly(a: list[OperatorTime]) -> None:
    assert all(m.by is MatchedBy.NAME_AND_SHAPES for m in match_operators(a, a))
