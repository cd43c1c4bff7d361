"""The cluster's event loop: small loads one can add in the head, and its invariants."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etsim.models.errors import AnalysisError
from etsim.models.serving.kv_transfer import TransferMode
from etsim.models.serving.outcome import ClusterRun
from etsim.models.serving.step_cost import FittedCost
from etsim.models.serving.workload import Workload
from etsim.simulator.serving.arrivals import Synthetic, generate
from etsim.simulator.serving.cluster import simulate
from etsim.simulator.serving.settings import (
    Cluster,
    EngineSettings,
    KvLink,
    Policy,
    Pool,
    Role,
    Routing,
)

# A prompt token takes 1 ns; a decode step 100 ns, whatever the batch.
COST = FittedCost(100.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def requests(*rows: tuple[int, int, int], prefixes: tuple[tuple[int, ...], ...] = ()) -> Workload:
    """Requests from (arrival ns, prompt, output)."""
    arrival, prompt, output = (np.array(c, dtype=np.int64) for c in zip(*rows, strict=True))
    return Workload(arrival, prompt, output, prefixes, 16)


def one_engine(**changes: object) -> Cluster:
    values = {"cost": COST, "kv_tokens": 10_000, "policy": Policy.PREFILL_FIRST, **changes}
    return Cluster((Pool("gpu", Role.BOTH, EngineSettings(**values), 1, 1),))  # type: ignore[arg-type]


def same_times(left: ClusterRun, right: ClusterRun) -> bool:
    names = left.times.__slots__
    return all(np.array_equal(getattr(left.times, n), getattr(right.times, n)) for n in names)


def test_a_lone_request_takes_its_prefill_and_its_steps() -> None:
    """arrive 5 | prefill 10 ns | token 1 | 2 steps of 100 ns"""
    run = simulate(one_engine(), requests((5, 10, 3)))
    assert run.times.first_token_ns.tolist() == [15]
    assert run.times.finish_ns.tolist() == [215]


def test_prompts_go_first_and_stall_the_tokens_of_others() -> None:
    """a: prefill 0-10, steps from 10; b arrives at 50, waits for the step, 110-150 prefill.

    a   |--prefill--|--step 10-110--| wait |--step 150-250--|
    b                   arrives 50  |-110-150-|--step 150-250--|
    """
    run = simulate(one_engine(), requests((0, 10, 3), (50, 40, 2)))
    assert run.times.first_token_ns.tolist() == [10, 150]
    assert run.times.finish_ns.tolist() == [250, 250]


def test_decoding_first_mixes_the_prompt_into_the_step() -> None:
    """The step that carries b's prompt takes 100 + 40 ns and still gives a its token."""
    run = simulate(one_engine(policy=Policy.DECODE_FIRST), requests((0, 10, 3), (50, 40, 2)))
    assert run.times.first_token_ns.tolist() == [10, 250]
    assert run.times.finish_ns.tolist() == [250, 350]


def test_a_long_prompt_is_computed_in_chunks_of_the_budget() -> None:
    cluster = one_engine(step_tokens=16)
    run = simulate(cluster, requests((0, 40, 2)))
    assert run.times.first_token_ns.tolist() == [40]
    assert run.events == 1 + 3 + 1 + 1  # arrival, three chunks, one decode step, one completion


def test_an_unchunked_prompt_beyond_the_budget_goes_alone() -> None:
    run = simulate(one_engine(step_tokens=16, chunked=False), requests((0, 40, 1), (0, 4, 1)))
    assert run.times.finish_ns.tolist() == [40, 44]


def test_the_last_come_is_preempted_when_blocks_run_out_and_computed_again() -> None:
    """4 blocks of 4 tokens: a and b hold 2 each at 5-8 tokens; a's 9th token takes b's blocks."""
    cluster = one_engine(kv_tokens=16, block_tokens=4)
    run = simulate(cluster, requests((0, 6, 6), (0, 6, 6)))
    assert run.times.preemptions.tolist() == [0, 1]
    first, second = run.times.finish_ns.tolist()
    assert first == 12 + 5 * 100
    # b had 3 tokens (8 stored); it computes 6 + 3 again once a is gone, then 2 steps.
    assert second == first + 9 + 2 * 100


def test_a_request_longer_than_the_cache_is_refused_and_counted() -> None:
    run = simulate(one_engine(kv_tokens=32), requests((0, 40, 2), (0, 8, 2)))
    assert run.rejected == 1
    assert run.times.done.tolist() == [False, True]
    assert run.notes == ("1 requests are longer than the KV cache: not served",)


def test_a_cached_prefix_is_not_computed_again() -> None:
    """Two prompts of 40 tokens share two blocks of 16; 8 tokens are left to compute."""
    load = requests((0, 40, 1), (1000, 40, 1), prefixes=((7, 8, 9), (7, 8, 10)))
    run = simulate(one_engine(prefix_cache=True), load)
    assert run.times.prefix_tokens.tolist() == [0, 32]
    assert run.times.finish_ns.tolist() == [40, 1008]


def test_kept_prefixes_give_way_to_requests() -> None:
    """64 tokens of room; a third prompt of 48 pushes the first one's prefix out."""
    load = requests(
        (0, 40, 1), (1000, 64, 1), (2000, 40, 1), prefixes=((7, 8), (1, 2, 3, 4), (7, 8))
    )
    run = simulate(one_engine(kv_tokens=80, prefix_cache=True), load)
    assert run.times.prefix_tokens.tolist() == [0, 0, 0]
    assert run.times.done.all()


def apart(link: KvLink | None, decodes: int = 1) -> Cluster:
    engine = EngineSettings(COST, 10_000, policy=Policy.PREFILL_FIRST)
    prefill = Pool("prefill", Role.PREFILL, engine, 1, 1)
    return Cluster((prefill, Pool("decode", Role.DECODE, engine, decodes, 1)), link=link)


def test_kv_moves_serially_before_decoding_goes_on() -> None:
    """20 tokens of 5 bytes over 1 byte/ns: 100 ns after the first token."""
    link = KvLink(1e9, 1e9, 5.0, 4, TransferMode.SERIAL)
    run = simulate(apart(link), requests((0, 20, 3)))
    assert run.times.first_token_ns.tolist() == [20]
    assert run.times.kv_ready_ns.tolist() == [120]
    assert run.times.finish_ns.tolist() == [320]


@pytest.mark.parametrize(("kv_bytes", "exposed"), [(0.8, 4), (5.0, 85)])
def test_layered_transfer_hides_behind_the_prefill_as_the_closed_form_says(
    kv_bytes: float, exposed: int
) -> None:
    """t_p = 20 ns, 4 layers: c = 5. 16 bytes: tau = 4 <= c; 100 bytes: 5 + 100 - 20."""
    run = simulate(apart(KvLink(1e9, 1e9, kv_bytes, 4)), requests((0, 20, 3)))
    assert run.times.kv_ready_ns.tolist() == [20 + exposed]


def test_transfers_share_the_link() -> None:
    """Two transfers of 100 ns each, 20 ns apart: the first ends at 20 + 20 + 2 * 80."""
    link = KvLink(1e9, 1e9, 5.0, 4, TransferMode.SERIAL)
    cluster = apart(link)
    load = requests((0, 20, 2), (1, 20, 2))
    run = simulate(cluster, load)
    assert run.times.first_token_ns.tolist() == [20, 40]
    assert run.times.kv_ready_ns.tolist() == [200, 220]
    assert run.link_busy_ns == 200


def test_a_wider_link_lets_each_transfer_go_at_its_own_speed() -> None:
    run = simulate(
        apart(KvLink(4e9, 1e9, 5.0, 4, TransferMode.SERIAL)), requests((0, 20, 2), (1, 20, 2))
    )
    assert run.times.kv_ready_ns.tolist() == [120, 140]


@pytest.mark.parametrize("routing", list(Routing))
def test_every_router_serves_everyone(routing: Routing) -> None:
    engine = EngineSettings(COST, 10_000)
    cluster = Cluster((Pool("gpu", Role.BOTH, engine, 3, 1),), routing=routing)
    run = simulate(cluster, requests(*((10 * i, 5, 4) for i in range(12))))
    assert run.times.done.all()
    assert set(run.times.replica.tolist()) == {0, 1, 2}


def test_a_cluster_without_decode_is_told() -> None:
    engine = EngineSettings(COST, 10_000)
    with pytest.raises(AnalysisError, match="no engine that can serve"):
        simulate(Cluster((Pool("p", Role.PREFILL, engine, 1, 1),)), requests((0, 1, 2)))


loads = st.lists(
    st.tuples(st.integers(0, 3000), st.integers(1, 60), st.integers(1, 40)), min_size=1, max_size=25
).map(lambda rows: requests(*sorted(rows)))


@settings(max_examples=40, deadline=None)
@given(
    load=loads,
    kv_tokens=st.sampled_from([112, 200, 4000]),
    policy=st.sampled_from(Policy),
    chunked=st.booleans(),
    slope=st.sampled_from([0.0, 0.37]),
)
def test_taking_runs_of_steps_changes_nothing(
    load: Workload, kv_tokens: int, policy: Policy, chunked: bool, slope: float
) -> None:
    cost = FittedCost(100.0, 1.5, slope, 0.0, 1.0, 0.01)
    engine = EngineSettings(cost, kv_tokens, 4, 24, policy=policy, chunked=chunked)
    pools = (Pool("gpu", Role.BOTH, engine, 2, 1),)
    runs = simulate(Cluster(pools), load)
    steps = simulate(Cluster(pools, take_runs=False), load)
    assert same_times(runs, steps)
    assert runs.events == steps.events
    assert runs.loop_events <= steps.loop_events


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, 900), st.integers(0, 3), st.integers(1, 30)), min_size=1)
)
def test_prefix_caching_under_pressure_loses_no_block(rows: list[tuple[int, int, int]]) -> None:
    """Prompts of 40 tokens in four families of prefixes, room for three requests at most."""
    rows = sorted(rows)
    load = requests(
        *((when, 40, output) for when, _family, output in rows),
        prefixes=tuple((family, 10 + family, 20 + i) for i, (_t, family, _o) in enumerate(rows)),
    )
    engine = EngineSettings(COST, 192, 8, 24, prefix_cache=True)
    pools = (Pool("gpu", Role.BOTH, engine, 1, 1),)
    runs = simulate(Cluster(pools), load)
    assert runs.times.done.all()
    assert np.all(runs.times.prefix_tokens <= 32)
    assert same_times(runs, simulate(Cluster(pools, take_runs=False), load))


@settings(max_examples=30, deadline=None)
@given(load=loads, mode=st.sampled_from(TransferMode), decodes=st.integers(1, 2))
def test_nobody_is_lost_and_time_never_runs_backwards(
    load: Workload, mode: TransferMode, decodes: int
) -> None:
    run = simulate(apart(KvLink(2e9, 1e9, 3.0, 4, mode), decodes), load)
    t = run.times
    assert t.done.all()
    assert np.all(t.arrival_ns <= t.start_ns)
    assert np.all(t.start_ns < t.first_token_ns)
    assert np.all(t.first_token_ns <= t.finish_ns)
    several = t.output_tokens > 1
    assert np.all((t.kv_ready_ns <= t.finish_ns)[several])


def test_the_same_seed_gives_the_same_run() -> None:
    load = Synthetic(2e7, 200, 30, 10, length_cv=1.0, seed=4)
    runs = [simulate(one_engine(kv_tokens=900), generate(load)) for _ in range(2)]
    assert same_times(*runs)
    assert runs[0].times.preemptions.sum() > 0


def test_recorded_slices_cover_the_busy_time() -> None:
    cluster = Cluster(one_engine().pools, record=True)
    run = simulate(cluster, requests((0, 10, 3), (50, 40, 2)))
    assert sum(s.end_ns - s.start_ns for s in run.slices) == run.engines[0].busy_ns
    assert all(a.end_ns <= b.start_ns for a, b in itertools.pairwise(run.slices))
