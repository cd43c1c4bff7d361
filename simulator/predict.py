"""Predict: price a recorded run for a target, replay it, and say how long, why and how surely."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from ..models.costs.kernel_rules import KernelRules
from ..models.costs.price import Priced, price
from ..models.graph import HOST_TIME_EDGES, NONE, Category, ExecutionGraph, Provenance
from ..models.hardware import Hardware
from ..models.merge import merge_ranks
from ..models.offload import needs_offload, offload
from ..models.timeline import Timeline, measured
from .replay import replay
from .scaling import Scale, apply_scales, rows_scaled
from .scenarios import CostTables
from .totals import scenario_totals

# 90 % of a normal distribution lies within this many standard deviations.
Z_90 = 1.645
HOST_CLASS = "host"


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """A run as measured and as predicted.

    Attributes:
        recorded: the graph as recorded, all ranks merged.
        graph: the graph that was replayed; another one where operators moved to a device.
        source: the machine of the recording, None where unknown.
        interval_ns: 90 % of the total lies between.
        properties_of_ranks: each recording's own properties (its memory among them).
    """

    recorded: ExecutionGraph
    graph: ExecutionGraph
    source: Hardware | None
    target: Hardware
    priced: Priced
    timeline: Timeline
    interval_ns: tuple[int, int]
    offloaded: bool
    warnings: tuple[str, ...]
    properties_of_ranks: tuple[tuple[tuple[str, str], ...], ...] = ()

    @property
    def measured(self) -> Timeline:
        """Give the timeline as recorded."""
        return measured(self.recorded)


def predict(
    graphs: Sequence[ExecutionGraph],
    source: Hardware | None,
    target: Hardware,
    scales: Sequence[Scale] = (),
    rules: KernelRules | None = None,
) -> Prediction:
    """Predict the run of one or more ranks on a target.

    Args:
        graphs: one per rank, as recorded.
        source: the machine they were recorded on, None where unknown.
        target: the machine asked for; the source itself gives the self-check.
        scales: cost changes on the way.
        rules: what kernels without an operator do, by name; etsim's own where left out.

    Raises:
        NeedsRecordingError: a CPU run without shapes, asked for on an accelerator.
        RankError: two graphs of one rank.
    """
    recorded = merge_ranks(graphs)
    graph = prepared(graphs, recorded, target)
    offloaded = graph is not recorded
    priced = price_all(graph, source, target, rules)
    duration, lag = apply_scales(graph, priced.duration_ns, priced.lag_ns, scales)
    priced = replace(priced, duration_ns=duration, lag_ns=lag)
    timeline = replay(graph, duration, lag)
    return Prediction(
        recorded=recorded,
        graph=graph,
        source=source,
        target=target,
        priced=priced,
        timeline=timeline,
        interval_ns=interval(graph, priced, timeline),
        offloaded=offloaded,
        warnings=(*_warnings(graphs, offloaded), *_idle(graph, scales), *priced.warnings),
        properties_of_ranks=tuple(graph.meta.properties for graph in graphs),
    )


def _idle(graph: ExecutionGraph, scales: Sequence[Scale]) -> Iterator[str]:
    """Say which scales meet nothing: their answer is the unchanged run's."""
    for scale in scales:
        if not rows_scaled(graph, scale).any():
            yield f"--scale {scale} changes nothing: the run has no such rows"


def prepared(
    graphs: Sequence[ExecutionGraph], recorded: ExecutionGraph, target: Hardware
) -> ExecutionGraph:
    """Give the graph to replay on a target: as recorded, or with its operators on a device."""
    return _offloaded(graphs, target) if needs_offload(recorded, target) else recorded


def _offloaded(graphs: Sequence[ExecutionGraph], target: Hardware) -> ExecutionGraph:
    """Offload each rank, then merge; gloo's own transfer times mean nothing on the target."""
    graph = merge_ranks([offload(g, target) for g in graphs])
    duration = graph.nodes.duration_ns.copy()
    duration[graph.nodes.category == Category.COLLECTIVE] = 0
    return replace(graph, nodes=replace(graph.nodes, duration_ns=duration))


def price_all(
    graph: ExecutionGraph,
    source: Hardware | None,
    target: Hardware,
    rules: KernelRules | None = None,
) -> Priced:
    """Price all rows; rows that already carry the target's own default keep it."""
    priced = price(graph, source, target, rules=rules)
    given = graph.nodes.provenance == Provenance.DEFAULT
    if not given.any():
        return priced
    duration = np.where(given, graph.nodes.duration_ns, priced.duration_ns)
    provenance = np.where(given, np.uint8(Provenance.DEFAULT), priced.provenance)
    return replace(priced, duration_ns=duration, provenance=provenance.astype(np.uint8))


def region(timeline: Timeline, rank: int | None = None) -> tuple[int, int]:
    """Give (begin, end) of what is asked about: the marked steps with their device work, else all.

    Args:
        timeline: of one or many ranks.
        rank: only this rank's steps; None for the whole job.
    """
    graph = timeline.graph
    mine = np.ones(len(graph), dtype=bool) if rank is None else graph.nodes.rank == rank
    steps = [step for step in graph.steps if mine[step.begin_row]]
    end = timeline.end_ns
    if not steps:
        return 0, int(np.max(end[mine], initial=0))
    begin = min(int(timeline.start_ns[step.begin_row]) for step in steps)
    inside = mine & (graph.nodes.step >= 0) & graph.on_device()
    marks = max(int(end[step.end_row]) for step in steps)
    return begin, max(marks, int(np.max(end[inside], initial=0)))


def total_ns(timeline: Timeline, rank: int | None = None) -> int:
    """Give the length of the region."""
    begin, end = region(timeline, rank)
    return end - begin


def interval(graph: ExecutionGraph, priced: Priced, timeline: Timeline) -> tuple[int, int]:
    """Push each class of costs up and down by its spread, all its rows together, and replay.

    Classes are independent of each other, so their effects add as squares:
    total ± z √Σ_c (T(c up) - T)².
    """
    base = total_ns(timeline)
    doubtful = np.unique(priced.cost_class[priced.spread > 0]).tolist()
    if not doubtful:
        return base, base
    totals = scenario_totals(graph, _pushed(graph, priced, doubtful)).tolist()
    up = sum(float((total - base) ** 2) for total in totals[: len(doubtful)])
    down = sum(float((total - base) ** 2) for total in totals[len(doubtful) :])
    return max(0, round(base - down**0.5)), round(base + up**0.5)


def _pushed(graph: ExecutionGraph, priced: Priced, doubtful: Sequence[int]) -> CostTables:
    """Give one scenario a class at the upper end of its 90 % interval, then one at the lower."""
    spreads, level = np.unique(priced.spread, return_inverse=True)
    line = priced.cost_class * len(spreads) + level  # rows of one class and spread share a line
    rows = np.ones((len(priced.classes) * len(spreads), 2 * len(doubtful)))
    edges = np.ones((1, rows.shape[1]))
    for place, index in enumerate(doubtful):
        lines = slice(index * len(spreads), (index + 1) * len(spreads))
        usual = np.median(priced.spread[(priced.cost_class == index) & (priced.spread > 0)])
        for scenario, sign in ((place, 1), (place + len(doubtful), -1)):
            rows[lines, scenario] = np.exp(sign * Z_90 * spreads)
            if priced.classes[index] == HOST_CLASS:
                edges[0, scenario] = np.exp(sign * Z_90 * usual)
    host_time = np.where(np.isin(graph.edge_kind, HOST_TIME_EDGES), 0, NONE)
    return CostTables(
        row_class=line.astype(np.int32),
        work=priced.duration_ns,
        work_price=rows,
        lag_ns=priced.lag_ns,
        edge_class=host_time.astype(np.int32),
        lag_factor=edges,
    )


def _warnings(graphs: Sequence[ExecutionGraph], offloaded: bool) -> list[str]:
    warnings = []
    if offloaded:
        warnings.append(
            "recorded on a CPU: kernels are priced by a roofline from their shapes, without any "
            "measurement on an accelerator; steps are taken to end when the device is done"
        )
    ranks = {graph.meta.rank for graph in graphs}
    world = max((graph.meta.world_size for graph in graphs), default=1)
    missing = list(islice((rank for rank in range(world) if rank not in ranks), 9))
    if missing and _communicates(graphs):
        told = ", ".join(str(rank) for rank in missing[:8]) + (" ..." if len(missing) > 8 else "")
        warnings.append(
            f"ranks {told} of {world} are not given: their collectives keep the waiting recorded"
        )
    if not all(graph.meta.has_times for graph in graphs):
        warnings.append("an execution trace alone has no times: host time is unknown and left out")
    return warnings


def _communicates(graphs: Sequence[ExecutionGraph]) -> bool:
    wanted = (Category.COLLECTIVE, Category.SEND, Category.RECV)
    return any(np.isin(graph.nodes.category, wanted).any() for graph in graphs)
