"""Collect events of any profiler into the columns that the linker reads."""

from dataclasses import dataclass, field

import numpy as np

from ..models.graph import NONE
from ..models.graph_builder import Interner
from .event_table import EventTable, Source, Thread, whole
from .kineto_events import Args

NO_ARGS = Args()


@dataclass(frozen=True, slots=True)
class EventRow:
    """One event; times in ns, `start_ns` on the recorder's own clock."""

    source: Source
    name: str
    thread: Thread
    start_ns: int
    duration_ns: int
    correlation: int = NONE
    args: Args = NO_ARGS


@dataclass(slots=True)
class EventRows:
    """Rows of one table; names are shared between the tables of a trace."""

    names: Interner[str]
    rows: list[EventRow] = field(default_factory=list)

    def add(self, row: EventRow) -> None:
        """Add an event."""
        self.rows.append(row)

    def __len__(self) -> int:
        return len(self.rows)

    def earliest_ns(self) -> int | None:
        """Give the first start, None where there is no event."""
        return min((row.start_ns for row in self.rows), default=None)

    def table(self, zero_ns: int) -> EventTable:
        """Give the columns, sorted by thread, start and descending duration.

        Args:
            zero_ns: subtracted from all starts.
        """
        threads: Interner[Thread] = Interner()
        rows = self.rows
        count = len(rows)
        table = EventTable(
            source=np.array([row.source for row in rows], dtype=np.uint8),
            name=np.array([self.names[row.name] for row in rows], dtype=np.int32),
            thread=np.array([threads[row.thread] for row in rows], dtype=np.int32),
            start_ns=np.array([row.start_ns - zero_ns for row in rows], dtype=np.int64),
            duration_ns=np.array([max(row.duration_ns, 0) for row in rows], dtype=np.int64),
            external_id=np.full(count, NONE, dtype=np.int64),
            rf_id=np.zeros(count, dtype=np.int64),
            correlation=np.array([row.correlation for row in rows], dtype=np.int64),
            sequence=np.array([whole(row.args.sequence_number) for row in rows], dtype=np.int64),
            saying=np.arange(count, dtype=np.int32),
            sayings=[row.args for row in rows],
            threads=tuple(threads),
        )
        return table.take(np.lexsort((-table.duration_ns, table.start_ns, table.thread)))
