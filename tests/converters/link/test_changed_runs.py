"""What a replay says of a change, against the run that really had it: a small machine knows both.

Each program waits in another way, or is recorded by a profiler that leaves something out. A wait
that is not recognised is off by 20 to 100 % here.
"""

from collections.abc import Callable
from functools import partial

import pytest

from etsim.models.graph import EdgeKind
from etsim.tests.converters.link.small_machine import Machine, Program, error_of

ALLOWED = 0.02  # a launch's usual cost and latency are medians
SPELLINGS = (
    "DeviceSynchronize", "StreamSynchronize", "EventSynchronize", "StreamWaitEvent", "EventRecord",
)  # fmt: skip
CHANGES = ({"kernels": 0.5}, {"kernels": 2.0}, {"host": 0.5}, {"host": 2.0})


def busy(machine: Machine, wait: str = "cudaStreamSynchronize") -> None:
    """Keep the device busy: every round ends with a wait for it."""
    for turn in range(4):
        for number in range(6):
            machine.op(f"op{turn}.{number}", kernels=[(f"k{turn}.{number}", 7, 100)])
        machine.wait_for(wait, [7])


def overlapped(machine: Machine) -> None:
    """Copy on a second stream, between the work that it takes and the work that takes it.

    stream 7   [k][k][k]          [b]           [u]
    stream 20           [ copied        ]
    """
    for turn in range(6):
        for number in range(5):
            machine.op(f"op{turn}.{number}", kernels=[(f"k{turn}.{number}", 7, 100)])
        machine.record(f"ready{turn}", 7)
        machine.stream_wait(20, f"ready{turn}")
        machine.op(f"copy{turn}", kernels=[(f"copied{turn}", 20, 150)])
        machine.record(f"there{turn}", 20)
        machine.op(f"beside{turn}", kernels=[(f"b{turn}", 7, 60)])
        machine.stream_wait(7, f"there{turn}")
        machine.op(f"uses{turn}", kernels=[(f"u{turn}", 7, 30)])
    machine.wait_for("cudaDeviceSynchronize", [7, 20])


def prefetched(machine: Machine) -> None:
    """Copy ahead on a second stream; between record and wait come launches of other work."""
    for turn in range(6):
        machine.op(f"fetch{turn}", kernels=[(f"fetched{turn}", 20, 300)])
        machine.record(f"there{turn}", 20)
        for number in range(4):
            machine.op(f"op{turn}.{number}", kernels=[(f"k{turn}.{number}", 7, 70)])
        machine.stream_wait(7, f"there{turn}")
    machine.wait_for("cudaDeviceSynchronize", [7, 20])


def forked(machine: Machine) -> None:
    """Launch graphs whose work forks to a second stream and joins again."""
    for turn in range(4):
        machine.op(f"op{turn}", kernels=[])
        a, b, c, d, e, f = (f"{letter}{turn}" for letter in "abcdef")
        machine.graph(
            [(a, 7, 100, []), (b, 20, 80, [a]), (c, 7, 120, [a]), (d, 7, 50, [b, c]),
             (e, 20, 50, [d]), (f, 7, 90, [e])]
        )  # fmt: skip
    machine.wait_for("cudaDeviceSynchronize", [7, 20])


def check(program: Program, machine: Callable[..., Machine] = Machine) -> None:
    for change in CHANGES:
        error = error_of(program, machine, **change)
        assert abs(error) < ALLOWED, (change, error)


@pytest.mark.parametrize("program", [busy, overlapped, prefetched, forked])
def test_what_is_recorded_in_full_is_understood(program: Program) -> None:
    check(program)


@pytest.mark.parametrize("pattern", ["cu{}", "hip{}", "musa{}", "cuda{}_ptsz", "cuda{}_v3020"])
def test_a_wait_is_one_however_its_call_is_spelled(pattern: str) -> None:
    spelled = {f"cuda{name}": pattern.format(name) for name in SPELLINGS}
    check(overlapped, partial(Machine, spelled=spelled))


@pytest.mark.parametrize(
    "hidden", [("cudaEventRecord",), ("cudaEventRecord", "cudaStreamWaitEvent")]
)
def test_streams_that_wait_unrecorded_are_known_by_their_times(hidden: tuple[str, ...]) -> None:
    check(overlapped, partial(Machine, hidden=hidden))


def test_a_forked_graph_has_its_edges() -> None:
    machine = Machine()
    forked(machine)
    waits = machine.run.linked().edges(EdgeKind.STREAM_WAIT)
    assert {("a0", "b0"), ("d0", "e0"), ("e0", "f0")} <= waits


@pytest.mark.parametrize("call", ["cudaFree", "hipHostFree", "cuMemFree_v2"])
def test_releasing_memory_waits_for_the_device(call: str) -> None:
    check(partial(busy, wait=call))


@pytest.mark.parametrize("wake_us", [60, 100, 150, 2000])
def test_a_call_that_returns_late_waited_for_its_work_all_the_same(wake_us: float) -> None:
    """On either side of what a return may take: the rest follows the work, whenever that ends."""
    check(busy, partial(Machine, wake_us=wake_us))


@pytest.mark.parametrize("skew_us", [-20, 10, 50, 190])
@pytest.mark.parametrize("wait", ["cudaStreamSynchronize", "cudaDeviceSynchronize"])
def test_the_devices_clock_may_be_off(wait: str, skew_us: float) -> None:
    check(partial(busy, wait=wait), partial(Machine, skew_us=skew_us))
