"""Re-costing: sizes, precision, fused optimizer, CUDA graphs, weights and data loading."""

from dataclasses import replace

import numpy as np
import pytest

from etsim.models.costs.device_model import estimate, floor_ns
from etsim.models.costs.work import work_of
from etsim.models.errors import NeedsRecordingError, UsageError
from etsim.models.graph import Category, EdgeKind, ExecutionGraph, LaneKind, Operator
from etsim.models.graph_builder import GraphBuilder
from etsim.models.specs import load
from etsim.models.transforms.edit import scaled
from etsim.models.transforms.recost import dispatch_ns, doers, recosted
from etsim.models.transforms.scenario import Scenario
from etsim.models.transforms.sizes import parameter_shapes, resized_by
from etsim.models.transforms.symbols import Hint, find_symbols
from etsim.models.work_columns import with_work
from etsim.simulator.replay import replay

from .training_graph import (
    ACCUMULATE_NS,
    BACKWARD_NS,
    BATCH,
    FORWARD_NS,
    LAUNCH_NS,
    OPTIMIZER_NS,
    US,
    WIDTH,
    applied,
    host_machine,
    names,
    product,
    rows_named,
    scenario_of,
    training_run,
)

WEIGHTS = frozenset({(WIDTH, WIDTH), (WIDTH,)})


def test_what_any_operator_costs_is_the_median_of_those_that_compute_nothing() -> None:
    assert dispatch_ns(training_run()) == ACCUMULATE_NS


def test_a_caller_is_no_doer() -> None:
    """linear( addmm ): the inner one does the work."""
    builder = GraphBuilder()
    virtual = builder.lane(LaneKind.VIRTUAL, 0, 0)
    host = builder.lane(LaneKind.HOST, 1, 1)
    origin = builder.add("window", virtual, category=Category.ORIGIN)
    inner = Operator("aten::addmm", input_shapes=((4,), (2, 3), (3, 4)), input_types=("float",) * 3)
    outer = Operator(
        "aten::linear", input_shapes=((2, 3), (4, 3), (4,)), input_types=("float",) * 3
    )
    first = builder.add(
        "aten::addmm", host, duration_ns=9, after=[(origin, EdgeKind.EXTERNAL, 0)],
        operator=inner, parent=2,
    )  # fmt: skip
    builder.add(
        "aten::linear", host, duration_ns=1, after=[(first, EdgeKind.HOST_ORDER, 0)],
        operator=outer,
    )  # fmt: skip
    assert doers(builder.build()).tolist() == [False, True, False]


def test_twice_the_batch_is_recosted_by_the_model_without_dispatch() -> None:
    graph = training_run(layers=1)
    longer = applied(graph, f"batch:from={BATCH},to={2 * BATCH}")
    machine = host_machine()
    old, new = product(BATCH, WIDTH, WIDTH), product(2 * BATCH, WIDTH, WIDTH)
    before, after = estimate(machine, [work_of(old), work_of(new)]).time_ns - floor_ns(machine)
    row = rows_named(longer, "aten::mm")[0]
    expected = ACCUMULATE_NS + (FORWARD_NS - ACCUMULATE_NS) * after / before
    assert abs(int(longer.nodes.duration_ns[row]) - expected) <= 1
    assert longer.operators[int(longer.nodes.operator[row])].input_shapes == new.input_shapes


def test_the_batch_leaves_gradients_and_the_optimizer_alone() -> None:
    graph = training_run(layers=2)
    longer = applied(graph, f"batch:from={BATCH},to={4 * BATCH}")
    for name in ("AccumulateGrad", "aten::add_"):
        rows = rows_named(graph, name)
        assert np.array_equal(longer.nodes.duration_ns[rows], graph.nodes.duration_ns[rows])
        shapes = {longer.operators[int(longer.nodes.operator[row])].input_shapes[0] for row in rows}
        assert shapes == {(WIDTH, WIDTH)}


def test_twice_and_back_gives_the_recorded_work() -> None:
    graph = training_run(layers=2)
    there = applied(graph, "batch:from=16,to=32", "batch:from=32,to=16")
    assert np.array_equal(there.nodes.flops, with_work(graph).nodes.flops)
    assert np.max(np.abs(there.nodes.duration_ns - graph.nodes.duration_ns)) <= 1


@pytest.mark.parametrize(
    ("name", "shapes", "expected"),
    [
        ("aten::mm", ((16, 512), (512, 512)), ((32, 512), (512, 512))),  # tokens x weight
        ("aten::mm", ((512, 16), (16, 512)), ((512, 32), (32, 512))),  # its gradient
        ("aten::addmm", ((512,), (16, 512), (512, 512)), ((512,), (32, 512), (512, 512))),
        ("aten::gelu", ((16, 8, 512),), ((32, 8, 512),)),
        ("aten::bmm", ((64, 8, 32), (64, 32, 8)), ((128, 8, 32), (128, 32, 8))),  # heads inside
        ("aten::t", ((512, 512),), ((512, 512),)),
        ("aten::sum", ((16,), ()), ((32,), ())),
    ],
)
def test_the_batch_is_found_in_shapes(
    name: str, shapes: tuple[tuple[int, ...], ...], expected: tuple[tuple[int, ...], ...]
) -> None:
    operator = Operator(name, input_shapes=shapes, input_types=("float",) * len(shapes))
    assert Hint(16, 32, WEIGHTS).operator(operator).input_shapes == expected


@pytest.mark.parametrize(
    ("name", "shapes", "expected"),
    [
        ("aten::mm", ((128, 512), (512, 512)), ((256, 512), (512, 512))),  # 2 sequences of 64
        ("aten::gelu", ((2, 64, 512),), ((2, 128, 512),)),
        ("aten::bmm", ((8, 64, 32), (8, 32, 64)), ((8, 128, 32), (8, 32, 128))),
        ("aten::_softmax", ((2, 4, 64, 64), ()), ((2, 4, 128, 128), ())),
        (
            "aten::_scaled_dot_product_flash_attention", ((2, 4, 64, 64),) * 3,
            ((2, 4, 128, 128),) * 3,
        ),
        ("aten::add", ((2, 64, 512), (512,)), ((2, 128, 512), (512,))),
    ],
)  # fmt: skip
def test_the_length_is_found_in_shapes(
    name: str, shapes: tuple[tuple[int, ...], ...], expected: tuple[tuple[int, ...], ...]
) -> None:
    operator = Operator(name, input_shapes=shapes, input_types=("float",) * len(shapes))
    if name.endswith("attention"):  # a head's width that equals the length cannot be told from it
        operator = Operator(name, input_shapes=((2, 4, 64, 32),) * 3, input_types=("float",) * 3)
        expected = ((2, 4, 128, 32),) * 3
    assert Hint(64, 128, WEIGHTS, length=True).operator(operator).input_shapes == expected


def test_two_runs_tell_the_symbol_without_a_hint() -> None:
    small = training_run(layers=2)
    large = applied(small, "batch:from=16,to=48")
    symbols = find_symbols(small, large, (16, 48))
    assert len(symbols.pairs) == 2
    there = resized_by(scenario_of(small), symbols, 32)
    by_hint = applied(small, "batch:from=16,to=32")
    assert np.array_equal(there.graph.nodes.duration_ns, by_hint.nodes.duration_ns)


def test_runs_that_do_other_things_are_told() -> None:
    with pytest.raises(NeedsRecordingError, match="the two runs differ"):
        find_symbols(training_run(layers=2), training_run(layers=3), (1, 2))


def test_parameters_are_known_from_gradients_and_the_optimizer() -> None:
    assert parameter_shapes(training_run()) == {(WIDTH, WIDTH)}


def test_products_in_16_bits_take_what_the_peaks_say() -> None:
    """On an A100: a large product in bf16 against fp32; the optimizer stays."""
    machine = load("a100")
    large = product(4096, 4096, 4096)
    graph = training_run(layers=1, device=True)
    scenario = recosted(Scenario(graph, machine, machine), doers(graph), lambda _: large)
    narrow = applied(scenario.graph, "amp")
    kernels = [r for r in rows_named(narrow, "aten::mm") if narrow.nodes.category[r] == 1]
    before = scenario.graph.nodes.duration_ns[
        [r for r in rows_named(scenario.graph, "aten::mm") if scenario.graph.nodes.category[r] == 1]
    ]
    assert (narrow.nodes.duration_ns[kernels] < before / 4).all()


def test_casts_are_inserted_for_weights_and_their_gradients() -> None:
    graph = applied(training_run(layers=2), "amp")
    assert len(names(graph, "aten::to")) == 2 * 2


def test_a_fused_step_is_one_call() -> None:
    graph = training_run(layers=3)
    fused = applied(graph, "fused-optimizer")
    assert names(fused, "aten::add_") == []
    assert names(fused, "_fused_sgd_") == ["aten::_fused_sgd_"]
    row = rows_named(fused, "_fused_sgd_")[0]
    assert len(fused.operators[int(fused.nodes.operator[row])].input_shapes[0]) == 3  # type: ignore[arg-type]


def test_a_fused_step_on_a_device_leaves_no_kernels_of_the_old_one() -> None:
    graph = applied(training_run(layers=3, device=True), "fused-optimizer")
    kernels = graph.nodes.category == Category.KERNEL
    assert [graph.name_of(r) for r in np.flatnonzero(kernels).tolist()][-1] == "aten::_fused_sgd_"
    assert int(kernels.sum()) == 2 * 3 + 1


def test_one_graph_launch_replaces_all_launches_of_a_step() -> None:
    """Host: 4 launches, 2 AccumulateGrad, 2 more; stream: F F B B o o back to back."""
    graph = training_run(layers=2, device=True)
    captured = applied(graph, "cuda-graphs:launch=8us,gap=0us")
    assert names(captured, "cudaGraphLaunch") == ["cudaGraphLaunch"]
    busy = 2 * (FORWARD_NS + BACKWARD_NS + OPTIMIZER_NS)
    assert replay(captured).makespan_ns == 8 * US + busy
    assert replay(graph).makespan_ns == LAUNCH_NS + busy  # bound by its kernels before


def test_weights_in_fewer_bits_speed_up_what_reads_them() -> None:
    """16 rows against a 512 x 512 weight: bound by reading it."""
    graph = training_run(layers=1, device=True)
    light = applied(graph, "quantise:bits=4")
    kernels = [r for r in rows_named(graph, "aten::mm") if graph.nodes.category[r] == 1]
    forward, backward = kernels
    assert light.nodes.duration_ns[forward] < graph.nodes.duration_ns[forward]
    assert light.nodes.duration_ns[backward] == graph.nodes.duration_ns[backward]


def loading_run() -> ExecutionGraph:
    """window -> step -> |fetch| stack -2-> F -> end"""
    builder = GraphBuilder()
    virtual = builder.lane(LaneKind.VIRTUAL, 0, 0)
    host = builder.lane(LaneKind.HOST, 1, 1)
    origin = builder.add("window", virtual, category=Category.ORIGIN)
    fetch = builder.add(
        "enumerate(DataLoader)#_SingleProcessDataLoaderIter.__next__", host, duration_ns=10,
        category=Category.ANNOTATION, after=[(origin, EdgeKind.EXTERNAL, 0)],
    )  # fmt: skip
    stack = builder.add(
        "aten::stack", host, duration_ns=20, after=[(fetch, EdgeKind.HOST_ORDER, 5)], parent=fetch
    )
    builder.add("forward", host, duration_ns=100, after=[(stack, EdgeKind.HOST_ORDER, 2)])
    return builder.build()


@pytest.mark.parametrize(("factor", "expected"), [(1, 137), (0, 102), (2, 10 + 10 + 45 + 7 + 100)])
def test_fetching_scales_or_goes(factor: int, expected: int) -> None:
    graph = applied(loading_run(), f"data-loader:factor={factor}")
    assert replay(graph).makespan_ns == expected


def test_without_a_data_loader_the_user_is_told_what_to_mark() -> None:
    with pytest.raises(NeedsRecordingError, match="DataLoader"):
        applied(training_run(), "data-loader")


def test_a_size_that_no_operator_has_is_refused_also_where_strides_are_known() -> None:
    """(16, 512) x (512, 512): no dimension of 559."""
    graph = training_run()
    strided = tuple(replace(op, input_strides=((512, 1), (512, 1))) for op in graph.operators)
    graph = replace(graph, operators=strided)
    for asked in ("batch:from=559,to=1118", "length:from=559,to=1118"):
        with pytest.raises(UsageError, match="no operator has a dimension of 559"):
            applied(graph, asked)


@pytest.mark.parametrize("device", [False, True])
def test_a_fused_step_takes_no_longer_than_what_it_replaces(device: bool) -> None:
    """Products 50 times off their model, sums of the optimizer as quick as they are."""
    slow = applied(training_run(device=device), "scale:name=*,factor=50")
    before = scaled(slow, np.char.startswith(np.array(names(slow)), "aten::add_"), 1 / 50)
    after = applied(before, "fused-optimizer:kind=sgd")
    work = (
        int(graph.nodes.duration_ns[(graph.nodes.category == category) & step].sum())
        for graph in (before, after)
        for category in [Category.KERNEL if device else Category.HOST]
        for step in [np.array([n.startswith(("aten::add_", "aten::_fused")) for n in names(graph)])]
    )
    assert next(work) >= next(work) - 3 * dispatch_ns(before)


def test_work_is_put_in_also_where_a_device_only_copies_and_sends() -> None:
    """All kernels removed: the sums of gradients go on the stream that is left."""
    graph = training_run(device=True)
    kernels = graph.nodes.category == Category.KERNEL
    category = np.where(kernels, np.uint8(Category.MEMCPY), graph.nodes.category)
    copies = replace(graph, nodes=replace(graph.nodes, category=category))
    assert replay(applied(copies, "accumulate:steps=2")).makespan_ns > 0
