"""Split a window into computing, communication, copies and idle; the parts add up exactly.

    window = computing + exposed communication + exposed copies + idle

Communication is exposed where nothing computes, copies where neither computes nor communicates.
"""

from dataclasses import dataclass

from .intervals import Intervals, overlap_ns, together


@dataclass(frozen=True, slots=True)
class Busy:
    """What keeps a device (or the threads of a CPU-only rank) busy, one interval an operation."""

    computing: Intervals
    communication: Intervals
    memcpy: Intervals

    def all(self) -> Intervals:
        """Give all three as one set."""
        return together([self.computing, self.communication, self.memcpy])

    def within(self, first_ns: int, last_ns: int) -> "Busy":
        """Give the same cut to a window."""
        return Busy(
            self.computing.within(first_ns, last_ns),
            self.communication.within(first_ns, last_ns),
            self.memcpy.within(first_ns, last_ns),
        )


@dataclass(frozen=True, slots=True)
class Parts:
    """Where a window's time went.

    Attributes:
        communication_ns: all of it; the exposed part is what no computing hides.
        memcpy_ns: all copies and memsets; the exposed part runs alone.
    """

    window_ns: int
    computing_ns: int
    communication_ns: int
    exposed_communication_ns: int
    memcpy_ns: int
    exposed_memcpy_ns: int
    idle_ns: int

    @property
    def overlapped_communication_ns(self) -> int:
        """Give the communication that computing hides."""
        return self.communication_ns - self.exposed_communication_ns

    @property
    def overlap_share(self) -> float | None:
        """Give the hidden share of communication, None where there is none."""
        if not self.communication_ns:
            return None
        return self.overlapped_communication_ns / self.communication_ns

    @property
    def residual_ns(self) -> int:
        """Give what the parts leave of the window: 0, or the arithmetic is wrong."""
        exposed = self.exposed_communication_ns + self.exposed_memcpy_ns
        return self.window_ns - self.computing_ns - exposed - self.idle_ns


def split(busy: Busy, first_ns: int, last_ns: int) -> Parts:
    """Split the window from `first_ns` to `last_ns`."""
    inside = busy.within(first_ns, last_ns)
    computing, communication = inside.computing.merged(), inside.communication.merged()
    memcpy = inside.memcpy.merged()
    hidden = int(overlap_ns(communication, computing).sum())
    shadowed = int(overlap_ns(memcpy, together([computing, communication])).sum())
    idle = inside.all().gaps(first_ns, last_ns)
    return Parts(
        window_ns=max(last_ns - first_ns, 0),
        computing_ns=computing.length_ns(),
        communication_ns=communication.length_ns(),
        exposed_communication_ns=communication.length_ns() - hidden,
        memcpy_ns=memcpy.length_ns(),
        exposed_memcpy_ns=memcpy.length_ns() - shadowed,
        idle_ns=idle.length_ns(),
    )
