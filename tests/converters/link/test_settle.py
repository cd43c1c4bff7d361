"""Lags fitted to what was measured: replay of the unchanged graph is exact, and nothing is lost.

measured   p |----|            v |--|         start[v] = max over p (end[p] + lag)
"""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from etsim.converters.link.settle import Settled, settle

Ints = NDArray[np.int64]


def ints(*values: int) -> Ints:
    return np.array(values, dtype=np.int64)


def of_last_row(ends: tuple[int, ...], usual: tuple[int, ...], start: int) -> Settled:
    """Settle a graph of rows without predecessors and one last row after all of them."""
    count = len(ends)
    return settle(
        ints(*[0] * (count + 1), count), np.arange(count), ints(*usual),
        ints(*[0] * count, start), ints(*ends, start + 1),
    )  # fmt: skip


def test_an_edge_that_would_end_too_late_is_shortened() -> None:
    """The predecessor ends at 100, 10 are usual, the row started at 104."""
    settled = of_last_row((100,), (10,), 104)
    assert settled.lag_ns.tolist() == [4]
    assert settled.unexplained_ns.tolist() == [0, 0]


def test_a_row_that_started_before_its_predecessor_ended_has_a_negative_lag() -> None:
    assert of_last_row((100,), (10,), 97).lag_ns.tolist() == [-3]


def test_what_no_edge_explains_goes_to_the_edge_that_binds_and_is_counted() -> None:
    """Two predecessors: 100 + 10 binds against 50 + 5; the row started at 130."""
    settled = of_last_row((50, 100), (5, 10), 130)
    assert settled.lag_ns.tolist() == [5, 30]
    assert settled.unexplained_ns.tolist() == [0, 0, 20]


def test_of_two_that_bind_alike_the_first_gets_the_rest() -> None:
    assert of_last_row((100, 100), (10, 10), 130).lag_ns.tolist() == [30, 10]


def test_edges_that_explain_the_start_are_left_alone() -> None:
    settled = of_last_row((50, 100), (5, 10), 110)
    assert settled.lag_ns.tolist() == [5, 10]


def test_a_graph_without_edges_is_settled() -> None:
    settled = settle(ints(0, 0, 0), ints(), ints(), ints(0, 5), ints(3, 9))
    assert settled.lag_ns.tolist() == []
    assert settled.unexplained_ns.tolist() == [0, 0]


@st.composite
def measured_graphs(draw: st.DrawFn) -> dict[str, Any]:
    rows = draw(st.integers(1, 12))
    times = st.integers(-(10**6), 10**12)
    start = [draw(times) for _ in range(rows)]
    duration = [draw(st.integers(0, 10**9)) for _ in range(rows)]
    predecessors = [
        sorted(draw(st.lists(st.integers(0, row - 1), max_size=4))) if row else []
        for row in range(rows)
    ]
    edges = [source for row in predecessors for source in row]
    return {
        "edge_start": np.cumsum([0, *(len(row) for row in predecessors)]),
        "source": ints(*edges),
        "lag_ns": ints(*(draw(st.integers(-(10**6), 10**12)) for _ in edges)),
        "start_ns": ints(*start),
        "end_ns": ints(*start) + ints(*duration),
    }


@given(measured_graphs())
def test_every_row_with_a_predecessor_starts_when_measured(graph: dict[str, Any]) -> None:
    settled = settle(**graph)
    end, edge_start = graph["end_ns"], graph["edge_start"]
    for row, start in enumerate(graph["start_ns"].tolist()):
        edges = range(int(edge_start[row]), int(edge_start[row + 1]))
        ready = [int(end[graph["source"][e]] + settled.lag_ns[e]) for e in edges]
        assert not ready or max(ready) == start


@given(measured_graphs())
def test_a_usual_cost_grows_only_by_what_is_counted_as_unexplained(graph: dict[str, Any]) -> None:
    settled = settle(**graph)
    assert (settled.unexplained_ns >= 0).all()
    grown = np.maximum(settled.lag_ns - graph["lag_ns"], 0)
    assert int(grown.sum()) == int(settled.unexplained_ns.sum())
