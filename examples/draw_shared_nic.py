"""Draw four ranks on two nodes of two devices, whose data-parallel groups cross one NIC a node.

python examples/draw_shared_nic.py examples/shared_nic

    compute  [backward 1][backward 2]...............[optimizer]
    comm                 [all_reduce 1][all_reduce 2]

    node 0: ranks 0, 1      group dp0: ranks 0, 2
    node 1: ranks 2, 3      group dp1: ranks 1, 3       both groups talk at the same time

Nothing was recorded: the times are round numbers, so that the answer can be worked out by hand.
"""

import sys
from dataclasses import replace
from pathlib import Path

from etsim.converters.chakra import write_graph
from etsim.models.graph import Category, Collective, EdgeKind, ExecutionGraph, GraphMeta, LaneKind
from etsim.models.graph_builder import GraphBuilder
from etsim.simulator.replay import replay

RANKS = 4
BUCKET_BYTES = 25 * 2**20
CALL_NS = 10_000
REDUCE = "ncclDevKernel_AllReduce_Sum_f32_RING_LL"
COMPUTE, COMM = 7, 20
# name, stream, duration, and which of these rows it waits for; an all-reduce alone: 37 GB/s
WORK = (
    ("backward 1", COMPUTE, 800_000, ()),
    (REDUCE, COMM, 700_000, (0,)),
    ("backward 2", COMPUTE, 800_000, (0,)),
    (REDUCE, COMM, 700_000, (1, 2)),
    ("optimizer", COMPUTE, 200_000, (2, 3)),
)


def draw(rank: int) -> ExecutionGraph:
    """Give one rank's graph: a step of launches, then their work; starts as a replay finds them."""
    b = GraphBuilder(GraphMeta(rank=rank, world_size=RANKS, source_device="NVIDIA H100 80GB HBM3"))
    step = b.step("step_0", 0, len(WORK) + 1)
    calls = host_calls(b, rank, step)
    message = Collective("all_reduce", f"dp{rank % 2}", (rank % 2, rank % 2 + 2), "float",
                         BUCKET_BYTES)  # fmt: skip
    rows: list[int] = []
    for number, (name, stream, duration_ns, waits) in enumerate(WORK):
        reduces = name == REDUCE
        columns: dict[str, Collective | int] = {}
        if reduces:
            columns = {"collective": message, "sequence": number // 2}
        after = [(rows[wait], EdgeKind.STREAM_WAIT, 0) for wait in waits]
        row = b.add(
            name, b.lane(LaneKind.DEVICE, rank, stream), duration_ns=duration_ns, rank=rank,
            category=Category.COLLECTIVE if reduces else Category.KERNEL, step=step,
            after=[(calls[number], EdgeKind.LAUNCH, 0), *after], **columns,
        )  # fmt: skip
        rows.append(row)
    graph = b.build()
    return replace(graph, nodes=replace(graph.nodes, start_ns=replay(graph).start_ns))


def host_calls(b: GraphBuilder, rank: int, step: int) -> list[int]:
    """Add the step's marks with a launch of each work between; give the launches."""
    host = b.lane(LaneKind.HOST, 1, 1, "host")
    calls = [("begin", Category.ANNOTATION, 0)]
    calls += [("cudaLaunchKernel", Category.LAUNCH, CALL_NS)] * len(WORK)
    rows: list[int] = []
    for name, category, duration_ns in (*calls, ("end", Category.ANNOTATION, 0)):
        after = [(rows[-1], EdgeKind.HOST_ORDER, 0)] if rows else []
        row = b.add(name, host, category=category, duration_ns=duration_ns, after=after,
                    rank=rank, step=step)  # fmt: skip
        rows.append(row)
    return rows[1:-1]


def main() -> None:
    """Write one .et a rank."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for rank in range(RANKS):
        write_graph(draw(rank), folder / f"run.{rank}.et")


if __name__ == "__main__":
    main()
