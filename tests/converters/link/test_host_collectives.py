"""Collectives on a backend's own thread (gloo): issuer, waiter, and no serialising in between.

main    |c10d::allreduce_|  backward   (waits)  |div|
worker      |------- gloo:all_reduce -------|
"""

from typing import Any

import pytest

from etsim.models.graph import Category, EdgeKind, LaneKind
from etsim.simulator.replay import replay
from etsim.tests.kineto_maker import WORKER, Recording, Seen

BUCKET: dict[str, Any] = {"Input Dims": [[1000]], "Input type": ["float"]}


def all_reduce(*, bucket: list[int] | None = None) -> Seen:
    run = Recording()
    run.op("c10d::allreduce_", 0, 10)
    run.mark("gloo:all_reduce", 5, 505, thread=WORKER, said=BUCKET)
    run.op("backward", 12, 112, shapes=[[64, 64]])
    run.op("too early", 150, 160, shapes=[[1000]])
    run.op("div", 510, 520, shapes=[bucket or [1000], []])
    return run.linked()


def test_the_issuer_and_the_first_user_after_the_end_are_linked() -> None:
    edges = all_reduce().edges(EdgeKind.HANDOVER)
    assert ("c10d::allreduce_", "gloo:all_reduce") in edges
    assert ("gloo:all_reduce", "div") in edges
    assert ("gloo:all_reduce", "too early") not in edges


def test_it_is_a_collective_on_the_thread_where_it_ran() -> None:
    seen = all_reduce()
    graph, row = seen.graph, seen.row("gloo:all_reduce")
    assert graph.nodes.category[row] == Category.COLLECTIVE
    lane = graph.lane_of(row)
    assert (lane.kind, lane.number) == (LaneKind.HOST, WORKER)
    what = graph.collectives[int(graph.nodes.collective[row])]
    assert (what.kind, what.dtype, what.message_bytes) == ("all_reduce", "float", 4000)


def test_the_main_thread_goes_on_meanwhile_and_waits_only_at_the_end() -> None:
    """Twice the transfer: backward starts as before, the division 500 us later."""
    seen = all_reduce()
    durations = seen.graph.nodes.duration_ns.copy()
    durations[seen.row("gloo:all_reduce")] *= 2
    start = replay(seen.graph, durations).start_ns / 1000
    assert start[seen.row("backward")] == 12
    assert start[seen.row("div")] == 510 + 500


def test_without_the_transfer_the_division_follows_the_main_threads_own_work() -> None:
    """The wait is not kept as host time."""
    seen = all_reduce()
    durations = seen.graph.nodes.duration_ns.copy()
    durations[seen.row("gloo:all_reduce")] = 0
    start = replay(seen.graph, durations).start_ns / 1000
    assert start[seen.row("div")] <= 160 + 5


def test_a_collective_whose_tensor_nobody_takes_is_told() -> None:
    seen = all_reduce(bucket=[999])
    assert "1 host collectives have nobody waiting for them" in seen.graph.meta.notes


def test_a_collective_that_nobody_issued_is_told() -> None:
    run = Recording()
    run.op("before", 0, 10)
    run.mark("gloo:all_reduce", 5, 505, thread=WORKER, said=BUCKET)
    assert "1 host collectives have no issuing operator" in run.graph().meta.notes


def test_a_collective_is_not_issued_by_what_comes_after_it() -> None:
    run = Recording()
    run.mark("gloo:all_reduce", 5, 505, thread=WORKER, said=BUCKET)
    run.op("c10d::allreduce_", 600, 610)
    edges = run.linked().edges(EdgeKind.HANDOVER)
    assert ("c10d::allreduce_", "gloo:all_reduce") not in edges


@pytest.mark.parametrize("backend", ["gloo", "mpi", "ucc"])
def test_the_k_th_of_a_kind_belongs_to_the_k_th_operator_of_that_kind(backend: str) -> None:
    """Broadcasts and all-reduces are told apart, nested c10d operators counted once."""
    run = Recording()
    run.op("c10d::broadcast_", 0, 10)
    run.op("c10d::allreduce_", 20, 40)
    run.op("c10d::inner allreduce", 25, 35)
    run.op("c10d::allreduce_ second", 50, 60)
    for name, at in (("broadcast", 5), ("all_reduce", 30), ("all_reduce2", 55)):
        run.mark(f"{backend}:{name}", at, at + 10, thread=WORKER)
    edges = run.linked().edges(EdgeKind.HANDOVER)
    assert {
        ("c10d::broadcast_", f"{backend}:broadcast"),
        ("c10d::allreduce_", f"{backend}:all_reduce"),
        ("c10d::allreduce_ second", f"{backend}:all_reduce2"),
    } <= edges
