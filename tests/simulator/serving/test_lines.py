"""Decode lines: a run of steps takes exactly as long as its single steps."""

from hypothesis import given
from hypothesis import strategies as st

from etsim.models.serving.step_cost import FittedCost
from etsim.simulator.serving.lines import TICKS_PER_NS, DecodeLines, Line

lines = st.builds(Line, st.integers(1, 10**9), st.integers(0, 10**4), st.just(10**9))


@given(lines, st.integers(1, 200), st.integers(0, 10**5), st.integers(1, 300))
def test_a_run_is_the_sum_of_its_steps(line: Line, steps: int, kv: int, batch: int) -> None:
    singly = sum(line.base + line.slope * (kv + batch * i) for i in range(steps))
    assert line.after(steps, kv, batch) == singly


@given(lines, st.integers(0, 10**12), st.integers(0, 10**5), st.integers(1, 300))
def test_the_boundary_after_an_arrival_is_the_first_one(
    line: Line, elapsed: int, kv: int, batch: int
) -> None:
    steps = line.steps_until(elapsed, kv, batch)
    assert steps >= 1
    assert steps == 1 or line.after(steps - 1, kv, batch) < elapsed
    assert line.after(steps, kv, batch) >= elapsed


@given(st.integers(1, 500), st.integers(0, 10**6))
def test_a_linear_cost_is_met_at_every_length(batch: int, kv: int) -> None:
    cost = FittedCost(20e6, 5e4, 1.5, 0.0, 0.0, 0.0)
    line = DecodeLines(cost).line(batch, kv)
    assert kv < line.high or kv == 0
    told = line.after(1, kv, batch) / TICKS_PER_NS
    assert abs(told - (20e6 + 5e4 * batch + 1.5 * kv)) < 1e-3 * (1 + kv / 1e3)
