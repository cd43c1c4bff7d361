"""What-ifs: apply transforms one after the other, and replay after each: a waterfall."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..models.graph import ExecutionGraph
from ..models.hardware import Hardware
from ..models.merge import merge_ranks
from ..models.timeline import measured
from ..models.transforms.catalogue import Asked
from ..models.transforms.edit import sound
from ..models.transforms.scenario import Scenario
from .memory import NO_LIVES, Memory, memory_after, memory_as_told, with_memory
from .predict import interval, prepared, price_all, total_ns
from .replay import replay

FIRST_LINE = "recorded run"


@dataclass(frozen=True, slots=True)
class Stage:
    """The answer after one transform.

    Attributes:
        name: the transform as asked for; the first stage is the run itself on the target.
        predicted_ns: of the whole run.
        change_ns: against the stage before.
        memory: of the fullest rank.
    """

    name: str
    predicted_ns: int
    interval_ns: tuple[int, int]
    change_ns: int
    rows: int
    about: str
    assumes: str
    memory: Memory


@dataclass(frozen=True, slots=True, eq=False)
class WhatIf:
    """The waterfall, and the scenario at its end.

    Attributes:
        memory: with all changes; its remedies are looked for.
    """

    measured_ns: int
    source: str
    target: str
    stages: tuple[Stage, ...]
    scenario: Scenario
    memory: Memory
    warnings: tuple[str, ...]


def whatif(
    graphs: Sequence[ExecutionGraph],
    source: Hardware | None,
    target: Hardware,
    asked: Sequence[Asked],
) -> WhatIf:
    """Apply transforms in the order given.

    Raises:
        UsageError: a transform was asked for something impossible.
        NeedsRecordingError: a transform lacks what it needs from the recording.
    """
    recorded = merge_ranks(graphs)
    told = [graph.meta.properties for graph in graphs]
    scenario = with_memory(Scenario(prepared(graphs, recorded, target), source, target), told)
    memory = memory_as_told(told, scenario)
    stages = [_stage(scenario, FIRST_LINE, 0, "as recorded, on the target", "", memory)]
    warnings: dict[str, None] = {}
    for step in asked:
        before = scenario
        scenario = step(scenario)
        sound(scenario.graph, step.text)
        stage = _stage(
            scenario,
            step.text,
            stages[-1].predicted_ns,
            step.transform.about,
            step.transform.assumes,
            _memory(step, scenario, stages[-1].memory),
        )
        if _unchanged(before, scenario):
            warnings[f"{step.text} changes nothing in this run"] = None
        elif _as_before(stages[-1], stage):
            warnings[f"{step.text} leaves time and memory of this run as they were"] = None
        stages.append(stage)
    for text in price_all(scenario.graph, source, scenario.target).warnings:
        warnings[text] = None
    return WhatIf(
        measured_ns=total_ns(measured(recorded)) if recorded.meta.has_times else 0,
        source=source.name if source else recorded.meta.source_device or "the recording CPU",
        target=scenario.target.name,
        stages=tuple(stages),
        scenario=scenario,
        memory=memory_after(scenario, remedies=True) if scenario.memory else stages[-1].memory,
        warnings=tuple(warnings),
    )


def _memory(step: Asked, scenario: Scenario, before: Memory) -> Memory:
    """Give the memory after a change; without lives only what changes nothing can be followed."""
    if scenario.memory:
        return memory_after(scenario)
    device = scenario.target.device.memory_bytes
    if before.fits is None:
        return replace(before, device_bytes=device)
    if step.transform.memory.changes:
        return Memory(0, {}, device, None, NO_LIVES)
    return replace(before, device_bytes=device, fits=before.peak_bytes <= device)


def _unchanged(before: Scenario, after: Scenario) -> bool:
    """Tell whether a change left the very graph and machine."""
    return before.graph is after.graph and before.target is after.target


def _as_before(before: Stage, after: Stage) -> bool:
    """Tell whether a change moved neither the time nor the memory (what it edits never waits)."""
    return (before.predicted_ns, before.memory.peak_bytes) == (
        after.predicted_ns, after.memory.peak_bytes,
    )  # fmt: skip


def _stage(
    scenario: Scenario, name: str, before_ns: int, about: str, assumes: str, memory: Memory
) -> Stage:
    graph = scenario.graph
    priced = price_all(graph, scenario.source, scenario.target)
    timeline = replay(graph, priced.duration_ns, priced.lag_ns)
    total = total_ns(timeline)
    return Stage(
        name=name,
        predicted_ns=total,
        interval_ns=interval(graph, priced, timeline),
        change_ns=total - before_ns if before_ns else 0,
        rows=len(graph),
        about=about,
        assumes=assumes,
        memory=memory,
    )
