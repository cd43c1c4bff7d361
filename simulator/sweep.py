"""Sweeps: evaluate many points of one recorded run, here or on many workers, and find the best."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from ..models.errors import EtsimError
from ..models.graph import ExecutionGraph
from ..models.hardware import Hardware
from ..models.merge import merge_ranks
from ..models.specs import load
from ..models.transforms.catalogue import parse_asked
from ..models.transforms.edit import sound
from ..models.transforms.scenario import Scenario
from .predict import prepared, price_all, total_ns
from .replay import replay
from .sweep_points import Point

NS_PER_HOUR = 3_600 * 10**9


@dataclass(frozen=True, slots=True)
class Result:
    """The answer to one point.

    Attributes:
        price_usd: of the whole run on all ranks; None where the machine's price is unknown.
        energy_j: at the device's power limit on all ranks: an upper bound.
        fault: why there is no answer, "" where there is one.
    """

    key: str
    hardware: str
    figures: tuple[tuple[str, str], ...]
    changes: tuple[str, ...]
    predicted_ns: int
    ranks: int
    price_usd: float | None
    energy_j: float
    fault: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """What all points share: the recorded ranks and their machine."""

    graphs: tuple[ExecutionGraph, ...]
    source: Hardware | None


def evaluate(run: Run, points: Sequence[Point]) -> list[Result]:
    """Answer a block of points one by one; a point that fails says why and stops no other."""
    recorded = merge_ranks(run.graphs)
    return [_evaluate(run, recorded, point) for point in points]


def _evaluate(run: Run, recorded: ExecutionGraph, point: Point) -> Result:
    try:
        target = _machine(point.hardware, point.figures)
        scenario = Scenario(prepared(run.graphs, recorded, target), run.source, target)
        for text in point.changes:
            scenario = parse_asked(text)(scenario)
            sound(scenario.graph, text)
        priced = price_all(scenario.graph, run.source, scenario.target)
        timeline = replay(scenario.graph, priced.duration_ns, priced.lag_ns)
    except EtsimError as error:
        return Result(
            point.key, point.hardware, point.figures, point.changes, 0, 0, None, 0.0, error.line()
        )
    return _result(point, scenario, total_ns(timeline))


@cache
def _machine(name: str, figures: tuple[tuple[str, str], ...]) -> Hardware:
    return load(name, dict(figures))


def _result(point: Point, scenario: Scenario, predicted_ns: int) -> Result:
    ranks = _ranks(scenario.graph)
    machine = scenario.target
    hourly = machine.price_usd_per_hour
    return Result(
        key=point.key,
        hardware=point.hardware,
        figures=point.figures,
        changes=point.changes,
        predicted_ns=predicted_ns,
        ranks=ranks,
        price_usd=None if hourly is None else hourly * ranks * predicted_ns / NS_PER_HOUR,
        energy_j=machine.device.tdp_w * ranks * predicted_ns / 1e9,
    )


def _ranks(graph: ExecutionGraph) -> int:
    """Devices that the run takes: the widest group of its collectives, at least its ranks."""
    groups = [len(collective.ranks) for collective in graph.collectives]
    return max(1, graph.meta.world_size, *groups) if groups else max(1, graph.meta.world_size)


def pareto(results: Iterable[Result]) -> set[str]:
    """Give the keys of the points that no other beats in time and in price.

    A point is on the front when every faster one costs more. Points without a price are left out;
    where no point has one, the energy stands in for it.
    """
    answered = [result for result in results if not result.fault]
    priced = [result for result in answered if result.price_usd is not None]
    front: set[str] = set()
    cheapest = float("inf")
    by_time = sorted(priced or answered, key=lambda r: (r.predicted_ns, _cost(r), r.key))
    for result in by_time:
        if _cost(result) < cheapest:
            front.add(result.key)
            cheapest = _cost(result)
    return front


def _cost(result: Result) -> float:
    return result.energy_j if result.price_usd is None else result.price_usd


def blocks(points: Sequence[Point], size: int) -> list[Sequence[Point]]:
    """Cut points into blocks, the tasks of a sweep."""
    return [points[first : first + size] for first in range(0, len(points), size)]
