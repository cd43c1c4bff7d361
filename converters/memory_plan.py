"""From the storages of an execution trace to a memory plan: their shapes, modules and iteration.

    | ... step | forward  backward  step | forward ...        kept: the iteration around the peak

A run without an optimiser is kept whole. There the weights are what was there before and enters a
product, a norm or an embedding as such; the KV cache is what attention reads of the time before,
or joins to it.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from math import prod

import msgspec
import numpy as np

from ..models.costs.tensors import ITEM_BYTES, dtype_of
from ..models.graph import NONE, ExecutionGraph, Int64s
from ..models.memory.plan import (
    BACKWARD,
    NUMBER_OF_USE,
    OPTIMIZER,
    Lives,
    MemoryPlan,
    Shape,
    Track,
    Use,
)
from ..models.memory.text import plan_properties
from ..models.transforms.pool import Pool
from .execution_trace import Arguments, ExecutionTrace
from .memory import MemoryUse, Storages, memory_use
from .storage_lives import TENSOR_FIELDS

# where an operator takes its weights: argument places by name
_WEIGHTS = (
    (re.compile(r"aten::(linear|conv\w*|\w*norm\w*)$"), (1, 2, 3, 4)),
    (re.compile(r"aten::(embedding|t)$"), (0,)),
    (re.compile(r"aten::addmm$"), (0, 2)),
    (re.compile(r"aten::(mm|matmul)$"), (1,)),
)
_CACHES = re.compile(r"attention|flash_attn|aten::index_copy_$|aten::cat$")
_CAT = "aten::cat"
MOST_LIVES = 50_000  # a plan of so many is about a megabyte of text
_HEADS_DIMS = 3  # a cache has at least heads, length and features


@dataclass(frozen=True, slots=True)
class _Told:
    """What the operator that made (or first read) a storage tells of it."""

    shape: Shape | None = None
    dtype: str = ""
    place: int = NONE


def with_memory(graph: ExecutionGraph, et: ExecutionTrace) -> ExecutionGraph:
    """Give a graph whose properties tell its memory, if the execution trace records tensors."""
    used = memory_use(et)
    if used is None:
        return graph
    properties = (*graph.meta.properties, *plan_properties(memory_plan(et, used, graph)))
    return replace(graph, meta=replace(graph.meta, properties=properties))


def memory_plan(et: ExecutionTrace, used: MemoryUse, graph: ExecutionGraph) -> MemoryPlan:
    """Give the plan of the iteration in which the peak is.

    Args:
        et: the execution trace.
        used: its memory.
        graph: of the same run; tells modules.
    """
    lives = used.storages
    start, end = _iteration(lives.phase, used.at)
    rows, notes = _kept(lives, start, end)
    names, shapes = Pool[str](()), Pool[Shape](())
    above = _Above(et)
    told = [_told(et, lives, int(row)) for row in rows]
    origin, last = lives.origin[rows], np.minimum(lives.last[rows], end)
    forward_last = _inside(lives.forward_last[rows], start, end)
    module = _modules(et, lives.phase, graph, names)
    columns = Lives(
        size_bytes=lives.size_bytes[rows],
        first=np.maximum(lives.first[rows], start),
        last=last,
        forward_last=forward_last,
        backward_last=_inside(lives.backward_last[rows], start, end),
        born=lives.phase[origin],
        gone=lives.phase[np.minimum(last, len(et) - 1)],
        made=lives.made[rows].astype(np.int64),
        use=_column(NUMBER_OF_USE[use] for use in lives.use[rows]),
        shape=_column(NONE if t.shape is None else shapes[t.shape] for t in told),
        dtype=_column(names[t.dtype] if t.dtype else NONE for t in told),
        maker=_column(names[above.outermost(int(node))] for node in origin),
        module=module[origin],
    )
    if not np.any(lives.phase == OPTIMIZER):
        readers = [above.outermost(int(node)) for node in forward_last]
        columns = _serving(columns, told, names, readers, (start, end))
    track = _track(lives.phase, module, start, end)
    return MemoryPlan(columns, track, start, end, names.values, shapes.values, notes)


def _kept(lives: Storages, start: int, end: int) -> tuple[Int64s, tuple[str, ...]]:
    """Give the lives of an iteration; of very many the largest, and a note on the others."""
    rows = np.flatnonzero((lives.first <= end) & (lives.last >= start) & (lives.size_bytes > 0))
    if len(rows) <= MOST_LIVES:
        return rows, ()
    by_size = rows[np.argsort(lives.size_bytes[rows], kind="stable")]
    left_out, kept = by_size[:-MOST_LIVES], by_size[-MOST_LIVES:]
    largest = int(lives.size_bytes[left_out].max())
    note = f"{len(left_out):,} storages of at most {largest:,} bytes are left out of the lives"
    return np.sort(kept), (note,)


def _column(values: Iterable[int]) -> Int64s:
    return np.fromiter(values, dtype=np.int64)


def _inside(moments: Int64s, start: int, end: int) -> Int64s:
    """Give moments of the kept iteration, NONE for others."""
    return np.where((moments >= start) & (moments <= end), moments, NONE)


def _iteration(phase: Int64s, at: int) -> tuple[int, int]:
    """Give the first and last node of the iteration around a node: steps end at an optimiser."""
    marked = np.flatnonzero((phase == OPTIMIZER) | (phase == BACKWARD))
    turns = (phase[marked[:-1]] == OPTIMIZER) & (phase[marked[1:]] == BACKWARD)
    ends = marked[:-1][turns]
    before, after = ends[ends < at], ends[ends >= at]
    start = int(before[-1]) + 1 if len(before) else 0
    return start, int(after[0]) if len(after) else len(phase) - 1


class _Above:
    """Which node called which."""

    def __init__(self, et: ExecutionTrace) -> None:
        self.et = et
        self.parent = places_of(et.id, et.parent).tolist()
        self.name = [*et.name, ""]  # the last is nobody's

    def outermost(self, node: int) -> str:
        """Give the outermost operator above a node: `aten::linear` for its `aten::addmm`."""
        name = self.name[node]
        while (above := self.name[node := self.parent[node]]).startswith("aten::"):
            name = above
        return name


def places_of(keys: Int64s, wanted: Int64s) -> Int64s:
    """Give the last place where each wanted number stands among the keys, NONE for none."""
    if not len(keys):
        return np.full(len(wanted), NONE, dtype=np.int64)
    order = np.argsort(keys, kind="stable")
    place = order[np.searchsorted(keys, wanted, side="right", sorter=order) - 1]
    return np.where(keys[place] == wanted, place, NONE)


def _modules(et: ExecutionTrace, phase: Int64s, graph: ExecutionGraph, names: Pool[str]) -> Int64s:
    """Give each node's module, into names; a backward node without one has that before it."""
    host = np.flatnonzero(~graph.on_device() & (graph.nodes.rf_id > 0))
    place = places_of(graph.nodes.rf_id[host], et.rf_id)
    own = np.append(graph.nodes.module[host], NONE)[place].astype(np.int64)
    backward = phase == BACKWARD
    known = np.where((own != NONE) | ~backward, np.arange(len(et)), 0)
    own = own[np.maximum.accumulate(known)]
    into_names = np.full(len(graph.names) + 1, NONE, dtype=np.int64)
    for index in np.unique(own[own != NONE]).tolist():
        into_names[index] = names[graph.names[index]]
    return into_names[own]


def _track(phase: Int64s, module: Int64s, start: int, end: int) -> Track:
    moments = np.arange(start, end + 1)
    changes = np.ones(len(moments), dtype=bool)
    changes[1:] = (np.diff(phase[moments]) != 0) | (np.diff(module[moments]) != 0)
    kept = moments[changes]
    return Track(kept, phase[kept], module[kept])


def _told(et: ExecutionTrace, lives: Storages, row: int) -> _Told:
    """Find the storage among its maker's outputs (or its first reader's inputs)."""
    node, storage = int(lives.origin[row]), int(lives.id[row])
    both = (et.outputs[node], et.inputs[node]) if lives.made[row] else (et.inputs[node],)
    for arguments in both:
        for number, shape, kind, place in _arguments(arguments):
            dtype = dtype_of(kind)
            if number == storage:
                whole = prod(shape) * ITEM_BYTES.get(dtype, 0) == lives.size_bytes[row]
                return _Told(shape if whole else None, dtype, place)
    return _Told()


def _arguments(arguments: Arguments) -> Iterator[tuple[int, Shape, str, int]]:
    """Give (storage, shape, type, place of the argument) of each tensor of a node."""
    values, shapes, kinds = (
        msgspec.json.decode(raw) for raw in (arguments.values, arguments.shapes, arguments.types)
    )
    for place, (value, shape, kind) in enumerate(zip(values, shapes, kinds, strict=False)):
        for storage, dims, name in _tensors(value, shape, kind):
            yield storage, dims, name, place


def _tensors(value: object, shape: object, kind: str) -> Iterator[tuple[int, Shape, str]]:
    if not isinstance(value, list) or not isinstance(shape, list):
        return
    if len(value) == TENSOR_FIELDS and isinstance(value[-1], str):
        yield value[1], tuple(size for size in shape if isinstance(size, int)), kind
        return
    inner = kind.removeprefix("GenericList[").removesuffix("]").split(",")
    for item, dims, name in zip(value, shape, inner, strict=False):
        yield from _tensors(item, dims, name)


def _serving(
    lives: Lives, told: list[_Told], names: Pool[str], readers: list[str], span: tuple[int, int]
) -> Lives:
    """Name the weights and the KV cache of a run that does not train."""
    makers = [names.values[index] for index in lives.maker.tolist()]
    there = lives.made == 0
    rows = list(zip(makers, told, strict=True))
    weight = there & np.array([_is_weight(maker, t.place) for maker, t in rows], dtype=bool)
    deep = np.array([t.shape is not None and len(t.shape) >= _HEADS_DIMS for t in told], dtype=bool)
    read = np.array([_CACHES.search(reader) is not None for reader in readers], dtype=bool)
    first = np.array([_is_cache(maker, t.place) for maker, t in rows], dtype=bool)
    joined = np.array([maker == _CAT for maker in makers], dtype=bool)
    cache = ~weight & deep & ((there & first) | (joined & read))
    use = np.where(cache, NUMBER_OF_USE[Use.KV_CACHE], lives.use)
    use = np.where(weight, NUMBER_OF_USE[Use.PARAMETER], use)
    return replace(
        lives,
        use=use,
        first=np.where(weight, span[0], lives.first),
        last=np.where(weight, span[1], lives.last),
    )


def _is_cache(maker: str, place: int) -> bool:
    """Attention's first argument is the query."""
    return _CACHES.search(maker) is not None and not (place == 0 and "attention" in maker)


def _is_weight(maker: str, place: int) -> bool:
    return any(pattern.match(maker) and place in places for pattern, places in _WEIGHTS)
