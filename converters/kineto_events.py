"""Decode Kineto's JSON into typed events: only the keys that etsim uses, the rest is skipped.

Two generations of the clock need care: relative microseconds with `baseTimeNanoseconds`
(2024-05 and later) fit a double to the ns; absolute fractional microseconds do not, and are
parsed as decimals.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from ..models.errors import TraceFormatError

Number = int | float | str | None
Stamp = TypeVar("Stamp", float, Decimal)
NO_TEXT = msgspec.Raw(b"")


class Args(msgspec.Struct, gc=False):
    """What an event says of itself; shapes stay as raw JSON, since most are equal."""

    external_id: Number = msgspec.field(name="External id", default=None)
    record_function_id: Number = msgspec.field(name="Record function id", default=None)
    sequence_number: Number = msgspec.field(name="Sequence number", default=None)
    forward_thread: Number = msgspec.field(name="Fwd thread id", default=None)
    input_dims: msgspec.Raw = msgspec.field(name="Input Dims", default=NO_TEXT)
    input_type: msgspec.Raw = msgspec.field(name="Input type", default=NO_TEXT)
    input_strides: msgspec.Raw = msgspec.field(name="Input Strides", default=NO_TEXT)
    concrete_inputs: msgspec.Raw = msgspec.field(name="Concrete Inputs", default=NO_TEXT)
    correlation: Number = None
    device: Number = None
    stream: Number = None
    bytes: Number = None
    grid: list[int] | None = None
    block: list[int] | None = None
    registers: Number = msgspec.field(name="registers per thread", default=None)
    shared_memory: Number = msgspec.field(name="shared memory", default=None)
    graph_id: Number = msgspec.field(name="graph id", default=None)
    collective_name: Number = msgspec.field(name="Collective name", default=None)
    dtype: Number = None
    in_elements: Number = msgspec.field(name="In msg nelems", default=None)
    out_elements: Number = msgspec.field(name="Out msg nelems", default=None)
    group_size: Number = msgspec.field(name="Group size", default=None)
    group_name: Number = msgspec.field(name="Process Group Name", default=None)
    group_ranks: msgspec.Raw = msgspec.field(name="Process Group Ranks", default=NO_TEXT)
    collective_sequence: Number = msgspec.field(name="Seq", default=None)
    source_rank: Number = msgspec.field(name="Src Rank", default=None)
    destination_rank: Number = msgspec.field(name="Dst Rank", default=None)
    sync_kind: Number = msgspec.field(name="cuda_sync_kind", default=None)
    wait_on_stream: Number = None
    wait_on_record: Number = msgspec.field(name="wait_on_cuda_event_record_corr_id", default=None)
    python_id: Number = msgspec.field(name="Python id", default=None)
    name: Number = None  # of metadata events: the process' or thread's name


class Event(msgspec.Struct, Generic[Stamp], gc=False):
    """One trace event; `ts` and `dur` in microseconds."""

    ph: str = ""
    cat: str = ""
    name: str = ""
    pid: Number = 0
    tid: Number = 0
    ts: Stamp | None = None
    dur: Stamp | None = None
    args: Args | None = None


class DistributedInfo(msgspec.Struct):
    """Which rank recorded the trace, where the trace knows it."""

    rank: int | str | None = None
    world_size: int | str | None = None
    backend: str = ""
    pg_config: msgspec.Raw = msgspec.Raw(b"[]")


class DeviceProperties(msgspec.Struct):
    """A device as the profiler saw it."""

    id: int = 0
    name: str = ""
    total_memory: int = msgspec.field(name="totalGlobalMem", default=0)


class Header(msgspec.Struct):
    """The top-level keys beside the events."""

    base_ns: int = msgspec.field(name="baseTimeNanoseconds", default=0)
    distributed: DistributedInfo = msgspec.field(
        name="distributedInfo", default_factory=DistributedInfo
    )
    devices: list[DeviceProperties] = msgspec.field(name="deviceProperties", default_factory=list)
    host_name: str = ""
    hip_runtime_version: int | str | None = None


class _HasEvents(msgspec.Struct):
    events: list[msgspec.Raw] = msgspec.field(name="traceEvents")


AnyEvent = Event[float] | Event[Decimal]
DOUBLE_KEEPS_NS_BELOW_US = 2**43  # the nearest double is less than half a ns off below this
_FRACTION = re.compile(rb'"ts"\s*:\s*"?\d{13,}\.\d*[1-9]')
_FLOAT_EVENTS = msgspec.json.Decoder(list[Event[float]], strict=False)
_EXACT_EVENTS = msgspec.json.Decoder(list[Event[Decimal]], strict=False)
_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])


@dataclass(slots=True)
class EventDecoder:
    """Decodes arrays of events, and remembers what was odd about them.

    Attributes:
        exact: times are decimals, since doubles would lose nanoseconds.
        no_events: items that are no events at all; they are left out.
        odd_events: events with a field of another type than known; that field is left out.
    """

    exact: bool = False
    no_events: int = 0
    odd_events: int = 0

    def __call__(self, text: bytes) -> Sequence[AnyEvent]:
        """Decode one whole array; raises msgspec.DecodeError where it is none."""
        events = self._decoded(text)
        if not self.exact and _beyond_doubles(events) and _FRACTION.search(text):
            self.exact = True
            return self._decoded(text)
        return events

    def _decoded(self, text: bytes) -> Sequence[AnyEvent]:
        try:
            return (_EXACT_EVENTS if self.exact else _FLOAT_EVENTS).decode(text)
        except msgspec.ValidationError:
            return self._one_by_one(text)

    def _one_by_one(self, text: bytes) -> list[AnyEvent]:
        """Some item is odd: keep the others as they are, and of that one what can be read."""
        events: list[AnyEvent] = []
        for item in _ITEMS.decode(text):
            event, odd = self._one(bytes(item))
            self.odd_events += odd and event is not None
            self.no_events += event is None
            if event is not None:
                events.append(event)
        return events

    def _one(self, item: bytes) -> tuple[AnyEvent | None, bool]:
        if self.exact:
            return read_leniently(item, Event[Decimal])
        return read_leniently(item, Event[float])


def _beyond_doubles(events: Sequence[AnyEvent]) -> bool:
    """Tell whether a start is so late that its double has lost nanoseconds."""
    for event in events:  # any() takes twice as long
        start = event.ts
        if start is not None and start >= DOUBLE_KEEPS_NS_BELOW_US:
            return True
    return False


Kind = TypeVar("Kind", bound=msgspec.Struct)


def read_leniently(text: bytes, kind: type[Kind]) -> tuple[Kind | None, bool]:
    """Read an object whose fields may be of other types than `kind` knows: those are left out.

    Returns:
        What could be read, None where `text` is no object; and whether anything was left out.
    """
    try:
        return msgspec.json.decode(text, type=kind, strict=False), False
    except msgspec.ValidationError:
        pass
    try:
        items = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError:
        return None, True
    fields: dict[str, object] = {}
    for spec in msgspec.structs.fields(kind):
        if spec.encode_name in items:
            value = _field(bytes(items[spec.encode_name]), spec.type)
            if value is not None:
                fields[spec.name] = value
    return kind(**fields), True


def _field(text: bytes, kind: object) -> object:
    """Read one field; None where it is of another type."""
    if kind == Args | None:
        return read_leniently(text, Args)[0]
    if kind is DistributedInfo:
        return read_leniently(text, DistributedInfo)[0]
    try:
        return msgspec.json.decode(text, type=kind, strict=False)
    except msgspec.ValidationError:
        return None


def read_header(around: bytes, path: Path) -> Header:
    """Read the keys beside the events; what is of another type than known is left out.

    Raises:
        TraceFormatError: not JSON, or cut in the middle.
    """
    try:
        if around.lstrip()[:1] == b"[":
            msgspec.json.decode(around)
            return Header()
        msgspec.json.decode(around, type=_HasEvents)
        header, _ = read_leniently(around, Header)
    except msgspec.ValidationError as error:
        raise TraceFormatError(f"is not a Kineto trace: {error}", where=path) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise json_fault(around, path, str(error)) from None
    return header or Header()


def json_fault(data: bytes, path: Path, told: str) -> TraceFormatError:
    """Give the error for JSON that does not parse: cut off, or damaged at a place."""
    if "truncated" in told or not data.rstrip().endswith((b"}", b"]")):
        return TraceFormatError(
            f"the JSON is cut after {len(data):,} bytes",
            where=path,
            remedy="the process was probably killed while writing; record again",
        )
    return TraceFormatError(f"is not valid JSON: {told}", where=path)
