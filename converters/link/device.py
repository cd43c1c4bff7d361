"""Device rows: their place in host issue order, stream order, launch edges, the backlog.

    host    L0   L1        L2
    stream      [k0  ][k1      ][k2 ]      rows: L0 k0 L1 k1 L2 k2

A device event without a launch in the file was launched before the window (backlog): it stands at
the front. Row order follows the launches, but never contradicts the order of execution within
a stream.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ...models.graph import EdgeKind, Int64s
from ..kineto import EventTable, KinetoTrace
from .launches import Launches
from .rows import EdgeBlock, HostRows, edge_block

# A launch that starts its kernel later than this did so for another reason than its own latency.
LONGEST_LATENCY_NS = 300_000
# Between kernels of one stream; what is longer has another cause than the device's own turn-round.
LONGEST_KERNEL_GAP_NS = 20_000
DEFAULT_LATENCY_NS = 7_000
DEFAULT_KERNEL_GAP_NS = 1_200
# Backlog events further apart than this on a stream waited for a launch that is not in the file.
BACKLOG_GAP_NS = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class DeviceRows:
    """Device events in stream order, with their place among the host rows.

    Attributes:
        call_row: host row that launched the event, -1 for backlog; (device events,).
        anchor: position in host issue order behind which the row stands, -1 for the front.
        previous: device event before it on its stream, -1 for the first.
        latency_ns, gap_ns: medians of this trace.
    """

    call_row: Int64s
    anchor: Int64s
    previous: Int64s
    latency_ns: int
    gap_ns: int


def place_device_rows(
    trace: KinetoTrace, launches: Launches, host: HostRows, issue_position: Int64s
) -> DeviceRows:
    """Place device events behind their launches.

    Args:
        trace: its device table is sorted by stream and start.
        launches: which call launched what.
        host: the host rows.
        issue_position: of each host row among all host rows of the rank in time order.
    """
    device = trace.device
    # index -1 (no launch) finds the -1 at the end, in a trace without any host event, too
    call_row = np.append(host.row_of_event, -1)[launches.call_of_device]
    launched_at = np.append(issue_position, -1)[call_row]
    return DeviceRows(
        call_row=call_row,
        anchor=_running_maximum(launched_at, device),
        previous=_previous(device),
        latency_ns=_typical_latency(device, host, call_row),
        gap_ns=_typical_gap(device),
    )


def device_edges(rows: DeviceRows, host_rows: int) -> list[EdgeBlock]:
    """Give stream-order and launch edges, lags at their typical cost."""
    every = np.arange(len(rows.anchor))
    follows = rows.previous >= 0
    launched = rows.call_row >= 0
    order = edge_block(
        EdgeKind.STREAM_ORDER,
        host_rows + rows.previous[follows],
        host_rows + every[follows],
        rows.gap_ns,
    )
    launch = edge_block(
        EdgeKind.LAUNCH, rows.call_row[launched], host_rows + every[launched], rows.latency_ns
    )
    return [order, launch]


def backlog(trace: KinetoTrace, rows: DeviceRows) -> Int64s:
    """Give the backlog events whose measured start nothing inside the window explains."""
    device = trace.device
    unlaunched = rows.call_row < 0
    previous_end = np.where(rows.previous >= 0, device.end_ns[rows.previous], -(2**62))
    apart = device.start_ns - previous_end > BACKLOG_GAP_NS
    return np.flatnonzero(unlaunched & apart)


def _running_maximum(values: Int64s, device: EventTable) -> Int64s:
    result = values.copy()
    for first, after in stream_slices(device):
        result[first:after] = np.maximum.accumulate(values[first:after])
    return result


def stream_slices(device: EventTable) -> list[tuple[int, int]]:
    """Give (first, after) of each stream's events in the table."""
    if not len(device):
        return []
    cuts = np.flatnonzero(np.diff(device.thread)) + 1
    bounds = [0, *cuts.tolist(), len(device)]
    return list(pairwise(bounds))


def _previous(device: EventTable) -> Int64s:
    previous = np.arange(len(device), dtype=np.int64) - 1
    for first, _ in stream_slices(device):
        previous[first] = -1
    return previous


def _typical_latency(device: EventTable, host: HostRows, call_row: Int64s) -> int:
    """Median time from a launch call's end to its kernel's start on an idle stream."""
    previous_end = np.full(len(device), -(2**62), dtype=np.int64)
    previous = _previous(device)
    previous_end[previous >= 0] = device.end_ns[previous[previous >= 0]]
    known = call_row >= 0
    call_end = np.where(known, host.end_ns[call_row], 0) if len(host) else np.zeros_like(call_row)
    idle = known & (previous_end < call_end)
    latency = (device.start_ns - call_end)[idle]
    usable = latency[np.abs(latency) < LONGEST_LATENCY_NS]
    return int(np.median(usable)) if len(usable) else DEFAULT_LATENCY_NS


def _typical_gap(device: EventTable) -> int:
    previous = _previous(device)
    follows = previous >= 0
    gaps = device.start_ns[follows] - device.end_ns[previous[follows]]
    usable = gaps[(gaps >= 0) & (gaps < LONGEST_KERNEL_GAP_NS)]
    return int(np.median(usable)) if len(usable) else DEFAULT_KERNEL_GAP_NS
