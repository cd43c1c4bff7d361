"""Decode `trace_view.json`: a list of events whose times are texts of absolute microseconds."""

from decimal import Decimal
from pathlib import Path

import msgspec

from ...models.errors import TraceFormatError
from ..kineto_events import Number, json_fault


class AscendArgs(msgspec.Struct, gc=False):
    """What an event says of itself; keys of the host's and the device's events together."""

    name: Number = None
    sequence_number: Number = msgspec.field(name="Sequence number", default=None)
    forward_thread: Number = msgspec.field(name="Fwd thread id", default=None)
    input_dims: str | None = msgspec.field(name="Input Dims", default=None)
    input_types: str | None = msgspec.field(name="Input type", default=None)
    task_type: str = msgspec.field(name="Task Type", default="")
    connection: Number = msgspec.field(name="connection_id", default=None)
    correlation: Number = msgspec.field(name="correlation_id", default=None)
    data_bytes: Number = msgspec.field(name="data size(Byte)", default=None)
    data_type: str = ""
    count: Number = None


class AscendEvent(msgspec.Struct, gc=False):
    """One event; `ts` is a text (older) or a number (never seen, but cheap to allow)."""

    ph: str = ""
    cat: str = ""
    name: str | None = ""
    pid: int | str = 0
    tid: int | str = 0
    ts: str | float | None = None
    dur: str | float | None = None
    args: AscendArgs | None = None

    def start_ns(self) -> int:
        """Give the start in absolute ns, exactly."""
        return to_ns(self.ts)

    def duration_ns(self) -> int:
        """Give the duration in whole ns."""
        return to_ns(self.dur)


def to_ns(microseconds: str | float | None) -> int:
    """Give microseconds as whole ns; texts are read as decimals, so that none is lost."""
    if microseconds is None:
        return 0
    return round(Decimal(microseconds) * 1000)


def decode(data: bytes, path: Path) -> list[AscendEvent]:
    """Decode a trace view.

    Raises:
        TraceFormatError: not JSON, cut, or another kind of file.
    """
    decoder = msgspec.json.Decoder(list[AscendEvent], strict=False)
    try:
        return decoder.decode(data)
    except msgspec.ValidationError as error:
        raise TraceFormatError(f"is not an Ascend trace view: {error}", where=path) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise json_fault(data, path, str(error)) from None
