"""Memory of a run from its execution trace: which storages live when, and what they are for.

    storage  1 |======================================|   in use all along, read by the optimiser
    storage  2       |=====forward....backward=====|       activation
    storage  3                     |==backward..step==|    gradient

A storage lives from the first operator that touches it to the last. Its bytes are the largest
extent any tensor on it shows (offset + elements). Ids are used again once a storage is freed: an
operator that gives out a storage which it was not given has made a new one.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..models.graph import NONE, Int64s
from ..models.memory.plan import BACKWARD, FORWARD, OPTIMIZER, Use
from .execution_trace import Arguments, ExecutionTrace

_TENSOR = re.compile(rb'\[\s*\d+,\s*(\d+),\s*(\d+),\s*(\d+),\s*(\d+),\s*"[a-z]+[^"]*"\s*\]')
_ZERO_STRIDE = re.compile(rb"[\[,]\s*0\s*[\],]")
TENSOR_FIELDS = 6  # tensor id, storage id, offset, elements, bytes an element, device
_OPTIMIZER = "Optimizer.step"
_BACKWARD = "autograd::engine::evaluate_function"
_ACCUMULATE = "torch::autograd::AccumulateGrad"
_COLLECTIVE = "c10d::"


@dataclass(frozen=True, slots=True, eq=False)
class Storages:
    """Every life of a storage, shape (lives,) each; nodes are places in the execution trace.

    Attributes:
        id: the storage's own, used again by later lives.
        origin: the node that made it, or the first that touched it.
        made: whether it began inside the recording.
        forward_last, backward_last: its last touch in forward and in backward, NONE without one.
        phase: of each node, shape (nodes,).
    """

    id: Int64s
    size_bytes: Int64s
    first: Int64s
    last: Int64s
    forward_last: Int64s
    backward_last: Int64s
    origin: Int64s
    made: NDArray[np.bool_]
    use: NDArray[np.object_]
    phase: Int64s


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """Bytes at the peak, by use; at which node it is; and the lives it is made of."""

    peak_bytes: int
    by_use: dict[Use, int]
    at: int
    storages: Storages

    def as_properties(self) -> tuple[tuple[str, str], ...]:
        """Give them as graph properties, `memory.<use>` in bytes."""
        uses = (
            ("memory.peak", self.peak_bytes),
            *((f"memory.{u}", b) for u, b in self.by_use.items()),
        )
        return tuple((key, str(value)) for key, value in uses)


@dataclass(frozen=True, slots=True, eq=False)
class _Touches:
    """Which node touches which storage (one life of an id), in order; shape (touches,) each.

    Attributes:
        made: lives that began inside the recording; the others were there before.
        origins, ids: of each life, counted from 1: the node that began it, and its storage's id.
    """

    node: Int64s
    storage: Int64s
    extent_bytes: Int64s
    made: frozenset[int]
    origins: Int64s
    ids: Int64s


def memory_use(et: ExecutionTrace) -> MemoryUse | None:
    """Give the memory that a run's tensors take at its peak, None where no tensor is recorded."""
    touches = _touches(et)
    if not len(touches.node):
        return None
    storages, index = np.unique(touches.storage, return_inverse=True)
    count = len(storages)
    size = np.zeros(count, dtype=np.int64)
    np.maximum.at(size, index, touches.extent_bytes)
    first = np.full(count, len(et), dtype=np.int64)
    last = np.zeros(count, dtype=np.int64)
    np.minimum.at(first, index, touches.node)
    np.maximum.at(last, index, touches.node)
    was_there = np.array([life not in touches.made for life in storages.tolist()], dtype=bool)
    phase = _phases(et)
    use = _uses(phase[touches.node], index, was_there)
    sent = np.array([name.startswith(_COLLECTIVE) for name in et.name], dtype=bool)
    use[_touched(sent[touches.node], index, count) & was_there & (use == Use.ACTIVATION)] = (
        Use.BUCKET
    )
    # what lives across optimiser steps is there all the time, also before its first touch
    lasting = np.isin(use, (Use.PARAMETER, Use.OPTIMIZER_STATE, Use.BUCKET))
    first[lasting], last[lasting] = 0, len(et)
    gradients = use == Use.GRADIENT  # `.grad` holds them until zero_grad, behind the step
    last[gradients] = _ends_of_runs(phase)[last[gradients]]
    lives = Storages(
        id=touches.ids[storages - 1],
        size_bytes=size,
        first=first,
        last=last,
        forward_last=_last_in(phase, FORWARD, touches, index),
        backward_last=_last_in(phase, BACKWARD, touches, index),
        origin=touches.origins[storages - 1],
        made=~was_there,
        use=use,
        phase=phase,
    )
    return _peak(lives)


def _ends_of_runs(phase: Int64s) -> Int64s:
    """Give for each node the last node of its phase's run, shape (nodes,)."""
    ends = np.flatnonzero(np.append(np.diff(phase) != 0, [True]))
    return ends[np.searchsorted(ends, np.arange(len(phase)))]


def _last_in(phase: Int64s, which: int, touches: _Touches, index: Int64s) -> Int64s:
    """Give the last touch of each life in a phase, NONE without one."""
    last = np.full(len(np.unique(index)), NONE, dtype=np.int64)
    rows = phase[touches.node] == which
    np.maximum.at(last, index[rows], touches.node[rows])
    return last


def _touches(et: ExecutionTrace) -> _Touches:
    """Walk the nodes as they ran: inputs when a node begins, outputs when it ends."""
    walk = _Walk()
    ids, parents = et.id.tolist(), et.parent.tolist()
    stack: list[int] = []
    for node, parent in enumerate(parents):
        while stack and ids[stack[-1]] != parent:
            ended = stack.pop()
            walk.leave(ended, node - 1, et)
        walk.enter(node, et)
        stack.append(node)
    while stack:
        walk.leave(stack.pop(), len(ids) - 1, et)
    return _Touches(
        np.array(walk.nodes, dtype=np.int64),
        np.array(walk.lives, dtype=np.int64),
        np.array(walk.extents, dtype=np.int64),
        frozenset(walk.made),
        np.array(walk.origins, dtype=np.int64),
        np.array(walk.ids, dtype=np.int64),
    )


def _tensors(arguments: Arguments) -> list[tuple[int, int]]:
    """Give (storage, bytes up to its end) of each tensor among a node's arguments."""
    values = bytes(arguments.values)
    if b'"' not in values:  # a tensor names its device
        return []
    if _expands(bytes(arguments.strides)):
        shapes = msgspec.json.decode(arguments.shapes)
        strides = msgspec.json.decode(arguments.strides)
        return list(_expanded(msgspec.json.decode(values), shapes, strides))
    return [
        (int(storage), (int(offset) + int(elements)) * int(item_bytes))
        for storage, offset, elements, item_bytes in _TENSOR.findall(values)
    ]


@lru_cache(maxsize=1 << 16)
def _expands(strides: bytes) -> bool:
    """Tell whether a stride is 0; a run has few different strides."""
    return _ZERO_STRIDE.search(strides) is not None


def _expanded(value: object, shape: object, stride: object) -> Iterator[tuple[int, int]]:
    """An expanded view counts its elements many times; its strides tell how far it reaches."""
    if not isinstance(value, list):
        return
    if len(value) == TENSOR_FIELDS and isinstance(value[-1], str):
        reach = 1 + sum(
            (size - 1) * step
            for size, step in zip(_ints(shape), _ints(stride), strict=False)
            if size > 0
        )
        yield value[1], (value[2] + min(reach, value[3])) * value[4]
        return
    for index, item in enumerate(value):
        inner = [
            x[index] if isinstance(x, list) and index < len(x) else [] for x in (shape, stride)
        ]
        yield from _expanded(item, *inner)


def _ints(value: object) -> list[int]:
    return [v for v in value if isinstance(v, int)] if isinstance(value, list) else []


@dataclass(slots=True)
class _Walk:
    """Touches so far, and which life of each storage id is the present one."""

    nodes: list[int] = field(default_factory=list)
    lives: list[int] = field(default_factory=list)
    extents: list[int] = field(default_factory=list)
    life_of: dict[int, int] = field(default_factory=dict)
    made_by: dict[int, int] = field(default_factory=dict)
    made: set[int] = field(default_factory=set)
    given: dict[int, tuple[int, set[int]]] = field(default_factory=dict)
    origins: list[int] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)

    def enter(self, node: int, et: ExecutionTrace) -> None:
        """A node begins: it touches what it is given."""
        tensors = _tensors(et.inputs[node])
        self.given[node] = len(self.nodes), {storage for storage, _ in tensors}
        for tensor in tensors:
            self._touch(node, tensor)

    def leave(self, node: int, now: int, et: ExecutionTrace) -> None:
        """A node ends: what it gives out and was not given is new, unless made inside it."""
        begin, given = self.given.pop(node)
        for tensor in _tensors(et.outputs[node]):
            storage = tensor[0]
            if storage not in given and self.made_by.get(storage, -1) < node:
                before = self.life_of.get(storage)
                self.life_of[storage] = self._new_life(node, storage)
                self._move_touches(begin, before)
                self.made.add(len(self.ids))
                self.made_by[storage] = node
            self._touch(now, tensor)

    def _touch(self, node: int, tensor: tuple[int, int]) -> None:
        storage, extent_bytes = tensor
        if storage not in self.life_of:
            self.life_of[storage] = self._new_life(node, storage)
        self.nodes.append(node)
        self.lives.append(self.life_of[storage])
        self.extents.append(extent_bytes)

    def _move_touches(self, begin: int, before: int | None) -> None:
        """Give the newest life what its maker's own calls touched of it: they come before."""
        for place in range(begin, len(self.lives)):
            if self.lives[place] == before:
                self.lives[place] = len(self.ids)

    def _new_life(self, node: int, storage: int) -> int:
        self.origins.append(node)
        self.ids.append(storage)
        return len(self.ids)


def _uses(phase: Int64s, index: Int64s, was_there: NDArray[np.bool_]) -> NDArray[np.object_]:
    """Tell each life's use from the phases of its touches and whether it was there before."""
    forward, backward, optimizer = (
        _touched(phase == which, index, len(was_there)) for which in (FORWARD, BACKWARD, OPTIMIZER)
    )
    use = np.full(len(was_there), Use.OTHER, dtype=object)
    use[~optimizer & (forward | backward)] = Use.ACTIVATION
    use[optimizer & backward & ~was_there] = Use.GRADIENT
    use[optimizer & ~forward & ~backward & was_there] = Use.OPTIMIZER_STATE
    use[optimizer & forward & was_there] = Use.PARAMETER
    return use


def _touched(touches: NDArray[np.bool_], index: Int64s, count: int) -> NDArray[np.bool_]:
    """Tell which lives any of some touches is of."""
    flags = np.zeros(count, dtype=bool)
    flags[index[touches]] = True
    return flags


def _phases(et: ExecutionTrace) -> Int64s:
    """0 forward, 1 backward, 2 optimiser, by the mark above each node; parents come first."""
    phase = np.zeros(len(et), dtype=np.int64)
    place = {int(number): node for node, number in enumerate(et.id.tolist())}
    parents = et.parent.tolist()
    for node, name in enumerate(et.name):
        if name.startswith(_OPTIMIZER):
            phase[node] = 2
        elif name.startswith((_BACKWARD, _ACCUMULATE)):
            phase[node] = 1
        else:
            above = place.get(parents[node], node)
            phase[node] = phase[above] if above < node else 0
    return phase


def _peak(lives: Storages) -> MemoryUse:
    """Sum the living storages at every node and look at the largest moment."""
    size, first, last = lives.size_bytes, lives.first, lives.last
    end = int(last.max()) + 2
    change = np.zeros(end + 1, dtype=np.int64)
    np.add.at(change, first, size)
    np.add.at(change, last + 1, -size)
    living = np.cumsum(change)
    at = int(living.argmax())
    alive = (first <= at) & (last >= at)
    by_use = {u: int(size[alive & (lives.use == u)].sum()) for u in Use}
    return MemoryUse(int(living[at]), {u: b for u, b in by_use.items() if b}, at, lives)
