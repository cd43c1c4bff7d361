"""Operators are interned with their arguments, and kernels know which launched them."""

import pytest

from etsim.converters.link.operators import parse_dims, parse_strings
from etsim.models.graph import NONE, LaunchConfig, Operator
from etsim.tests.kineto_maker import Recording


def test_equal_operators_are_one_others_are_not() -> None:
    run = Recording()
    for index, shape in enumerate(([2, 3], [2, 3], [2, 4])):
        run.op("aten::relu", 10 * index, 10 * index + 5, shapes=[shape], types=["float"])
    graph = run.graph()
    assert graph.nodes.operator.tolist() == [NONE, 0, 0, 1]
    assert graph.operators == (
        Operator("aten::relu", input_shapes=((2, 3),), input_types=("float",)),
        Operator("aten::relu", input_shapes=((2, 4),), input_types=("float",)),
    )


def test_a_kernel_has_the_operator_around_its_launch_not_the_outermost() -> None:
    run = Recording()
    run.op("aten::linear", 0, 50, shapes=[[1]])
    run.op("aten::addmm", 10, 40, shapes=[[2]])
    run.kernel("gemm", 60, 70, by=run.launch(20, 25))
    run.kernel("orphan", 80, 90)
    seen = run.linked()
    operator = int(seen.graph.nodes.operator[seen.row("gemm")])
    assert seen.graph.operators[operator].name == "aten::addmm"
    assert seen.graph.nodes.operator[seen.row("orphan")] == NONE


def test_annotations_and_calls_are_no_operators() -> None:
    run = Recording()
    run.mark("layer", 0, 50)
    run.launch(10, 20)
    assert run.graph().operators == ()


def test_launch_configurations_are_interned() -> None:
    run = Recording()
    shape = {"grid": [8, 1, 1], "block": [128, 1, 1], "registers per thread": 32,
             "shared memory": 1024}  # fmt: skip
    run.kernel("a", 10, 20, by=run.launch(0, 1), said=shape)
    run.kernel("b", 30, 40, by=run.launch(2, 3), said=shape)
    run.kernel("copy", 50, 60, by=run.launch(4, 5), cat="gpu_memcpy")
    seen = run.linked()
    assert seen.graph.launch_configs == (LaunchConfig((8, 1, 1), (128, 1, 1), 32, 1024),)
    configs = [int(seen.graph.nodes.launch_config[seen.row(n)]) for n in ("a", "b", "copy")]
    assert configs == [0, 0, NONE]


@pytest.mark.parametrize(
    ("raw", "dims"),
    [
        (b"", ()),
        (b"[]", ()),
        (b"[[2, 3], []]", ((2, 3), ())),
        (b"[[[2, 3], [4]], [5]]", (((2, 3), (4,)), (5,))),
        (b'[[2, "x"]]', ((2, NONE),)),
        (b"[[2, 1180591620717411303424]]", ((2, NONE),)),
        (b'"none"', ()),
    ],
)
def test_shapes_nest_for_lists_of_tensors(raw: bytes, dims: tuple[object, ...]) -> None:
    assert parse_dims(raw) == dims


def test_concrete_arguments_keep_their_text_whatever_they_are() -> None:
    assert parse_strings(b'["", "1e-3", [1, 2], null, true]') == (
        "", "1e-3", "[1,2]", "null", "true"
    )  # fmt: skip
    assert parse_strings(b"") == ()
    assert parse_strings(b"3") == ()
