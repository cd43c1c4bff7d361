"""The waterfall: a stage for the run itself and one a change; each is priced and replayed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etsim.models.graph import ExecutionGraph
from etsim.models.specs import load
from etsim.models.transforms.catalogue import parse_asked
from etsim.simulator.replay import replay
from etsim.simulator.whatif import FIRST_LINE, WhatIf, whatif

from ..models.transforms.training_graph import step_ns, training_run


def answer(graph: ExecutionGraph, *asked: str, device: str = "cpu-cloud-2core") -> WhatIf:
    machine = load(device)
    return whatif([graph], machine, machine, [parse_asked(text) for text in asked])


def test_without_changes_the_run_is_as_measured() -> None:
    found = answer(training_run(layers=2, steps=2))
    assert [stage.name for stage in found.stages] == [FIRST_LINE]
    assert found.stages[0].predicted_ns == replay(training_run(layers=2, steps=2)).makespan_ns


def test_every_change_is_counted_against_the_stage_before() -> None:
    """Four layers, then one half as slow again."""
    found = answer(training_run(layers=2), "layers:to=4", "scale:name=aten::mm,factor=1.5")
    times = [stage.predicted_ns for stage in found.stages]
    assert times[:2] == [step_ns(2), step_ns(4)]
    assert [stage.change_ns for stage in found.stages[1:]] == [
        times[1] - times[0], times[2] - times[1],
    ]  # fmt: skip
    assert times[2] - times[1] == 4 * (300_000) // 2


def test_a_change_that_changes_nothing_is_told() -> None:
    found = answer(training_run(layers=2), "fused-optimizer", "fused-optimizer")
    assert found.warnings == ("fused-optimizer changes nothing in this run",)
    assert found.stages[1].change_ns != 0
    assert found.stages[2].change_ns == 0


def test_a_cpu_run_asked_for_on_a_gpu_is_offloaded_before_it_is_changed() -> None:
    machine = load("a100")
    graph = training_run(layers=2)
    found = whatif([graph], load("cpu-cloud-2core"), machine, [parse_asked("ddp:ranks=8")])
    assert found.scenario.graph.on_device().any()
    assert found.stages[1].predicted_ns >= found.stages[0].predicted_ns
    assert found.scenario.graph.meta.world_size == 8


def test_another_link_makes_another_machine() -> None:
    found = answer(training_run(layers=1), "ddp:ranks=2,link=1GB/s")
    assert found.target == "cpu-cloud-2core, 1GB/s"


@given(st.permutations(["layers:to=3", "accumulate:steps=2", "checkpoint"]))
def test_repetitions_may_come_in_any_order(asked: list[str]) -> None:
    found = answer(training_run(layers=2), *asked)
    work = found.scenario.graph.nodes.duration_ns.sum()
    assert found.stages[-1].predicted_ns == pytest.approx(float(work), rel=1e-9)


@given(st.floats(0.1, 10))
def test_scaling_all_costs_scales_the_run(factor: float) -> None:
    found = answer(training_run(layers=2), f"scale:name=*,factor={factor}")
    assert found.stages[1].predicted_ns == pytest.approx(factor * step_ns(2), rel=1e-3)


def test_a_change_that_moves_nothing_is_told() -> None:
    found = answer(training_run(layers=2), "link:bandwidth=4")
    assert found.warnings[0] == "link:bandwidth=4 leaves time and memory of this run as they were"


@pytest.mark.parametrize("asked", ["batch:from=16,to=64", "amp", "quantise:bits=8,dequant=0.5"])
def test_what_a_model_re_costed_is_in_doubt_on_the_recordings_own_machine_too(asked: str) -> None:
    first, last = answer(training_run(layers=2), asked).stages
    assert first.interval_ns == (first.predicted_ns, first.predicted_ns)
    assert last.interval_ns[0] < last.predicted_ns < last.interval_ns[1]


@pytest.mark.parametrize("asked", ["host:speed=2", "layers:to=4", "scale:name=aten::mm,factor=2"])
def test_what_is_measured_or_given_stays_certain(asked: str) -> None:
    last = answer(training_run(layers=2), asked).stages[-1]
    assert last.interval_ns == (last.predicted_ns, last.predicted_ns)
