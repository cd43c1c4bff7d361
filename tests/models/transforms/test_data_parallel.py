"""Scale-out, ranks, buckets, compression and sharding, against graphs drawn by hand.

host   F0 F1 B1 a1 |copy|issue| B0 a0 |copy|issue|  |copy back| o0 o1
comm                    [all_reduce 1]    [all_reduce 0]
"""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etsim.models.costs.collectives import transfer_ns
from etsim.models.costs.price import price
from etsim.models.graph import Category, Collective, EdgeKind, ExecutionGraph
from etsim.models.merge import merge_ranks
from etsim.models.specs import load
from etsim.models.transforms.buckets import FIRST_BUCKET_BYTES, bucketed
from etsim.models.transforms.compress import _factored
from etsim.models.transforms.gradient_messages import gradient_messages
from etsim.models.transforms.scenario import Scenario
from etsim.models.transforms.training import Gradient, iterations
from etsim.simulator.replay import replay

from .test_all import merged_run
from .training_graph import (
    PARAMETER_BYTES,
    applied,
    applied_to,
    names,
    rows_named,
    scenario_of,
    training_run,
)

MIB = 1 << 20


def gradients(*sizes_mib: float) -> list[Gradient]:
    return [
        Gradient(row, row, (int(size * MIB / 4),), "fp32") for row, size in enumerate(sizes_mib)
    ]


def collectives(graph: ExecutionGraph) -> list[int]:
    return np.flatnonzero(graph.nodes.category == Category.COLLECTIVE).tolist()


def message(graph: ExecutionGraph, row: int) -> int:
    return graph.collectives[int(graph.nodes.collective[row])].message_bytes


def test_a_bucket_closes_with_what_fills_it() -> None:
    """0.5 0.6 | 20 10 | 1 under the default cap: 1.1, 30 and 1 MiB."""
    found = bucketed(gradients(0.5, 0.6, 20, 10, 1), 25 * MIB)
    assert [len(bucket.gradients) for bucket in found] == [2, 2, 1]
    assert found[0].bytes >= FIRST_BUCKET_BYTES


def test_a_cap_of_ones_own_holds_for_the_first_bucket_too() -> None:
    assert [len(b.gradients) for b in bucketed(gradients(1, 1, 1, 1), 2 * MIB)] == [2, 2]


@given(st.lists(st.floats(0.01, 30), min_size=1, max_size=20), st.integers(1, 50))
def test_buckets_hold_every_gradient_once_in_order(sizes: list[float], cap_mib: int) -> None:
    wanted = gradients(*sizes)
    found = bucketed(wanted, cap_mib * MIB)
    assert [g for bucket in found for g in bucket.gradients] == wanted
    assert all(bucket.bytes >= cap_mib * MIB for bucket in found[1:-1])


def test_gradients_are_found_in_backward_order() -> None:
    found = iterations(training_run(layers=3, steps=2), "test")
    assert [len(iteration.gradients) for iteration in found] == [3, 3]
    rows = [gradient.row for gradient in found[0].gradients]
    assert rows == sorted(rows)
    assert found[0].gradients[0].bytes == PARAMETER_BYTES


def test_each_bucket_is_sent_as_soon_as_it_is_full() -> None:
    """Two gradients of 1 MiB, a cap of 1 MiB: two all-reduces, the first during backward."""
    graph = applied(training_run(layers=2), "ddp:ranks=8,bucket=1MiB,link=25GB/s")
    first, second = collectives(graph)
    assert [message(graph, row) for row in (first, second)] == [PARAMETER_BYTES] * 2
    assert first < rows_named(graph, "AccumulateGrad")[1]
    assert (second, EdgeKind.HANDOVER, 0) in [
        edge for row in rows_named(graph, "copy_bucket") for edge in graph.predecessors(row)
    ]
    assert graph.meta.world_size == 8


def test_a_late_transfer_delays_the_optimizer_alone() -> None:
    """views=1: no copies. Only the all-reduce changes its length; the step ends that much later."""
    graph = applied(training_run(layers=1), "ddp:ranks=2,bucket=1MiB,views=1,link=1GB/s")
    short = replay(graph, _with_transfers(graph, 1_000_000))
    long = replay(graph, _with_transfers(graph, 3_000_000))
    assert long.makespan_ns - short.makespan_ns == 2_000_000


def _with_transfers(
    graph: ExecutionGraph, duration_ns: int
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.where(
        graph.nodes.category == Category.COLLECTIVE, duration_ns, graph.nodes.duration_ns
    )


def test_transfers_overlap_backward_unless_asked_not_to() -> None:
    asked = "ddp:ranks=2,bucket=1MiB,link=1GB/s"
    graph = applied(training_run(layers=4), asked)
    late = applied(training_run(layers=4), f"{asked},overlap=0")
    transfer = 150_000
    overlapping = replay(graph, _with_transfers(graph, transfer)).makespan_ns
    waiting = replay(late, _with_transfers(late, transfer)).makespan_ns
    assert waiting - overlapping >= 2 * transfer


def test_without_a_spare_core_a_collective_keeps_its_thread_from_computing() -> None:
    machine = load("cpu-cloud-2core")
    crowded = Scenario(training_run(layers=4), machine, machine)
    graph = applied_to(crowded, "ddp:ranks=2,bucket=1MiB,link=node").graph
    transfer = 150_000
    none, some = (replay(graph, _with_transfers(graph, ns)).makespan_ns for ns in (0, transfer))
    assert some - none >= 4 * transfer - 4 * 50_000  # but for the time it takes to wake a thread


def test_an_inserted_all_reduce_takes_what_the_link_says() -> None:
    scenario = applied_to(scenario_of(training_run(layers=1)), "ddp:ranks=8,link=25GB/s")
    row = collectives(scenario.graph)[0]
    priced = price(scenario.graph, scenario.source, scenario.target)
    expected = transfer_ns(scenario.target, "all_reduce", PARAMETER_BYTES, 8)
    assert expected is not None
    assert priced.duration_ns[row] == round(expected)


def test_on_the_recordings_own_links_only_what_is_new_is_priced() -> None:
    scenario = applied_to(scenario_of(training_run(layers=1)), "ddp:ranks=2")
    priced = price(scenario.graph, scenario.source, scenario.target)
    new = collectives(scenario.graph)
    assert (priced.duration_ns[new] > 0).all()
    old = np.setdiff1d(np.arange(len(scenario.graph)), new)
    assert np.array_equal(priced.duration_ns[old], scenario.graph.nodes.duration_ns[old])


@pytest.mark.parametrize("device", [False, True])
def test_faster_links_never_make_a_run_longer(device: bool) -> None:
    times = []
    for link in ("1GB/s", "10GB/s", "100GB/s"):
        graph = training_run(layers=3, device=device)
        scenario = applied_to(scenario_of(graph), f"ddp:ranks=8,bucket=1MB,link={link}")
        priced = price(scenario.graph, scenario.source, scenario.target)
        times.append(replay(scenario.graph, priced.duration_ns, priced.lag_ns).makespan_ns)
    assert times[0] > times[1] >= times[2]


def test_fewer_ranks_meet_without_those_who_left() -> None:
    graph = applied(merged_run(), "ranks:ranks=1")
    assert not collectives(graph)
    assert set(graph.nodes.rank[graph.nodes.category != Category.ORIGIN].tolist()) == {0}
    assert len(graph.steps) == 1


def test_more_ranks_only_lengthen_the_transfer() -> None:
    graph = merged_run()
    more = applied(graph, "ranks:ranks=8")
    assert len(more) == len(graph)
    assert {len(c.ranks) for c in more.collectives} == {8}


@pytest.mark.parametrize("device", [False, True])
def test_one_large_bucket_replaces_many(device: bool) -> None:
    graph = merged_run(device=device)  # three gradients of 1 MiB, a bucket each, two ranks
    assert len(collectives(graph)) == 6
    one = applied(graph, "buckets:bucket=100MB")
    assert [message(one, row) for row in collectives(one)] == [3 * PARAMETER_BYTES] * 2
    joins = np.flatnonzero(one.nodes.category == Category.JOIN)
    assert len(joins) == 1
    assert {kind for _, kind, _ in one.predecessors(int(joins[0]))} == {EdgeKind.RENDEZVOUS}
    waiting = EdgeKind.STREAM_WAIT if device else EdgeKind.HANDOVER
    for sent in collectives(one):
        users = [
            row
            for row in rows_named(one, "copy_bucket")
            if (sent, waiting) in [(source, kind) for source, kind, _ in one.predecessors(row)]
        ]
        assert len(users) == 1  # the first copy back; the others stand behind it


def test_compression_halves_messages_and_adds_its_work() -> None:
    graph = merged_run()
    small = applied(graph, "compress")
    assert {message(small, row) for row in collectives(small)} == {PARAMETER_BYTES // 2}
    assert len(names(small, "fp16 compress")) == len(collectives(graph))


def test_powersgd_sends_two_thin_matrices() -> None:
    """512 x 512 floats at rank 2: 2 (512 + 512) · 4 bytes."""
    small = applied(merged_run(), "compress:powersgd,rank=2")
    assert {message(small, row) for row in collectives(small)} == {2 * 1024 * 4}


def test_zero_scatters_gradients_and_gathers_parameters() -> None:
    graph = applied(training_run(layers=2, steps=2), "zero:ranks=4,stage=1,link=25GB/s")
    buckets = 2  # of 1 MiB each
    assert len(names(graph, "gloo:reduce_scatter")) == 2 * buckets
    assert len(names(graph, "gloo:all_gather")) == 2 * buckets


def test_fsdp_gathers_each_layer_twice() -> None:
    graph = applied(training_run(layers=3), "zero:ranks=4,link=25GB/s")
    assert len(names(graph, "gloo:reduce_scatter")) == 3
    # the first unit stays gathered between its forward and its backward
    assert len(names(graph, "gloo:all_gather")) == 3 + 2


def test_ranks_drawn_alike_meet_at_once() -> None:
    graph = merged_run()
    assert replay(graph).makespan_ns == replay(merge_ranks([graph])).makespan_ns


def test_powersgd_sends_a_scalar_as_it_is() -> None:
    scalar = Gradient(0, 0, (), "fp32")
    sent = _factored(Collective("all_reduce", message_bytes=scalar.bytes), [scalar], 1)
    assert sent.message_bytes == scalar.bytes


@pytest.mark.parametrize("device", [False, True])
def test_as_many_messages_as_recorded_take_the_host_as_recorded(device: bool) -> None:
    """Issuing took 1 ms here and 50 us there: without overlap it still does."""
    graph = merged_run(device=device)
    duration = graph.nodes.duration_ns.copy()
    issuers = [message.issuer for message in gradient_messages(graph, "test")]
    duration[issuers] = np.where(np.arange(len(issuers)) % 2, 50_000, 1_000_000)
    graph = replace(graph, nodes=replace(graph.nodes, duration_ns=duration))
    after = applied(graph, "buckets:bucket=1MB,overlap=0")
    now = [message.issuer for message in gradient_messages(after, "test")]
    assert sorted(after.nodes.duration_ns[now].tolist()) == sorted(duration[issuers].tolist())
