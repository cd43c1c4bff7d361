"""Stack the graphs of ranks: their columns end to end, their tables interned into one."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import fields
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .graph import COLUMN_TYPES, NONE, Columns, ExecutionGraph, Int64s, Step
from .graph_builder import Interner

T = TypeVar("T", bound=Hashable)
# index columns and the table each points into; lanes are kept apart per rank
TABLE_OF_COLUMN = {
    "name": "names", "module": "names", "phase": "names", "operator": "operators",
    "launch_config": "launch_configs", "collective": "collectives",
}  # fmt: skip
ROW_COLUMNS = ("parent", "fw_parent")


def concatenated(graphs: Sequence[ExecutionGraph], offsets: Sequence[int]) -> ExecutionGraph:
    """Put graphs end to end: rows, edges and steps shifted, times on the common clock."""
    first = np.concatenate(([0], np.cumsum([len(g) for g in graphs]))).astype(np.int64)
    tables: dict[str, tuple[Hashable, ...]] = {}
    maps: dict[str, list[Int64s]] = {}
    for table in sorted(set(TABLE_OF_COLUMN.values())):
        tables[table], maps[table] = _interned([getattr(g, table) for g in graphs])
    return ExecutionGraph(
        nodes=_stack_columns(graphs, offsets, first, maps),
        edge_start=_stack_edge_index(graphs),
        edge_source=_stacked(graphs, lambda g: g.edge_source, first[:-1], np.int32),
        edge_kind=np.concatenate([g.edge_kind for g in graphs]),
        edge_lag_ns=np.concatenate([g.edge_lag_ns for g in graphs]),
        names=tables["names"],  # type: ignore[arg-type]  # interned from tuples of that type
        lanes=tuple(lane for g in graphs for lane in g.lanes),
        operators=tables["operators"],  # type: ignore[arg-type]
        launch_configs=tables["launch_configs"],  # type: ignore[arg-type]
        collectives=tables["collectives"],  # type: ignore[arg-type]
        steps=tuple(
            Step(step.name, step.begin_row + int(base), step.end_row + int(base))
            for g, base in zip(graphs, first[:-1], strict=True)
            for step in g.steps
        ),
        meta=graphs[0].meta,
    )


def _interned(tables: Sequence[tuple[T, ...]]) -> tuple[tuple[T, ...], list[Int64s]]:
    """Give one table and for each old table its indices in the new one, -1 at the end for -1."""
    pool: Interner[T] = Interner()
    maps = [np.array([*(pool[v] for v in table), NONE], dtype=np.int64) for table in tables]
    return tuple(pool), maps


def _stack_columns(
    graphs: Sequence[ExecutionGraph],
    offsets: Sequence[int],
    first: Int64s,
    maps: dict[str, list[Int64s]],
) -> Columns:
    shifts = {
        "lane": np.concatenate(([0], np.cumsum([len(g.lanes) for g in graphs]))),
        "step": np.concatenate(([0], np.cumsum([len(g.steps) for g in graphs]))),
        "start_ns": np.array([*offsets, 0], dtype=np.int64),
        **dict.fromkeys(ROW_COLUMNS, first),
    }
    stacked: dict[str, NDArray[Any]] = {}
    for field in fields(Columns):
        column = field.name
        parts = [getattr(graph.nodes, column) for graph in graphs]
        if column in TABLE_OF_COLUMN:
            new_index = maps[TABLE_OF_COLUMN[column]]
            parts = [new_index[place][values] for place, values in enumerate(parts)]
        elif column in shifts:
            parts = [_shifted(column, v, shifts[column][p]) for p, v in enumerate(parts)]
        stacked[column] = np.concatenate(parts).astype(COLUMN_TYPES[column])
    return Columns(**stacked)


def _shifted(column: str, values: NDArray[Any], shift: int) -> NDArray[Any]:
    """Move indices or times; an index of -1 stays none."""
    return values + shift if column == "start_ns" else np.where(values >= 0, values + shift, NONE)


def _stack_edge_index(graphs: Sequence[ExecutionGraph]) -> Int64s:
    counts = np.concatenate([np.diff(g.edge_start) for g in graphs])
    return np.concatenate(([0], np.cumsum(counts))).astype(np.int64)


def _stacked(
    graphs: Sequence[ExecutionGraph],
    column: Callable[[ExecutionGraph], np.ndarray[tuple[int], np.dtype[np.int32]]],
    base: Int64s,
    dtype: type,
) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    parts = [column(g) + shift for g, shift in zip(graphs, base, strict=True)]
    return np.concatenate(parts).astype(dtype)
