"""Time a sweep against answering its points one by one: CPU seconds, ratios in one run.

    python -m etsim.benchmarks.bench_sweep [NODES]

A recorded run over 1,000 machines, then a synthetic one of NODES rows (a million) over 100: points
by themselves, a sample of them, against all at once. The answers are compared as well.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from etsim.benchmarks.bench_replay import show, synthetic_graph
from etsim.converters.convert import Sources, convert
from etsim.models.graph import NONE, Category, ExecutionGraph, GraphMeta, Operator
from etsim.models.merge import merge_ranks
from etsim.models.specs import load
from etsim.simulator.compiled import has_numba
from etsim.simulator.sweep import Run, evaluate, evaluate_one
from etsim.simulator.sweep_points import Point, points_of

RECORDED = Path(__file__).resolve().parents[1] / "examples" / "recorded"
OPERATORS = 32  # distinct ones, as a training step of some layers has


def spanned(machines: Sequence[str], points: int, changes: Sequence[str] = ("",)) -> list[Point]:
    """Give machines over a range of bandwidths and launch latencies, with each what-if."""
    steps = points // (len(machines) * len(changes) * 2)
    bandwidths = [f"{1 + 3 * step / steps:.4f} TB/s" for step in range(steps)]
    spans = {"memory.bandwidth": bandwidths, "launch_latency": ["2 us", "8 us"]}
    return points_of(machines, spans, [list(changes)])


def with_operators(graph: ExecutionGraph) -> ExecutionGraph:
    """Give the graph's kernels products and sums of some sizes."""
    sizes = [256 + 64 * number for number in range(OPERATORS // 2)]
    operators = [
        Operator(name, input_shapes=((size, size), (size, size)), input_types=("float", "float"))
        for name in ("aten::mm", "aten::add")
        for size in sizes
    ]
    drawn = np.random.default_rng(4).integers(0, len(operators), len(graph))
    kernels = graph.nodes.category == Category.KERNEL
    operator = np.where(kernels, drawn, NONE).astype(np.int32)
    nodes = replace(graph.nodes, operator=operator)
    return replace(graph, nodes=nodes, operators=tuple(operators), meta=GraphMeta()).checked()


def compare(what: str, run: Run, points: list[Point], sample: int) -> None:
    """Answer a sample of the points by themselves, and all together."""
    recorded = merge_ranks(run.graphs)
    evaluate(run, points[:1])  # imports, and the compiler's start
    chosen = slice(0, None, -(-len(points) // sample))
    begin = time.process_time()
    alone = [evaluate_one(run, recorded, point) for point in points[chosen]]
    each = (time.process_time() - begin) / len(alone)
    begin = time.process_time()
    together = evaluate(run, points)
    spent = time.process_time() - begin
    assert together[chosen] == alone, "the sweep answers otherwise"
    faults = sum(1 for answer in together if answer.fault)
    show(f"{what}: {len(points):,} points one by one, CPU s", f"{each * len(points):.1f}")
    show("  together, CPU s", f"{spent:.2f}")
    show("  times less", f"{each * len(points) / spent:.0f}")
    if faults:
        show("  points without an answer", str(faults))


def main() -> None:
    """Run both."""
    nodes = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    print("with numba" if has_numba() else "without numba")
    et, trace = (RECORDED / f"transformer.{kind}.json.gz" for kind in ("et", "trace"))
    recorded = Run((convert(Sources(0, et, trace)).graph,), load("cpu-cloud-2core"))
    machines = ("a100-sxm-80gb", "h100-sxm")
    rows = len(recorded.graphs[0])
    compare(f"recorded run, {rows:,} rows", recorded, spanned(machines, 1000), 20)
    changes = ("", "amp", "batch:from=8,to=32", "ddp:ranks=8,link=ib400")
    compare("  4 what-ifs on it", recorded, spanned(machines, 1000, changes), 16)
    large = Run((with_operators(synthetic_graph(nodes)),), load("a100-sxm-80gb"))
    compare(f"synthetic run, {nodes:,} rows", large, spanned(("h100-sxm",), 100), 3)


if __name__ == "__main__":
    main()
