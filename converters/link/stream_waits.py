"""Stream waits: work on one stream that an event makes wait for work on another.

    host     L(a) record(e) ... waitEvent(s2, e) L(b)
    stream 1 [ a ]
    stream 2       ........ [ b ]                        a --stream wait--> b

Recorded where `cuda_sync` events tell stream and event; else inferred from the times.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ...models.graph import NONE, EdgeKind, Int64s
from ..kineto import KinetoTrace, whole
from ..kineto_events import Args
from . import names
from .device import DeviceRows
from .rows import EdgeBlock, HostRows, edge_block
from .sync import CLOCK_TOLERANCE_NS, Certainty, _Stream, streams_of

# Work that starts within this after other work ended has most likely waited for it.
RELEASE_NS = 15_000
# An event recorded this shortly before the wait marks the work launched just before the record.
RECORD_TO_WAIT_NS = 100_000


@dataclass(slots=True)
class StreamWaits:
    """Waits found: (source event, target event, certainty), and waits without a target."""

    found: list[tuple[int, int, Certainty]] = field(default_factory=list)
    without_target: int = 0

    def edges(self, host_rows: int, gap_ns: int) -> EdgeBlock:
        """Give the stream-wait edges with the device's usual turn-round as lag."""
        return edge_block(
            EdgeKind.STREAM_WAIT,
            [host_rows + source for source, _, _ in self.found],
            [host_rows + target for _, target, _ in self.found],
            gap_ns,
        )

    def count(self, certainty: Certainty) -> int:
        """Give how many waits were found with that certainty."""
        return sum(found is certainty for _, _, found in self.found)


def link_stream_waits(
    trace: KinetoTrace, host: HostRows, rows: DeviceRows, issue_position: Int64s
) -> StreamWaits:
    """Find what every `StreamWaitEvent` call made wait for what."""
    streams = streams_of(trace, rows)
    waits = StreamWaits()
    if len(streams) < 2:
        return waits
    linker = _WaitLinker(trace, host, rows, streams, issue_position)
    is_wait = np.array([name in names.STREAM_WAIT for name in trace.names], dtype=bool)
    for event in np.flatnonzero(is_wait[trace.host.name]).tolist():
        found = linker.link(event)
        if found is None:
            waits.without_target += 1
        else:
            waits.found.append(found)
    waits.found = sorted(set(waits.found))
    return waits


class _WaitLinker:
    def __init__(
        self,
        trace: KinetoTrace,
        host: HostRows,
        rows: DeviceRows,
        streams: list[_Stream],
        issue_position: Int64s,
    ) -> None:
        self.trace = trace
        self.host = host
        self.streams = streams
        self.position = issue_position
        self.calls = _Calls(trace, host, rows, issue_position)

    def link(self, event: int) -> tuple[int, int, Certainty] | None:
        row = int(self.host.row_of_event[event])
        position = int(self.position[row])
        record = self.trace.sync_records.get(int(self.trace.host.correlation[event]))
        if record is not None and whole(record.wait_on_stream) != NONE:
            return self._recorded(record, position)
        return self._inferred(event, row, position)

    def _recorded(self, record: Args, position: int) -> tuple[int, int, Certainty] | None:
        target = self._first_launched_after(whole(record.stream), position)
        call = self.calls.position_of_correlation(whole(record.wait_on_record))
        source = self._last_before(whole(record.wait_on_stream), position if call == NONE else call)
        if NONE in (source, target):
            return None
        return source, target, Certainty.RECORDED

    def _first_launched_after(self, number: int, position: int) -> int:
        for stream in self.streams:
            if stream.number == number:
                place = int(np.searchsorted(stream.anchor, position, side="right"))
                if place < len(stream.anchor):
                    return stream.first + place
        return NONE

    def _last_before(self, number: int, position: int) -> int:
        last = [s.last_launched_before(position) for s in self.streams if s.number == number]
        return max(last, default=NONE)

    def _inferred(self, event: int, row: int, position: int) -> tuple[int, int, Certainty] | None:
        """The waiting stream is that of the thread's next launch."""
        target = self.calls.next_on_thread(int(self.host.thread[row]), position)
        if target == NONE:
            return None
        device = self.trace.device
        start = int(device.start_ns[target])
        others = [s for s in self.streams if not s.first <= target < s.first + len(s.anchor)]
        limit = start + CLOCK_TOLERANCE_NS
        candidates = [s.last_ended_by(position, limit) for s in others]
        known = [c for c in candidates if c != NONE]
        close = [c for c in known if start - int(device.end_ns[c]) <= RELEASE_NS]
        if close:
            best = max(close, key=lambda c: int(device.end_ns[c]))
            return best, target, Certainty.LIKELY
        last = [s.last_launched_before(position) for s in others]
        fit = [c for c in last if c != NONE and int(device.end_ns[c]) <= limit]
        if not fit:
            return None
        latest = max(fit, key=lambda c: int(self.calls.anchor[c]))
        return latest, target, Certainty.GUESSED


class _Calls:
    """Looks up launches by thread and issue position."""

    def __init__(
        self, trace: KinetoTrace, host: HostRows, rows: DeviceRows, issue_position: Int64s
    ) -> None:
        launched = np.flatnonzero(rows.call_row >= 0)
        position = issue_position[rows.call_row[launched]]
        order = np.argsort(position, kind="stable")
        self.device = launched[order]
        self.at = position[order]
        self.thread: NDArray[np.int32] = host.thread[rows.call_row[self.device]]
        self.anchor = rows.anchor
        self._by_correlation = {
            correlation: int(issue_position[host.row_of_event[event]])
            for event, correlation in enumerate(trace.host.correlation.tolist())
            if correlation > 0
        }

    def next_on_thread(self, thread: int, position: int) -> int:
        """Give the device event that a thread launches next, NONE if it launches no more."""
        first = int(np.searchsorted(self.at, position, side="right"))
        later = np.flatnonzero(self.thread[first : first + 1000] == thread)
        return int(self.device[first + int(later[0])]) if len(later) else NONE

    def position_of_correlation(self, correlation: int) -> int:
        """Give the issue position of a runtime call, NONE where it is not in the file."""
        return self._by_correlation.get(correlation, NONE)
