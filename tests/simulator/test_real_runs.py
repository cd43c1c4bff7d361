"""What the engine promises of real graphs: few live slots, and little work for a small change."""

from functools import cache
from pathlib import Path

import pytest

from etsim.cli.inputs import load_graph
from etsim.models.graph import EdgeKind, ExecutionGraph
from etsim.simulator.incremental import checkpoints, reevaluate
from etsim.simulator.live_slots import live_slots
from etsim.simulator.replay import replay

BUSY = "traces/gpubound_v100"  # 98 % busy, launch queue full
IDLE = "traces/pair_h100_mi300/h100_bert_small.json.gz"  # 8 % busy

pytestmark = pytest.mark.shared


@cache
def graph_of(path: Path) -> ExecutionGraph:
    return load_graph([str(path)])


def test_live_slots_are_as_many_as_the_launch_queue_is_deep(shared_data: Path) -> None:
    assert live_slots(graph_of(shared_data / BUSY)).count < 1100
    assert live_slots(graph_of(shared_data / IDLE)).count <= 6


def test_one_operator_changed_is_evaluated_until_the_next_wait_alone(shared_data: Path) -> None:
    graph = graph_of(shared_data / BUSY)
    base = checkpoints(graph, segment=64)
    row = int((graph.edge_kind == EdgeKind.SYNC).nonzero()[0][0])
    kernel = int(graph.edge_source[row])
    cost = int(graph.nodes.duration_ns[kernel]) + 1000
    durations = graph.nodes.duration_ns.copy()
    durations[kernel] = cost
    found = reevaluate(base, {kernel: cost})
    assert found.end_ns().tolist() == replay(graph, durations).end_ns.tolist()
    assert found.rows_evaluated < len(graph)
