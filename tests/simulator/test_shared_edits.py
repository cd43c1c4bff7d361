"""An edit shared between machines gives each what it would get alone, however it looks at them."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from etsim.models.errors import EtsimError
from etsim.models.graph import same_graph
from etsim.models.hardware import Device, Hardware
from etsim.models.specs import load
from etsim.models.transforms.catalogue import parse_asked
from etsim.models.transforms.scenario import Scenario
from etsim.simulator.shared_edits import SharedEdits

from ..models.memory_plans import training_plan
from ..models.transforms.training_graph import training_run

MACHINES = ("l4", "mi300x", "cpu-cloud-2core")
FIGURES: tuple[dict[str, object], ...] = (
    {}, {"memory.bandwidth": "1 TB/s"}, {"launch_latency": "9 us"}, {"kernel_gap": "5 us"},
    {"host.cores": 64}, {"host.relative_speed": 3.0},
)  # fmt: skip
ASKED = (
    "host:speed=2", "launch:cost=2", "link:bandwidth=2", "hw:name=a100", "scale:aten::mm,factor=2",
    "amp", "amp:fp16", "quantise:bits=8", "fused-optimizer", "cuda-graphs", "batch:from=16,to=64",
    "length:from=16,to=64", "layers:to=3", "accumulate:steps=2", "checkpoint",
    "ddp:ranks=2", "ddp:ranks=8,link=ib400", "ddp:ranks=8,link=node", "ddp:ranks=9999",
    "zero:ranks=4,link=node", "zero:ranks=4,stage=1", "tp:degree=2", "compress", "buckets",
    "pipeline:stages=2,micro=2", "pipeline:stages=2,micro=2,link=host", "ranks:ranks=4",
)  # fmt: skip

Outcome = Scenario | str


def outcome(edit: Callable[[Scenario], Scenario], scenario: Scenario) -> Outcome:
    try:
        return edit(scenario)
    except EtsimError as error:
        return error.line()


def same(left: Outcome, right: Outcome) -> bool:
    """Tell whether two outcomes are equal: graphs to their notes, machines, bytes of memory."""
    if isinstance(left, str) or isinstance(right, str):
        return left == right
    peaks = [[plan.peak() for plan in each.memory] for each in (left, right)]
    plain = type(left.target) is Hardware and type(left.target.device) is Device
    return (
        same_graph(left.graph, right.graph)
        and left.target == right.target
        and peaks[0] == peaks[1]
        and plain
    )


def machines() -> list[Hardware]:
    alike = [load("h100-sxm", figures) for figures in FIGURES]
    return [*alike, *map(load, MACHINES)]


@pytest.mark.parametrize("source", [None, "h100-sxm"])
@pytest.mark.parametrize("device", [False, True])
def test_every_change_gives_each_machine_what_it_would_get_alone(
    device: bool, source: str | None
) -> None:
    graph, recorded_on = training_run(device=device), load(source) if source else None
    plans = (training_plan(),)
    for text in ASKED:
        edits, edit = SharedEdits(), parse_asked(text)
        for target in machines():
            start = Scenario(graph, recorded_on, target, plans)
            shared = outcome(lambda s, t=text, e=edit, k=edits: k(0, t, e, s), start)  # type: ignore[misc]
            assert same(shared, outcome(edit, start)), (text, target.name)


def _renamed_by_cores(scenario: Scenario, cores: int) -> Scenario:
    named = replace(scenario.graph, names=(*scenario.graph.names, f"{cores} cores"))
    return scenario.with_graph(named)


def _reads(scenario: Scenario) -> Scenario:
    return _renamed_by_cores(scenario, scenario.target.host.cores)


def _copies(scenario: Scenario) -> Scenario:
    copy = replace(scenario.target.host, launch_cost_ns=1)
    return _renamed_by_cores(scenario, copy.cores)


def _copies_all(scenario: Scenario) -> Scenario:
    copy = replace(replace(scenario.target, price_usd_per_hour=0.0), links=())
    return _renamed_by_cores(scenario, copy.host.cores)


def _compares(scenario: Scenario) -> Scenario:
    return _renamed_by_cores(scenario, int(load("l4") == scenario.target))


def _compares_a_part(scenario: Scenario) -> Scenario:
    return _renamed_by_cores(scenario, int(scenario.target.host == load("l4").host))


def _prices(scenario: Scenario) -> Scenario:
    return replace(scenario, target=replace(scenario.target, price_usd_per_hour=3.0))


def _doubles_cores(scenario: Scenario) -> Scenario:
    host = scenario.target.host
    return replace(
        scenario, target=replace(scenario.target, host=replace(host, cores=2 * host.cores))
    )


def _makes_the_target_the_source(scenario: Scenario) -> Scenario:
    return replace(scenario, source=load("l4"))


@pytest.mark.parametrize(
    "edit",
    [
        _reads, _copies, _copies_all, _compares, _compares_a_part, _prices, _doubles_cores,
        _makes_the_target_the_source,
    ],
)  # fmt: skip
def test_no_way_of_looking_at_a_machine_goes_unnoticed(
    edit: Callable[[Scenario], Scenario],
) -> None:
    """Copied, compared, changed in another part than its links: machines that differ are apart."""
    edits, graph = SharedEdits(), training_run()
    for cores in (2, 4, 16, 2):
        for name in ("l4", "h100-sxm"):
            start = Scenario(graph, None, load(name, {"host.cores": cores}))
            shared, alone = edits(0, "edit", edit, start), edit(start)
            assert same(shared, alone)
            assert shared.source == alone.source


def test_plans_of_memory_are_not_mixed_up() -> None:
    """Equal graphs, unlike plans: the second is not answered with the first's."""
    edits, graph, target = SharedEdits(), training_run(), load("l4")
    for plan in (training_plan(layers=2), training_plan(layers=4)):
        start = Scenario(graph, None, target, (plan,))
        assert edits(0, "edit", _reads, start).memory == (plan,)
