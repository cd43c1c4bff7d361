"""Merge the Kineto traces of many ranks into one that viewers open.

    rank 1, pid 4711, flow 17, ts 5.5      >      pid 1001, flow 1 << 40 | 17, ts 5.5 + shift

Every event is kept with all it says; only process, flow and time change. Processes are numbered
by rank and stand in the order of ranks, metadata events keep names of processes and threads. One
rank's text is held at a time, and its events one by one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TypeAlias, TypeVar

import msgspec

from ..models.errors import TraceFormatError
from .chrome_json import write_chunks
from .convert import rank_of_trace
from .files import FileKind, expect_kind, read_bytes, sniff
from .kineto_events import Header, json_fault
from .ranks import by_rank

PIDS_PER_RANK = 1000  # a process of a rank is a host process, a device or one of Kineto's own
FLOW_BITS = 40
_STRAY_FLOWS = 1 << (FLOW_BITS - 1)  # ids that are no small numbers are numbered from here
_STRAY_TIDS = 1_000_000  # threads that have names instead of numbers are numbered from here
_MICRO = Decimal(1000)
_PROCESS_NAMES = {"process_name", "process_labels", "process_sort_index"}

RawEvent: TypeAlias = dict[str, msgspec.Raw]


@dataclass(frozen=True, slots=True)
class RankTrace:
    """A trace to merge: its clock's zero in absolute ns, 0 where its times are absolute."""

    path: Path
    rank: int
    base_ns: int
    host_name: str


@dataclass(frozen=True, slots=True)
class MergedRank:
    """What became of a rank: how far its times were moved, and how many events it has."""

    rank: int
    file: str
    host_name: str
    shift_ns: int
    correction_ns: int
    events: int
    flows: int


class _Events(msgspec.Struct):
    events: list[msgspec.Raw] = msgspec.field(name="traceEvents", default_factory=list)


class _Place(msgspec.Struct, gc=False):
    """What tells an event's process apart, and processes' names and order."""

    ph: str = ""
    name: str = ""
    pid: msgspec.Raw = msgspec.Raw(b"0")
    args: msgspec.Raw = msgspec.Raw(b"{}")


class _MetaArgs(msgspec.Struct):
    name: str = ""
    labels: str = ""
    sort_index: int | None = None


def find_traces(paths: Sequence[Path]) -> list[RankTrace]:
    """Read the headers of traces; in order of ranks.

    Raises:
        InputError, TraceFormatError: not a Kineto trace.
        RankError: two traces of one rank.
    """
    headers: dict[Path, Header] = {}
    ranks = []
    for path in paths:
        data = read_bytes(path)
        expect_kind(sniff(data), FileKind.KINETO, path, "etsim merge")
        headers[path] = _decoded(data, path, Header)
        ranks.append(rank_of_trace(path, data))
    found = by_rank(paths, ranks, "traces")
    return [
        RankTrace(path, rank, headers[path].base_ns, headers[path].host_name)
        for rank, path in sorted(found.items())
    ]


def merge_traces(
    traces: Sequence[RankTrace], corrections_ns: Mapping[int, int], output: Path
) -> list[MergedRank]:
    """Write one trace of all; gives what became of each rank.

    Args:
        traces: in the order in which their processes shall stand.
        corrections_ns: what to add to the clock of each rank; 0 for those left out.
        output: gzipped where its name ends in .gz.

    Raises:
        InputError, TraceFormatError: a trace that cannot be read.
        UsageError: the output cannot be written.
    """
    starts = [trace.base_ns + corrections_ns.get(trace.rank, 0) for trace in traces]
    zero = min(starts, default=0)
    merged: list[MergedRank] = []
    shifts = [start - zero for start in starts]
    write_chunks(output, _document(traces, shifts, corrections_ns, zero, merged))
    return merged


def _document(
    traces: Sequence[RankTrace],
    shifts: Sequence[int],
    corrections_ns: Mapping[int, int],
    zero_ns: int,
    merged: list[MergedRank],
) -> Iterator[bytes]:
    """Give the file's chunks; appends what became of each rank as it passes."""
    yield b'{"schemaVersion":1,"displayTimeUnit":"ms","traceEvents":[\n'
    between = b""
    for trace, shift in zip(traces, shifts, strict=True):
        rewriter = _Rewriter(trace.rank, shift)
        for event in rewriter.rewritten(read_bytes(trace.path), trace.path):
            yield between + event
            between = b",\n"
        correction = corrections_ns.get(trace.rank, 0)
        told = (trace.path.name, trace.host_name, shift, correction)
        merged.append(MergedRank(trace.rank, *told, rewriter.events, rewriter.flows))
    # Last, so that a reader of the file's end finds the clock, as in Kineto's own files.
    ranks = msgspec.json.encode(merged)
    yield b'\n],"mergedRanks":' + ranks + f',"baseTimeNanoseconds":{zero_ns}}}\n'.encode()


@dataclass(slots=True)
class _Rewriter:
    """Gives one rank's events new processes, flows and times."""

    rank: int
    shift_ns: int
    events: int = 0
    flows: int = 0
    _pid_of: dict[bytes, bytes] = field(default_factory=dict)
    _tid_of: dict[tuple[bytes, bytes], bytes] = field(default_factory=dict)
    _flow_of: dict[bytes, bytes] = field(default_factory=dict)

    def rewritten(self, data: bytes, path: Path) -> Iterator[bytes]:
        """Give the events as JSON, first the names of the processes."""
        events = _decoded(data, path, _Events).events
        self.events = len(events)
        yield from self._processes(events, path)
        decoder, encoder = msgspec.json.Decoder(RawEvent), msgspec.json.Encoder()
        for raw in events:
            event = _event(raw, decoder, path)
            name = bytes(event.get("name", b""))
            if name in {b'"process_name"', b'"process_sort_index"'}:
                continue  # told already, with the rank
            yield from self._named_thread(event, encoder)
            self._rewrite(event, path)
            yield encoder.encode(event)

    def _processes(self, events: Sequence[msgspec.Raw], path: Path) -> Iterator[bytes]:
        """Number the processes in the order in which they stood, and name them with the rank."""
        names: dict[bytes, _MetaArgs] = {}
        order: dict[bytes, float] = {}
        decoder = msgspec.json.Decoder(_Place, strict=False)
        for raw in events:
            place = _event(raw, decoder, path)
            pid = bytes(place.pid)
            order.setdefault(pid, float(pid) if pid.isdigit() else float("inf"))
            if place.ph == "M" and place.name in _PROCESS_NAMES:
                told = names.setdefault(pid, _MetaArgs())
                args = _decoded(bytes(place.args), path, _MetaArgs)
                names[pid] = _MetaArgs(args.name or told.name, args.labels or told.labels)
                order[pid] = order[pid] if args.sort_index is None else args.sort_index
        stride = max(PIDS_PER_RANK, len(order))
        for index, pid in enumerate(sorted(order, key=lambda pid: order[pid])):
            number = self.rank * stride + index
            self._pid_of[pid] = str(number).encode()
            title = _process_title(self.rank, names.get(pid, _MetaArgs()), pid)
            yield _metadata("process_name", number, 0, {"name": title})
            yield _metadata("process_sort_index", number, 0, {"sort_index": number})

    def _named_thread(self, event: RawEvent, encoder: msgspec.json.Encoder) -> Iterator[bytes]:
        """Number a thread that has a name instead of a number, and tell the name."""
        tid = bytes(event.get("tid", b"0"))
        if not tid.startswith(b'"'):
            return
        key = (bytes(event.get("pid", b"0")), tid)
        if key not in self._tid_of:
            number = _STRAY_TIDS + len(self._tid_of)
            self._tid_of[key] = str(number).encode()
            pid = int(self._pid_of[key[0]])
            yield _metadata("thread_name", pid, number, {"name": msgspec.json.decode(tid)})

    def _rewrite(self, event: RawEvent, path: Path) -> None:
        pid, tid = bytes(event.get("pid", b"0")), bytes(event.get("tid", b"0"))
        event["pid"] = msgspec.Raw(self._pid_of[pid])
        if (pid, tid) in self._tid_of:
            event["tid"] = msgspec.Raw(self._tid_of[pid, tid])
        if "id" in event:
            event["id"] = msgspec.Raw(self._flow(bytes(event["id"])))
            self.flows += bytes(event.get("ph", b"")) == b'"s"'
        if self.shift_ns and "ts" in event and bytes(event.get("ph", b"")) != b'"M"':
            event["ts"] = msgspec.Raw(self._moved(bytes(event["ts"]), path))

    def _flow(self, told: bytes) -> bytes:
        """Give an id that no other rank has; equal ids of this rank stay equal."""
        if told not in self._flow_of:
            small = told.isdigit() and int(told) < _STRAY_FLOWS
            number = int(told) if small else _STRAY_FLOWS + len(self._flow_of)
            self._flow_of[told] = str(self.rank << FLOW_BITS | number).encode()
        return self._flow_of[told]

    def _moved(self, told: bytes, path: Path) -> bytes:
        """Add the shift to µs as written: exactly, whatever their number of digits."""
        try:
            moved = Decimal(told.strip(b'"').decode()) + self.shift_ns / _MICRO
        except InvalidOperation:
            what = f"has an event at {told.decode()}, which is no time"
            raise TraceFormatError(what, where=path) from None
        return format(moved, "f").encode()


def _process_title(rank: int, told: _MetaArgs, pid: bytes) -> str:
    """Give `rank 0: GPU 1, python (1)`."""
    number = pid.strip(b'"').decode(errors="replace")
    name = f"{told.name} ({number})" if told.name and number not in told.name else number
    return f"rank {rank}: {', '.join(filter(None, (told.labels, name))) or 'marks'}"


def _metadata(name: str, pid: int, tid: int, args: Mapping[str, str | int]) -> bytes:
    event = {"ph": "M", "name": name, "pid": pid, "tid": tid, "args": args}
    return msgspec.json.encode(event)


Wanted = TypeVar("Wanted")


def _decoded(data: bytes, path: Path, wanted: type[Wanted]) -> Wanted:
    try:
        return msgspec.json.decode(data, type=wanted, strict=False)
    except msgspec.ValidationError as error:
        raise TraceFormatError(f"is not a Kineto trace: {error}", where=path) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise json_fault(data, path, str(error)) from None


def _event(raw: msgspec.Raw, decoder: msgspec.json.Decoder[Wanted], path: Path) -> Wanted:
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise TraceFormatError(f"has an event that is none: {error}", where=path) from None
