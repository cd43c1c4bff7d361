"""Events as columns: what every profiler's reader fills and the linker reads."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from ..models.graph import NONE, Bytes, Int32s, Int64s
from .kineto_events import Args, Number


class Source(IntEnum):
    """Kineto's categories that matter here, under one spelling."""

    OPERATOR = 0
    ANNOTATION = 1
    RUNTIME = 2
    KERNEL = 3
    MEMCPY = 4
    MEMSET = 5
    SYNC_RECORD = 6
    PYTHON = 7
    OVERHEAD = 8


@dataclass(frozen=True, slots=True)
class Thread:
    """A host thread, or a device stream with the device as `process`."""

    process: int
    number: int
    name: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class EventTable:
    """Events as columns of shape (events,); `thread` points into `threads`, `name` into names.

    What else an event says of itself is kept once for all events that say the same: `said(event)`.

    Attributes:
        sequence: autograd's sequence number, -1 for none.
        saying: index into `sayings`.
    """

    source: Bytes
    name: Int32s
    thread: Int32s
    start_ns: Int64s
    duration_ns: Int64s
    external_id: Int64s
    rf_id: Int64s
    correlation: Int64s
    sequence: Int64s
    saying: Int32s
    sayings: Sequence[Args]
    threads: tuple[Thread, ...]
    end_ns: Int64s = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "end_ns", self.start_ns + self.duration_ns)

    def __len__(self) -> int:
        return len(self.source)

    def said(self, event: int) -> Args:
        """Give what an event says of itself, its ids left out: those are columns."""
        return self.sayings[int(self.saying[event])]

    def take(self, rows: Int64s) -> "EventTable":
        """Give the same table with the given rows, in that order."""
        return EventTable(
            self.source[rows], self.name[rows], self.thread[rows], self.start_ns[rows],
            self.duration_ns[rows], self.external_id[rows], self.rf_id[rows],
            self.correlation[rows], self.sequence[rows], self.saying[rows], self.sayings,
            self.threads,
        )  # fmt: skip


def whole(value: Number, missing: int = NONE) -> int:
    """Give a JSON number that may be a string or absent as an int of 64 bits."""
    if value is None:
        return missing
    if not isinstance(value, int):
        try:
            value = int(value)
        except (ValueError, OverflowError):
            return missing
    if -(2**63) <= value < 2**63:
        return value
    # unsigned fields carry "none" as 2**64 - 1; what is larger still is damage
    return value - 2**64 if 0 < value < 2**64 else missing
