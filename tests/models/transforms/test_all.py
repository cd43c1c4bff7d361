"""What every transform must keep: sound graphs, and identity parameters change nothing."""

import pytest

from etsim.models.errors import NeedsRecordingError, UsageError
from etsim.models.graph import ExecutionGraph, same_graph
from etsim.models.merge import merge_ranks
from etsim.models.transforms.catalogue import transforms
from etsim.simulator.replay import replay

from .training_graph import applied, training_run, without_shapes

IDENTITIES = (
    "host:speed=1",
    "launch:cost=1",
    "scale:name=aten::mm,factor=1",
    "link:bandwidth=1,latency=1",
    "ranks:ranks=1",
    "ddp:ranks=1",
    "accumulate:steps=1",
    "layers:to=2",
    "checkpoint:every=0",
    "batch:from=16,to=16",
    "length:from=16,to=16",
    "quantise:bits=32",
    "zero:ranks=1",
    "tp:degree=1",
    "pipeline:stages=1,micro=1",
)
CHANGES = (
    "ddp:ranks=8,link=25GB/s",
    "ddp:ranks=8,link=25GB/s,overlap=0,views=1",
    "accumulate:steps=3",
    "layers:to=5",
    "layers:to=1",
    "checkpoint",
    "checkpoint:every=2",
    "batch:from=16,to=64",
    "fused-optimizer",
    "amp",
    "amp:dtype=fp16,grads=1",
    "quantise:bits=8",
    "zero:ranks=4,link=25GB/s",
    "zero:ranks=4,stage=1,link=25GB/s",
    "pipeline:stages=2,micro=4,link=25GB/s",
    "pipeline:stages=2,micro=4,schedule=gpipe,link=25GB/s",
    "remove:name=aten::add_",
)
STACKED = (
    "layers:to=6",
    "batch:from=16,to=32",
    "accumulate:steps=2",
    "checkpoint",
    "amp",
    "fused-optimizer",
    "ddp:ranks=8,link=25GB/s",
)


@pytest.mark.parametrize("device", [False, True])
@pytest.mark.parametrize("asked", IDENTITIES)
def test_a_transform_that_changes_nothing_gives_the_very_graph(asked: str, device: bool) -> None:
    graph = training_run(device=device)
    assert same_graph(applied(graph, asked), graph)


@pytest.mark.parametrize("device", [False, True])
@pytest.mark.parametrize("asked", CHANGES)
def test_every_transform_leaves_a_sound_graph_that_replays(asked: str, device: bool) -> None:
    graph = training_run(layers=4, steps=2, device=device)
    changed = applied(graph, asked)
    assert not same_graph(changed, graph)
    assert replay(changed).makespan_ns > 0
    assert len(changed.steps) == len(graph.steps)


@pytest.mark.parametrize("device", [False, True])
def test_transforms_stack_in_the_order_given(device: bool) -> None:
    graph = applied(training_run(layers=3, steps=2, device=device), *STACKED)
    assert replay(graph).makespan_ns > 0


def test_cuda_graphs_may_come_last() -> None:
    graph = training_run(layers=3, steps=2, device=True)
    graph = applied(graph, "amp", "ddp:ranks=8,link=25GB/s", "cuda-graphs")
    assert replay(graph).makespan_ns > 0


@pytest.mark.parametrize(
    "asked",
    [
        "ddp:ranks=2,link=1GB/s", "layers:to=3", "checkpoint",
        "batch:from=16,to=32", "length:from=16,to=32", "amp", "quantise:bits=8", "fused-optimizer",
        "zero:ranks=2,link=1GB/s", "tp:degree=2,link=1GB/s",
        "pipeline:stages=2,micro=2,link=1GB/s", "buckets", "compress",
    ],
)  # fmt: skip
def test_what_lacks_shapes_is_told_what_to_record(asked: str) -> None:
    bare = without_shapes(training_run(modules=False))
    with pytest.raises(NeedsRecordingError) as error:
        applied(bare, asked)
    assert error.value.exit_code == 3
    assert "record" in error.value.line()


@pytest.mark.parametrize(
    "asked", ["layers:to=3", "checkpoint", "tp:degree=2", "pipeline:stages=2,micro=2"]
)
def test_what_lacks_modules_is_told_what_to_record(asked: str) -> None:
    with pytest.raises(NeedsRecordingError, match="no repeated modules"):
        applied(training_run(modules=False), asked)


def test_cuda_graphs_need_a_device() -> None:
    with pytest.raises(NeedsRecordingError, match="needs device work"):
        applied(training_run(), "cuda-graphs")


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("ddp:ranks=0", "whole number from 1"),
        ("ddp:ranks=2.5", "whole number"),
        ("ddp:ranks=8,overlap=2", "0 or 1"),
        ("ddp:ranks=8,link=warp", "neither a bandwidth"),
        ("amp:dtype=fp4", "no 'fp4'"),
        ("zero:ranks=4,stage=4", "stages 1, 2 and 3"),
        ("layers:to=3,module=Head_*", "no repeated module matches"),
        ("pipeline:stages=3,micro=2", "cannot be cut into 3"),
        ("pipeline:stages=2,micro=2,schedule=zigzag", "no schedule"),
        ("ranks:ranks=4", "has no collectives"),
        ("batch:from=7,to=14", "no operator has a dimension of 7"),
        ("fused-optimizer:kind=lion", "no 'lion'"),
    ],
)
def test_what_is_impossible_is_refused(asked: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        applied(training_run(), asked)


def test_each_transform_is_registered_with_its_needs() -> None:
    assert {
        "hw", "host", "launch", "link", "scale", "remove", "fuse", "amp", "fused-optimizer",
        "cuda-graphs", "ddp", "ranks", "buckets", "compress", "zero", "tp", "pipeline", "layers",
        "batch", "length", "accumulate", "checkpoint", "data-loader", "quantise",
    } <= set(transforms())  # fmt: skip


def merged_run(*, device: bool = False) -> ExecutionGraph:
    run = training_run(layers=3, device=device)
    scaled = [applied(run, "ddp:ranks=2,link=1GB/s,bucket=1MB") for _ in range(2)]
    return merge_ranks([with_rank(graph, rank) for rank, graph in enumerate(scaled)])


def with_rank(graph: ExecutionGraph, rank: int) -> ExecutionGraph:
    from dataclasses import replace  # noqa: PLC0415

    import numpy as np  # noqa: PLC0415

    nodes = replace(graph.nodes, rank=np.full(len(graph), rank, dtype=np.int32))
    return replace(graph, nodes=nodes, meta=replace(graph.meta, rank=rank))


@pytest.mark.parametrize(
    "asked",
    ["ranks:ranks=4", "ranks:ranks=1", "buckets:bucket=10MB", "buckets:bucket=1MB,overlap=0",
     "compress", "compress:topk,ratio=0.1", "compress:powersgd,rank=2", "accumulate:steps=2",
     "fused-optimizer", "layers:to=5"],
)  # fmt: skip
@pytest.mark.parametrize("device", [False, True])
def test_runs_of_several_ranks_stay_sound(asked: str, device: bool) -> None:
    graph = merged_run(device=device)
    changed = applied(graph, asked)
    assert not same_graph(changed, graph)
    assert replay(changed).makespan_ns > 0


@pytest.mark.parametrize("device", [False, True])
def test_the_recorded_buckets_and_ranks_change_nothing(device: bool) -> None:
    graph = merged_run(device=device)
    assert same_graph(applied(graph, "buckets:bucket=1MB"), graph)
    assert same_graph(applied(graph, "ranks:ranks=2"), graph)
