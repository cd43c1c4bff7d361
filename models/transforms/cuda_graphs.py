"""CUDA graphs: one launch for a whole region, the kernels' own launches gone.

host     |op||L| |op||L| |op||L|  sync        |graph launch|  sync
stream      [k0]   [k1]   [k2]                 [k0][k1][k2]
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ..errors import NeedsRecordingError, UsageError
from ..graph import Category, EdgeKind, ExecutionGraph, Int64s
from ..memory.effect import unchanged
from ..units import Dimension
from .edit import Mask
from .insertion import Insertion
from .lanes import grouped
from .recost import has_device
from .registry import Parameter, Transform, Value, register
from .scenario import Scenario
from .splice import without_time
from .training import fixed, in_phase

CAPTURED = (Category.HOST, Category.LAUNCH)
LEAST_LAUNCHES = 2
PHASES = ("forward", "backward", "optimizer")


def _cuda_graphs(scenario: Scenario, values: Mapping[str, Value]) -> Scenario:
    graph = scenario.graph
    if not has_device(graph):
        raise NeedsRecordingError(
            "cuda-graphs needs device work", remedy="record on a GPU, or ask for one with --hw"
        )
    regions = _regions(graph, _allowed(graph, str(values["phases"])))
    insertion = Insertion(graph)
    gone = np.zeros(len(graph), dtype=bool)
    launch_ns = round(float(values["launch"]) * 1e9)
    for rows in regions:
        first = int(rows[0])
        before = first - 1  # the origin stands before all, so there is one
        insertion.in_line(
            before, "cudaGraphLaunch", int(graph.nodes.lane[first]), Category.LAUNCH, launch_ns,
            rank=int(graph.nodes.rank[first]), step=int(graph.nodes.step[first]),
        )  # fmt: skip
        gone[rows] = True
    if not regions:
        return scenario
    launched = insertion.done()
    removed = np.zeros(len(launched), dtype=bool)
    removed[insertion.places()[: len(graph)][gone]] = True
    gap_ns = round(float(values["gap"]) * 1e9)
    return scenario.with_graph(_short_gaps(without_time(launched, removed), gap_ns))


def _allowed(graph: ExecutionGraph, phases: str) -> Mask:
    """Tell which rows may be captured: of the phases asked for, or all where none is known."""
    wanted = phases.split("+") if phases else []
    unknown = set(wanted) - set(PHASES)
    if unknown:
        raise UsageError(
            f"cuda-graphs: no phase {', '.join(sorted(unknown))}", remedy="forward+backward"
        )
    if not wanted:
        return np.ones(len(graph), dtype=bool)
    allowed = np.zeros(len(graph), dtype=bool)
    for phase in wanted:
        allowed |= in_phase(graph, phase)
    return allowed


def _regions(graph: ExecutionGraph, allowed: Mask) -> list[Int64s]:
    """Give runs of host rows of one rank and step without a synchronisation between them."""
    marks = graph.nodes.category == Category.ANNOTATION  # they stay, and part nothing
    host = ~graph.on_device() & ~fixed(graph) & ~marks
    captured = np.isin(graph.nodes.category, CAPTURED) & allowed
    rows = np.flatnonzero(host)
    rows = rows[grouped(graph.nodes.rank[rows])]
    rank, step, inside = graph.nodes.rank[rows], graph.nodes.step[rows], captured[rows]
    new = (rank[1:] != rank[:-1]) | (step[1:] != step[:-1]) | ~inside[:-1]
    region = np.cumsum(np.append(True, new)[: len(rows)] & inside)
    rows, region = rows[inside], region[inside]
    if not len(rows):
        return []
    launch = graph.nodes.category == Category.LAUNCH
    parts = np.split(rows, np.flatnonzero(np.diff(region)) + 1)
    return [part for part in parts if np.count_nonzero(launch[part]) >= LEAST_LAUNCHES]


def _short_gaps(graph: ExecutionGraph, gap_ns: int) -> ExecutionGraph:
    """Between kernels of a graph there is only its own short gap."""
    inner = graph.edge_kind == EdgeKind.STREAM_ORDER
    lag = np.where(inner, np.minimum(graph.edge_lag_ns, gap_ns), graph.edge_lag_ns)
    return replace(graph, edge_lag_ns=lag.astype(np.int64))


register(
    Transform(
        name="cuda-graphs",
        about="Capture the launches between synchronisations into CUDA graphs.",
        edit="Removes host rows and launches of every stretch without a synchronisation, inserts "
        "one graph launch on which its kernels wait, and shortens the gaps between kernels.",
        assumes="shapes do not change from step to step and nothing in a stretch needs the host",
        needs="device work",
        parameters=(
            Parameter("launch", "of one graph launch", 8e-6, Dimension.DURATION),
            Parameter("gap", "between kernels of a graph", 1.2e-6, Dimension.DURATION),
            Parameter("phases", "such as forward+backward; all", "", is_text=True),
        ),
        apply=_cuda_graphs,
        memory=unchanged("the pools that captured graphs keep for themselves are not counted"),
    )
)
