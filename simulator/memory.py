"""Whether a run fits into a device: its memory as recorded, and as every what-if leaves it.

`memory_after(scenario)` is the answer at any place of a chain of what-ifs; the scenario carries the
memory plan (`with_memory` puts it in), and each transform has edited it on the way.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..models.errors import EtsimError
from ..models.graph import ExecutionGraph
from ..models.memory.plan import MODEL_USES, MemoryPlan, Peak, Use
from ..models.memory.text import PEAK_PREFIX, PLAN_PROPERTY, plan_from_text, plan_properties
from ..models.transforms.scenario import Scenario

Properties = tuple[tuple[str, str], ...]
NO_TENSORS = "the recording holds no tensors; record the execution trace beside the profile"
NO_LIVES = "the file holds no lives of tensors; convert the recording again"
MOST_RANKS = 1024
LEAST_SHARE = 0.01  # of the batch: less is no remedy


@dataclass(frozen=True, slots=True)
class Memory:
    """What the run's tensors take on the fullest rank, and whether the target holds it.

    Attributes:
        by_use: bytes of parameters, gradients, optimiser state, activations at the peak.
        fits: None where the memory is not known; `unknown` says why.
        stage: the fullest stage of a pipeline.
        remedies: what-ifs with which it would fit.
        notes: what was taken for granted.
    """

    peak_bytes: int
    by_use: Mapping[str, int]
    device_bytes: int
    fits: bool | None
    unknown: str = ""
    stage: int = 0
    remedies: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def recorded_plans(properties_of_ranks: Sequence[Properties]) -> tuple[MemoryPlan, ...]:
    """Give the plan of the fullest recorded rank, none where none is known."""
    texts = [dict(properties).get(PLAN_PROPERTY, "") for properties in properties_of_ranks]
    plans = [plan for text in texts if text and (plan := plan_from_text(text)) is not None]
    return (max(plans, key=lambda plan: plan.peak().bytes),) if plans else ()


def with_memory(scenario: Scenario, properties_of_ranks: Sequence[Properties]) -> Scenario:
    """Give a scenario that follows the memory of the fullest recorded rank, where one is known."""
    return replace(scenario, memory=recorded_plans(properties_of_ranks))


def memory_after(scenario: Scenario, *, remedies: bool = False) -> Memory:
    """Give the memory of a scenario's fullest rank, and whether its target holds it.

    Args:
        scenario: after any what-ifs.
        remedies: look for what would make it fit.
    """
    device = scenario.target.device.memory_bytes
    if not scenario.memory:
        return Memory(0, {}, device, None, NO_TENSORS)
    plan = max(scenario.memory, key=lambda plan: plan.peak().bytes)
    peak = plan.peak()
    fits = peak.bytes <= device
    return Memory(
        peak_bytes=peak.bytes,
        by_use={use.value: size for use, size in peak.by_use.items()},
        device_bytes=device,
        fits=fits,
        stage=plan.stage,
        remedies=_remedies(scenario, peak) if remedies and not fits else (),
        notes=plan.notes,
    )


def memory_as_told(properties_of_ranks: Sequence[Properties], scenario: Scenario) -> Memory:
    """Give the memory as recorded, also of files that tell the peak but no lives."""
    if scenario.memory:
        return memory_after(scenario, remedies=True)
    told = [
        {
            key.removeprefix(PEAK_PREFIX): int(value)
            for key, value in properties
            if key.startswith(PEAK_PREFIX) and value.isdecimal()
        }
        for properties in properties_of_ranks
    ]
    fullest = max(told, key=lambda uses: uses.get("peak", 0), default={})
    peak, device = fullest.pop("peak", 0), scenario.target.device.memory_bytes
    if not peak:
        return Memory(0, {}, device, None, NO_TENSORS)
    return Memory(peak, fullest, device, peak <= device)


def told_again(graph: ExecutionGraph, memory: Sequence[MemoryPlan]) -> ExecutionGraph:
    """Give a changed graph whose properties tell its own memory, not the recording's."""
    kept = [
        (key, value)
        for key, value in graph.meta.properties
        if key != PLAN_PROPERTY and not key.startswith(PEAK_PREFIX)
    ]
    if len(memory) == 1:
        kept.extend(plan_properties(memory[0]))
    return replace(graph, meta=replace(graph.meta, properties=tuple(kept)))


def _remedies(scenario: Scenario, peak: Peak) -> tuple[str, ...]:
    """Try what usually helps, each by itself."""
    device = scenario.target.device.memory_bytes
    found = []
    if _peak_with(scenario, "checkpoint") <= device:
        found.append("checkpoint")
    ranks = 2
    while ranks <= MOST_RANKS and scenario.graph.meta.world_size == 1:
        asked = f"zero:ranks={ranks}"
        if _peak_with(scenario, asked) <= device:
            found.append(asked)
            break
        ranks *= 2
    of_data = sum(peak.by_use.get(use, 0) for use in (Use.ACTIVATION, Use.KV_CACHE))
    left = device - (peak.bytes - of_data)
    if of_data and left / of_data > LEAST_SHARE:
        found.append(f"a batch of at most {left / of_data:.2f} times this one")
    if sum(peak.by_use.get(use, 0) for use in MODEL_USES) > device and not found:
        found.append("more ranks: the model alone is larger than the device")
    return tuple(found)


def _peak_with(scenario: Scenario, text: str) -> float:
    """Give the peak with one more what-if, without its time; infinite where it cannot be asked."""
    # all transforms: a fifth of what a prediction imports, and most runs fit
    from ..models.transforms.catalogue import parse_asked  # noqa: PLC0415

    asked = parse_asked(text)
    try:
        plans = asked.transform.memory(scenario, asked.values)
    except EtsimError:
        return float("inf")
    return max(plan.peak().bytes for plan in plans)
