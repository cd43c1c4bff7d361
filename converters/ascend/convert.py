"""From one rank's Ascend profiler folder to its execution graph."""

from dataclasses import replace
from pathlib import Path

from ...models.errors import NeedsRecordingError
from ...models.graph import ExecutionGraph
from ..files import read_bytes
from ..link.linker import link
from .events import decode
from .folders import AscendRun, find_runs
from .kernel_details import read_kernels
from .task_queue import tie_tasks
from .trace import to_trace

RUNTIME = "cann"


def convert_ascend(run: AscendRun) -> ExecutionGraph:
    """Read and link one run.

    Raises:
        InputError: a file that cannot be read.
        TraceFormatError: a file that is damaged or of another kind.
        NeedsRecordingError: a trace without any event that counts.
    """
    events = decode(read_bytes(run.trace_view), run.trace_view)
    kernels = read_kernels(run.kernel_details) if run.kernel_details else frozenset()
    trace, other_tasks = to_trace(events, run, kernels)
    if not len(trace.host) and not len(trace.device):
        raise NeedsRecordingError(
            "the trace holds no operator, call or kernel",
            where=run.trace_view,
            remedy="record with activities CPU and NPU",
        )
    graph, tied = tie_tasks(link(trace).graph, events)
    return _told(graph, other_tasks, tied)


def convert_ascend_path(path: Path) -> list[ExecutionGraph]:
    """Convert every run that a folder (or a trace_view.json) holds; errors as `convert_ascend`."""
    return [convert_ascend(run) for run in find_runs(path)]


def _told(graph: ExecutionGraph, other_tasks: int, tied: int) -> ExecutionGraph:
    """Say what the graph leaves out, and that the runtime is CANN."""
    notes = list(graph.meta.notes)
    if other_tasks:
        notes.append(f"{other_tasks:,} device tasks are events, notifies or parts of collectives")
    if tied:
        notes.append(f"{tied:,} tasks of the launching thread follow those who enqueued them")
    properties = dict(graph.meta.properties) | {"runtime": RUNTIME}
    meta = replace(graph.meta, notes=tuple(notes), properties=tuple(properties.items()))
    return replace(graph, meta=meta).checked()
