"""Find the marked steps of a rank: profiler steps, an engine's steps, else numbered annotations."""

import re
from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..kineto import KinetoTrace, Source

PROFILER_STEP = re.compile(r"ProfilerStep#\d+$")
ENGINE_STEP = re.compile(
    r"execute_(new_\d+_cached_\d+|(\d+_)?context_\d+\()|step\[(EXTEND|DECODE|MIXED|PREFILL)"
    r"|(prefill|decode)\[bs="
)
NUMBERED = re.compile(r"(.*?\D)[_#\s:.\-]?(\d+)$")
# What people call a stretch of time and what a part of a model, as the last word before the number.
STRETCH = re.compile(
    r"(^|[^a-z])(epoch|step|iter|iteration|(micro_?)?batch|round|pass|loop|request)[^a-z]*$", re.I
)
PART = re.compile(r"(^|[^a-z])(layer|block|stage|module|expert|head)s?[^a-z]*$", re.I)


@dataclass(frozen=True, slots=True)
class StepMark:
    """A step by the annotation that marks it."""

    name: str
    event: int


def find_steps(trace: KinetoTrace) -> list[StepMark]:
    """Give the steps in order of time; empty where nothing marks any.

    Profiler steps win over an engine's, and those over numbered annotations (`epoch_0`,
    `epoch_1`, ... of one prefix, at least two, not overlapping on their thread). Parts of a model
    are numbered too (`layer_0`, `layer_1`): they are told by their word, or by numbers that begin
    anew where the word says nothing of a stretch of time.
    """
    host = trace.host
    marks = host.source == Source.ANNOTATION
    profiler, engine = list[StepMark](), list[StepMark]()
    numbered: dict[tuple[str, int], list[StepMark]] = defaultdict(list)
    for event in np.flatnonzero(_may_mark(trace, marks)).tolist():
        name = trace.names[int(host.name[event])]
        if PROFILER_STEP.match(name):  # an operator in Ascend's traces
            profiler.append(StepMark(name, event))
        elif marks[event] and ENGINE_STEP.match(name):
            engine.append(StepMark(name, event))
        elif marks[event] and (match := NUMBERED.match(name)):
            numbered[match[1], int(host.thread[event])].append(StepMark(name, event))
    chosen = profiler or engine or _best_numbered(trace, list(numbered.values()))
    return sorted(chosen, key=lambda mark: int(host.start_ns[mark.event]))


def _may_mark(trace: KinetoTrace, marks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Annotations, and operators of a profiler's step: a look at each name is enough."""
    steps = np.array([PROFILER_STEP.match(name) is not None for name in trace.names], dtype=bool)
    if not len(marks):
        return marks
    flags: NDArray[np.bool_] = marks | (
        (trace.host.source == Source.OPERATOR) & steps[trace.host.name]
    )
    return flags


def is_stretch(name: str) -> bool:
    """Tell whether a numbered name means a stretch of time, as `epoch_0` and `batch 3` do."""
    found = NUMBERED.match(name)
    return found is not None and STRETCH.search(found[1]) is not None


def _best_numbered(trace: KinetoTrace, families: list[list[StepMark]]) -> list[StepMark]:
    """The family that covers most time, of those that count up without overlapping."""
    fit = [
        marks
        for marks in families
        if len({m.name for m in marks}) >= 2 and _counts_time(trace, marks) and _apart(trace, marks)
    ]
    return max(fit, key=lambda marks: _covered_ns(trace, marks), default=[])


def _counts_time(trace: KinetoTrace, marks: list[StepMark]) -> bool:
    """By its word; without one, numbers that only go up: a model's parts come again each pass."""
    numbered = [match for mark in marks if (match := NUMBERED.match(mark.name))]
    word = numbered[0][1]
    if STRETCH.search(word) or PART.search(word):
        return STRETCH.search(word) is not None
    starts = trace.host.start_ns[[mark.event for mark in marks]]
    numbers = np.array([int(match[2]) for match in numbered])[np.argsort(starts, kind="stable")]
    return bool((np.diff(numbers) > 0).all())


def _apart(trace: KinetoTrace, marks: list[StepMark]) -> bool:
    host = trace.host
    spans = sorted((int(host.start_ns[m.event]), int(host.end_ns[m.event])) for m in marks)
    return all(before[1] <= after[0] for before, after in pairwise(spans))


def _covered_ns(trace: KinetoTrace, marks: list[StepMark]) -> int:
    return sum(int(trace.host.duration_ns[mark.event]) for mark in marks)
