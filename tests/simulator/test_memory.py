"""Whether a scenario fits, and what would make it fit; files without lives say so."""

from dataclasses import replace

import pytest

from etsim.models.graph import ExecutionGraph
from etsim.models.hardware import Hardware
from etsim.models.memory.plan import MemoryPlan, Use
from etsim.models.memory.text import PLAN_PROPERTY, plan_from_text, plan_properties
from etsim.models.specs import load
from etsim.models.transforms.catalogue import parse_asked
from etsim.models.transforms.scenario import Scenario
from etsim.simulator.memory import (
    NO_LIVES,
    NO_TENSORS,
    memory_after,
    memory_as_told,
    told_again,
    with_memory,
)
from etsim.simulator.whatif import WhatIf, whatif

from ..models.memory_plans import training_plan
from ..models.transforms.training_graph import training_run

KEPT = 32_000  # what a layer of 8 wide keeps of a batch of 1000
PLAN = training_plan(2, width=8, batch=1000)


def machine(memory_bytes: int) -> Hardware:
    found = load("cpu-cloud-2core")
    return replace(found, device=replace(found.device, memory_bytes=memory_bytes))


def recorded(*properties: tuple[str, str], layers: int = 2) -> ExecutionGraph:
    graph = training_run(layers)
    return replace(graph, meta=replace(graph.meta, properties=properties))


def with_plan(plan: MemoryPlan = PLAN, layers: int = 2) -> ExecutionGraph:
    return recorded(*plan_properties(plan), layers=layers)


def answer(graph: ExecutionGraph, *asked: str, memory_bytes: int = 10**9) -> WhatIf:
    target = machine(memory_bytes)
    return whatif([graph], target, target, [parse_asked(text) for text in asked])


def test_the_fullest_rank_counts() -> None:
    small = training_plan(2, width=8, batch=10)
    target = machine(10**9)
    told = [with_plan(plan).meta.properties for plan in (small, PLAN, small)]
    scenario = with_memory(Scenario(training_run(), target, target), told)
    assert memory_after(scenario).peak_bytes == PLAN.peak().bytes


def test_every_stage_of_the_waterfall_tells_its_peak() -> None:
    found = answer(with_plan(), "layers:to=4", "host:2")
    peaks = [stage.memory.peak_bytes for stage in found.stages]
    assert peaks[0] == PLAN.peak().bytes
    assert peaks[1] == peaks[2] == found.memory.peak_bytes
    assert peaks[1] - peaks[0] == 2 * KEPT + 4 * 256  # two layers' activations, weights and state


def test_what_does_not_fit_says_so_and_what_would_help() -> None:
    found = answer(with_plan(), memory_bytes=170_000)
    assert found.memory.fits is False
    assert found.memory.remedies[0] == "checkpoint"
    assert found.memory.remedies[-1].startswith("a batch of at most 0.8")


def test_a_model_that_is_too_large_is_shared() -> None:
    """36 W do not fit into 12; of 4 ranks each holds 9, two gathered layers, one of gradients."""
    plan = training_plan(12, width=100, batch=1)
    found = answer(with_plan(plan, layers=12), memory_bytes=plan.peak().bytes // 3)
    assert "zero:ranks=4" in found.memory.remedies


def test_what_fits_needs_no_remedy() -> None:
    found = answer(with_plan())
    assert found.memory.fits is True
    assert found.memory.remedies == ()


def test_other_hardware_is_another_limit() -> None:
    found = answer(with_plan(), "hw:name=a100", memory_bytes=100)
    assert [stage.memory.fits for stage in found.stages] == [False, True]


def test_the_fullest_stage_of_a_pipeline_is_named() -> None:
    found = answer(with_plan(), "pipeline:stages=2,micro=4,link=1GB/s")
    assert found.memory.stage == 0
    assert found.memory.by_use[Use.ACTIVATION] > 2 * KEPT


def test_without_tensors_nothing_is_guessed() -> None:
    found = answer(recorded(), "layers:to=4")
    assert [stage.memory.fits for stage in found.stages] == [None, None]
    assert found.memory.unknown == NO_TENSORS


def test_a_file_that_tells_the_peak_alone_is_followed_as_far_as_nothing_changes() -> None:
    graph = recorded(("memory.peak", "500"), ("memory.parameters", "300"))
    same, changed = answer(graph, "host:2"), answer(graph, "host:2", "layers:to=4")
    assert same.memory.peak_bytes == 500
    assert same.memory.fits is True
    assert changed.memory.fits is None
    assert changed.memory.unknown == NO_LIVES


def test_a_changed_graph_tells_its_own_memory() -> None:
    found = answer(with_plan(), "layers:to=4")
    told = told_again(found.scenario.graph, found.scenario.memory)
    assert told.meta.property("memory.peak") == str(found.memory.peak_bytes)
    plan = plan_from_text(told.meta.property(PLAN_PROPERTY))
    assert plan is not None
    assert plan.peak().bytes == found.memory.peak_bytes


def test_a_graph_of_stages_tells_no_memory_of_the_recording() -> None:
    graph = with_plan()
    stages = (PLAN, PLAN.at_stage(1))
    assert told_again(graph, stages).meta.properties == ()


@pytest.mark.parametrize("text", ["", "damaged"])
def test_a_plan_that_cannot_be_read_leaves_the_numbers(text: str) -> None:
    told = [(("memory.peak", "500"), (PLAN_PROPERTY, text))]
    target = machine(400)
    scenario = with_memory(Scenario(training_run(), target, target), told)
    assert scenario.memory == ()
    assert memory_as_told(told, scenario).fits is False
