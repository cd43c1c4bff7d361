"""Which host call put which device event on its stream; blocking copies; the cost of a launch."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...models.graph import NONE, Int64s
from ..kineto import EventTable, KinetoTrace, Source
from . import names

# A copy call that returns within this of its copy's end, or later, waited for it.
BLOCKING_TOLERANCE_NS = 2_000
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
        copy_end_ns: end of the last device event of each blocking call; (host events,).
        call_cost_ns: what a launch takes when nothing holds it up (median of the trace's own).
    """

    call_of_device: Int64s
    is_launch: NDArray[np.bool_]
    blocking: NDArray[np.bool_]
    copy_end_ns: Int64s
    call_cost_ns: int


def find_launches(trace: KinetoTrace) -> Launches:
    """Match device events with runtime calls by correlation."""
    host, device = trace.host, trace.device
    call = _call_of_device(host, device)
    known = call >= 0
    is_launch = np.zeros(len(host), dtype=bool)
    is_launch[call[known]] = True
    last_end = np.zeros(len(host), dtype=np.int64)
    np.maximum.at(last_end, call[known], device.end_ns[known])
    blocking = is_launch & _is_copy(trace) & _waited(host, last_end)
    plain = host.duration_ns[is_launch & ~blocking]
    cost = int(np.median(plain)) if len(plain) else DEFAULT_LAUNCH_COST_NS
    return Launches(call, is_launch, blocking, last_end, cost)


def _call_of_device(host: EventTable, device: EventTable) -> Int64s:
    calls = np.flatnonzero((host.source == Source.RUNTIME) & (host.correlation > 0))
    if not len(calls) or not len(device):
        return np.full(len(device), NONE, dtype=np.int64)
    order = calls[np.argsort(host.correlation[calls], kind="stable")]
    keys = host.correlation[order]
    place = np.minimum(np.searchsorted(keys, device.correlation), len(keys) - 1)
    found = keys[place] == device.correlation
    return np.where(found, order[place], NONE)


def _is_copy(trace: KinetoTrace) -> NDArray[np.bool_]:
    by_name = np.array([names.is_copy_call(name) for name in trace.names], dtype=bool)
    flags: NDArray[np.bool_] = by_name[trace.host.name]
    return flags


def _waited(host: EventTable, last_end_ns: Int64s) -> NDArray[np.bool_]:
    """A call that outlasts its copy and is long enough to hold it."""
    outlasts = host.end_ns >= last_end_ns - BLOCKING_TOLERANCE_NS
    flags: NDArray[np.bool_] = outlasts & (host.duration_ns > BLOCKING_CALL_NS)
    return flags
