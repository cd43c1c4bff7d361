"""Time reading and writing of `.et` files against plain protobuf: one message object a node.

    python -m etsim.benchmarks.bench_chakra [NODES]        or: python benchmarks/bench_chakra.py

Prints CPU microseconds a node and the ratios; the ratios are what holds on another machine.
"""

import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from etsim.converters.chakra import read_graph, write_graph
from etsim.converters.chakra.frames import framed
from etsim.converters.chakra.schema import Node
from etsim.converters.chakra.write import encode_graph
from etsim.models.graph import (
    COLUMN_DEFAULTS,
    COLUMN_TYPES,
    Category,
    Collective,
    Columns,
    EdgeKind,
    ExecutionGraph,
    Lane,
    LaneKind,
    NodeKind,
    Operator,
    Step,
    same_graph,
)

REPEATS = 5
OPERATORS, KERNELS = 400, 200
HOST_SHARE, COLLECTIVE_SHARE = 0.75, 0.02
STEPS = 5
HERE = Path("bench.et")


def synthetic_graph(count: int) -> ExecutionGraph:
    """Give a graph like a transformer's: two threads, two streams, some collectives, 5 steps."""
    random = np.random.default_rng(0)
    rows = np.arange(count)
    lane = random.choice(4, count, p=[0.55, 0.2, 0.2, 0.05])
    on_host = lane < 2
    duration_ns = random.integers(300, 200_000, count)
    operator = random.integers(0, OPERATORS, count)
    collective = ~on_host & (random.random(count) < COLLECTIVE_SHARE)
    columns: dict[str, Any] = {
        "kind": np.where(collective, NodeKind.COMM_COLL, NodeKind.COMP),
        "category": np.where(on_host, Category.HOST, Category.KERNEL),
        "name": np.where(on_host, operator, OPERATORS + operator % KERNELS),
        "lane": lane,
        "start_ns": np.cumsum(duration_ns) - duration_ns,
        "duration_ns": duration_ns,
        "operator": np.where(on_host, operator, -1),
        "collective": np.where(collective, 0, -1),
        "sequence": np.where(collective, np.cumsum(collective), -1),
        "step": np.minimum(rows * STEPS // count, STEPS - 1),
        "module": random.integers(0, OPERATORS, count),
        "flops": random.integers(0, 10**10, count),
        "bytes": random.integers(0, 10**8, count),
        "parent": np.maximum(rows - 1, 0),
        "rf_id": rows,
        "seq_id": np.where(random.random(count) < 0.5, -1, rows),
    }
    degree = random.choice([1, 2, 3], count, p=[0.75, 0.2, 0.05])
    degree[0] = 0
    target = np.repeat(rows, degree)
    source = np.maximum(target - random.integers(1, 100, len(target)), 0)
    return ExecutionGraph(
        Columns(
            **{
                name: np.asarray(
                    columns.get(name, np.full(count, COLUMN_DEFAULTS.get(name, 0))), dtype=kind
                )
                for name, kind in COLUMN_TYPES.items()
            }
        ),
        edge_start=np.concatenate(([0], np.cumsum(degree))).astype(np.int64),
        edge_source=source.astype(np.int32),
        edge_kind=np.full(len(source), EdgeKind.HOST_ORDER, dtype=np.uint8),
        edge_lag_ns=random.integers(0, 10_000, len(source)),
        names=tuple(
            [f"aten::op_{i}" for i in range(OPERATORS)]
            + [f"void at::native::kernel_{i}<{'x' * 60}>" for i in range(KERNELS)]
        ),
        lanes=(
            Lane(LaneKind.HOST, 1, 1, "main"),
            Lane(LaneKind.HOST, 1, 2, "autograd"),
            Lane(LaneKind.DEVICE, 0, 7),
            Lane(LaneKind.DEVICE, 0, 20),
        ),
        operators=tuple(_operator(i) for i in range(OPERATORS)),
        collectives=(Collective("all_reduce", "0", (0, 1, 2, 3), "float", 1 << 20),),
        steps=tuple(
            Step(f"step {i}", i * count // STEPS, (i + 1) * count // STEPS - 1)
            for i in range(STEPS)
        ),
    ).checked()


def _operator(number: int) -> Operator:
    return Operator(
        f"aten::op_{number}",
        "aten::op(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor",
        ((number, 128), (128, 256), ()),
        ("float", "float", "Scalar"),
        ("", "", "1"),
        output_shapes=((number, 256),),
        output_types=("float",),
    )


def plain_write(graph: ExecutionGraph) -> list[bytes]:
    """Build a protobuf message a node with Chakra's fields and serialise it: the usual way."""
    nodes = {name: getattr(graph.nodes, name).tolist() for name in COLUMN_TYPES}
    written = []
    for row in range(len(graph)):
        node: Any = Node()
        node.id = row + 1
        node.name = graph.names[nodes["name"][row]]
        node.type = nodes["kind"][row]
        node.start_time_micros = nodes["start_ns"][row] // 1000
        node.duration_micros = nodes["duration_ns"][row] // 1000
        node.data_deps.extend([before + 1 for before, _, _ in graph.predecessors(row)])
        operator = graph.operators[nodes["operator"][row]]
        node.inputs.values = str(list(operator.concrete_inputs))
        node.inputs.shapes = str(list(operator.input_shapes))
        node.inputs.types = str(list(operator.input_types))
        node.outputs.shapes = str(list(operator.output_shapes))
        node.outputs.types = str(list(operator.output_types))
        node.attr.add(name="is_cpu_op", bool_val=nodes["lane"][row] < 2)
        for name in ("rf_id", "seq_id", "fw_parent", "flops", "start_ns", "duration_ns"):
            node.attr.add(name=name, int64_val=nodes[name][row])
        node.attr.add(name="op_schema", string_val=operator.schema)
        written.append(node.SerializeToString())
    return written


def plain_read(data: bytes) -> int:
    """Parse every node with protobuf and look at its fields and attributes: the usual way."""
    seen = 0
    for content in framed(data, HERE).contents():
        node: Any = Node()
        node.ParseFromString(content)
        fields = (node.id, node.name, node.type, list(node.data_deps), node.duration_micros)
        attributes = {a.name: getattr(a, a.WhichOneof("value")) for a in node.attr}
        seen += len(attributes) + len(fields)
    return seen


def best_us(work: Callable[[], object], nodes: int) -> float:
    """Give the least CPU time of some runs, microseconds a node."""
    times = []
    for _ in range(REPEATS):
        begin = time.process_time()
        work()
        times.append(time.process_time() - begin)
    return min(times) / nodes * 1e6


def peak_bytes(work: Callable[[], object], nodes: int) -> float:
    """Give the most memory that Python and numpy held at once, bytes a node."""
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / nodes


def main() -> None:
    """Print the table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    graph = synthetic_graph(count)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "bench.et"
        write_graph(graph, path)
        assert same_graph(read_graph(path), graph)
        data = path.read_bytes()
        rows = [
            ("encode", lambda: b"".join(encode_graph(graph)), lambda: plain_write(graph)),
            ("write to disk", lambda: write_graph(graph, path), lambda: plain_write(graph)),
            ("read", lambda: read_graph(path), lambda: plain_read(data)),
        ]
        print(f"{count} nodes, {len(data) / count:.0f} bytes a node")
        print(f"{'':14}{'us/node':>9}{'plain':>8}{'ratio':>8}{'peak B/node':>13}")
        for name, ours, plain in rows:
            own, other = best_us(ours, count), best_us(plain, count)
            print(
                f"{name:14}{own:9.2f}{other:8.2f}{other / own:8.1f}{peak_bytes(ours, count):13.0f}"
            )


if __name__ == "__main__":
    main()
