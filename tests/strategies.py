"""Random small graphs for properties: `from etsim.tests.strategies import execution_graphs`.

Every column, table and edge kind is used; values reach the ends of their ranges. The graphs keep
the rules of `models.graph.check`, but mean nothing: a property must hold for any of them.
"""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from etsim.models.graph import (
    COLUMN_TYPES,
    NONE,
    Category,
    Collective,
    Columns,
    Dims,
    EdgeKind,
    ExecutionGraph,
    GraphMeta,
    Lane,
    LaneKind,
    LaunchConfig,
    NodeKind,
    Operator,
    Provenance,
    Step,
)

DAY_NS = 86_400 * 10**9
MAX_ROWS = 12

names = st.text(max_size=8)
times_ns = st.one_of(st.integers(0, 3000), st.integers(0, 100 * DAY_NS))
lags_ns = st.one_of(st.integers(-3000, 3000), st.integers(-DAY_NS, DAY_NS))
counts = st.one_of(st.integers(0, 300), st.integers(0, 2**62))
int64s = st.integers(-(2**63), 2**63 - 1)

dims: st.SearchStrategy[Dims] = st.recursive(
    st.integers(0, 2**40), lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=6
)
shapes = st.lists(dims, max_size=3).map(tuple)
texts = st.lists(names, max_size=3).map(tuple)
small_ints = st.lists(st.integers(0, 2**31 - 1), max_size=3).map(tuple)

lanes = st.builds(
    Lane,
    st.sampled_from(LaneKind),
    group=st.integers(-1, 2**40),
    number=st.integers(-1, 2**40),
    name=names,
)
operators = st.builds(Operator, names, names, shapes, texts, texts, shapes, shapes, texts)
launch_configs = st.builds(LaunchConfig, small_ints, small_ints, st.integers(0, 255), counts)
collectives = st.builds(
    Collective,
    kind=st.one_of(st.sampled_from(["all_reduce", "broadcast", "barrier"]), names),
    group=names,
    ranks=small_ints,
    dtype=names,
    message_bytes=counts,
    peer=st.integers(NONE, 1000),
)
metas = st.builds(
    GraphMeta,
    rank=st.integers(0, 1000),
    world_size=st.integers(1, 1000),
    clock_base_ns=int64s,
    has_times=st.booleans(),
    source_device=names,
    device_memory_bytes=counts,
    properties=st.lists(st.tuples(names, names), max_size=3, unique_by=lambda p: p[0]).map(tuple),
    notes=texts,
)


def _index(size: int) -> st.SearchStrategy[int]:
    """Give an index into a table, or -1."""
    return st.integers(NONE, size - 1)


def _tables(draw: st.DrawFn, rows: int) -> dict[str, Any]:
    few = 4
    marks = st.lists(st.integers(0, max(rows - 1, 0)), min_size=2, max_size=2).map(sorted)
    steps = st.builds(lambda name, ends: Step(name, *ends), names, marks)
    return {
        "names": tuple(draw(st.lists(names, min_size=1, max_size=few, unique=True))),
        "lanes": tuple(draw(st.lists(lanes, min_size=1, max_size=few, unique=True))),
        "operators": tuple(draw(st.lists(operators, max_size=few, unique=True))),
        "launch_configs": tuple(draw(st.lists(launch_configs, max_size=few, unique=True))),
        "collectives": tuple(draw(st.lists(collectives, max_size=few, unique=True))),
        "steps": tuple(draw(st.lists(steps, max_size=2 if rows else 0))),
        "meta": draw(metas),
    }


def _columns(draw: st.DrawFn, rows: int, tables: dict[str, Any]) -> Columns:
    values: dict[str, st.SearchStrategy[int]] = {
        "kind": st.sampled_from(NodeKind),
        "category": st.sampled_from(Category),
        "name": st.integers(0, len(tables["names"]) - 1),
        "rank": st.just(tables["meta"].rank),
        "lane": st.integers(0, len(tables["lanes"]) - 1),
        "start_ns": times_ns,
        "duration_ns": times_ns,
        "operator": _index(len(tables["operators"])),
        "launch_config": _index(len(tables["launch_configs"])),
        "collective": _index(len(tables["collectives"])),
        "sequence": st.integers(NONE, 2**62),
        "step": _index(len(tables["steps"])),
        "module": _index(len(tables["names"])),
        "phase": _index(len(tables["names"])),
        "flops": counts,
        "bytes": counts,
        "parent": _index(rows),
        "provenance": st.sampled_from(Provenance),
        "rf_id": int64s,
        "seq_id": int64s,
        "fw_parent": _index(rows),
    }
    return Columns(
        **{
            name: np.array(draw(st.lists(values[name], min_size=rows, max_size=rows)), dtype=kind)
            for name, kind in COLUMN_TYPES.items()
        }
    )


@st.composite
def execution_graphs(
    draw: st.DrawFn, min_rows: int = 0, max_rows: int = MAX_ROWS
) -> ExecutionGraph:
    """Give a graph of one rank: predecessors may repeat, with other kinds and lags."""
    rows = draw(st.integers(min_rows, max_rows))
    tables = _tables(draw, rows)
    in_edges: list[list[tuple[int, EdgeKind, int]]] = [
        draw(
            st.lists(
                st.tuples(st.integers(0, row - 1), st.sampled_from(EdgeKind), lags_ns), max_size=4
            )
        )
        if row
        else []
        for row in range(rows)
    ]
    edges = [edge for row in in_edges for edge in row]
    return ExecutionGraph(
        nodes=_columns(draw, rows, tables),
        edge_start=np.cumsum([0, *(len(row) for row in in_edges)], dtype=np.int64),
        edge_source=np.array([edge[0] for edge in edges], dtype=np.int32),
        edge_kind=np.array([edge[1] for edge in edges], dtype=np.uint8),
        edge_lag_ns=np.array([edge[2] for edge in edges], dtype=np.int64),
        **tables,
    ).checked()
