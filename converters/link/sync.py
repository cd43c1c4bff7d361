"""Which device work a host call waited for: recorded where `cuda_sync` events tell, else inferred.

host    |--- cudaStreamSynchronize ---|
stream        [ k ends here ]-->
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np

from ...models.graph import NONE, Bytes, Category, EdgeKind, Int64s
from ..kineto import KinetoTrace, whole
from ..kineto_events import Args
from .calls import Call, calls_of
from .device import DeviceRows, stream_slices
from .launches import Launches
from .rows import EdgeBlock, HostRows, edge_block

# A wait may be seen to end this much before the work it waited for: two clocks.
CLOCK_TOLERANCE_NS = 2_000
# A wait that outlasts the device work it was for by more than this had a reason that is not seen.
UNSEEN_WAIT_NS = 100_000
# A stream's work that ends up to this much after a wait for it: the clocks have drifted apart.
CLOCK_DRIFT_NS = 200_000


class Certainty(IntEnum):
    """How sure a wait's target is."""

    RECORDED = 0  # a cuda_sync event names it, or the call waits for the whole device
    LIKELY = 1  # one stream's last work ends inside the wait
    GUESSED = 2  # nothing ended inside the wait: the latest finished work


@dataclass(slots=True)
class SyncLinks:
    """The waits found: edges and, for the report and the tests, each wait's target.

    Attributes:
        target_of_row: host row -> device events waited for, with the certainty.
        unseen: host rows that waited for work outside the file.
    """

    target_of_row: dict[int, tuple[list[int], Certainty]] = field(default_factory=dict)
    unseen: list[int] = field(default_factory=list)

    def edges(self, host_rows: int) -> EdgeBlock:
        """Give the sync edges, no lag: what a call needs after its wait is its own duration."""
        pairs = [
            (host_rows + event, row)
            for row, (events, _) in self.target_of_row.items()
            for event in events
        ]
        return edge_block(EdgeKind.SYNC, [p[0] for p in pairs], [p[1] for p in pairs], 0)

    def count(self, certainty: Certainty) -> int:
        """Give how many waits were linked with that certainty."""
        return sum(found is certainty for _, found in self.target_of_row.values())


@dataclass(frozen=True, slots=True, eq=False)
class _Stream:
    """One stream's events in order: when each was launched (issue position) and ended."""

    number: int
    device: int
    first: int
    anchor: Int64s
    end_ns: Int64s

    def last_launched_before(self, position: int) -> int:
        """Give the event launched last before an issue position, NONE if there is none."""
        place = int(np.searchsorted(self.anchor, position, side="left")) - 1
        return self.first + place if place >= 0 else NONE

    def last_ended_by(self, position: int, time_ns: int) -> int:
        """Give the last event launched before `position` that ended by `time_ns`."""
        launched = int(np.searchsorted(self.anchor, position, side="left"))
        ended = int(np.searchsorted(self.end_ns, time_ns, side="right"))
        place = min(launched, ended) - 1
        return self.first + place if place >= 0 else NONE


def streams_of(trace: KinetoTrace, rows: DeviceRows) -> list[_Stream]:
    """Give the device table cut into streams."""
    device = trace.device
    result = []
    for first, after in stream_slices(device):
        thread = device.threads[int(device.thread[first])]
        result.append(
            _Stream(
                thread.number,
                thread.process,
                first,
                rows.anchor[first:after],
                np.maximum.accumulate(device.end_ns[first:after]),
            )
        )
    return result


def link_syncs(
    trace: KinetoTrace,
    host: HostRows,
    rows: DeviceRows,
    launches: Launches,
    issue_position: Int64s,
) -> SyncLinks:
    """Find what each waiting host row waited for, and move its `start_ns` behind the wait.

    Mutates `host.start_ns` of the waiting rows: from there to the end is the call's own cost.
    """
    linker = _SyncLinker(trace, host, streams_of(trace, rows), launches, issue_position)
    for row in np.flatnonzero(host.category == Category.SYNC).tolist():
        linker.link(row)
    return linker.links


@dataclass(slots=True)
class _SyncLinker:
    trace: KinetoTrace
    host: HostRows
    streams: list[_Stream]
    launches: Launches
    issue_position: Int64s
    links: SyncLinks = field(default_factory=SyncLinks)
    last_event: Int64s = field(init=False)
    event_of_correlation: dict[int, int] = field(init=False)
    call_of_name: Bytes = field(init=False)
    users: list[frozenset[int]] = field(init=False)

    def __post_init__(self) -> None:
        self.call_of_name = calls_of(self.trace.names)
        self.users = [self._users(stream) for stream in self.streams]
        host, call = self.trace.host, self.launches.call_of_device
        launched = np.flatnonzero(call >= 0)
        self.last_event = np.full(len(host), NONE, dtype=np.int64)
        self.last_event[call[launched]] = launched  # of equal indices numpy keeps the last
        recorded = self.trace.sync_records
        numbers = host.correlation.tolist() if recorded else []
        self.event_of_correlation = {n: e for e, n in reversed(list(enumerate(numbers)))}

    def _users(self, stream: _Stream) -> frozenset[int]:
        """Give the processes that put work on a stream; none where that cannot be told."""
        if self.launches.ambiguous:
            return frozenset()
        span = slice(stream.first, stream.first + len(stream.anchor))
        calls = self.launches.call_of_device[span]
        threads = np.unique(self.trace.host.thread[calls[calls >= 0]]).tolist()
        return frozenset(self.trace.host.threads[thread].process for thread in threads)

    def _streams_of(self, event: int) -> list[_Stream]:
        """Give the streams that a call may wait for: never those of another process alone."""
        process = self.trace.host.threads[int(self.trace.host.thread[event])].process
        pairs = zip(self.streams, self.users, strict=True)
        return [stream for stream, users in pairs if not users or process in users]

    def link(self, row: int) -> None:
        event = int(self.host.event[row])
        targets, certainty = self._targets(row, event)
        ends = [int(self.trace.device.end_ns[target]) for target in targets]
        begin, end = int(self.host.begin_ns[row]), int(self.host.end_ns[row])
        waited_until = max([begin, *(min(e, end) for e in ends)])
        self.host.start_ns[row] = waited_until
        if targets:
            self.links.target_of_row[row] = (targets, certainty)
        if end - waited_until > UNSEEN_WAIT_NS and (waited_until > begin or not targets):
            # the rest is no cost of the call: it follows the work, or work that nobody saw
            self.host.start_ns[row] = end
            if not targets:
                self.links.unseen.append(row)

    def _targets(self, row: int, event: int) -> tuple[list[int], Certainty]:
        if self.launches.blocking[event]:
            return self._own_copies(event), Certainty.RECORDED
        position = int(self.issue_position[row])
        call = self.call_of_name[int(self.trace.host.name[event])]
        record = self.trace.sync_records.get(int(self.trace.host.correlation[event]))
        if record is not None and record.sync_kind is not None:
            return self._recorded(record, event, position)
        if call == Call.DEVICE_SYNC or self.launches.freeing[event]:
            return self._all_streams(event, position), Certainty.RECORDED
        return self._inferred(row, position, whole_stream=call == Call.STREAM_SYNC)

    def _own_copies(self, event: int) -> list[int]:
        last = int(self.last_event[event])
        return [last] if last != NONE else []

    def _all_streams(self, event: int, position: int) -> list[int]:
        last = [s.last_launched_before(position) for s in self._streams_of(event)]
        return [event for event in last if event != NONE]

    def _recorded(self, record: Args, event: int, position: int) -> tuple[list[int], Certainty]:
        if record.sync_kind == "Context Sync":
            return self._all_streams(event, position), Certainty.RECORDED
        if record.sync_kind == "Event Sync":
            position = self._position_of_call(whole(record.wait_on_record), position)
            return self._on_stream(whole(record.wait_on_stream), position), Certainty.RECORDED
        return self._on_stream(whole(record.stream), position), Certainty.RECORDED

    def _position_of_call(self, correlation: int, default: int) -> int:
        event = self.event_of_correlation.get(correlation, NONE) if correlation > 0 else NONE
        return default if event == NONE else int(self.issue_position[self.host.row_of_event[event]])

    def _on_stream(self, number: int, position: int) -> list[int]:
        last = [s.last_launched_before(position) for s in self.streams if s.number == number]
        return [event for event in last if event != NONE]

    def _inferred(
        self, row: int, position: int, *, whole_stream: bool
    ) -> tuple[list[int], Certainty]:
        """The stream whose last work ends latest inside the wait, else the latest before it."""
        begin, end = int(self.host.begin_ns[row]), int(self.host.end_ns[row])
        limit = end + CLOCK_TOLERANCE_NS
        streams = self._streams_of(int(self.host.event[row]))
        if whole_stream:
            last = [stream.last_launched_before(position) for stream in streams]
        else:
            last = [stream.last_ended_by(position, limit) for stream in streams]
        found = latest_inside(self.trace.device.end_ns, last, begin, limit)
        if found[0] or not whole_stream or end - begin <= UNSEEN_WAIT_NS:
            return found
        return self._soonest_after(last, end), Certainty.GUESSED

    def _soonest_after(self, candidates: Sequence[int], end: int) -> list[int]:
        """A whole stream was waited for and every stream seems to end later: clocks drift."""
        ends = self.trace.device.end_ns
        known = [event for event in candidates if event != NONE]
        near = [event for event in known if int(ends[event]) <= end + CLOCK_DRIFT_NS]
        return [min(near, key=lambda event: int(ends[event]))] if near else []


def latest_inside(
    end_ns: Int64s, candidates: Sequence[int], begin: int, limit: int
) -> tuple[list[int], Certainty]:
    """Choose among candidate events the one that ends latest by `limit`."""
    ended = [event for event in candidates if event != NONE and int(end_ns[event]) <= limit]
    if not ended:
        return [], Certainty.GUESSED
    best = max(ended, key=lambda event: int(end_ns[event]))
    inside = int(end_ns[best]) > begin
    return [best], Certainty.LIKELY if inside else Certainty.GUESSED
