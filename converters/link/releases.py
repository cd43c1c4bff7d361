"""Work that started as soon as work on another stream ended has waited for it, recorded or not.

    stream 7  [ a ][   c   ][ d ]        one graph launch: a graph's own order is not in the
    stream 20      [ b ].................trace, nor are waits whose calls a profiler leaves out

Where the launch and the stream's own order explain a start, nothing is added; nor, outside graphs,
in a trace that has the calls by which streams wait, unless some of these found no sure target.
"""

import numpy as np
from numpy.typing import NDArray

from ...models.graph import NONE, Int64s
from ..kineto import EventTable, KinetoTrace, whole
from .device import DeviceRows
from .rows import HostRows
from .stream_waits import RELEASE_NS, StreamWaits
from .sync import CLOCK_TOLERANCE_NS, Certainty

# Work that starts this much later than its usual latency waited for something.
UNEXPLAINED_START_NS = 10_000
# The same of a graph's work behind its first: no launch stands between, only the stream's order.
UNEXPLAINED_IN_GRAPH_NS = 1_500
# A graph's nodes follow each other within this; a later start has another reason.
GRAPH_RELEASE_NS = 5_000
# So many ends before a start are looked at: more streams than this have none of their own.
LOOK_BACK = 64


def link_releases(
    trace: KinetoTrace, host: HostRows, rows: DeviceRows, waits: StreamWaits
) -> StreamWaits:
    """Add to the stream waits found those that only the times show.

    Args:
        trace: the rank's events.
        host: the host rows.
        rows: the device events' place among them.
        waits: found already; what these hold up needs no other reason.
    """
    device = trace.device
    if not len(device) or device.thread[0] == device.thread[-1]:
        return waits  # sorted by stream: there is one alone
    late, in_graph = _unexplained(device, host, rows)
    if _all_known(trace, waits):
        late &= in_graph
    late[[target for _, target, _ in waits.found]] = False
    finder = _Releases(device, rows)
    found = [
        (source, target, Certainty.LIKELY)
        for target in np.flatnonzero(late).tolist()
        if (source := finder.source(target, within_graph=bool(in_graph[target]))) is not None
    ]
    return StreamWaits(sorted({*waits.found, *found}), waits.without_target)


def _all_known(trace: KinetoTrace, waits: StreamWaits) -> bool:
    """Tell whether the trace says itself, or with its calls surely, which streams wait for what."""
    if any(whole(told.wait_on_stream) != NONE for told in trace.sync_records.values()):
        return True
    unsure = waits.without_target + waits.count(Certainty.GUESSED)
    return bool(waits.found) and not unsure


def _unexplained(
    device: EventTable, host: HostRows, rows: DeviceRows
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Tell which launched events start later than all that is known, and which a graph launched."""
    launched = rows.call_row >= 0
    call_end = np.append(host.end_ns, 0)[rows.call_row]
    previous_end = np.where(rows.previous >= 0, device.end_ns[rows.previous], -(2**62))
    ready = np.maximum(call_end + rows.latency_ns, previous_end + rows.gap_ns)
    in_graph = _behind_first(device, rows)
    allowed = np.where(in_graph, UNEXPLAINED_IN_GRAPH_NS, UNEXPLAINED_START_NS)
    return launched & (device.start_ns - ready > allowed), in_graph


def _behind_first(device: EventTable, rows: DeviceRows) -> NDArray[np.bool_]:
    """Tell which events are a graph's, and not the first that it started."""
    order = np.lexsort((device.start_ns, rows.call_row))
    flags = np.zeros(len(device), dtype=bool)
    follows = rows.call_row[order[1:]] == rows.call_row[order[:-1]]
    flags[order[1:]] = follows & (rows.call_row[order[1:]] >= 0)
    return flags


class _Releases:
    """Looks up what ended just before a time."""

    def __init__(self, device: EventTable, rows: DeviceRows) -> None:
        self.device = device
        self.rows = rows
        self.by_end = np.argsort(device.end_ns, kind="stable")
        self.ends = device.end_ns[self.by_end]

    def source(self, target: int, *, within_graph: bool) -> int | None:
        """Give the latest work on another stream that ended just before an event started."""
        start = int(self.device.start_ns[target])
        after = int(np.searchsorted(self.ends, start + CLOCK_TOLERANCE_NS, side="right"))
        first = max(0, after - LOOK_BACK)
        reach = GRAPH_RELEASE_NS if within_graph else RELEASE_NS
        first = max(first, int(np.searchsorted(self.ends, start - reach)))
        candidates = self.by_end[first:after]
        fits = self._may_release(candidates, target)
        if within_graph:
            same = self.rows.call_row[candidates] == self.rows.call_row[target]
            fits &= same
        chosen = candidates[fits]
        return int(chosen[-1]) if len(chosen) else None

    def _may_release(self, candidates: Int64s, target: int) -> NDArray[np.bool_]:
        """Other streams' work that was issued before, and began before."""
        device, anchor = self.device, self.rows.anchor
        flags: NDArray[np.bool_] = (
            (device.thread[candidates] != device.thread[target])
            & (anchor[candidates] <= anchor[target])
            & (device.start_ns[candidates] < device.start_ns[target])
        )
        return flags
