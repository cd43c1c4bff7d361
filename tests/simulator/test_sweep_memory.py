"""Sweeps and memory: each point says what it takes, and what does not fit is not chosen."""

from dataclasses import replace
from functools import cache

from etsim.converters.convert import Sources, convert
from etsim.models.merge import merge_ranks
from etsim.simulator.sweep import Result, Run, evaluate, evaluate_one, pareto
from etsim.simulator.sweep_points import points_of
from etsim.tests.recorded_pair import ROOT
from etsim.tests.simulator.small_graphs import launched_products

RECORDED = ROOT / "examples" / "recorded"
SMALL, LARGE = "batch:from=256,to=256", "batch:from=256,to=4000000"
POINTS = points_of(["l4", "h100-sxm"], {}, [[SMALL, LARGE]])


@cache
def run() -> Run:
    pair = [RECORDED / f"mlp.{kind}.json.gz" for kind in ("et", "trace")]
    return Run((convert(Sources(0, *pair)).graph,), None)


def point(name: str, time: int, price: float, fits: bool | None) -> Result:
    return Result(name, name, (), (), time, 1, price, 1.0, fits=fits)


def test_memory_follows_the_what_ifs_and_the_machine_decides_whether_it_fits() -> None:
    """4 million rows of a batch: 36 GB, on 24 GB and on 80 GB."""
    l4_small, l4_large, h100_small, h100_large = evaluate(run(), POINTS)
    assert l4_small.memory_bytes == h100_small.memory_bytes
    assert l4_large.memory_bytes == h100_large.memory_bytes
    assert l4_small.memory_bytes is not None
    assert l4_large.memory_bytes is not None
    assert l4_large.memory_bytes > 1_000 * l4_small.memory_bytes
    assert (l4_small.fits, l4_large.fits) == (True, False)
    assert (h100_small.fits, h100_large.fits) == (True, True)


def test_points_answered_together_take_what_each_takes_alone() -> None:
    recorded = merge_ranks(run().graphs)
    assert evaluate(run(), POINTS) == [evaluate_one(run(), recorded, one) for one in POINTS]


def test_without_recorded_tensors_nothing_is_said_of_memory() -> None:
    (answer,) = evaluate(Run((launched_products(),), None), points_of(["l4"], {}, []))
    assert (answer.memory_bytes, answer.fits) == (None, None)


def test_what_does_not_fit_is_not_on_the_front_unless_nothing_fits() -> None:
    quick, cheap = point("quick", 1, 9.0, False), point("cheap", 3, 1.0, True)
    unknown = point("unknown", 2, 5.0, None)
    assert pareto([quick, cheap, unknown]) == {"cheap", "unknown"}
    assert pareto([quick, replace(cheap, fits=False)]) == {"quick", "cheap"}
