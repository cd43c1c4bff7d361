"""Collect decoded events into columns, chunk by chunk, so that no event outlives its chunk."""

import re
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from math import isnan
from operator import attrgetter

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..models.graph import NONE, Int64s
from ..models.graph_builder import Interner
from .event_table import EventTable, Source, Thread, whole
from .kineto_events import AnyEvent, Args, Number

LATEST_US = 4e15  # the year 2096; ns of it still fit 64 bits with room to add them up
NO_ARGS = Args()
_NUMBER_AT_END = re.compile(r"(\d+)\s*$")
_COLUMNS = {
    "source": np.uint8, "name": np.int32, "thread": np.int32, "start_ns": np.int64,
    "duration_ns": np.int64, "external_id": np.int64, "rf_id": np.int64, "correlation": np.int64,
    "sequence": np.int64, "saying": np.int32,
}  # fmt: skip
_operator_words = attrgetter("input_dims", "input_type", "concrete_inputs", "input_strides")
_JSON = msgspec.json.Encoder()
_Key = tuple[object, ...] | bytes
_NOTHING = _JSON.encode(_operator_words(NO_ARGS))


class Lanes(Interner[tuple[Number, Number]]):
    """Host threads and device streams, by the process or device and the number told."""

    def threads(self, names: dict[tuple[int, int], str]) -> tuple[tuple[Thread, ...], Int64s]:
        """Give the distinct threads, and each lane's place among them."""
        table: Interner[tuple[int, int]] = Interner()
        place = [table[_number(a), _number(b)] for a, b in self]
        threads = tuple(Thread(a, b, names.get((a, b), "")) for a, b in table)
        return threads, np.array(place, dtype=np.int64)


def _number(value: Number) -> int:
    """Give a process, thread or stream as a number: `stream 7` is 7, a name gets one of its own."""
    if isinstance(value, str) and value:
        found = _NUMBER_AT_END.search(value)
        return int(found[1]) if found else zlib.crc32(value.encode()) & 0x7FFFFFFF
    return whole(value)


@dataclass(slots=True)
class ColumnParts:
    """One table in the making.

    Attributes:
        names: shared by all tables of a trace.
        places: gives the process and thread, or device and stream, of each event.
        keys: what of each event's args is kept; equal ones are kept once.
        skipped: events without a usable time.
    """

    names: Interner[str]
    places: Callable[[Sequence[AnyEvent]], Iterable[tuple[Number, Number]]]
    keys: Callable[[Sequence[Args]], Iterable[_Key]]
    lanes: Lanes = field(default_factory=Lanes)
    sayings: list[Args] = field(default_factory=lambda: [NO_ARGS])
    skipped: int = 0
    _saying_of: Interner[_Key] = field(default_factory=lambda: Interner({_NOTHING: 0}))
    _parts: dict[str, list[Int64s]] = field(default_factory=lambda: {key: [] for key in _COLUMNS})

    def add(self, source: Source, events: Sequence[AnyEvent]) -> None:
        """Add a chunk's events of one source."""
        start, duration, usable = _times(events)
        if not usable.all():
            self.skipped += int((~usable).sum())
            events = [event for event, good in zip(events, usable.tolist(), strict=True) if good]
            start, duration = start[usable], duration[usable]
        if not events:
            return
        args = [event.args or NO_ARGS for event in events]
        self._keep("source", np.full(len(events), source, dtype=np.int64))
        self._keep("name", map(self.names.__getitem__, map(attrgetter("name"), events)))
        self._keep("thread", map(self.lanes.__getitem__, self.places(events)))
        self._keep("external_id", _whole([a.external_id for a in args]))
        self._keep("rf_id", _whole([a.record_function_id for a in args], missing=0))
        self._keep("correlation", _whole([a.correlation for a in args]))
        self._keep("sequence", _whole([a.sequence_number for a in args]))
        self._keep("saying", self._sayings(args))
        self._parts["start_ns"].append(start)
        self._parts["duration_ns"].append(duration)

    def _keep(self, name: str, values: Iterable[int] | Int64s) -> None:
        kind = _COLUMNS[name]
        whole_column = isinstance(values, np.ndarray)
        column = np.asarray(values, kind) if whole_column else np.fromiter(values, kind)
        self._parts[name].append(column)

    def _sayings(self, args: Sequence[Args]) -> Int64s:
        """Give the place of what each event says; a collective's words are its own."""
        known = len(self._saying_of)
        places = np.fromiter(map(self._saying_of.__getitem__, self.keys(args)), dtype=np.int64)
        distinct, first = np.unique(places, return_index=True)
        new = first[distinct >= known].tolist()  # in order of first sight, as the places are
        self.sayings.extend(_detached(args[event]) for event in new)
        return places

    def earliest_ns(self) -> int | None:
        """Give the first start, None where there is no event."""
        return min((int(part.min()) for part in self._parts["start_ns"]), default=None)

    def table(self, zero_ns: int, thread_names: dict[tuple[int, int], str]) -> EventTable:
        """Give the columns, sorted by thread, start and descending duration.

        Args:
            zero_ns: subtracted from all starts.
            thread_names: by process and thread.
        """
        columns = {name: self._column(name) for name in _COLUMNS}
        threads, place = self.lanes.threads(thread_names)
        if len(place):
            columns["thread"] = place[columns["thread"]].astype(np.int32)
        columns["start_ns"] -= zero_ns
        order = np.lexsort((-columns["duration_ns"], columns["start_ns"], columns["thread"]))
        for name, column in columns.items():
            columns[name] = column[order]
        return EventTable(**columns, sayings=self.sayings, threads=threads)  # type: ignore[arg-type]

    def _column(self, name: str) -> Int64s:
        parts = self._parts[name] or [np.empty(0, dtype=_COLUMNS[name])]
        self._parts[name] = []
        return np.concatenate(parts)


def _detached(args: Args) -> Args:
    """Copy the raw texts: they would hold their whole chunk."""
    texts = {
        name: getattr(args, name).copy()
        for name in ("input_dims", "input_type", "input_strides", "concrete_inputs", "group_ranks")
    }
    return msgspec.structs.replace(args, **texts)


def nothing(args: Sequence[Args]) -> Iterable[_Key]:
    """Nothing of what such events say is of use."""
    return (_NOTHING,) * len(args)


def host_keys(args: Sequence[Args]) -> Iterable[_Key]:
    """Shapes and arguments of each operator, as one JSON text; all words of a collective."""
    keys: list[_Key] = list(map(_JSON.encode, map(_operator_words, args)))
    for event, name in enumerate(map(attrgetter("collective_name"), args)):
        if name is not None:
            keys[event] = _collective_key(args[event])
    return keys


def device_keys(args: Sequence[Args]) -> Iterable[_Key]:
    """Give each kernel's launch configuration or copy's bytes; all words of a collective."""
    return map(_device_key, args)


def _device_key(args: Args) -> _Key:
    told = (
        args.bytes, tuple(args.grid or ()), tuple(args.block or ()), args.registers,
        args.shared_memory,
    )  # fmt: skip
    return told if args.collective_name is None else (*told, *_collective_key(args))


def _collective_key(args: Args) -> _Key:
    return (
        args.collective_name, args.dtype, args.in_elements, args.out_elements, args.group_size,
        args.group_name, bytes(args.group_ranks), args.collective_sequence, args.source_rank,
        args.destination_rank, bytes(args.input_dims), bytes(args.input_type),
        bytes(args.concrete_inputs), bytes(args.input_strides),
    )  # fmt: skip


def threads_of(events: Sequence[AnyEvent]) -> Iterable[tuple[Number, Number]]:
    """Give the process and thread of each host event."""
    return map(attrgetter("pid", "tid"), events)


def streams_of(events: Sequence[AnyEvent]) -> Iterable[tuple[Number, Number]]:
    """Give the device and stream of each device event."""
    return map(_stream_of, events)


def _stream_of(event: AnyEvent) -> tuple[Number, Number]:
    """Prefer the event's own words: pid and tid are for display and sometimes shifted."""
    args = event.args or NO_ARGS
    device, stream = args.device, args.stream
    return (
        event.pid if whole(device) == NONE else device,
        event.tid if stream is None or whole(stream, 0) == NONE else stream,
    )


def _whole(values: list[Number], *, missing: int = NONE) -> Int64s:
    if values.count(None) == len(values):
        return np.full(len(values), missing, dtype=np.int64)
    try:
        return np.array([missing if v is None else v for v in values], dtype=np.int64)
    except (TypeError, ValueError, OverflowError):
        return np.array([whole(v, missing) for v in values], dtype=np.int64)


def _times(events: Sequence[AnyEvent]) -> tuple[Int64s, Int64s, NDArray[np.bool_]]:
    """Give start and duration in ns, and which of the events have usable ones."""
    if isinstance(next((event.ts for event in events if event.ts is not None), 0.0), Decimal):
        return _decimal_times(events)
    start_us = np.array([event.ts for event in events], dtype=np.float64)  # None becomes NaN
    duration_us = np.array([event.dur for event in events], dtype=np.float64)
    duration_us[np.isnan(duration_us)] = 0
    usable = (np.abs(start_us) < LATEST_US) & (np.abs(duration_us) < LATEST_US)
    start = _nanoseconds(np.where(usable, start_us, 0))
    return start, np.maximum(_nanoseconds(np.where(usable, duration_us, 0)), 0), usable


def _nanoseconds(time_us: NDArray[np.float64]) -> Int64s:
    """Scale the fraction alone: the whole would lose nanoseconds."""
    below = np.floor(time_us)
    return below.astype(np.int64) * 1000 + np.rint((time_us - below) * 1000).astype(np.int64)


def _decimal_times(events: Sequence[AnyEvent]) -> tuple[Int64s, Int64s, NDArray[np.bool_]]:
    def exact(time_us: float | Decimal | None) -> int | None:
        if time_us is None or isnan(time_us):
            return None
        return round(Decimal(time_us) * 1000) if abs(float(time_us)) < LATEST_US else None

    start = [exact(event.ts) for event in events]
    odd = [event.dur is None or isnan(event.dur) for event in events]
    duration = [0 if o else exact(event.dur) for o, event in zip(odd, events, strict=True)]
    usable = np.array([None not in pair for pair in zip(start, duration, strict=True)], dtype=bool)
    return (
        np.array([value or 0 for value in start], dtype=np.int64),
        np.array([max(value or 0, 0) for value in duration], dtype=np.int64),
        usable,
    )
