"""Time the replay engine against the speed of memory: ratios within one run, interleaved, medians.

    python -m etsim.benchmarks.bench_replay [NODES]

Prints CPU time ratios; they are what holds on another machine. The compiled engine is timed
where the extra `fast` (numba) is installed, after its start-up.
"""

import sys
import time
import tracemalloc
from collections.abc import Callable
from functools import partial
from statistics import median

import numpy as np

from etsim.models.graph import (
    COLUMN_DEFAULTS,
    COLUMN_TYPES,
    Category,
    Columns,
    EdgeKind,
    ExecutionGraph,
    Lane,
    LaneKind,
)
from etsim.simulator import compiled as compiling
from etsim.simulator.compiled import compiled, has_numba
from etsim.simulator.incremental import checkpoints, reevaluate
from etsim.simulator.kernels import longest_ends_unsigned
from etsim.simulator.live_slots import live_slots
from etsim.simulator.replay import replay
from etsim.simulator.scaling import apply_scales, parse_scale
from etsim.simulator.scenarios import CostTables, Engine, by_factor, replay_scenarios
from etsim.simulator.windows import loop_ends, windowed_ends

REPEATS = 7
CLASSES = 32  # of kernels
HOST_CLASSES = 2
SYNC_EVERY = 3000  # rows between two waits of the host, as in a training step


def synthetic_graph(nodes: int) -> ExecutionGraph:
    """Give operator, launch, kernel, over and over; the host waits for the device now and then.

    host    [op]-->[launch]          [op]-->[launch]
    stream                `-->[kernel]------------`-->[kernel]     1.33 edges a node
    """
    rows = np.arange(nodes)
    place = rows % 3
    random = np.random.default_rng(0)
    sources = [
        np.where(place == 0, rows - 2, rows - 1),  # operator after launch, the others in a row
        np.where(place == 2, rows - 3, -1),  # kernel after kernel
        np.where((rows % SYNC_EVERY == 0) & (rows > 2), rows - 1, -1),  # operator after kernel
    ]
    source = np.stack(sources, axis=1)
    kept = source >= 0
    kinds = np.array([EdgeKind.HOST_ORDER, EdgeKind.STREAM_ORDER, EdgeKind.SYNC])
    kind = np.where(place[:, None] == 2, np.array([EdgeKind.LAUNCH, *kinds[1:]]), kinds)
    category = np.array([Category.HOST, Category.LAUNCH, Category.KERNEL])[place]
    columns = {
        "category": category,
        "lane": np.where(place == 2, 1, 0),
        "duration_ns": random.integers(500, 20_000, nodes),
        "flops": random.integers(0, 10**9, nodes),
        "bytes": random.integers(0, 10**7, nodes),
    }
    return ExecutionGraph(
        Columns(
            **{
                name: np.asarray(
                    columns.get(name, np.full(nodes, COLUMN_DEFAULTS.get(name, 0))), dtype=dtype
                )
                for name, dtype in COLUMN_TYPES.items()
            }
        ),
        edge_start=np.concatenate(([0], np.cumsum(kept.sum(axis=1)))),
        edge_source=source[kept].astype(np.int32),
        edge_kind=kind[kept].astype(np.uint8),
        edge_lag_ns=random.integers(0, 3000, int(kept.sum())),
        names=("op",),
        lanes=(Lane(LaneKind.HOST, 1, 1), Lane(LaneKind.DEVICE, 0, 7)),
    ).checked()


def seconds(*jobs: Callable[[], object], repeats: int = REPEATS) -> list[float]:
    """Give the median CPU time of each job, run in turn; the first turn warms up."""
    times: list[list[float]] = [[] for _ in jobs]
    for turn in range(repeats + 1):
        for job, of_job in zip(jobs, times, strict=True):
            begin = time.process_time()
            job()
            if turn:
                of_job.append(time.process_time() - begin)
    return [median(of_job) for of_job in times]


def show(what: str, figure: str, goal: str = "") -> None:
    """Print a line of the table."""
    print(f"{what:<66} {figure:>24}   {goal}")


def one_replay(graph: ExecutionGraph) -> None:
    """Compare one replay with a running sum over as many numbers."""
    durations, lags, nodes = graph.nodes.duration_ns, graph.edge_lag_ns, len(graph)
    ends = np.empty(nodes, dtype=np.int64)
    total, loop, windows = seconds(
        lambda: np.cumsum(durations),
        lambda: loop_ends(graph, durations, lags, ends, (0, nodes)),
        lambda: windowed_ends(graph, durations, lags),
        repeats=3,
    )
    show("np.cumsum, M nodes/s", f"{nodes / total / 1e6:.0f}")
    show("plain loop, M nodes/s", f"{nodes / loop / 1e6:.1f}")
    show("windows of lanes, no numba, M nodes/s", f"{nodes / windows / 1e6:.1f}", ">= 3")
    if has_numba():
        fast = compiled(longest_ends_unsigned)
        start, source = graph.edge_start.view(np.uint64), graph.edge_source.view(np.uint32)
        columns = start, source, lags, durations, ends
        total, quick = seconds(lambda: np.cumsum(durations), lambda: fast(*columns), repeats=21)
        show("compiled, M nodes/s", f"{nodes / quick / 1e6:.0f}")
        show("compiled, share of np.cumsum's rate", f"{total / quick:.2f}", ">= 0.5")


def fused_tables(graph: ExecutionGraph, scenarios: int) -> CostTables:
    """Give many targets: a roofline and a floor for kernels, a factor for the host's rows."""
    random = np.random.default_rng(1)
    shape = HOST_CLASSES + CLASSES, scenarios
    on_host = graph.nodes.category != Category.KERNEL
    of_host = np.arange(shape[0])[:, np.newaxis] < HOST_CLASSES
    drawn = random.integers(0, CLASSES, len(graph))
    return CostTables(
        row_class=np.where(on_host, drawn % HOST_CLASSES, HOST_CLASSES + drawn).astype(np.int32),
        work=np.where(on_host, graph.nodes.duration_ns, graph.nodes.flops).astype(np.float64),
        work_price=np.where(
            of_host, random.uniform(0.5, 2, shape), random.uniform(1e-6, 1e-4, shape)
        ),
        lag_ns=graph.edge_lag_ns,
        edge_class=np.where(graph.edge_kind == EdgeKind.HOST_ORDER, 0, -1).astype(np.int32),
        lag_factor=random.uniform(0.5, 2, (1, scenarios)),
        traffic=np.where(on_host, 0, graph.nodes.bytes).astype(np.float64),
        traffic_price=random.uniform(1e-4, 1e-2, shape),
        fixed_ns=np.where(of_host, 0.0, random.uniform(1000, 3000, shape)),
    )


def hundred_targets(graph: ExecutionGraph) -> None:
    """Compare the fused pass over 100 targets with pricing and replaying each."""
    tables, slots = fused_tables(graph, 100), live_slots(graph)
    few = tables.block(0, 5)
    engine = Engine.COMPILED if has_numba() else Engine.ROWS

    def by_hand() -> None:
        for target in range(few.scenarios):
            replay(graph, *few.costs(target))

    with_engine = "compiled" if has_numba() else "loop"
    looped, fused = seconds(
        by_hand,
        lambda: replay_scenarios(graph, tables, slots=slots, engine=engine),
        repeats=3,
    )
    rate = len(graph) * 100 / fused
    show(f"100 targets fused ({engine}), G node-targets/s", f"{rate / 1e9:.2f}", ">= 1")
    show(
        f"  times a loop of numpy cost + {with_engine} replay",
        f"{looped * 100 / few.scenarios / fused:.1f}",
        ">= 15",
    )
    show("  live slots", str(slots.count))


def many_scenarios() -> None:
    """10,000 scenarios of a 10,000-node graph."""
    graph = synthetic_graph(10_000)
    random = np.random.default_rng(2)
    classes = random.integers(0, CLASSES, len(graph)).astype(np.int32)
    tables = by_factor(graph, classes, random.uniform(0.5, 2, (CLASSES, 10_000)))
    for engine in (Engine.ROWS, Engine.COMPILED) if has_numba() else (Engine.ROWS,):
        (spent,) = seconds(partial(replay_scenarios, graph, tables, engine=engine), repeats=3)
        show(f"10,000 scenarios x 10,000 nodes ({engine}), CPU s", f"{spent:.2f}", "<= 1")


def memory_of_scenarios() -> None:
    """Show that memory does not grow with the scenarios but by their own tables."""
    graph = synthetic_graph(20_000)
    slots = live_slots(graph)
    peaks = []
    for scenarios in (100, 1000):
        tables = by_factor(graph, np.zeros(len(graph), np.int32), np.ones((1, scenarios)))
        tracemalloc.start()
        replay_scenarios(graph, tables, slots=slots, engine=Engine.ROWS)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    show("peak memory of 1000 scenarios over that of 100", f"{peaks[1] / peaks[0]:.2f}", "about 1")


def what_ifs() -> None:
    """A warm change of costs on 100,000 nodes, in full and only what moves."""
    graph = synthetic_graph(100_000)
    scale = [parse_scale("kernel=0.5")]
    costs = graph.nodes.duration_ns, graph.edge_lag_ns
    base = checkpoints(graph)
    row = 50_000
    changed = {row: int(graph.nodes.duration_ns[row]) + 5000}
    full, little = seconds(
        lambda: replay(graph, *apply_scales(graph, *costs, scale)),
        lambda: reevaluate(base, changed),
    )
    show("warm what-if on 100,000 nodes, ms", f"{full * 1e3:.0f}", "<= 100")
    show("  of one row, incremental, ms", f"{little * 1e3:.1f}")


def incremental_work(graph: ExecutionGraph) -> None:
    """Count the rows that one change in a large graph evaluates."""
    base = checkpoints(graph)
    rows = np.random.default_rng(3).integers(0, len(graph), 5).tolist()
    worst = max(reevaluate(base, {row: 50_000}).rows_evaluated for row in rows)
    show("incremental: times less rows than in full, worst of 5 changes",
         f"{len(graph) / worst:.0f}", ">= 100")  # fmt: skip


def main() -> None:
    """Run all benchmarks."""
    nodes = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    graph = synthetic_graph(nodes)
    told = "with numba" if has_numba() else "without numba"
    print(f"{nodes:,} nodes, {graph.edge_count:,} edges, {told}")
    one_replay(graph)
    if has_numba():  # 100 targets by rows take minutes
        compiling.WORTH_COMPILING = min(compiling.WORTH_COMPILING, nodes - 1)
        hundred_targets(graph)
    many_scenarios()
    memory_of_scenarios()
    what_ifs()
    incremental_work(graph)


if __name__ == "__main__":
    main()
