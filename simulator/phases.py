"""Finds an engine's steps in a recorded trace: what each computed, how long, on what it spent it.

    annotations       execute_context_..., step[...]: told exactly          (models/.../step_names)
    none              graph launches, attention kernels, grids and shapes    (phase_guess)

A step's time is what the next one has to wait for: the device's span, or the host's where that is
longer. Its split adds up to it: linear, attention, communication, copies, other kernels, and the
rest, in which the device idles for the host.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from ..models.costs.kernel_rules import KernelRules, default_rules
from ..models.costs.work_values import WorkClass
from ..models.errors import NeedsRecordingError
from ..models.graph import Category, EdgeKind, ExecutionGraph, Int32s, Int64s
from ..models.serving.step_fit import FitStep
from ..models.serving.step_names import StepLabel, StepPhase, parse_step_name
from ..models.timeline import Timeline, measured
from .breakdown.intervals import Intervals
from .phase_guess import Guess, guess_steps

_ATTENTION_HELPERS = ("reduce_segments", "merge_attn_states", "BatchDecode", "BatchPrefill")


class Part(StrEnum):
    """What a step's time goes to."""

    LINEAR = "linear"
    ATTENTION = "attention"
    COMMUNICATION = "communication"
    COPIES = "copies"
    OTHER = "other kernels"
    HOST = "host"  # the device waits


class Evidence(StrEnum):
    """What a step was recognised by."""

    ANNOTATION = "annotation"
    GUESS = "kernels and shapes"


@dataclass(frozen=True, slots=True)
class EngineStep:
    """One step.

    Attributes:
        label: phase and sums; None inside where neither name nor kernels tell.
        step_ns: the larger of device span and host time.
        span_ns, busy_ns: of the device's work; for a CPU run of the host's.
        split: `Part` -> ns; adds up to `step_ns`.
        graph_launches: graph launches, and the kernels they own.
    """

    name: str
    label: StepLabel
    evidence: Evidence
    start_ns: int
    step_ns: int
    span_ns: int
    busy_ns: int
    host_ns: int
    split: Mapping[Part, int]
    graph_launches: int
    kernels: int

    def fit_step(self) -> FitStep | None:
        """Give the step for a fit, None where the tokens are not known."""
        c, g = self.label.context, self.label.generation
        if self.label.phase is StepPhase.OTHER or (c.requests and not c.tokens):
            return None
        tokens = c.tokens or 0
        pairs = c.pairs
        if pairs is None:  # even prompts without a cached prefix
            pairs = tokens**2 / 2 / max(c.requests, 1)
        before = (c.kv - tokens) if c.kv is not None else 0
        return FitStep(self.step_ns / 1e6, tokens, pairs, before, c.requests, g.requests, g.kv or 0)


def find_steps(
    graph: ExecutionGraph, *, timeline: Timeline | None = None, rules: KernelRules | None = None
) -> list[EngineStep]:
    """Give the engine's steps in order of time.

    Args:
        graph: one rank's.
        timeline: of the same graph, as predicted on other hardware; None for as recorded.
        rules: kernels by name; None for those that come with etsim.

    Raises:
        NeedsRecordingError: nothing in the trace looks like a step of a language model.
    """
    times = timeline or measured(graph)
    rules = rules or default_rules()
    marked = _marked(graph) or [_of_guess(guess) for guess in guess_steps(graph)]
    steps = [_step(times, rules, m) for m in marked]
    if not steps:
        raise NeedsRecordingError(
            "no prefill or decode step found: no engine annotation, no attention kernel, no "
            "embedding with shapes",
            remedy="record some steps of the engine with its torch profiler, or record_shapes=True",
        )
    return sorted(steps, key=lambda step: step.start_ns)


@dataclass(frozen=True, slots=True, eq=False)
class _Marked:
    name: str
    label: StepLabel
    evidence: Evidence
    rows: Int64s


def _of_guess(guess: Guess) -> _Marked:
    return _Marked(guess.name, guess.label, Evidence.GUESS, guess.rows)


def _marked(graph: ExecutionGraph) -> list[_Marked]:
    """Give the annotated steps with their rows: host rows inside, and what those launched."""
    told = [parse_step_name(step.name) for step in graph.steps]
    labels = {i: label for i, label in enumerate(told) if label is not None}
    if labels:
        of_step = graph.nodes.step
        return [
            _Marked(graph.steps[i].name, label, Evidence.ANNOTATION, np.flatnonzero(of_step == i))
            for i, label in labels.items()
        ]
    return _annotated(graph)


def _annotated(graph: ExecutionGraph) -> list[_Marked]:
    """The same where other marks (ProfilerStep) hold the steps: by enclosing annotation."""
    known: dict[int, StepLabel] = {}
    for index, name in enumerate(graph.names):
        if label := parse_step_name(name):
            known[index] = label
    if not known:
        return []
    names = graph.nodes.name
    rows = np.flatnonzero(graph.nodes.category == Category.ANNOTATION)
    heads = [int(row) for row in rows if int(names[row]) in known]
    owner = _owners(graph, heads)
    return [
        _Marked(
            graph.name_of(head),
            known[int(names[head])],
            Evidence.ANNOTATION,
            np.flatnonzero(owner == head),
        )
        for head in heads
    ]


def _owners(graph: ExecutionGraph, heads: Sequence[int]) -> Int32s:
    """Give for each row the head that encloses it or its launch, -1 for none."""
    owner = np.full(len(graph), -1, dtype=np.int32)
    owner[list(heads)] = list(heads)
    parent = graph.nodes.parent
    for _ in range(256):  # nesting is never deeper
        inherits = (owner < 0) & (parent >= 0)
        found = np.where(inherits, owner[np.maximum(parent, 0)], -1)
        if not np.any(found >= 0):
            break
        owner = np.where(found >= 0, found, owner).astype(np.int32)
    launches = graph.edge_kind == EdgeKind.LAUNCH
    target, source = graph.edge_target()[launches], graph.edge_source[launches]
    owner[target] = np.where(owner[target] < 0, owner[source], owner[target])
    return owner


def _step(times: Timeline, rules: KernelRules, marked: _Marked) -> EngineStep:
    rows, graph = marked.rows, times.graph
    on_device = graph.on_device()[rows]
    host = rows[~on_device]
    work = rows[on_device] if np.any(on_device) else host
    spans = Intervals(times.start_ns[work], times.end_ns[work])
    span = int(spans.end_ns.max() - spans.start_ns.min()) if len(work) else 0
    busy = spans.length_ns()
    host_ns = _extent(times, host)
    step_ns = max(span, host_ns)
    launches = [r for r in host.tolist() if "graphlaunch" in graph.name_of(r).lower()]
    return EngineStep(
        name=marked.name,
        label=marked.label,
        evidence=marked.evidence,
        start_ns=int(times.start_ns[rows].min()),
        step_ns=step_ns,
        span_ns=span,
        busy_ns=busy,
        host_ns=host_ns,
        split=_split(times, rules, work, busy=busy, step_ns=step_ns),
        graph_launches=len(launches),
        kernels=int(np.sum(graph.nodes.category[work] == Category.KERNEL)),
    )


def _extent(times: Timeline, rows: Int64s) -> int:
    if not len(rows):
        return 0
    return int(times.end_ns[rows].max() - times.start_ns[rows].min())


def _split(
    times: Timeline, rules: KernelRules, work: Int64s, *, busy: int, step_ns: int
) -> dict[Part, int]:
    """Give the time by part; where streams overlap, the parts share the busy time evenly."""
    sums = dict.fromkeys(Part, 0)
    durations = times.duration_ns[work].tolist()
    for row, duration in zip(work.tolist(), durations, strict=True):
        sums[_part(times.graph, rules, row)] += duration
    total = sum(sums.values())
    if total > busy > 0:
        sums = {part: round(ns * busy / total) for part, ns in sums.items()}
    sums[Part.HOST] += step_ns - sum(sums.values())
    return sums


_PART_OF_CLASS = {
    WorkClass.MATMUL: Part.LINEAR,
    WorkClass.CONVOLUTION: Part.LINEAR,
    WorkClass.PREFILL: Part.ATTENTION,
    WorkClass.DECODE: Part.ATTENTION,
    WorkClass.COLLECTIVE: Part.COMMUNICATION,
}
_PART_OF_CATEGORY = {
    Category.COLLECTIVE: Part.COMMUNICATION,
    Category.SEND: Part.COMMUNICATION,
    Category.RECV: Part.COMMUNICATION,
    Category.MEMCPY: Part.COPIES,
    Category.MEMSET: Part.COPIES,
}


def _part(graph: ExecutionGraph, rules: KernelRules, row: int) -> Part:
    category = Category(graph.nodes.category[row])
    if category in _PART_OF_CATEGORY:
        return _PART_OF_CATEGORY[category]
    name = graph.name_of(row)
    if any(helper in name for helper in _ATTENTION_HELPERS):
        return Part.ATTENTION
    found = rules.work_class(name.removeprefix("aten::"))
    return _PART_OF_CLASS.get(found, Part.OTHER) if found else Part.OTHER
