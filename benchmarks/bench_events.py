"""Time the event engine against max-plus: ratios within one run, interleaved, medians of CPU time.

    python -m etsim.benchmarks.bench_events [ROWS]

A job of many ranks: each computes, and now and then sends over its node's NIC, which `SHARING`
ranks share. Without links, with links that nobody shares, and with links that all crowd.
"""

import sys
from collections.abc import Callable

import numpy as np

from etsim.benchmarks.bench_replay import seconds, show, synthetic_graph
from etsim.models.graph import NONE, ExecutionGraph
from etsim.models.hardware import LinkTier
from etsim.simulator.compiled import compiled, has_numba
from etsim.simulator.events.engine import replay_shared
from etsim.simulator.events.traffic import SharedLink, Traffic, Use, without_links
from etsim.simulator.kernels import longest_ends_unsigned
from etsim.simulator.replay import replay
from etsim.simulator.windows import loop_ends

BYTES_PER_S = 40 * 10**9
ROWS_A_TRANSFER = 10
STREAMS = (1, 8, 64)


def parallel_graph(rows: int, ranks: int) -> ExecutionGraph:
    """Give the same rank several times over, row by row beside each other, at other paces."""
    one = synthetic_graph(rows // ranks)
    copies = np.arange(len(one) * ranks) // ranks
    rank = np.arange(len(one) * ranks) % ranks
    counts = np.diff(one.edge_start)[copies]
    first = one.edge_start[copies]
    start = np.concatenate(([0], np.cumsum(counts)))
    edge = np.repeat(first - start[:-1], counts) + np.arange(int(start[-1]))
    nodes = one.nodes.take(copies)
    pace = np.random.default_rng(ranks).uniform(0.8, 1.25, ranks)[rank]
    nodes.duration_ns[:] = np.rint(nodes.duration_ns * pace)
    return ExecutionGraph(
        nodes,
        edge_start=start,
        edge_source=(one.edge_source[edge] * ranks + np.repeat(rank, counts)).astype(np.int32),
        edge_kind=one.edge_kind[edge],
        edge_lag_ns=one.edge_lag_ns[edge],
        names=one.names,
        lanes=one.lanes,
    ).checked()


def traffic_of(graph: ExecutionGraph, ranks: int, *, shared: bool) -> Traffic:
    """Let each rank's tenth kernel cross a link out and in: one for all ranks, or each its own."""
    nth = np.arange(len(graph)) // ranks
    sends = np.flatnonzero((nth % 3 == 2) & (nth // 3 % ROWS_A_TRANSFER == 0))
    flow_of_row = np.full(len(graph), NONE, dtype=np.int32)
    flow_of_row[sends] = np.arange(len(sends))
    ports = 1 if shared else ranks
    links = tuple(
        SharedLink(f"NIC {port}", LinkTier.NETWORK, BYTES_PER_S) for port in range(2 * ports)
    )
    whose = ((sends % ranks) % ports).tolist()
    flows = tuple((Use(2 * port, BYTES_PER_S), Use(2 * port + 1, BYTES_PER_S)) for port in whose)
    return Traffic(links, flows, flow_of_row)


def against_max_plus(rows: int, ranks: int) -> None:
    """Print what events cost beside the same graph in one pass."""
    graph = parallel_graph(rows, ranks)
    own, crowded = (traffic_of(graph, ranks, shared=shared) for shared in (False, True))
    ends = np.empty(len(graph), dtype=np.int64)
    costs = graph.nodes.duration_ns, graph.edge_lag_ns
    jobs: list[Callable[[], object]] = [
        lambda: loop_ends(graph, *costs, ends, (0, len(graph))),
        lambda: replay(graph),
        lambda: replay_shared(graph, without_links(len(graph))),
        lambda: replay_shared(graph, own),
        lambda: replay_shared(graph, crowded),
    ]
    if has_numba():
        start, source = graph.edge_start.view(np.uint64), graph.edge_source.view(np.uint32)
        fast = compiled(longest_ends_unsigned)
        jobs.append(lambda: fast(start, source, costs[1], costs[0], ends))
    loop, best, bare, alone, shared, *quick = seconds(*jobs, repeats=3)
    begun = replay_shared(graph, crowded)
    lost = sum(begun.lost_ns.values()) / max(1, sum(use.busy_ns for use in begun.uses))
    print(f"\n{len(graph):,} rows of {ranks} ranks, {len(own.flows):,} transfers")
    show("max-plus: plain loop, M rows/s", f"{len(graph) / loop / 1e6:.2f}")
    show("  as `replay` runs it, M rows/s", f"{len(graph) / best / 1e6:.2f}")
    if quick:
        show("  compiled, M rows/s", f"{len(graph) / quick[0] / 1e6:.0f}")
    for what, spent in (
        ("events, no links", bare),
        ("events, a NIC each", alone),
        ("events, one NIC for all", shared),
    ):
        told = f"{len(graph) / spent / 1e6:.2f} ({spent / loop:.1f} x the loop's time)"
        show(f"{what}, M rows/s", told)
    ended = 2 * len(crowded.flows) / shared
    show("  starts and ends of transfers a CPU second, with all rows", f"{ended:,.0f}")
    show("  time lost to others over the time the NIC was busy", f"{lost:.1f}")


def main() -> None:
    """Run for one rank and for many."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 300_000
    for ranks in STREAMS:
        against_max_plus(rows, ranks)


if __name__ == "__main__":
    main()
