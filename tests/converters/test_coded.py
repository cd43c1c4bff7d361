"""A coded column reads as the sequence that it stands for."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from etsim.converters.coded import coded


@given(st.lists(st.sampled_from("abc")))
def test_it_reads_as_the_values_it_was_made_of(values: list[str]) -> None:
    column = coded(values)
    assert list(column) == values
    assert column == values
    assert len(column) == len(values)
    assert [column[row] for row in range(len(column))] == values
    assert column[1:] == values[1:]


def test_each_distinct_value_stands_once_in_order_of_first_sight() -> None:
    column = coded(["mm", "relu", "mm"])
    assert column.table == ["mm", "relu"]
    assert column.code.tolist() == [0, 1, 0]
    assert column != ["mm", "relu", "relu"]


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from("abc"))))
def test_sorted_it_is_what_the_sorted_values_are_coded_as(rows: list[tuple[int, str]]) -> None:
    keys = np.array([key for key, _ in rows], dtype=np.int64)
    column = coded(value for _, value in rows).sorted_by(np.argsort(keys, kind="stable"))
    wanted = coded(value for _, value in sorted(rows, key=lambda row: row[0]))
    assert column.table == wanted.table
    assert column.code.tolist() == wanted.code.tolist()
