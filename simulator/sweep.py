"""Sweeps: evaluate many points of one recorded run, here or on many workers, and find the best."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from itertools import takewhile

from ..models.errors import EtsimError, InputError
from ..models.graph import ExecutionGraph
from ..models.hardware import Hardware
from ..models.memory.plan import MemoryPlan
from ..models.merge import merge_ranks
from ..models.specs import load
from ..models.transforms.catalogue import parse_asked
from ..models.transforms.edit import sound
from ..models.transforms.scenario import Scenario
from .memory import memory_after, recorded_plans
from .predict import prepared, price_all, total_ns
from .replay import replay
from .shared_edits import SharedEdits
from .sweep_points import Point
from .sweep_totals import holds_exactly, totals_on

NS_PER_HOUR = 3_600 * 10**9
MOST_CHANGES = 8  # sets of what-ifs in a block
MOST_ROWS = 4_000_000  # of graphs held at once: about 1 GB
MOST_POINTS = 256  # in a block: a pass over so many is as quick as any
TASKS_A_WORKER = 4
CLUSTER_WORKERS = 16  # taken for granted of a cluster, which does not say


@dataclass(frozen=True, slots=True)
class Result:
    """The answer to one point.

    Attributes:
        price_usd: of the whole run on all ranks; None where the machine's price is unknown.
        energy_j: at the device's power limit on all ranks: an upper bound.
        fault: why there is no answer, "" where there is one.
        memory_bytes: peak of the fullest rank after the what-ifs; None where it is not known.
        fits: whether the device holds that; None where it is not known.
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
    memory_bytes: int | None = None
    fits: bool | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """What all points share: the recorded ranks and their machine."""

    graphs: tuple[ExecutionGraph, ...]
    source: Hardware | None

    def plans(self) -> tuple[MemoryPlan, ...]:
        """Give the memory plan of the fullest rank, none where none was recorded."""
        return recorded_plans([graph.meta.properties for graph in self.graphs])


def evaluate(run: Run, points: Sequence[Point]) -> list[Result]:
    """Answer a block of points; a point that fails says why and stops no other.

    Points whose what-ifs make the same graph are priced and replayed together, with the answers
    that each would have by itself (`evaluate_one`).
    """
    return _Block(run, points).answered()


def evaluate_one(run: Run, recorded: ExecutionGraph, point: Point) -> Result:
    """Answer one point by itself.

    Args:
        run: the recorded ranks.
        recorded: them merged.
        point: the question.
    """
    try:
        target = _machine(point.hardware, point.figures)
        graph = prepared(run.graphs, recorded, target)
        scenario = Scenario(graph, run.source, target, run.plans())
        for text in point.changes:
            scenario = _changed(scenario, text)
        priced = price_all(scenario.graph, run.source, scenario.target)
        timeline = replay(scenario.graph, priced.duration_ns, priced.lag_ns)
    except EtsimError as error:
        return _failed(point, error)
    return _result(point, scenario, total_ns(timeline))


def _changed(scenario: Scenario, text: str) -> Scenario:
    after = parse_asked(text)(scenario)
    sound(after.graph, text)
    return after


def _in_common(left: Sequence[str], right: Sequence[str]) -> int:
    """Count the what-ifs that two chains begin with alike."""
    pairs = zip(left, right, strict=False)
    return len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))


def _failed(point: Point, error: EtsimError) -> Result:
    return Result(
        point.key, point.hardware, point.figures, point.changes, 0, 0, None, 0.0, error.line()
    )


class _Block:
    """Points answered together: by what-ifs, then by the graph that these make."""

    def __init__(self, run: Run, points: Sequence[Point]) -> None:
        self._run = run
        self._points = points
        self._recorded = merge_ranks(run.graphs)
        self._plans = run.plans()
        self._edits = SharedEdits()
        self._results: list[Result | None] = [None] * len(points)
        self._waiting: dict[int, list[tuple[int, Scenario]]] = {}

    def answered(self) -> list[Result]:
        by_changes: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for place, point in enumerate(self._points):
            by_changes[point.changes].append(place)
        before: tuple[str, ...] = ()
        for changes in sorted(by_changes):  # what-ifs that begin alike stand together
            self._edits.forget(1 + _in_common(before, changes))
            for place in by_changes[changes]:
                self._ask(place)
            before = changes
        self._answer_waiting()
        return [result for result in self._results if result is not None]

    def _ask(self, place: int) -> None:
        """Make a point's scenario; it waits for others with the same graph."""
        try:
            scenario = self._scenario(self._points[place])
        except EtsimError as error:
            self._results[place] = _failed(self._points[place], error)
            return
        self._waiting.setdefault(id(scenario.graph), []).append((place, scenario))
        if sum(len(group[0][1].graph) for group in self._waiting.values()) > MOST_ROWS:
            self._answer_waiting()
            self._edits.forget(0)

    def _scenario(self, point: Point) -> Scenario:
        target = _machine(point.hardware, point.figures)
        start = Scenario(self._recorded, self._run.source, target, self._plans)
        scenario = self._edits(0, "", self._prepared, start)
        for level, text in enumerate(point.changes, start=1):
            edit = partial(_changed, text=text)
            scenario = self._edits(level, text, edit, scenario)
        return scenario

    def _prepared(self, scenario: Scenario) -> Scenario:
        graph = prepared(self._run.graphs, self._recorded, scenario.target)
        return scenario.with_graph(graph)

    def _answer_waiting(self) -> None:
        for group in self._waiting.values():
            self._answer(group)
        self._waiting.clear()

    def _answer(self, group: Sequence[tuple[int, Scenario]]) -> None:
        """Answer points of one graph together; where they cannot be, one by one."""
        totals = self._totals(group)
        for number, (place, scenario) in enumerate(group):
            point = self._points[place]
            total = totals[number] if totals else None
            if total is None:
                self._results[place] = evaluate_one(self._run, self._recorded, point)
            elif isinstance(total, EtsimError):
                self._results[place] = _failed(point, total)
            else:
                self._results[place] = _result(point, scenario, total)

    def _totals(self, group: Sequence[tuple[int, Scenario]]) -> list[int | EtsimError]:
        """Give the totals of one pass, none where the graph or a price is beyond it."""
        graph = group[0][1].graph
        if not holds_exactly(graph):
            return []
        try:
            return totals_on(graph, self._run.source, [scenario.target for _, scenario in group])
        except InputError:  # a price that is no number: only its own point is to blame
            return []


@cache
def _machine(name: str, figures: tuple[tuple[str, str], ...]) -> Hardware:
    return load(name, {key: _as_in_a_file(value) for key, value in figures})


def _as_in_a_file(text: str) -> object:
    """Give a figure as a spec file would hold it: a plain number as one, else its text."""
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text


def _result(point: Point, scenario: Scenario, predicted_ns: int) -> Result:
    ranks = _ranks(scenario.graph)
    machine = scenario.target
    hourly = machine.price_usd_per_hour
    memory = memory_after(scenario)
    return Result(
        key=point.key,
        hardware=point.hardware,
        figures=point.figures,
        changes=point.changes,
        predicted_ns=predicted_ns,
        ranks=ranks,
        price_usd=None if hourly is None else hourly * ranks * predicted_ns / NS_PER_HOUR,
        energy_j=machine.device.tdp_w * ranks * predicted_ns / 1e9,
        memory_bytes=None if memory.fits is None else memory.peak_bytes,
        fits=memory.fits,
    )


def _ranks(graph: ExecutionGraph) -> int:
    """Devices that the run takes: the widest group of its collectives, at least its ranks."""
    groups = [len(collective.ranks) for collective in graph.collectives]
    return max(1, graph.meta.world_size, *groups) if groups else max(1, graph.meta.world_size)


def pareto(results: Iterable[Result]) -> set[str]:
    """Give the keys of the points that no other beats in time and in price.

    What does not fit into its machine's memory cannot be chosen, unless nothing fits. A point is on
    the front when every faster one costs more. Points without a price are left out; where no point
    has one, the energy stands in for it.
    """
    answered = [result for result in results if not result.fault]
    answered = [result for result in answered if result.fits is not False] or answered
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
    """Cut points into blocks, the tasks of a sweep: those of the same what-ifs stand together.

    A block has at most `size` points and MOST_CHANGES sets of what-ifs, since each set is a graph
    of its own to make.
    """
    by_changes: dict[tuple[str, ...], list[Point]] = defaultdict(list)
    for point in points:
        by_changes[point.changes].append(point)
    cut: list[list[Point]] = []
    sets = MOST_CHANGES  # in the last block
    for alike in by_changes.values():
        sets += 1
        for point in alike:
            if sets > MOST_CHANGES or len(cut[-1]) == size:
                cut.append([])
                sets = 1
            cut[-1].append(point)
    return [*cut]


def block_size(points: int, workers: int) -> int:
    """Give how many points a task should have: many share one pass, yet no worker waits long."""
    return min(MOST_POINTS, max(1, -(-points // (TASKS_A_WORKER * workers))))
