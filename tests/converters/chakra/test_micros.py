import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from etsim.converters.chakra.micros import carried, rounded


def test_halves_are_rounded_up_and_times_before_zero_are_zero() -> None:
    assert rounded(np.array([499, 500, 1499, 1500, -700])).tolist() == [0, 1, 1, 2, 0]


def test_the_error_is_carried_along_each_lane() -> None:
    """Lane 0: 700 700 700 ns is 2.1 us; lane 1: 400 400 ns is 0.8 us."""
    durations = np.array([700, 400, 700, 400, 700])
    lanes = np.array([0, 1, 0, 1, 0], dtype=np.int32)
    assert carried(durations, lanes).tolist() == [1, 0, 0, 1, 1]


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 2)), max_size=30))
def test_every_lanes_sum_is_right_to_half_a_microsecond(rows: list[tuple[int, int]]) -> None:
    durations = np.array([row[0] for row in rows], dtype=np.int64)
    lanes = np.array([row[1] for row in rows], dtype=np.int32)
    micros = carried(durations, lanes)
    assert (micros >= 0).all()
    for lane in range(3):
        error = np.cumsum(micros[lanes == lane] * 1000) - np.cumsum(durations[lanes == lane])
        assert (abs(error) <= 500).all()
