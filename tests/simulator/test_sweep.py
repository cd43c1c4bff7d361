"""Sweeps: the points spanned, the front, and the same answers wherever they are computed."""

import socket
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etsim.models.errors import AnalysisError, UsageError
from etsim.models.specs import load
from etsim.simulator.farm import farm_of, here
from etsim.simulator.sweep import Result, Run, blocks, evaluate, pareto
from etsim.simulator.sweep_points import Point, parse_alternatives, parse_range, points_of
from etsim.tests.simulator.small_graphs import launched_products

RUN = Run((launched_products(),), load("h100-sxm"))
POINTS = points_of(["h100-sxm", "a100-sxm-80gb", "l4"], {}, [["", "host:2"]])


def result(key: str, time: int, price: float | None, energy: float = 1.0) -> Result:
    return Result(key, key, (), (), time, 1, price, energy)


def test_all_combinations_are_spanned_in_a_fixed_order() -> None:
    points = points_of(["a", "b"], {"cores": ["1", "2"]}, [["", "host:2"], ["launch:1"]])
    assert len(points) == 2 * 2 * 2
    assert points[0] == Point("a", (("cores", "1"),), ("launch:1",))
    assert points[1].changes == ("host:2", "launch:1")
    assert len({point.key for point in points}) == len(points)


def test_a_range_names_its_ends_and_keeps_its_unit() -> None:
    key, values = parse_range("memory.bandwidth=1.5TB/s:4TB/s:6")
    assert key == "memory.bandwidth"
    assert values[0] == "1.5 TB/s"
    assert values[-1] == "4 TB/s"
    assert len(values) == 6


def test_values_may_be_listed() -> None:
    assert parse_range("cores=80,108") == ("cores", ["80", "108"])


@pytest.mark.parametrize("text", ["cores", "=1:2:3", "cores=1:2", "cores=1:2:1", "x=1GB:2TB:3"])
def test_a_range_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--range"):
        parse_range(text)


def test_a_what_if_is_spanned_over_one_parameter() -> None:
    assert parse_alternatives("host:speed=1|2") == ["host:speed=1", "host:speed=2"]
    assert parse_alternatives("host:2") == ["host:2"]
    with pytest.raises(UsageError, match="two parameters"):
        parse_alternatives("link:bandwidth=1|2,latency=1|2")


def test_the_front_holds_what_nothing_beats_in_both() -> None:
    """fast and dear, slow and cheap stay; middle is beaten by fair."""
    points = [
        result("fast", 1, 10.0),
        result("fair", 2, 5.0),
        result("middle", 3, 6.0),
        result("slow", 4, 1.0),
        result("unpriced", 1, None),
    ]
    assert pareto(points) == {"fast", "fair", "slow"}


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=12))
def test_nothing_on_the_front_is_beaten_and_everything_else_is(
    pairs: list[tuple[int, int]],
) -> None:
    points = [result(str(n), time, float(price)) for n, (time, price) in enumerate(pairs)]
    front = pareto(points)
    for point in points:
        assert point.price_usd is not None
        beaten = any(
            other.price_usd is not None
            and other.predicted_ns <= point.predicted_ns
            and other.price_usd <= point.price_usd
            and (other.predicted_ns, other.price_usd) != (point.predicted_ns, point.price_usd)
            for other in points
        )
        assert not (point.key in front and beaten)
        twin = any(
            (o.predicted_ns, o.price_usd) == (point.predicted_ns, point.price_usd)
            for o in points
            if o.key in front
        )
        assert point.key in front or beaten or twin


def test_a_slower_device_takes_longer_and_a_faulty_point_says_why() -> None:
    h100, a100, l4, wrong = evaluate(
        RUN, [*(Point(n, (), ()) for n in ("h100-sxm", "a100-sxm-80gb", "l4")), Point("x9", (), ())]
    )
    assert h100.predicted_ns == 407_000
    assert h100.predicted_ns < a100.predicted_ns < l4.predicted_ns
    assert "no device named 'x9'" in wrong.fault


def test_more_of_a_figure_that_binds_shortens_the_run() -> None:
    fast, slow = evaluate(
        RUN,
        [
            Point("a100-sxm-80gb", (("peak.bf16", value),), ())
            for value in ("624 TFLOP/s", "156 TFLOP/s")
        ],
    )
    assert fast.predicted_ns < slow.predicted_ns


def test_processes_give_what_this_process_gives() -> None:
    pytest.importorskip("joblib")
    tasks = blocks(POINTS, 2)
    assert list(farm_of(2, None)(RUN, tasks)) == list(here(RUN, tasks))


def test_a_cluster_of_another_kind_is_refused() -> None:
    with pytest.raises(UsageError, match="is no cluster"):
        farm_of(1, "slurm://here")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_scheduler_that_does_not_answer_is_told() -> None:
    pytest.importorskip("distributed")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with pytest.raises(AnalysisError, match="no Dask scheduler answers"):
        list(farm_of(1, f"dask://127.0.0.1:{port}")(RUN, blocks(POINTS[:1], 1)))


def test_ranks_multiply_price_and_energy() -> None:
    graph = RUN.graphs[0]
    wide = replace(graph, meta=replace(graph.meta, world_size=4))
    one, four = (
        evaluate(Run((g,), RUN.source), [Point("h100-sxm", (), ())])[0] for g in (graph, wide)
    )
    assert one.price_usd is not None
    assert four.price_usd == pytest.approx(4 * one.price_usd)
    assert four.energy_j == pytest.approx(4 * one.energy_j)


def test_a_figure_without_a_unit_is_set_as_a_number() -> None:
    """`--range host.cores=1,64` and `host.relative_speed=2`: plain numbers in a file too."""
    run = Run((launched_products(),), load("h100-sxm"))
    spans = {"host.cores": ["1", "64"], "host.relative_speed": ["1.5"]}
    answers = evaluate(run, points_of(["a100-sxm-80gb"], spans, []))
    assert [answer.fault for answer in answers] == ["", ""]
