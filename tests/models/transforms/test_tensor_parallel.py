"""Tensor parallelism cuts a layer's products by columns, then by rows, as Megatron-LM does.

norm  in (3h)  attention  out (h)  norm  up (4h)  gelu  down (h)
      columns             rows           columns        rows
"""

import pytest

from etsim.models.errors import NeedsRecordingError, UsageError
from etsim.models.graph import Category, EdgeKind, ExecutionGraph, LaneKind, Operator
from etsim.models.graph_builder import GraphBuilder

from .training_graph import applied, names, rows_named

TOKENS, HIDDEN, HEADS = 32, 64, 4
LINEARS = {"in": (3 * HIDDEN, HIDDEN), "out": (HIDDEN, HIDDEN),
           "up": (4 * HIDDEN, HIDDEN), "down": (HIDDEN, 4 * HIDDEN)}  # fmt: skip
FORWARD = ("norm", "in", "attention", "out", "norm", "up", "gelu", "down")


def operator(name: str, *shapes: tuple[int, ...]) -> Operator:
    return Operator(name, input_shapes=shapes, input_types=("float",) * len(shapes))


def forward(part: str) -> Operator:
    if part in LINEARS:
        outputs, inputs = LINEARS[part]
        return operator("aten::linear", (TOKENS, inputs), (outputs, inputs), (outputs,))
    if part == "attention":
        shape = (1, HEADS, TOKENS, HIDDEN // HEADS)
        return operator("aten::_scaled_dot_product_flash_attention", shape, shape, shape)
    if part == "gelu":
        return operator("aten::gelu", (TOKENS, 4 * HIDDEN))
    return operator("aten::native_layer_norm", (TOKENS, HIDDEN), (), (HIDDEN,), (HIDDEN,))


def transformer(layers: int = 2) -> ExecutionGraph:
    """Forward of all layers, then the two products of each linear's backward."""
    builder = GraphBuilder()
    virtual = builder.lane(LaneKind.VIRTUAL, 0, 0)
    host = builder.lane(LaneKind.HOST, 1, 1)
    before = builder.add("window", virtual, category=Category.ORIGIN)
    kind = EdgeKind.EXTERNAL

    def add(op: Operator, module: str, phase: str) -> None:
        nonlocal before, kind
        before = builder.add(
            op.name, host, duration_ns=100_000, after=[(before, kind, 0)], operator=op,
            module=module, phase=phase,
        )  # fmt: skip
        kind = EdgeKind.HOST_ORDER

    for layer in range(layers):
        for part in FORWARD:
            leaf = f"/{part}" if part in LINEARS else ""
            add(forward(part), f"Net_0/Block_{layer}{leaf}", "forward")
    for layer in reversed(range(layers)):
        for part in reversed(FORWARD):
            if part in LINEARS:
                outputs, inputs = LINEARS[part]
                module = f"Net_0/Block_{layer}/{part}"
                add(operator("aten::mm", (TOKENS, outputs), (outputs, inputs)), module, "backward")
                add(operator("aten::mm", (outputs, TOKENS), (TOKENS, inputs)), module, "backward")
    return builder.build()


def shapes(graph: ExecutionGraph, name: str) -> list[object]:
    return [
        graph.operators[int(graph.nodes.operator[row])].input_shapes
        for row in rows_named(graph, name)
    ]


def test_products_are_cut_by_columns_then_by_rows() -> None:
    graph = applied(transformer(layers=2), "tp:degree=2,link=10GB/s")
    t, h = TOKENS, HIDDEN
    assert shapes(graph, "aten::linear")[:4] == [
        ((t, h), (3 * h // 2, h), (3 * h // 2,)),
        ((t, h // 2), (h, h // 2), (h,)),
        ((t, h), (2 * h, h), (2 * h,)),
        ((t, 2 * h), (h, 2 * h), (h,)),
    ]


def test_backward_products_are_cut_alike() -> None:
    graph = applied(transformer(layers=2), "tp:degree=2,link=10GB/s")
    t, h = TOKENS, HIDDEN
    down_dx, down_dw, up_dx, up_dw = shapes(graph, "aten::mm")[:4]
    assert down_dx == ((t, h), (h, 2 * h))
    assert down_dw == ((h, t), (t, 2 * h))
    assert up_dx == ((t, 2 * h), (2 * h, h))
    assert up_dw == ((2 * h, t), (t, h))


def test_attention_loses_heads_and_what_lies_between_columns() -> None:
    graph = applied(transformer(layers=2), "tp:degree=2,link=10GB/s")
    assert shapes(graph, "attention")[0] == ((1, HEADS // 2, TOKENS, HIDDEN // HEADS),) * 3
    assert shapes(graph, "gelu")[0] == ((TOKENS, 2 * HIDDEN),)
    assert shapes(graph, "layer_norm")[0] == ((TOKENS, HIDDEN), (), (HIDDEN,), (HIDDEN,))


def test_each_layer_reduces_twice_forward_and_twice_backward() -> None:
    graph = applied(transformer(layers=3), "tp:degree=2,link=10GB/s")
    rows = rows_named(graph, "tensor_parallel:all_reduce")
    assert len(rows) == 3 * 4
    sizes = {graph.collectives[int(graph.nodes.collective[row])].message_bytes for row in rows}
    assert sizes == {TOKENS * HIDDEN * 4}
    lanes = {int(graph.nodes.lane[row]) for row in rows}
    assert lanes == {int(graph.nodes.lane[1])}  # in line: they are on the critical path


def test_what_cannot_be_cut_is_told() -> None:
    with pytest.raises(UsageError, match="cannot be cut into 5"):
        applied(transformer(layers=2), "tp:degree=5,link=10GB/s")


def test_layers_without_linear_modules_are_told() -> None:
    graph = transformer(layers=2)
    bare = applied(graph, "remove:name=aten::linear")
    with pytest.raises(NeedsRecordingError, match="no pair of linear modules"):
        applied(bare, "tp:degree=2,link=10GB/s")
    assert names(bare, "aten::linear") == []
