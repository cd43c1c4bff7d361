"""A machine of one host thread and a few streams: runs programs, and records them as Kineto would.

Run a program once as it is and once with kernels twice as fast: the first recording, replayed with
`kernel=0.5`, must give the time of the second run. So the truth of a what-if is known.

    def program(machine):
        machine.op("mm", kernels=[("gemm", 7, 100)])
        machine.wait_for("cudaStreamSynchronize", [7])

All times are microseconds.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from etsim.simulator.replay import replay
from etsim.simulator.scaling import apply_scales, parse_scale
from etsim.tests.kineto_maker import Recording, Seen

LONG_AGO = -1e9
TURN_ROUND, LATENCY, LAUNCH, RETURN = 1.0, 4.0, 5.0, 5.0


@dataclass(slots=True)
class Machine:
    """Time passes on it as on a GPU with its host.

    Attributes:
        kernels, host: factors on what kernels and host work take.
        hidden: calls that the profiler leaves out.
        spelled: how it spells calls, by their usual name.
        wake_us: from the end of what a call waits for until the call returns.
        skew_us: how far the device's clock is ahead in the recording.
    """

    kernels: float = 1.0
    host: float = 1.0
    hidden: Sequence[str] = ()
    spelled: Mapping[str, str] = field(default_factory=dict)
    wake_us: float = RETURN
    skew_us: float = 0.0
    now: float = 0.0
    run: Recording = field(default_factory=Recording)
    busy_until: dict[int, float] = field(default_factory=dict)
    waits_until: dict[int, float] = field(default_factory=dict)
    events: dict[str, float] = field(default_factory=dict)

    def op(self, name: str, *, kernels: Sequence[tuple[str, int, float]], us: float = 20) -> None:
        """Run an operator that launches (name, stream, duration) each."""
        begin = self.now
        self.now += us * self.host / 2
        for kernel, stream, duration in kernels:
            call = self.call("cudaLaunchKernel", LAUNCH)
            self._kernel(kernel, stream, duration, call, self.now + LATENCY)
        self.now += us * self.host / 2
        self.run.op(name, begin, round(self.now, 3))
        self.now += self.host

    def graph(self, nodes: Sequence[tuple[str, int, float, Sequence[str]]]) -> None:
        """Launch a graph of (name, stream, duration, names of what it waits for)."""
        call, ends = self.call("cudaGraphLaunch", 20), dict[str, float]()
        idle = max(self.busy_until.values(), default=LONG_AGO)
        ready = max(self.now + LATENCY, idle + TURN_ROUND)
        for name, stream, duration, before in nodes:
            after = max([ready, *(ends[other] + TURN_ROUND for other in before)])
            ends[name] = self._kernel(name, stream, duration, call, after)

    def record(self, event: str, stream: int) -> None:
        """Let an event happen when a stream has done what it has now."""
        self.call("cudaEventRecord", 2)
        self.events[event] = self.busy_until[stream]

    def stream_wait(self, stream: int, event: str) -> None:
        """Let a stream's later work wait for an event."""
        self.call("cudaStreamWaitEvent", 2)
        self.waits_until[stream] = max(
            self.waits_until.get(stream, LONG_AGO), self.events[event] + TURN_ROUND
        )

    def wait_for(self, name: str, streams: Sequence[int]) -> None:
        """Call what returns when the streams are idle."""
        begin = self.now
        idle = max(self.busy_until[stream] for stream in streams)
        self.now = max(self.now + 3 * self.host, idle + self.wake_us)
        self.run.call(self.spelled.get(name, name), round(begin, 3), round(self.now, 3))
        self.now += self.host

    def call(self, name: str, us: float) -> int:
        """Call the runtime; gives the correlation, 0 where the profiler leaves such calls out."""
        begin = self.now
        self.now += us * self.host
        if name in self.hidden:
            return 0
        return self.run.call(self.spelled.get(name, name), round(begin, 3), round(self.now, 3))

    def _kernel(self, name: str, stream: int, duration: float, call: int, ready: float) -> float:
        idle = self.busy_until.get(stream, LONG_AGO) + TURN_ROUND
        start = max(ready, idle, self.waits_until.pop(stream, LONG_AGO))
        end = self.busy_until[stream] = start + duration * self.kernels
        seen = round(start + self.skew_us, 3), round(end + self.skew_us, 3)
        self.run.kernel(name, *seen, by=call, stream=stream)
        return end


Program = Callable[[Machine], None]


def error_of(program: Program, machine: Callable[..., Machine], **change: float) -> float:
    """Give the relative error of what replaying a recording says of a change.

    Args:
        program: what runs.
        machine: makes the machine, given the factors that are to change.
        change: `kernels` or `host`, with its factor.
    """
    recorded, truth = machine(), machine(**change)
    program(recorded)
    program(truth)
    scales = [f"{'kernel' if what == 'kernels' else what}={f}" for what, f in change.items()]
    return host_end_us(recorded.run.linked(), scales) / truth.now - 1


def host_end_us(seen: Seen, scales: Sequence[str]) -> float:
    """Give when the host is done, with costs scaled."""
    graph = seen.graph
    asked = [parse_scale(scale) for scale in scales]
    duration, lag = apply_scales(graph, graph.nodes.duration_ns, graph.edge_lag_ns, asked)
    return float(replay(graph, duration, lag).end_ns[~graph.on_device()].max()) / 1000
