"""Module and phase of host events: from `nn.Module` frames, marks, and backward's forward.

A module path is the chain of enclosing `nn.Module` frames on the thread: `Net_0/Block_3/Linear_1`.
Without frames (no stack recorded) the record_function ranges around an operator stand in, steps
and other stretches of time left out; what is in neither belongs to the innermost line of the user's
own code, where the stack was recorded. A backward operator belongs where its forward (equal
sequence number) belongs.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...models.graph import NONE, Int32s, Int64s
from ...models.graph_builder import Interner
from ..kineto import KinetoTrace, Source
from .segments import ancestors_where
from .steps import PROFILER_STEP, StepMark, is_stretch

MODULE_FRAME = "nn.Module: "
SOURCE_LINE = re.compile(r"\.py\(\d+\): ")
LIBRARY_LINE = re.compile(r"(^|/)(torch|threading|contextlib|multiprocessing|runpy)\b|<")
BACKWARD_ROOT = "autograd::engine::evaluate_function"
OPTIMIZER_PREFIXES = ("Optimizer.step", "Optimizer.zero_grad")
PHASES = ("forward", "backward", "optimizer")
FORWARD, BACKWARD, OPTIMIZER = range(3)


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Module path and phase of each host event, shape (host events,), -1 for none.

    Attributes:
        modules: the paths that `module` points into.
        forward_event: for a backward event, the forward event with its sequence number.
    """

    module: Int64s
    modules: tuple[str, ...]
    phase: Int64s
    forward_event: Int64s


def find_places(
    trace: KinetoTrace, parent: Int32s, sequence: Int64s, steps: Sequence[StepMark]
) -> Places:
    """Place every host event.

    Args:
        trace: with or without python frames.
        parent: enclosing host event by host event, -1 at the top.
        sequence: autograd's sequence number by host event, -1 for none.
        steps: the marks of steps, which are no parts of the model.
    """
    table: Interner[str] = Interner()
    phase = _phases(trace, parent)
    forward = _forward_events(phase, parent, sequence)
    if len(trace.python) and any(name.startswith(MODULE_FRAME) for name in trace.names):
        is_module = _named(trace, lambda name: name.startswith(MODULE_FRAME))
        module = _from_frames(trace, is_module, table, chained=True)
    else:
        module = _from_annotations(trace, parent, {step.event for step in steps}, table)
    if len(trace.python):
        lines = _from_frames(trace, _named(trace, _is_source_line), table, chained=False)
        module = np.where(module == NONE, lines, module)
    has_forward = forward != NONE
    module[has_forward] = module[forward[has_forward]]
    return Places(module, tuple(table), phase, forward)


def _phases(trace: KinetoTrace, parent: Int32s) -> Int64s:
    """Backward under autograd's engine, optimizer under its own mark, else forward inside steps."""
    own = np.full(len(trace.names), NONE, dtype=np.int64)
    for index, name in enumerate(trace.names):
        if name.startswith(BACKWARD_ROOT):
            own[index] = BACKWARD
        elif name.startswith(OPTIMIZER_PREFIXES):
            own[index] = OPTIMIZER
    if not len(trace.host):
        return np.empty(0, dtype=np.int64)
    phase = own[trace.host.name]
    result = _values_at(phase, ancestors_where(parent, phase != NONE))
    if (result == BACKWARD).any():  # a training step: the rest of its operators is forward
        is_operator = trace.host.source == Source.OPERATOR
        result[(result == NONE) & is_operator] = FORWARD
    return result


def _forward_events(phase: Int64s, parent: Int32s, sequence: Int64s) -> Int64s:
    """Give each backward event the last forward event with its root's sequence number."""
    result = np.full(len(parent), NONE, dtype=np.int64)
    forward = np.flatnonzero((sequence >= 0) & (phase != BACKWARD))
    backward = np.flatnonzero(phase == BACKWARD)
    if not len(forward) or not len(backward):
        return result
    order = np.argsort(sequence[forward], kind="stable")
    wanted = sequence[backward]
    last = np.searchsorted(sequence[forward], wanted, side="right", sorter=order) - 1
    found = forward[order[last]]
    result[backward] = np.where((wanted >= 0) & (sequence[found] == wanted), found, NONE)
    is_heir = (phase == BACKWARD) & (result == NONE)  # it has what the event around it has
    return _values_at(result, ancestors_where(parent, ~is_heir))


def _values_at(values: Int64s, places: Int64s) -> Int64s:
    """Give the values at places, NONE for places of -1."""
    return np.where(places == NONE, NONE, values[places])


def _named(trace: KinetoTrace, chosen: Callable[[str], bool]) -> NDArray[np.bool_]:
    """Tell which names a rule chooses, shape (names,)."""
    return np.array([chosen(name) for name in trace.names], dtype=bool)


def _is_source_line(name: str) -> bool:
    """A line of the user's own code, `train.py(19): step`, none of PyTorch's or Python's."""
    return SOURCE_LINE.search(name) is not None and LIBRARY_LINE.search(name) is None


def _from_frames(
    trace: KinetoTrace, wanted: NDArray[np.bool_], table: Interner[str], *, chained: bool
) -> Int64s:
    """Frames around each event's start, by a sweep of each thread.

    Args:
        trace: with python frames.
        wanted: which names count, shape (names,).
        table: takes the paths.
        chained: the whole chain of wanted frames as a path; else the innermost alone.
    """
    python = trace.python
    frames = np.flatnonzero(wanted[python.name])
    module = np.full(len(trace.host), NONE, dtype=np.int64)
    thread_of = {(t.process, t.number): index for index, t in enumerate(python.threads)}
    for index, thread in enumerate(trace.host.threads):
        its = thread_of.get((thread.process, thread.number), NONE)
        mine = frames[python.thread[frames] == its].tolist()
        events = np.flatnonzero(trace.host.thread == index)
        module[events] = _sweep(trace, mine, events, table, chained=chained)
    return module


def _sweep(
    trace: KinetoTrace, frames: list[int], events: Int64s, table: Interner[str], *, chained: bool
) -> list[int]:
    """Both sorted by start: keep the stack of open frames while walking the events."""
    starts, ends = trace.python.start_ns, trace.python.end_ns
    stack: list[tuple[int, str]] = []
    found, place = [], 0
    for start in trace.host.start_ns[events].tolist():
        while place < len(frames) and starts[frames[place]] <= start:
            frame = frames[place]
            stack = [open_ for open_ in stack if open_[0] > starts[frame]]
            name = trace.names[int(trace.python.name[frame])].removeprefix(MODULE_FRAME)
            path = f"{stack[-1][1]}/{name}" if stack and chained else name
            stack.append((int(ends[frame]), path))
            place += 1
        stack = [open_ for open_ in stack if open_[0] > start]
        found.append(table[stack[-1][1]] if stack else NONE)
    return found


def _from_annotations(
    trace: KinetoTrace, parent: Int32s, steps: set[int], table: Interner[str]
) -> Int64s:
    """The chain of record_function ranges around each event; steps and batches left out."""
    is_time = [bool(PROFILER_STEP.match(name)) or is_stretch(name) for name in trace.names]
    is_part = trace.host.source == Source.ANNOTATION
    is_part &= ~np.array([*is_time, True], dtype=bool)[trace.host.name]
    is_part[list(steps)] = False
    nearest = ancestors_where(parent, is_part)
    parts = np.flatnonzero(is_part)
    outer = _values_at(nearest, parent[parts].astype(np.int64))
    names = trace.host.name[parts].tolist()
    path = {NONE: ""}
    module = np.full(len(parent), NONE, dtype=np.int64)
    for event, name, around in zip(parts.tolist(), names, outer.tolist(), strict=True):
        above = path[around]
        path[event] = f"{above}/{trace.names[name]}" if above else trace.names[name]
        module[event] = table[path[event]] if path[event] else NONE
    return _values_at(module, nearest)
