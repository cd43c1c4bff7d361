"""How far a run is bound by launches: kernels shorter than their own launch call, and queues.

queue(t) = launches begun - kernels started, per stream; a graph launch of n kernels adds n
"""

from dataclasses import dataclass

import numpy as np

from ..models.graph import Int64s
from .breakdown.activity import Activity, Part
from .breakdown.intervals import Intervals
from .breakdown.selection import Window
from .idle import host_waits

# CUDA's launch queue holds 1024; 1022-1029 kernels were outstanding when launches stalled (V100).
FULL_QUEUE = 1000
# The index above which a run counts as launch-bound, if the host also idles the device this much.
LAUNCH_BOUND_INDEX = 0.5
LAUNCH_BOUND_HOST_IDLE = 0.3


@dataclass(frozen=True, slots=True)
class LaunchBound:
    """Launches against the kernels they launched; copies are left out.

    Attributes:
        launches: calls that launched kernels in the window; a graph launch counts once.
        index: share of them that took longer than all they launched ran; kernels without a launch
            in the file count as not bound. A call's wait for a full queue is not its own time.
        host_share: host busy / (host busy + device busy), host being the launching thread.
        median_kernel_ns, median_launch_ns: of kernels, and of launch calls.
    """

    launches: int
    index: float
    host_share: float
    median_kernel_ns: int
    median_launch_ns: int

    def is_bound(self, host_idle_share: float) -> bool:
        """Tell whether launches bind the run, given the share of the window the host idled."""
        return self.index > LAUNCH_BOUND_INDEX and host_idle_share > LAUNCH_BOUND_HOST_IDLE


@dataclass(frozen=True, slots=True)
class QueueLength:
    """A stream's launch queue over a window.

    Attributes:
        clamped: kernels that started before their launch began (clocks disagree): counted as 0.
        full_ns: time with 1000 or more outstanding.
    """

    stream: str
    mean: float
    longest: int
    full_ns: int
    clamped: int


def launch_bound(activity: Activity, window: Window) -> LaunchBound | None:
    """Compare launches with their kernels; None where nothing in the window has a launch."""
    inside = (activity.end_ns > window.first_ns) & (activity.start_ns < window.last_ns)
    kernels = activity.where(inside & (activity.part != Part.MEMCPY))
    linked = kernels.where(kernels.launch >= 0)
    if not len(linked):
        return None
    calls, place = np.unique(linked.launch, return_inverse=True)
    launched_ns = np.zeros(len(calls), dtype=np.int64)
    ran_ns = linked.end_ns - linked.start_ns
    np.add.at(launched_ns, place, ran_ns)
    call_ns = linked.timeline.duration_ns[calls]
    host_ns = _host_busy_ns(linked, calls, window)
    device_ns = activity.intervals().within(window.first_ns, window.last_ns).length_ns()
    return LaunchBound(
        launches=len(calls),
        index=int((launched_ns < call_ns).sum()) / (len(calls) + len(kernels) - len(linked)),
        host_share=host_ns / (host_ns + device_ns) if host_ns + device_ns else 0.0,
        median_kernel_ns=int(np.median(ran_ns)),
        median_launch_ns=int(np.median(call_ns)),
    )


def _host_busy_ns(activity: Activity, calls: Int64s, window: Window) -> int:
    """Time in the window that the thread with most launches spent in rows, its waits left out."""
    timeline = activity.timeline
    lane = int(np.bincount(timeline.graph.nodes.lane[calls]).argmax())
    rows = np.flatnonzero(timeline.graph.nodes.lane == lane)
    spans = Intervals(timeline.start_ns[rows], timeline.end_ns[rows])
    waits = host_waits(timeline).of(lane).within(window.first_ns, window.last_ns)
    busy = spans.within(window.first_ns, window.last_ns)
    both = Intervals(
        np.concatenate((busy.start_ns, waits.start_ns)),
        np.concatenate((busy.end_ns, waits.end_ns)),
    )
    return both.length_ns() - waits.length_ns()


def queue_lengths(activity: Activity, window: Window) -> tuple[QueueLength, ...]:
    """Give each stream's launch queue; streams without launches are left out."""
    lanes = activity.graph.nodes.lane[activity.row]
    found = []
    for lane in np.unique(lanes).tolist():
        mine = activity.where((lanes == lane) & (activity.launch >= 0))
        if len(mine):
            found.append(_queue_length(mine, window, stream_name(activity, lane)))
    return tuple(found)


def stream_name(activity: Activity, lane: int) -> str:
    """Name a lane for people: `device 0 stream 7`, or a thread by its own name."""
    place = activity.graph.lanes[lane]
    if activity.cpu_only:
        return place.name or f"thread {place.number}"
    return place.name or f"device {place.group} stream {place.number}"


def _queue_length(activity: Activity, window: Window, stream: str) -> QueueLength:
    launched = activity.timeline.start_ns[activity.launch]
    started = np.maximum(activity.start_ns, launched)
    times = np.concatenate((launched, started))
    change = np.concatenate((np.ones(len(launched)), -np.ones(len(started)))).astype(np.int64)
    order = np.lexsort((-change, times))
    length = np.cumsum(change[order])
    begin = np.clip(times[order], window.first_ns, window.last_ns)
    lasts = np.diff(np.append(begin, window.last_ns))
    total = max(window.duration_ns, 1)
    seen = length[lasts > 0]
    return QueueLength(
        stream=stream,
        mean=float((length * lasts).sum() / total),
        longest=int(seen.max(initial=0)),
        full_ns=int(lasts[length >= FULL_QUEUE].sum()),
        clamped=int((activity.start_ns < launched).sum()),
    )
