"""A data loader that keeps up: the time the training loop spends fetching goes, or shrinks.

|fetch: collate stack copy| forward ...        becomes        forward ...
"""

from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatchcase

import numpy as np

from ..errors import NeedsRecordingError
from ..graph import HOST_TIME_EDGES, NONE, Category, ExecutionGraph
from ..memory.effect import unchanged
from .edit import Mask, scaled
from .registry import Parameter, Transform, Value, factor, register
from .scenario import Scenario
from .splice import without_time
from .training import fixed


def _data_loader(scenario: Scenario, values: Mapping[str, Value]) -> Scenario:
    times = factor(values, "factor", "data-loader")
    if times == 1:
        return scenario
    graph = scenario.graph
    rows = _fetching(graph, str(values["name"])) & ~graph.on_device() & ~fixed(graph)
    if times == 0:
        return scenario.with_graph(without_time(graph, rows & ~_launches(graph)))
    into = np.isin(graph.edge_kind, HOST_TIME_EDGES)
    into &= rows[graph.edge_target()]
    lag = np.where(into, np.rint(graph.edge_lag_ns * times), graph.edge_lag_ns)
    graph = replace(graph, edge_lag_ns=lag.astype(np.int64))
    return scenario.with_graph(scaled(graph, rows, times))


def _fetching(graph: ExecutionGraph, pattern: str) -> Mask:
    """Tell which rows stand under a mark of that name, itself included."""
    named = np.array([fnmatchcase(name, pattern) for name in graph.names], dtype=bool)
    found: Mask = named[graph.nodes.name]
    if not found.any():
        raise NeedsRecordingError(
            f"data-loader: no row is called {pattern!r}",
            remedy="record with a torch DataLoader, or mark the fetching with record_function and "
            "give its name: data-loader:name=...",
        )
    above = graph.nodes.parent.astype(np.int64)
    under = found.copy()
    while (above != NONE).any():
        known = above != NONE
        under[known] |= found[above[known]]
        above[known] = graph.nodes.parent[above[known]]
    return under


def _launches(graph: ExecutionGraph) -> Mask:
    """Launches of device work stay: the data still has to be copied there."""
    launches: Mask = graph.nodes.category == Category.LAUNCH
    return launches


register(
    Transform(
        name="data-loader",
        about="Fetch the next batch in time: workers and prefetching.",
        edit="Removes the host rows under the mark, or multiplies them and the time between them "
        "by `factor`; copies to the device stay.",
        assumes="the workers have cores of their own and are always ahead",
        needs="a mark around fetching, as torch's DataLoader makes it",
        parameters=(
            Parameter("factor", "of the time that is left; 0 is none", 0.0),
            Parameter("name", "pattern of the mark", "enumerate(DataLoader)*", is_text=True),
        ),
        apply=_data_loader,
        memory=unchanged("batches wait in the memory of the host"),
    )
)
