"""Memory of a run from its execution trace: which storages live when, and what they are for.

storage  1 |======================================|   in use all along, read by the optimiser
storage  2       |=====forward....backward=====|       activation
storage  3                     |==backward..step==|    gradient

How long each lives is told by storage_lives.py.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..models.graph import NONE, Int64s
from ..models.memory.plan import BACKWARD, FORWARD, OPTIMIZER, Use
from .execution_trace import ExecutionTrace
from .storage_lives import Lives, storage_lives

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


def memory_use(et: ExecutionTrace) -> MemoryUse | None:
    """Give the memory that a run's tensors take at its peak, None where no tensor is recorded."""
    found = storage_lives(et)
    if not len(found.first):
        return None
    phase = _phases(et)
    touch_phase = phase[found.touch_node]
    use = _uses(touch_phase, found.touch_life, ~found.made)
    sent = np.array([name.startswith(_COLLECTIVE) for name in et.name.table], dtype=bool)
    sends = _touched(sent[et.name.code[found.touch_node]], found.touch_life, len(use))
    use[sends & ~found.made & (use == Use.ACTIVATION)] = Use.BUCKET
    first, last = found.first.copy(), found.last.copy()
    # what lives across optimiser steps is there all the time, also before its first touch
    lasting = (use == Use.PARAMETER) | (use == Use.OPTIMIZER_STATE) | (use == Use.BUCKET)
    first[lasting], last[lasting] = 0, len(et)
    gradients = use == Use.GRADIENT  # `.grad` holds them until zero_grad, behind the step
    last[gradients] = _ends_of_runs(phase)[last[gradients]]
    lives = Storages(
        id=found.id,
        size_bytes=found.size_bytes,
        first=first,
        last=last,
        forward_last=_last_in(touch_phase == FORWARD, found),
        backward_last=_last_in(touch_phase == BACKWARD, found),
        origin=found.origin,
        made=found.made,
        use=use,
        phase=phase,
    )
    return _peak(lives)


def _ends_of_runs(phase: Int64s) -> Int64s:
    """Give for each node the last node of its phase's run, shape (nodes,)."""
    ends = np.flatnonzero(np.append(np.diff(phase) != 0, [True]))
    return ends[np.searchsorted(ends, np.arange(len(phase)))]


def _last_in(touches: NDArray[np.bool_], lives: Lives) -> Int64s:
    """Give the last of some touches of each life, NONE without one."""
    last = np.full(len(lives.first), NONE, dtype=np.int64)
    np.maximum.at(last, lives.touch_life[touches], lives.touch_node[touches])
    return last


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
    mark_of_name = np.array([_mark(name) for name in et.name.table], dtype=np.int64)
    place = np.searchsorted(et.id, et.parent, side="right") - 1
    known = (place >= 0) & (et.id[place] == et.parent) & (place < np.arange(len(et)))
    above = np.where(known, place, len(et))
    phases = [FORWARD] * (len(et) + 1)  # the last place serves nodes without a parent
    marks = mark_of_name[et.name.code].tolist()
    for node, (mark, parent) in enumerate(zip(marks, above.tolist(), strict=True)):
        phases[node] = phases[parent] if mark == FORWARD else mark
    return np.array(phases[:-1], dtype=np.int64)


def _mark(name: str) -> int:
    if name.startswith(_OPTIMIZER):
        return OPTIMIZER
    return BACKWARD if name.startswith((_BACKWARD, _ACCUMULATE)) else FORWARD


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
