"""Two timelines side by side, drawn and real."""

from pathlib import Path

import pytest

from etsim.converters.convert import convert_kineto
from etsim.models.graph import Operator
from etsim.models.timeline import Timeline, measured
from etsim.simulator.breakdown.activity import activity_of
from etsim.simulator.breakdown.selection import Selection, Window
from etsim.simulator.compare import compare
from etsim.simulator.operator_match import MatchedBy
from etsim.simulator.operator_times import NO_OPERATOR, OperatorKey, operator_times
from etsim.tests.timelines import Drawing


def one_linear(kernel_ns: int, rank: int = 0, name: str = "gemm") -> Timeline:
    """linear > launch --> kernel at 10; a memset without launch at 2."""
    drawing = Drawing(rank)
    operator = Operator("aten::linear", input_shapes=((2, 4),))
    top = drawing.host("aten::linear", 0, 2, operator=operator)
    drawing.device(2, 3, name="stray")
    call = drawing.launch(3, 4, parent=top)
    drawing.device(10, 10 + kernel_ns, name=name, launch=call, module="Net/Linear")
    return drawing.done()


def test_ratios_and_differences_are_of_b_over_a() -> None:
    found = compare([one_linear(4)], [one_linear(6, name="other_gemm")])
    (linear,) = found.operators
    assert (linear.a_ns, linear.b_ns, linear.ratio, linear.difference_ns) == (4, 6, 1.5, 2)
    assert linear.matched_by is MatchedBy.NAME_AND_SHAPES
    assert found.ratio == 1.5
    assert (found.a.matched, found.a.matched_ns, found.a.left_out) == (1, 4, 1)
    (module,) = found.modules
    assert (module.name, module.a_ns, module.b_ns) == ("Net/Linear", 4, 6)


def test_unlinked_work_counts_where_it_is_wanted() -> None:
    found = compare([one_linear(4)], [one_linear(4)], Selection())
    assert found.a.window_ns == 12
    assert {pair.name for pair in found.operators} == {"aten::linear", f"{NO_OPERATOR}stray"}


def test_times_of_many_ranks_are_means() -> None:
    found = compare([one_linear(4), one_linear(8, rank=1)], [one_linear(6)])
    linear = next(pair for pair in found.operators if pair.matched_by is not MatchedBy.NOTHING)
    assert (linear.count_a, linear.count_b, linear.b_ns) == (1, 1, 6)
    assert (found.a.ranks, found.a.operator_ns, found.a.window_ns) == (2, 6, 8)


def test_a_run_compared_with_itself_differs_in_nothing() -> None:
    found = compare([one_linear(4)], [one_linear(4)])
    every = (*found.categories, *found.operators, *found.modules)
    assert all(pair.difference_ns == 0 for pair in every)


@pytest.mark.shared
@pytest.mark.parametrize(("name", "count"), [("bert_small", 104), ("qwen0.5b", 1378)])
def test_the_operators_of_the_measured_pair_match_in_order(
    shared_data: Path, name: str, count: int
) -> None:
    runs = []
    for device in ("h100", "mi300"):
        path = shared_data / "traces" / "pair_h100_mi300" / f"{device}_{name}.json.gz"
        runs.append(measured(convert_kineto(path).graph))
    keys_a, keys_b = (_named_keys(run) for run in runs)
    assert keys_a == keys_b
    assert len(keys_a) == count
    found = compare([runs[0]], [runs[1]])
    assert found.a.matched == found.a.operators == found.b.operators == count
    assert found.a.matched_ns == found.a.operator_ns


def _named_keys(run: Timeline) -> list[OperatorKey]:
    times = operator_times(activity_of(run, 0), Window(0, run.makespan_ns))
    return [one.key for one in times if not one.key.name.startswith(NO_OPERATOR)]
