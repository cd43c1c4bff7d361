"""Changes of the machine: other hardware, host speed, launch cost, links; and of plain costs."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ..errors import NeedsRecordingError, UsageError
from ..graph import HOST_TIME_EDGES, Category, ExecutionGraph
from ..hardware import Hardware, Link, LinkTier
from ..memory.effect import unchanged
from ..specs import load
from .edit import scaled
from .registry import Parameter, Transform, Value, factor, number, register
from .scenario import Scenario

HOST_CATEGORIES = (Category.HOST, Category.LAUNCH, Category.ANNOTATION)


def host_scaled(graph: ExecutionGraph, factor: float) -> ExecutionGraph:
    """Multiply all host time by a factor: rows of host threads and the time between them."""
    rows = np.isin(graph.nodes.category, HOST_CATEGORIES)
    lags = np.isin(graph.edge_kind, HOST_TIME_EDGES)
    lag = np.where(lags, np.rint(graph.edge_lag_ns * factor), graph.edge_lag_ns)
    return replace(scaled(graph, rows, factor), edge_lag_ns=lag.astype(np.int64))


def _hardware(scenario: Scenario, values: Mapping[str, Value]) -> Scenario:
    return replace(scenario, target=load(str(values["name"])))


def _host(scenario: Scenario, values: Mapping[str, Value]) -> Scenario:
    speed = number(values, "speed", "host")
    return scenario if speed == 1 else scenario.with_graph(host_scaled(scenario.graph, 1 / speed))


def _launch(scenario: Scenario, values: Mapping[str, Value]) -> Scenario:
    cost = factor(values, "cost", "launch")
    if cost == 1:
        return scenario
    rows = scenario.graph.nodes.category == Category.LAUNCH
    if not rows.any():
        raise NeedsRecordingError(
            "launch needs device work", remedy="record on a GPU, or ask for one with --hw"
        )
    return scenario.with_graph(scaled(scenario.graph, rows, cost))


def _link(scenario: Scenario, values: Mapping[str, Value]) -> Scenario:
    """Change the links that collectives use: those of a tier, or all."""
    tier = str(values["tier"])
    tiers = {t.value for t in LinkTier}
    if tier not in {*tiers, "all"}:
        known = ", ".join(("all", *sorted(tiers)))
        raise UsageError(f"link: no tier {tier!r}", remedy=f"one of {known}")
    bandwidth = number(values, "bandwidth", "link")
    latency = factor(values, "latency", "link")
    if bandwidth == latency == 1:
        return scenario

    def changed(link: Link) -> Link:
        if tier not in ("all", link.tier.value):
            return link
        return replace(
            link,
            bandwidth_gbps=link.bandwidth_gbps * bandwidth,
            latency_ns=round(link.latency_ns * latency),
        )

    target = scenario.target
    links = tuple(changed(link) for link in target.links)
    named = f"{target.name}, links x{bandwidth:g}"
    return replace(scenario, target=_renamed(replace(target, links=links), named))


def _renamed(hardware: Hardware, name: str) -> Hardware:
    """Another name makes it another machine: its rows are priced, not taken as measured."""
    return replace(hardware, name=name)


register(
    Transform(
        name="hw",
        about="Run on other hardware.",
        edit="Prices every row for the named machine instead of --hw.",
        assumes="the same kernels are chosen there",
        needs="",
        parameters=(Parameter("name", "catalogue name or YAML", is_text=True),),
        apply=_hardware,
        memory=unchanged("the tensors are the same; only what they must fit into changes"),
    )
)
register(
    Transform(
        name="host",
        about="A host that is faster by a factor.",
        edit="Divides the rows of host threads and the time between them by `speed`.",
        assumes="all host time scales alike",
        needs="",
        parameters=(Parameter("speed", "2 is twice as fast"),),
        apply=_host,
        memory=unchanged("only times change"),
    )
)
register(
    Transform(
        name="launch",
        about="Launch calls that cost more or less.",
        edit="Multiplies the duration of launch calls by `cost`.",
        assumes="the operators around them stay",
        needs="device work",
        parameters=(Parameter("cost", "0.5 is half"),),
        apply=_launch,
        memory=unchanged("only times change"),
    )
)
register(
    Transform(
        name="link",
        about="Links of another bandwidth or latency.",
        edit="Multiplies bandwidth and latency of the target's links of a tier.",
        assumes="collectives keep their algorithms",
        needs="collectives",
        parameters=(
            Parameter("bandwidth", "2 is twice", 1.0),
            Parameter("latency", "0.5 is half", 1.0),
            Parameter("tier", "node, host, network or all", "all", is_text=True),
        ),
        apply=_link,
        memory=unchanged("only times change"),
    )
)
