"""The launch queue: a launch call blocks while the device has as much work as the queue holds.

host    L0 L1 ... L1023 |------ L1024 stalls ------|
stream  [k0                                        ][k1 ...
"""

from dataclasses import dataclass

import numpy as np

from ...models.graph import Category, EdgeKind, Int64s
from ..kineto import KinetoTrace
from .device import DeviceRows, stream_slices
from .launches import Launches
from .rows import EdgeBlock, HostRows, edge_block

DEFAULT_DEPTH = 1024  # CUDA; stalled launches on V100 had 1022-1029 kernels outstanding
STALL_NS = 100_000  # a launch call this long was held up
FULL_QUEUE = 500  # outstanding work that makes a full queue a likely reason for a stall
LEAST_STALLS = 10  # so many stalls tell the queue's depth better than the default


@dataclass(frozen=True, slots=True, eq=False)
class QueueLinks:
    """Queue-depth edges; `stalled` counts the launches whose wait they explain."""

    edges: EdgeBlock
    depth: int
    stalled: int


def link_queue(
    trace: KinetoTrace, host: HostRows, rows: DeviceRows, launches: Launches
) -> QueueLinks:
    """Make each launch wait for room; a stalled launch keeps only a launch's usual cost.

    Mutates `host.start_ns` of stalled launches. HIP showed no such stall: no edges there.
    """
    if trace.is_hip:
        return QueueLinks(edge_block(EdgeKind.QUEUE_DEPTH, [], [], 0), 0, 0)
    per_stream = [_calls_of_stream(rows, first, after) for first, after in _slices(trace)]
    depth = _depth(trace, host, per_stream)
    source: list[Int64s] = []
    target: list[Int64s] = []
    for event, call in per_stream:
        if len(event) > depth:
            source.append(len(host) + event[:-depth])
            target.append(call[depth:])
    stalled = _release_stalled(trace, host, source, target, launches.call_cost_ns)
    edges = edge_block(EdgeKind.QUEUE_DEPTH, _joined(source), _joined(target), 0)
    return QueueLinks(edges, depth, stalled)


def _slices(trace: KinetoTrace) -> list[tuple[int, int]]:
    return stream_slices(trace.device)


def _joined(parts: list[Int64s]) -> Int64s:
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)


def _calls_of_stream(rows: DeviceRows, first: int, after: int) -> tuple[Int64s, Int64s]:
    """Give a stream's launched events and their calls, one (the last) per call, in order."""
    event = first + np.flatnonzero(rows.call_row[first:after] >= 0)
    call = rows.call_row[event]
    last_of_call = np.append(call[1:] != call[:-1], True) if len(call) else np.empty(0, bool)
    return event[last_of_call], call[last_of_call]


def _outstanding(
    trace: KinetoTrace, host: HostRows, event: Int64s, call: Int64s
) -> tuple[Int64s, Int64s]:
    """Give for each stalled launch of a stream how many before it were not done when it got in."""
    duration = host.end_ns[call] - host.begin_ns[call]
    stalled = np.flatnonzero(duration > STALL_NS)
    done = np.searchsorted(trace.device.end_ns[event], host.end_ns[call[stalled]], side="right")
    return stalled, stalled - done


def _depth(trace: KinetoTrace, host: HostRows, per_stream: list[tuple[Int64s, Int64s]]) -> int:
    """The depth that this trace's stalls show, else the default: what others hold, and one more."""
    seen = [_outstanding(trace, host, event, call)[1] for event, call in per_stream]
    outstanding = _joined(seen)
    full = outstanding[outstanding > FULL_QUEUE]
    return int(np.median(full)) + 1 if len(full) >= LEAST_STALLS else DEFAULT_DEPTH


def _release_stalled(
    trace: KinetoTrace,
    host: HostRows,
    source: list[Int64s],
    target: list[Int64s],
    call_cost_ns: int,
) -> int:
    """Move the start of stalled launches to where the queue had room again."""
    events, calls = _joined(source) - len(host), _joined(target)
    room = trace.device.end_ns[events]
    begin, end = host.begin_ns[calls], host.end_ns[calls]
    stalled = (end - begin > STALL_NS) & (room > begin)
    stalled &= host.category[calls] == Category.LAUNCH
    # the room may be seen a kernel or two late; the call then ends at its usual cost after it
    start = np.minimum(room, end - np.minimum(call_cost_ns, end - begin))
    host.start_ns[calls[stalled]] = start[stalled]
    return int(stalled.sum())
