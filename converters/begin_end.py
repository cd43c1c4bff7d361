"""Events that a profiler writes as a beginning and an end of their own become complete events."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from operator import itemgetter

from .kineto_events import AnyEvent, Number

BEGIN, END, COMPLETE = "B", "E", "X"


@dataclass(slots=True)
class BeginEnd:
    """Beginnings and ends seen so far; they may stand in any order in the file.

    Attributes:
        unmatched: ends without a beginning, and beginnings without an end, which are left out.
    """

    unmatched: int = 0
    _seen: list[tuple[float, AnyEvent]] = field(default_factory=list)

    def add(self, event: AnyEvent) -> None:
        """Keep a beginning or an end; one without a time is none."""
        if event.ts is None:
            self.unmatched += 1
        else:
            self._seen.append((float(event.ts), event))

    def complete(self) -> list[AnyEvent]:
        """Give the complete events: on a thread, an end closes what began last."""
        self._seen.sort(key=itemgetter(0))
        found = list(self._pairs())
        self._seen.clear()
        return found

    def _pairs(self) -> Iterator[AnyEvent]:
        open_on: dict[tuple[Number, Number], list[AnyEvent]] = defaultdict(list)
        for _, event in self._seen:
            stack = open_on[event.pid, event.tid]
            if event.ph == BEGIN:
                stack.append(event)
            elif stack:
                yield _closed(stack.pop(), event)
            else:
                self.unmatched += 1
        self.unmatched += sum(map(len, open_on.values()))


def _closed(begin: AnyEvent, end: AnyEvent) -> AnyEvent:
    if begin.ts is not None and end.ts is not None:
        begin.dur = end.ts - begin.ts  # type: ignore[operator]  # both of one reading
    begin.ph = COMPLETE
    begin.args = begin.args or end.args
    return begin
