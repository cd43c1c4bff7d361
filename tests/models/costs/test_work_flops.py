"""FLOPs of operators against torch.utils.flop_counter, on every operator that it knows."""

import pytest

from etsim.models.costs.work import work_of
from etsim.models.graph import Dims, Operator

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.torch

IMAGE, FILTER, OUT = (2, 3, 8, 8), (4, 3, 3, 3), (2, 4, 8, 8)
Q, K = (2, 4, 16, 8), (2, 4, 32, 8)
CONV = ("", "", "", "[1, 1]", "[1, 1]", "[1, 1]", "False", "[0, 0]", "1")
CONV_BACK = ("", "", "", "[4]", "[1, 1]", "[1, 1]", "[1, 1]", "False", "[0, 0]", "1",
             "[True, True, False]")  # fmt: skip
CASES: list[tuple[str, tuple[Dims, ...], tuple[str, ...]]] = [
    ("mm", ((2, 3), (3, 4)), ()),
    ("addmm", ((4,), (2, 3), (3, 4)), ()),
    ("bmm", ((5, 2, 3), (5, 3, 4)), ()),
    ("baddbmm", ((5, 2, 4), (5, 2, 3), (5, 3, 4)), ()),
    ("convolution", (IMAGE, FILTER, (4,)), CONV),
    ("_convolution", (IMAGE, FILTER, (4,)), CONV),
    ("cudnn_convolution", (IMAGE, FILTER), ("", "", "[1, 1]", "[1, 1]", "[1, 1]", "1")),
    ("convolution_backward", (OUT, IMAGE, FILTER), CONV_BACK),
    ("_scaled_dot_product_flash_attention", (Q, K, K), ()),
    ("_scaled_dot_product_efficient_attention", (Q, K, K), ()),
    ("_scaled_dot_product_cudnn_attention", (Q, K, K), ()),
    ("_scaled_dot_product_flash_attention_backward", (Q, Q, K, K), ()),
    ("_scaled_dot_product_efficient_attention_backward", (Q, Q, K, K), ()),
    ("_scaled_dot_product_cudnn_attention_backward", (Q, Q, K, K), ()),
]


def counted(name: str, shapes: tuple[Dims, ...], concrete: tuple[str, ...]) -> int:
    """Ask torch's own formula, with the arguments it wants."""
    from torch.utils import flop_counter as fc  # noqa: PLC0415

    overload = getattr(torch.ops.aten, name)
    formula = fc.flop_registry[overload]
    tensors = [torch.empty(shape, device="meta") for shape in shapes]
    if "convolution_backward" in name:
        gradients = (torch.empty(IMAGE), torch.empty(FILTER), None)
        rest = ([4], [1, 1], [1, 1], [1, 1], False, [0, 0], 1, [True, True, False])
        return int(formula(*tensors, *rest, out_val=gradients))
    if "convolution" in name:
        result = torch.empty(OUT)
        order = ([1, 1], [1, 1], [1, 1])
        bias = () if len(tensors) == 3 else (None,)
        return int(formula(*tensors, *bias, *order, False, [0, 0], 1, out_val=result))
    return int(formula(*tensors, out_val=torch.empty(1)))


@pytest.mark.parametrize(("name", "shapes", "concrete"), CASES, ids=[case[0] for case in CASES])
def test_flops_are_those_that_torch_counts(
    name: str, shapes: tuple[Dims, ...], concrete: tuple[str, ...]
) -> None:
    operator = Operator(
        f"aten::{name}", input_shapes=shapes, input_types=("float",) * len(shapes),
        concrete_inputs=concrete,
    )  # fmt: skip
    assert work_of(operator).flops == counted(name, shapes, concrete)


def test_every_operator_that_torch_counts_is_known() -> None:
    from torch.utils import flop_counter as fc  # noqa: PLC0415

    from etsim.models.costs.work import is_known  # noqa: PLC0415

    names = {str(packet) for packet in fc.flop_registry}
    unknown = sorted(name for name in names if not is_known(Operator(name.replace(".", "::"))))
    assert unknown == []
