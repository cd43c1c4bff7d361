"""Decode Kineto's JSON into typed events: only the keys that etsim uses, the rest is skipped.

Two generations of the clock need care: relative microseconds with `baseTimeNanoseconds`
(2024-05 and later) fit a double exactly once the smallest is subtracted; absolute fractional
microseconds do not, and are parsed as decimals.
"""

import re
from decimal import Decimal
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from ..models.errors import TraceFormatError

Number = int | float | str | None
Stamp = TypeVar("Stamp", float, Decimal)


class Args(msgspec.Struct, gc=False):
    """What an event says of itself; shapes stay as raw JSON, since most are equal."""

    external_id: Number = msgspec.field(name="External id", default=None)
    record_function_id: Number = msgspec.field(name="Record function id", default=None)
    sequence_number: Number = msgspec.field(name="Sequence number", default=None)
    forward_thread: Number = msgspec.field(name="Fwd thread id", default=None)
    input_dims: msgspec.Raw = msgspec.field(name="Input Dims", default=msgspec.Raw(b""))
    input_type: msgspec.Raw = msgspec.field(name="Input type", default=msgspec.Raw(b""))
    input_strides: msgspec.Raw = msgspec.field(name="Input Strides", default=msgspec.Raw(b""))
    concrete_inputs: msgspec.Raw = msgspec.field(name="Concrete Inputs", default=msgspec.Raw(b""))
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
    group_ranks: msgspec.Raw = msgspec.field(name="Process Group Ranks", default=msgspec.Raw(b""))
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
    pid: int | str = 0
    tid: int | str = 0
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


class _FloatDocument(Header):
    events: list[Event[float]] = msgspec.field(name="traceEvents", default_factory=list)


class _ExactDocument(Header):
    events: list[Event[Decimal]] = msgspec.field(name="traceEvents", default_factory=list)


Document = _FloatDocument | _ExactDocument
DOUBLE_KEEPS_NS_BELOW_US = 2**43  # the nearest double is less than half a ns off below this
_FRACTION = re.compile(rb'"(?:ts|dur)"\s*:\s*"?\d+\.\d*[1-9]')


def decode(data: bytes, path: Path) -> Document:
    """Decode a Kineto trace.

    Raises:
        TraceFormatError: not JSON (with line and column), or cut in the middle.
    """
    document = _decode(data, path, msgspec.json.Decoder(_FloatDocument, strict=False))
    if _needs_decimals(document, data):
        return _decode(data, path, msgspec.json.Decoder(_ExactDocument, strict=False))
    return document


Doc = TypeVar("Doc", _FloatDocument, _ExactDocument)


def _decode(data: bytes, path: Path, decoder: msgspec.json.Decoder[Doc]) -> Doc:
    try:
        return decoder.decode(data)
    except msgspec.ValidationError as error:
        raise TraceFormatError(f"is not a Kineto trace: {error}", where=path) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise json_fault(data, path, str(error)) from None


def json_fault(data: bytes, path: Path, told: str) -> TraceFormatError:
    """Give the error for JSON that does not parse: cut off, or damaged at a place."""
    if "truncated" in told or not data.rstrip().endswith((b"}", b"]")):
        return TraceFormatError(
            f"the JSON is cut after {len(data):,} bytes",
            where=path,
            remedy="the process was probably killed while writing; record again",
        )
    return TraceFormatError(f"is not valid JSON: {told}", where=path)


def _needs_decimals(document: _FloatDocument, data: bytes) -> bool:
    """Absolute microseconds with a fraction: the double has already lost nanoseconds."""
    times = (event.ts for event in document.events)
    late = any(time is not None and time >= DOUBLE_KEEPS_NS_BELOW_US for time in times)
    return late and _FRACTION.search(data) is not None
