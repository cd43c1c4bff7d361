"""Guesses an engine's steps where nothing names them: by syncs, embeddings, grids and shapes.

    host    |embedding ... launches ...|sync|embedding ... launches ...|sync|
            '-------- one step --------'    '-------- one step --------'

A step begins at the token embedding where the host runs one (eager code, piecewise graphs), else
after the sync that fetched the last tokens. What it computed is told by, in this order: the
embedding's ids (batch, tokens); the grid of the kernel that stores KV (one block a token); the
grid of the gather before the output head (one row a request). A graph launch that owns the whole
step is a decode step: engines capture nothing else whole.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..models.graph import NONE, Category, EdgeKind, ExecutionGraph, Int64s
from ..models.serving.step_names import Share, StepLabel, StepPhase

_ATTENTION = re.compile(
    r"attention|attn|fmha|flash|PagedAttention|BatchDecode|BatchPrefill", re.IGNORECASE
)
_DECODE_ATTENTION = re.compile(r"splitkv|paged_attention|_3d$|BatchDecode|decode", re.IGNORECASE)
# The kernels whose first grid dimension counts something, and what.
_STORES_KV = re.compile(r"reshape_and_cache(_flash)?_kernel|store_kv|set_kv_buffer", re.IGNORECASE)
_INDEXES_KV = re.compile(r"create_flashinfer_kv_indices", re.IGNORECASE)
_GATHERS_LAST = re.compile(r"vectorized_gather_kernel|index_select|indexSelect", re.IGNORECASE)
_EMBEDDING = {"aten::embedding", "aten::embedding_renorm_"}
_SDPA = re.compile(r"aten::.*scaled_dot_product|flash_attn|aten::_flash_attention", re.IGNORECASE)
# A graph launch that owns so large a share of a step's kernels is the step.
_WHOLE = 0.8


@dataclass(frozen=True, slots=True, eq=False)
class Guess:
    """A step as far as it can be told."""

    name: str
    label: StepLabel
    rows: Int64s


def guess_steps(graph: ExecutionGraph) -> list[Guess]:
    """Give the steps in order; empty where nothing looks like a language model."""
    host = _issuing_rows(graph)
    if not len(host):
        return []
    starts = _embedding_rows(graph, host) or _after_syncs(graph, host)
    bounds = [*starts, int(host[-1]) + 1]
    launched = _launched_by(graph)
    guesses: list[Guess] = []
    for first, last in pairwise(bounds):
        own = host[(host >= first) & (host < last)]
        rows = np.union1d(own, launched.of(own))
        label = _label(graph, own, rows)
        if label is not None:
            guesses.append(Guess(f"step {len(guesses)} ({label.phase})", label, rows))
    return guesses


def _issuing_rows(graph: ExecutionGraph) -> Int64s:
    """Give the rows of the host thread that issues the most work, in order."""
    categories = graph.nodes.category
    issues = (categories == Category.LAUNCH) | (categories == Category.HOST)
    device = graph.on_device()
    if np.any(categories == Category.LAUNCH):
        issues = categories == Category.LAUNCH
    lanes = graph.nodes.lane[issues & ~device]
    if not len(lanes):
        return np.zeros(0, dtype=np.int64)
    busiest = int(np.bincount(lanes).argmax())
    return np.flatnonzero(graph.nodes.lane == busiest)


def _embedding_rows(graph: ExecutionGraph, host: Int64s) -> list[int]:
    """Give the token embeddings: of all embeddings, those with the largest table."""
    found: list[tuple[int, int]] = []
    for row in host.tolist():
        if graph.name_of(row) in _EMBEDDING:
            shapes = _shapes(graph, row)
            if shapes and shapes[0]:
                found.append((shapes[0][0], row))
    largest = max((size for size, _row in found), default=0)
    return [row for size, row in found if size == largest]


def _after_syncs(graph: ExecutionGraph, host: Int64s) -> list[int]:
    """Give the rows that follow a sync; a stretch without attention belongs to the next step."""
    syncs = host[graph.nodes.category[host] == Category.SYNC].tolist()
    launched = _launched_by(graph)
    starts, begin = [], int(host[0])
    for end in [*syncs, int(host[-1])]:
        own = host[(host >= begin) & (host <= end)]
        if any(_ATTENTION.search(graph.name_of(r)) for r in launched.of(own).tolist()):
            starts.append(begin)
            begin = end + 1
    return starts


@dataclass(frozen=True, slots=True, eq=False)
class _Launched:
    """Which device rows a host row launched."""

    source: Int64s
    target: Int64s

    def of(self, rows: Int64s) -> Int64s:
        """Give what these rows launched."""
        found: Int64s = self.target[np.isin(self.source, rows)]
        return found


def _launched_by(graph: ExecutionGraph) -> _Launched:
    launches = graph.edge_kind == EdgeKind.LAUNCH
    source = graph.edge_source[launches].astype(np.int64)
    return _Launched(source, graph.edge_target()[launches])


def _label(graph: ExecutionGraph, own: Int64s, rows: Int64s) -> StepLabel | None:
    """Give phase and counts, None where the rows hold no attention at all."""
    names = [graph.name_of(row) for row in rows.tolist()]
    if not any(_ATTENTION.search(name) for name in names):
        return None
    batch, tokens = _from_embedding(graph, own)
    if tokens is None:
        tokens = _grid(graph, rows, _STORES_KV)
        batch = _grid(graph, rows, _INDEXES_KV) or _grid(graph, rows, _GATHERS_LAST)
    whole = _is_whole_graph(graph, own, rows)
    if whole:  # one token a request; inside a graph, grids are padded to its size
        batch = tokens = batch or tokens
    decodes = whole or (tokens is not None and tokens == batch)
    if tokens is None and not whole:
        decodes = any(_DECODE_ATTENTION.search(name) for name in names)
    kv = _kv_length(graph, own)
    if decodes:
        length = None if kv is None or batch is None else kv * batch
        told = tokens if tokens is not None else batch
        generation = Share(batch or 0, told, length, None, None)
        return StepLabel(StepPhase.DECODE, Share(), generation)
    context = Share(batch or 1, tokens, None, None, None)
    return StepLabel(StepPhase.PREFILL, context, Share())


def _from_embedding(graph: ExecutionGraph, own: Int64s) -> tuple[int | None, int | None]:
    """Give (requests, tokens) of the first embedding's ids; flat ids tell tokens only."""
    for row in own.tolist():
        if graph.name_of(row) in _EMBEDDING:
            shapes = _shapes(graph, row)
            ids = shapes[1] if len(shapes) > 1 else ()
            if len(ids) == 2:
                return ids[0], ids[0] * ids[1]
    return None, None


def _kv_length(graph: ExecutionGraph, own: Int64s) -> int | None:
    """Give the KV length of the first attention operator with shapes (B, heads, KV, d)."""
    for row in own.tolist():
        if _SDPA.search(graph.name_of(row)):
            shapes = _shapes(graph, row)
            if len(shapes) > 1 and len(shapes[1]) == 4:
                return shapes[1][2]
    return None


def _shapes(graph: ExecutionGraph, row: int) -> Sequence[tuple[int, ...]]:
    """Give the plain shapes of a row's operator; tensor lists become empty."""
    operator = int(graph.nodes.operator[row])
    if operator == NONE:
        return ()
    return [
        tuple(d for d in shape if isinstance(d, int)) if isinstance(shape, tuple) else ()
        for shape in graph.operators[operator].input_shapes
    ]


def _grids(graph: ExecutionGraph, rows: Int64s, kernel: re.Pattern[str]) -> Iterator[int]:
    for row in rows.tolist():
        config = int(graph.nodes.launch_config[row])
        if (
            config != NONE
            and graph.launch_configs[config].grid
            and kernel.search(graph.name_of(row))
        ):
            yield graph.launch_configs[config].grid[0]


def _grid(graph: ExecutionGraph, rows: Int64s, kernel: re.Pattern[str]) -> int | None:
    """Give the first grid dimension of the last such kernel (the gather before the head)."""
    return next(iter(reversed(list(_grids(graph, rows, kernel)))), None)


def _is_whole_graph(graph: ExecutionGraph, own: Int64s, rows: Int64s) -> bool:
    launches = [row for row in own.tolist() if "graphlaunch" in graph.name_of(row).lower()]
    if len(launches) != 1:
        return False
    kernels = int(np.sum(graph.nodes.category[rows] == Category.KERNEL))
    owned = len(_launched_by(graph).of(np.array(launches)))
    return owned >= _WHOLE * max(kernels, 1)
