"""What a report tells: the answers of the other verbs for one run, gathered, none computed anew."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from ..models.graph import ExecutionGraph
from ..models.hardware import Hardware
from ..models.timeline import Timeline, measured
from ..models.transforms.catalogue import Asked
from ..simulator.breakdown.groups import Grouping
from ..simulator.breakdown.owners import ModulePaths
from ..simulator.breakdown.report import RankBreakdown, Wanted, break_down
from ..simulator.collective_skew import SkewReport, collective_skew
from ..simulator.explain import Explanation, explain
from ..simulator.predict import Prediction, predict
from ..simulator.summary import Summary, summarise
from ..simulator.whatif import WhatIf, whatif
from .inputs import notes_of


@dataclass(frozen=True, slots=True)
class Split:
    """Where a timeline's time went: by rank with its steps, and by rank with its modules."""

    steps: tuple[RankBreakdown, ...]
    modules: tuple[RankBreakdown, ...]

    def longest(self) -> RankBreakdown:
        """Give the rank that takes longest."""
        return max(self.steps, key=lambda rank: rank.parts.window_ns)

    def modules_of(self, rank: int) -> RankBreakdown | None:
        """Give a rank's modules."""
        return next((found for found in self.modules if found.rank == rank), None)


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """The run on one machine.

    Attributes:
        self_check: the machine is the recording's own: the replay is checked, nothing predicted.
        whatif: None where no changes were asked for.
    """

    self_check: bool
    offloaded: bool
    summary: Summary
    split: Split
    explanation: Explanation
    whatif: WhatIf | None


@dataclass(frozen=True, slots=True, eq=False)
class Content:
    """All of a report.

    Attributes:
        name: of the run, for people: its files.
        rows: of the graph as recorded, all ranks.
        skew: of the collectives as recorded; None for one rank.
        notes: what could not be matched, linked or classified in the recording.
    """

    name: str
    ranks: tuple[int, ...]
    rows: int
    steps: tuple[str, ...]
    recorded: Split
    skew: SkewReport | None
    answers: tuple[Answer, ...]
    notes: tuple[str, ...]
    command: str
    versions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine asked for: where the run comes from, where it goes."""

    source: Hardware | None
    target: Hardware
    self_check: bool


def gather(
    graphs: Sequence[ExecutionGraph],
    machines: Sequence[Machine],
    asked: Sequence[Asked],
    *,
    name: str,
    command: str,
) -> Content:
    """Ask everything there is to ask of a run.

    Args:
        graphs: one per rank, with times.
        machines: to predict the run on, in the order of the page.
        asked: what-ifs, stacked on each machine.
        name: of the run.
        command: that makes this report.
    """
    lines = [measured(graph) for graph in graphs]
    return Content(
        name=name,
        ranks=tuple(graph.meta.rank for graph in graphs),
        rows=sum(len(graph) for graph in graphs),
        steps=tuple(dict.fromkeys(step.name for graph in graphs for step in graph.steps)),
        recorded=_split(lines),
        skew=collective_skew(lines) if len(graphs) > 1 else None,
        answers=tuple(_answer(graphs, machine, asked) for machine in machines),
        notes=tuple(notes_of(graphs)),
        command=command,
        versions=_versions(),
    )


def _split(lines: Sequence[Timeline]) -> Split:
    by_module = Wanted(by=Grouping.MODULE, paths=ModulePaths(classes=True))
    return Split(break_down(lines, Wanted(by=Grouping.STEP)), break_down(lines, by_module))


def _answer(graphs: Sequence[ExecutionGraph], machine: Machine, asked: Sequence[Asked]) -> Answer:
    prediction: Prediction = predict(graphs, machine.source, machine.target)
    return Answer(
        self_check=machine.self_check,
        offloaded=prediction.offloaded,
        summary=summarise(prediction),
        split=_split([prediction.timeline]),
        explanation=explain(prediction),
        whatif=whatif(graphs, machine.source, machine.target, asked) if asked else None,
    )


def _versions() -> dict[str, str]:
    python = ".".join(map(str, sys.version_info[:3]))
    return {"etsim": _version("etsim"), "Python": python, "numpy": _version("numpy")}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed as a package"
