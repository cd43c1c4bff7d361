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
from .calls import Call, calls_of
from .device import DeviceRows
from .rows import EdgeBlock, HostRows, edge_block
from .sync import CLOCK_TOLERANCE_NS, Certainty, _Stream, streams_of

# Work that starts within this after other work ended has most likely waited for it.
RELEASE_NS = 15_000
# An event recorded so long after the thread's last launch may belong to another stream's work.
RECORD_AFTER_LAUNCH_NS = 1_000_000
# A thread that launches nothing for so long after its wait has handed over to another.
SOON_NS = 100_000
# So many launches around a wait are searched for the thread's own.
LOOK_AHEAD = 1_000


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
    is_wait = calls_of(trace.names) == Call.STREAM_WAIT
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
        return self._inferred(row, position)

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

    def _inferred(self, row: int, position: int) -> tuple[int, int, Certainty] | None:
        thread = int(self.host.thread[row])
        fresh = self._after_record(thread, position)
        return fresh if fresh is not None else self._by_time(thread, position)

    def _after_record(self, thread: int, position: int) -> tuple[int, int, Certainty] | None:
        """An event recorded just before, no launch between: it marks the thread's last launch.

        record and wait serve two streams, so the waiting one is the next *other* stream.
        """
        record = self.calls.last_record(thread, position)
        source = self.calls.last_on_thread(thread, position)
        if NONE in (record, source) or self.calls.position_of(source) > record:
            return None
        stream = int(self.trace.device.thread[source])
        target = self.calls.next_launch(thread, position, other_than=stream)
        if target == NONE or not self._fits(source, target):
            return None
        age = self.calls.record_time(thread, position) - self.calls.launch_time(source)
        fresh = age <= RECORD_AFTER_LAUNCH_NS
        return source, target, Certainty.LIKELY if fresh else Certainty.GUESSED

    def _fits(self, source: int, target: int) -> bool:
        device = self.trace.device
        return int(device.end_ns[source]) <= int(device.start_ns[target]) + CLOCK_TOLERANCE_NS

    def _by_time(self, thread: int, position: int) -> tuple[int, int, Certainty] | None:
        """The waiting stream is that of the thread's next launch; the other ended just before."""
        target = self.calls.next_launch(thread, position)
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
        self.stream = trace.device.thread
        self._call_row = rows.call_row
        self._issue_position = issue_position
        self._begin_ns = host.begin_ns
        self._row_at = np.argsort(issue_position, kind="stable")
        self._records = _record_rows(trace, host, issue_position)
        self._by_correlation = {
            correlation: int(issue_position[host.row_of_event[event]])
            for event, correlation in enumerate(trace.host.correlation.tolist())
            if correlation > 0
        }

    def next_launch(self, thread: int, position: int, other_than: int = NONE) -> int:
        """Give what is launched next after a wait (on another stream than one), NONE if nothing.

        By the waiting thread, if it launches soon; else by whoever goes on: a backward pass ends
        with waits whose work the main thread then launches.
        """
        first = int(np.searchsorted(self.at, position, side="right"))
        ahead = slice(first, first + LOOK_AHEAD)
        fits = self.stream[self.device[ahead]] != other_than
        anyone = np.flatnonzero(fits)
        own = np.flatnonzero(fits & (self.thread[ahead] == thread))
        if not len(anyone):
            return NONE
        next_own = int(self.device[first + int(own[0])]) if len(own) else NONE
        since = int(self._begin_ns[self._row_at[position]])
        if next_own != NONE and self.launch_time(next_own) - since <= SOON_NS:
            return next_own
        return int(self.device[first + int(anyone[0])])

    def last_on_thread(self, thread: int, position: int) -> int:
        """Give the device event that a thread launched last before a position."""
        after = int(np.searchsorted(self.at, position, side="left"))
        first = max(0, after - LOOK_AHEAD)
        earlier = np.flatnonzero(self.thread[first:after] == thread)
        return int(self.device[first + int(earlier[-1])]) if len(earlier) else NONE

    def position_of(self, event: int) -> int:
        """Give the issue position of the call that launched a device event."""
        return int(self._issue_position[self._call_row[event]])

    def launch_time(self, event: int) -> int:
        """Give when the call that launched a device event began."""
        return int(self._begin_ns[self._call_row[event]])

    def last_record(self, thread: int, position: int) -> int:
        """Give the issue position of a thread's last event record before a position."""
        row = self._last_record_row(thread, position)
        return NONE if row == NONE else int(self._issue_position[row])

    def record_time(self, thread: int, position: int) -> int:
        """Give when that record was called."""
        return int(self._begin_ns[self._last_record_row(thread, position)])

    def _last_record_row(self, thread: int, position: int) -> int:
        rows = self._records.get(thread)
        if rows is None:
            return NONE
        place = int(np.searchsorted(self._issue_position[rows], position)) - 1
        return int(rows[place]) if place >= 0 else NONE

    def position_of_correlation(self, correlation: int) -> int:
        """Give the issue position of a runtime call, NONE where it is not in the file."""
        return self._by_correlation.get(correlation, NONE)


def _record_rows(trace: KinetoTrace, host: HostRows, issue_position: Int64s) -> dict[int, Int64s]:
    """Give each thread's event records as host rows in issue order."""
    is_record = calls_of(trace.names) == Call.EVENT_RECORD
    rows = host.row_of_event[np.flatnonzero(is_record[trace.host.name])]
    rows = rows[np.argsort(issue_position[rows], kind="stable")]
    threads = host.thread[rows]
    return {int(thread): rows[threads == thread] for thread in np.unique(threads)}
