"""The link that KV caches cross: all transfers under way share its bandwidth evenly.

    rate of each of n transfers = min(most of one, bandwidth / n)

Every transfer under way has been served alike since it began, so one number, the bytes served to
each ("virtual" bytes), says when which ends: at (virtual bytes at its begin) + (its bytes).
"""

from heapq import heappop, heappush
from itertools import count

from .lines import TICKS_PER_NS
from .settings import KvLink

_TICKS_PER_S = TICKS_PER_NS * 1_000_000_000


class SharedLink:
    """Transfers in flight; `next_end` says when the next one is through."""

    __slots__ = ("_flow", "_flows", "_last", "_serial", "_total", "_virtual", "busy", "epoch")

    def __init__(self, link: KvLink) -> None:
        self._total = link.bytes_per_s / _TICKS_PER_S
        self._flow = min(link.flow_bytes_per_s, link.bytes_per_s) / _TICKS_PER_S
        self._flows: list[tuple[float, int, int]] = []  # (virtual end, serial, request)
        self._serial = count()
        self._virtual = 0.0
        self._last = 0
        self.busy = 0
        self.epoch = 0

    def _rate(self) -> float:
        return min(self._flow, self._total / len(self._flows))

    def _serve(self, now: int) -> None:
        if self._flows:
            self._virtual += (now - self._last) * self._rate()
            self.busy += now - self._last
        self._last = now

    def start(self, now: int, request: int, size: float) -> None:
        """Put a transfer on the link."""
        self._serve(now)
        heappush(self._flows, (self._virtual + size, next(self._serial), request))
        self.epoch += 1

    def next_end(self) -> int:
        """Give when the next transfer ends if none joins; -1 where there is none."""
        if not self._flows:
            return -1
        left = max(0.0, self._flows[0][0] - self._virtual)
        return self._last + max(1, round(left / self._rate()))

    def take_ended(self, now: int) -> int:
        """Take the transfer that `next_end` told and give its request."""
        self._serve(now)
        end, _serial, request = heappop(self._flows)
        self._virtual = max(self._virtual, end)
        self.epoch += 1
        return request
