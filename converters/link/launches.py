"""Which host call put which device event on its stream; blocking copies; the cost of a launch."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...models.graph import NONE, Int64s
from ..kineto import EventTable, KinetoTrace, Source
from .calls import Call, calls_of
from .freeing import freed_when_idle

# A copy call that returns within this of its copy's end, or later, waited for it.
BLOCKING_TOLERANCE_NS = 2_000
# The same of a call that always waits, by its name: so far apart clocks may have drifted.
CLOCK_DRIFT_NS = 200_000
# Below this a copy call has no room to hide a wait: it is a plain asynchronous launch.
BLOCKING_CALL_NS = 10_000
DEFAULT_LAUNCH_COST_NS = 5_000


@dataclass(frozen=True, slots=True, eq=False)
class Launches:
    """Launch relations between the tables of a trace.

    Attributes:
        call_of_device: host event that launched each device event, -1 unknown; (device events,).
        is_launch: host events that launched something; (host events,).
        blocking: host events that waited for their own copy; (host events,).
        freeing: host events that waited for all work, to release memory; (host events,).
        copy_end_ns: end of the last device event of each blocking call; (host events,).
        ambiguous: two processes number their calls alike: who launched what is a guess.
        call_cost_ns: what a launch takes when nothing holds it up (median of the trace's own).
    """

    call_of_device: Int64s
    is_launch: NDArray[np.bool_]
    blocking: NDArray[np.bool_]
    freeing: NDArray[np.bool_]
    copy_end_ns: Int64s
    ambiguous: bool
    call_cost_ns: int


def find_launches(trace: KinetoTrace) -> Launches:
    """Match device events with runtime calls by correlation."""
    host, device = trace.host, trace.device
    call = _call_of_device(host, device)
    if not (call >= 0).any():
        call = _operator_of_device(host, device)
    known = (call >= 0) & (host.source[call] == Source.RUNTIME if len(host) else False)
    is_launch = np.zeros(len(host), dtype=bool)
    is_launch[call[known]] = True
    last_end = np.zeros(len(host), dtype=np.int64)
    np.maximum.at(last_end, call[known], device.end_ns[known])
    blocking = is_launch & _is_copy(trace) & _waited(trace, last_end)
    plain = host.duration_ns[is_launch & ~blocking]
    cost = int(np.median(plain)) if len(plain) else DEFAULT_LAUNCH_COST_NS
    return Launches(
        call, is_launch, blocking, freed_when_idle(trace, call), last_end, _ambiguous(host), cost
    )


def _call_of_device(host: EventTable, device: EventTable) -> Int64s:
    calls = np.flatnonzero((host.source == Source.RUNTIME) & (host.correlation > 0))
    if not len(calls) or not len(device):
        return np.full(len(device), NONE, dtype=np.int64)
    order = calls[np.argsort(host.correlation[calls], kind="stable")]
    keys = host.correlation[order]
    first = np.searchsorted(keys, device.correlation)
    after = np.searchsorted(keys, device.correlation, side="right")
    found = np.where(after > first, order[np.minimum(first, len(order) - 1)], NONE)
    for event in np.flatnonzero(after - first > 1).tolist():
        found[event] = _of_several(host, device, event, order[first[event] : after[event]])
    return found


def _ambiguous(host: EventTable) -> bool:
    """Tell whether calls of several processes have the same correlation."""
    calls = np.flatnonzero((host.source == Source.RUNTIME) & (host.correlation > 0))
    process = np.array([thread.process for thread in host.threads] or [0])
    of_call = process[host.thread[calls]]
    if not len(calls) or (of_call == of_call[0]).all():
        return False
    pairs = np.unique(np.stack((of_call, host.correlation[calls])), axis=1)
    return bool(pairs.shape[1] > len(np.unique(pairs[1])))


def _operator_of_device(host: EventTable, device: EventTable) -> Int64s:
    """A profiler without runtime calls tells only under which operator it saw the work begin."""
    operators = np.flatnonzero((host.source == Source.OPERATOR) & (host.external_id > 0))
    if not len(operators) or not len(device):
        return np.full(len(device), NONE, dtype=np.int64)
    order = operators[np.argsort(host.external_id[operators], kind="stable")]
    keys = host.external_id[order]
    place = np.minimum(np.searchsorted(keys, device.external_id), len(order) - 1)
    found = order[place]
    same = host.external_id[found] == device.external_id
    return np.where(same & (host.start_ns[found] <= device.start_ns), found, NONE)


def _of_several(host: EventTable, device: EventTable, event: int, calls: Int64s) -> int:
    """Choose among calls of one correlation: numbers are unique in one process and session only.

    The one of the same external id, else the last that began before the event; where a runtime
    call encloses a driver's, the runtime call.
    """
    told = device.external_id[event]
    same = calls[host.external_id[calls] == told] if told > 0 else calls[:0]
    among = same if len(same) else calls
    earlier = among[host.start_ns[among] <= device.start_ns[event]]
    among = earlier if len(earlier) else among
    last = int(among[np.argmax(host.start_ns[among])])
    encloses = (
        (host.thread[among] == host.thread[last])
        & (host.start_ns[among] <= host.start_ns[last])
        & (host.end_ns[among] >= host.end_ns[last])
    )
    return int(among[np.flatnonzero(encloses)[0]])


def _is_copy(trace: KinetoTrace) -> NDArray[np.bool_]:
    flags: NDArray[np.bool_] = calls_of(trace.names)[trace.host.name] == Call.COPY
    return flags


def _waited(trace: KinetoTrace, last_end_ns: Int64s) -> NDArray[np.bool_]:
    """A call that outlasts its copy and is long enough to hold it."""
    host = trace.host
    always = np.array(["Async" not in name for name in trace.names] or [False], dtype=bool)
    tolerance = np.where(always[host.name], CLOCK_DRIFT_NS, BLOCKING_TOLERANCE_NS)
    outlasts = host.end_ns >= last_end_ns - tolerance
    flags: NDArray[np.bool_] = outlasts & (host.duration_ns > BLOCKING_CALL_NS)
    return flags
