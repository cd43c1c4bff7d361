"""Calls that release memory wait for the device, though their name says nothing of it.

host    L L L |------- cudaFree -------|        cudaFree, cudaFreeHost, cudaHostUnregister:
stream    [ k ][ k ][      k       ]            the memory may still be in use, so they wait
"""

import numpy as np
from numpy.typing import NDArray

from ...models.graph import Int64s
from ..kineto import KinetoTrace
from .calls import Call, calls_of

# Below this the call has no room to hide a wait.
FREEING_CALL_NS = 10_000
# The device may be seen to end this much after the call: two clocks.
FREEING_TOLERANCE_NS = 2_000


def freed_when_idle(trace: KinetoTrace, call_of_device: Int64s) -> NDArray[np.bool_]:
    """Tell which host events waited to release memory, shape (host events,).

    All work launched before must have ended inside the call. Work that still ran afterwards shows
    that the call did not wait (another device's memory, a pool's).

    Args:
        trace: the rank's events.
        call_of_device: host event that launched each device event, -1 unknown.
    """
    host, device = trace.host, trace.device
    flags = np.zeros(len(host), dtype=bool)
    events = np.flatnonzero(calls_of(trace.names)[host.name] == Call.FREE)
    known = np.flatnonzero(call_of_device >= 0)
    if not len(events) or not len(known):
        return flags
    begun = host.start_ns[call_of_device[known]]
    order = np.argsort(begun, kind="stable")
    latest = np.maximum.accumulate(device.end_ns[known[order]])
    before = np.searchsorted(begun[order], host.start_ns[events]) - 1
    ended = np.where(before >= 0, latest[before], -(2**62))
    flags[events] = (
        (ended > host.start_ns[events])
        & (ended <= host.end_ns[events] + FREEING_TOLERANCE_NS)
        & (host.duration_ns[events] > FREEING_CALL_NS)
    )
    return flags
