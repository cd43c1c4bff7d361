"""Time every what-if, warm, on a run of many rows: the edit, the check, the pricing, the replay.

    python -m etsim.benchmarks.bench_whatif [ROWS] [--only NAME] [--profile NAME]

Medians of CPU time in ms. `rows` are those of the new graph: where a change multiplies the ranks or
the layers, the time goes with them.
"""

import argparse
import cProfile
import pstats
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

from etsim.benchmarks.whatif_graph import MACHINE, data_parallel_run, training_run
from etsim.models.graph import ExecutionGraph
from etsim.models.specs import load
from etsim.models.transforms.catalogue import parse_asked, transforms
from etsim.models.transforms.edit import sound
from etsim.models.transforms.scenario import Scenario
from etsim.simulator.predict import price_all
from etsim.simulator.replay import replay

ROWS = 100_000
REPEATS = 5
T = TypeVar("T")
ALONE = (
    "hw:name=h100", "host:speed=2", "launch:cost=0.5", "link:bandwidth=2",
    "scale:name=aten::mm,factor=0.5", "remove:name=aten::native_layer_norm", "remove:name=aten::t",
    "fuse:name=aten::*_", "amp", "amp:dtype=fp16,grads=1", "quantise:bits=8", "fused-optimizer",
    "cuda-graphs", "data-loader", "data-loader:factor=0.5",
    "batch:from=8,to=16", "length:from=512,to=1024",
    "layers:to=32", "layers:to=12", "accumulate:steps=2", "checkpoint",
    "ddp:ranks=8,link=ib400", "ddp:ranks=8,link=ib400,overlap=0,views=1",
    "zero:ranks=8,stage=1,link=ib400", "zero:ranks=8,stage=3,link=ib400",
    "tp:degree=2", "pipeline:stages=4,micro=8,link=ib400",
)  # fmt: skip
TOGETHER = (
    "ranks:ranks=8,link=ib400", "ranks:ranks=1", "buckets:bucket=50MB",
    "buckets:bucket=50MB,overlap=0", "compress", "compress:method=powersgd",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Spent:
    """Median CPU milliseconds of each part of one what-if."""

    edit: float
    check: float
    price: float
    replay: float
    rows: int

    @property
    def total(self) -> float:
        """Give the whole what-if's time."""
        return self.edit + self.check + self.price + self.replay


def timed(job: Callable[[], T], times: list[float]) -> T:
    """Do a job, and note its CPU time in ms."""
    begin = time.process_time()
    result = job()
    times.append((time.process_time() - begin) * 1e3)
    return result


def measured(graph: ExecutionGraph, text: str, repeats: int = REPEATS) -> Spent:
    """Apply one change several times; the first one warms up."""
    machine = load(MACHINE)
    base = Scenario(graph, machine, machine)
    asked = parse_asked(text)
    parts: list[list[float]] = [[], [], [], []]
    rows = 0
    for _ in range(repeats + 1):
        after = timed(lambda: asked(base), parts[0])
        changed = after.graph
        timed(lambda: sound(changed, text), parts[1])  # noqa: B023  # called at once
        priced = timed(lambda: price_all(changed, after.source, after.target), parts[2])  # noqa: B023
        timed(lambda: replay(changed, priced.duration_ns, priced.lag_ns), parts[3])  # noqa: B023
        rows = len(changed)
    edit, check, price, replayed = (median(part[1:]) for part in parts)
    return Spent(edit, check, price, replayed, rows)


def show(graph: ExecutionGraph, text: str) -> None:
    """Print one line of the table."""
    spent = measured(graph, text)
    print(
        f"{text:<45} {spent.edit:>8.0f} {spent.check:>7.0f} {spent.price:>7.0f} "
        f"{spent.replay:>7.0f} {spent.total:>8.0f} {spent.rows:>9,}", flush=True,
    )  # fmt: skip


def profiled(graph: ExecutionGraph, text: str) -> None:
    """Print where one edit's time goes."""
    machine = load(MACHINE)
    base, asked = Scenario(graph, machine, machine), parse_asked(text)
    asked(base)
    profile = cProfile.Profile()
    profile.runcall(asked, base)
    pstats.Stats(profile).sort_stats("tottime").print_stats(18)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("rows", type=int, nargs="?", default=ROWS)
    parser.add_argument("--only", default="", help="changes that begin so")
    parser.add_argument("--profile", action="store_true", help="show where their edits spend time")
    given = parser.parse_args()
    covered = {text.partition(":")[0] for text in (*ALONE, *TOGETHER)}
    assert covered == set(transforms()), covered ^ set(transforms())
    do = profiled if given.profile else show
    for texts, make in ((ALONE, training_run), (TOGETHER, data_parallel_run)):
        chosen = [text for text in texts if text.startswith(given.only)]
        if not chosen:
            continue
        graph = make(given.rows)
        print(f"{len(graph):,} rows, {graph.edge_count:,} edges, {len(graph.steps)} steps")
        print(f"{'CPU ms':<45} {'edit':>8} {'check':>7} {'price':>7} {'replay':>7} {'all':>8}")
        for text in chosen:
            do(graph, text)


if __name__ == "__main__":
    main()
