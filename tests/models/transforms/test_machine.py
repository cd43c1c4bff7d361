"""Changes of the machine and of named kernels, added up by hand; the page names every change.

host     L0 L1 L2          launches of 2
stream   k0 k1 k2          kernels of 10, a latency of 1
"""

from dataclasses import replace
from pathlib import Path

import pytest

from etsim.models.costs.price import price
from etsim.models.errors import NeedsRecordingError, UsageError
from etsim.models.graph import Category
from etsim.models.specs import load
from etsim.models.transforms.catalogue import transforms
from etsim.models.transforms.links import with_link
from etsim.models.transforms.scenario import Scenario
from etsim.simulator.replay import replay

from .test_edit import KERNEL_NS, LATENCY_NS, LAUNCH_NS, launches_and_kernels
from .training_graph import applied, applied_to, names, scenario_of, training_run

PAGE = Path(__file__).parents[3] / "docs" / "whatif.md"


def test_a_kernel_of_half_the_time() -> None:
    graph = applied(launches_and_kernels(), "scale:name=k1,factor=0.5")
    assert replay(graph).makespan_ns == 1 + LAUNCH_NS + LATENCY_NS + 2.5 * KERNEL_NS


def test_a_removed_kernel_takes_its_launch_along() -> None:
    graph = applied(launches_and_kernels(), "remove:name=k1")
    assert names(graph) == ["window", "L0", "k0", "L2", "k2"]


def test_fused_kernels_take_the_mean_of_their_run() -> None:
    graph = applied(launches_and_kernels(), "fuse:name=k*")
    assert names(graph) == ["window", "L0", "k0"]
    assert replay(graph).makespan_ns == 1 + LAUNCH_NS + LATENCY_NS + KERNEL_NS


def test_a_host_twice_as_fast_halves_its_rows_and_gaps() -> None:
    graph = applied(training_run(layers=2), "host:2")
    assert replay(graph).makespan_ns == replay(training_run(layers=2)).makespan_ns / 2


def test_free_launches_leave_the_kernels() -> None:
    graph = applied(launches_and_kernels(), "launch:cost=0")
    assert replay(graph).makespan_ns == 1 + LATENCY_NS + 3 * KERNEL_NS


def test_a_link_twice_as_wide_makes_large_transfers_shorter() -> None:
    scenario = applied_to(scenario_of(training_run(layers=1, device=True)), "ddp:ranks=8")
    wide = applied_to(scenario, "link:bandwidth=2")
    row = int((scenario.graph.nodes.category == Category.COLLECTIVE).argmax())
    before, after = (
        int(price(s.graph, s.source, s.target).duration_ns[row]) for s in (scenario, wide)
    )
    assert before / 2 <= after < before


def test_other_hardware_is_priced_from_then_on() -> None:
    scenario = applied_to(scenario_of(training_run(device=True)), "hw:h100")
    assert scenario.target.name == "h100-sxm"
    assert scenario.source is not None
    assert scenario.source.name != scenario.target.name


def test_an_unknown_tier_is_told() -> None:
    with pytest.raises(UsageError, match="no tier 'warp'"):
        applied(training_run(device=True), "link:bandwidth=2,tier=warp")


def test_a_named_link_is_the_one_that_is_used() -> None:
    """Eight A100 meet over NVLink, unless the network is named."""
    machine = load("a100")
    assert with_link(machine, "", 8, "test") is machine
    named = with_link(machine, "ib400", 8, "test")
    assert named.name == f"{machine.name}, ib400"
    with pytest.raises(UsageError, match="joins 9 devices"):
        with_link(replace(machine, links=machine.links[:1]), "", 9, "test")


def test_the_page_tells_every_change_as_it_is_registered() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for transform in transforms().values():
        assert f"**{transform.name}**" in page
        assert transform.edit in page
        assert transform.assumes in page


def test_costs_are_the_sources() -> None:
    machine, other = load("a100"), load("h100")
    assert Scenario(training_run(), machine, other).costs is machine
    assert Scenario(training_run(), None, other).costs is other


@pytest.mark.parametrize(
    "asked",
    ["launch:cost=-1", "scale:name=k1,factor=-1", "link:latency=-1", "quantise:bits=8,dequant=-2"],
)
def test_time_never_turns_negative(asked: str) -> None:
    with pytest.raises(UsageError, match="at least 0"):
        applied(training_run(device=True) if "k1" not in asked else launches_and_kernels(), asked)


@pytest.mark.parametrize("asked", ["launch:cost=0.5", "fuse:name=*"])
def test_changes_of_device_work_need_some(asked: str) -> None:
    with pytest.raises(NeedsRecordingError, match="needs device work"):
        applied(training_run(), asked)
