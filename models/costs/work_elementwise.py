"""Work of elementwise operators, fills, random numbers, dropout and optimiser steps.

Every tensor is read once (as often as it is really stored), the broadcast result written once.
"""

from collections.abc import Callable, Mapping

from .tensors import ITEM_BYTES, Call, Tensor, walk_together
from .work_matmul import WorkFn
from .work_values import Rows, Unit, Work, WorkClass

# operations an element: transcendental functions cost tens of instructions on every device
COSTLY = frozenset({
    "gelu", "gelu_", "gelu_backward", "tanh", "erf", "exp", "log", "log1p", "expm1", "pow",
    "sigmoid", "silu", "silu_", "silu_backward", "softplus", "mish", "sin", "cos", "elu", "tan",
    "atan2", "acos", "asin", "atan", "sinh", "cosh", "rsqrt", "sqrt", "logit", "erfinv", "digamma",
    "lgamma", "hardswish", "div", "div_", "reciprocal", "fmod", "remainder",
})  # fmt: skip
COSTLY_OPERATIONS = 10
COMPARISONS = frozenset({
    "eq", "ne", "lt", "le", "gt", "ge", "isnan", "isinf", "isfinite", "logical_and", "logical_or",
    "logical_not", "logical_xor", "isclose", "isin", "bitwise_not",
})  # fmt: skip


def broadcast(tensors: list[Tensor]) -> int:
    """Give the number of elements of the tensors' common broadcast shape."""
    if not tensors:
        return 0
    rank = max(len(tensor.shape) for tensor in tensors)
    elements = 1
    for place in range(1, rank + 1):
        elements *= max(
            (tensor.shape[-place] for tensor in tensors if len(tensor.shape) >= place), default=1
        )
    return elements


def _row_geometry(tensors: list[Tensor], elements: int) -> Rows:
    widest = max(tensors, key=lambda tensor: tensor.elements)
    columns = widest.shape[-1] if widest.shape else 1
    return Rows(max(1, elements // max(1, columns)), columns)


def _written(call: Call, elements: int) -> int:
    if call.outputs:
        return sum(tensor.bytes for tensor in call.outputs)
    if call.name.rstrip("_") in COMPARISONS:
        return elements
    return elements * call.item_bytes


def pointwise(call: Call) -> Work:
    """Give the work of an elementwise operator: f(inputs) written over their broadcast shape."""
    if not call.tensors:
        raise LookupError
    elements = broadcast(call.tensors)
    per_element = COSTLY_OPERATIONS if call.name.rstrip("_") in COSTLY else 1
    return Work(
        WorkClass.ELEMENTWISE, Unit.VECTOR, call.dtype,
        flops=per_element * elements,
        bytes_read=sum(tensor.bytes for tensor in call.tensors),
        bytes_written=_written(call, elements),
        geometry=_row_geometry(call.tensors, elements),
        placed=0 if walk_together(call.tensors) else elements,
    )  # fmt: skip


def _backward_pointwise(call: Call) -> Work:
    return pointwise(call)


def _fill(call: Call) -> Work:
    """Write the tensor, read nothing."""
    target = call.outputs[0] if call.outputs else call.tensor(0)
    return Work(
        WorkClass.ELEMENTWISE, Unit.MEMORY, call.dtype,
        bytes_written=target.elements * ITEM_BYTES[target.dtype],
        geometry=_row_geometry([target], target.elements),
    )  # fmt: skip


def _new_filled(call: Call) -> Work:
    """Give what `zeros([3, 4])` or `arange(n)` writes: its size stands in the concrete inputs."""
    if call.outputs or call.tensors:
        return _fill(call)
    sizes = [call.integers(place) for place in range(2)]
    elements = 1
    for size in next((found for found in sizes if found), [1]):
        elements *= max(1, size)
    return Work(
        WorkClass.ELEMENTWISE, Unit.MEMORY, "fp32", bytes_written=4 * elements,
        geometry=Rows(1, elements),
    )  # fmt: skip


def _random(call: Call) -> Work:
    """Philox: about 10 integer operations a number; the tensor is written."""
    target = call.outputs[0] if call.outputs else call.tensor(0)
    return Work(
        WorkClass.RANDOM, Unit.VECTOR, call.dtype,
        flops=COSTLY_OPERATIONS * target.elements,
        bytes_written=target.elements * ITEM_BYTES[target.dtype],
        geometry=_row_geometry([target], target.elements),
    )  # fmt: skip


def _dropout(call: Call) -> Work:
    """Reads x, writes the kept x and a mask of one byte an element."""
    x = call.tensor(0)
    return Work(
        WorkClass.RANDOM, Unit.VECTOR, call.dtype,
        flops=COSTLY_OPERATIONS * x.elements,
        bytes_read=x.bytes,
        bytes_written=x.elements * (ITEM_BYTES[x.dtype] + 1),
        geometry=_row_geometry([x], x.elements),
    )  # fmt: skip


def _optimiser(lists_written: int, operations: int) -> Callable[[Call], Work]:
    """Give the work of a fused step: every list read once, `lists_written` written back."""

    def step(call: Call) -> Work:
        groups = [group for group in call.arguments if group]
        if not groups:
            raise LookupError
        written = sum(tensor.bytes for tensor in groups[0]) * lists_written
        elements = sum(tensor.elements for tensor in groups[0])
        return Work(
            WorkClass.OPTIMISER, Unit.VECTOR, call.dtype,
            flops=operations * elements,
            bytes_read=sum(tensor.bytes for tensor in call.tensors),
            bytes_written=written,
            geometry=Rows(len(groups[0]), max(1, elements // len(groups[0]))),
        )  # fmt: skip

    return step


_POINTWISE = (
    "add", "sub", "rsub", "mul", "div", "true_divide", "floor_divide", "remainder", "fmod", "pow",
    "neg", "abs", "sign", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt", "rsqrt",
    "reciprocal", "square", "sin", "cos", "tan", "asin", "acos", "atan", "atan2", "sinh", "cosh",
    "tanh", "erf", "erfc", "erfinv", "sigmoid", "logit", "floor", "ceil", "round", "trunc", "frac",
    "relu", "relu6", "leaky_relu", "elu", "celu", "selu", "gelu", "silu", "mish", "softplus",
    "hardtanh", "hardswish", "hardsigmoid", "hardshrink", "softshrink", "threshold", "prelu",
    "_prelu_kernel", "glu", "clamp", "clamp_min", "clamp_max", "clip", "maximum", "minimum", "fmax",
    "fmin", "addcmul", "addcdiv", "lerp", "where", "masked_fill", "masked_scatter", "eq", "ne",
    "lt", "le", "gt", "ge", "isnan", "isinf", "isfinite", "isclose", "isin", "logical_and",
    "logical_or", "logical_not", "logical_xor", "bitwise_and", "bitwise_or", "bitwise_not",
    "bitwise_xor", "bitwise_left_shift", "bitwise_right_shift", "__and__", "__or__", "nan_to_num",
    "polar", "complex", "view_as_complex_copy", "lgamma", "digamma", "xlogy", "hypot", "copysign",
    "_conj_physical", "angle", "real", "imag", "heaviside", "ldexp", "sinc", "alpha_dropout",
)  # fmt: skip
_POINTWISE_BACKWARD = (
    "gelu_backward", "silu_backward", "threshold_backward", "tanh_backward", "sigmoid_backward",
    "leaky_relu_backward", "elu_backward", "softplus_backward", "hardtanh_backward",
    "hardswish_backward", "hardsigmoid_backward", "glu_backward", "mish_backward",
    "_prelu_kernel_backward", "native_dropout_backward", "logit_backward", "log_sigmoid_backward",
)  # fmt: skip
_FILLS = ("fill", "zero", "fill_diagonal", "zeros_like", "ones_like", "full_like", "new_zeros")
_NEW = ("zeros", "ones", "full", "arange", "linspace", "eye", "new_ones", "new_full")
_RANDOM = (
    "normal", "uniform", "bernoulli", "random", "rand", "randn", "randint", "rand_like",
    "randn_like", "randperm", "exponential", "geometric", "multinomial", "log_normal", "cauchy",
)  # fmt: skip

ELEMENTWISE: Mapping[str, WorkFn] = {
    **dict.fromkeys(_POINTWISE, pointwise),
    **dict.fromkeys(_POINTWISE_BACKWARD, _backward_pointwise),
    **dict.fromkeys(_FILLS, _fill),
    **dict.fromkeys(_NEW, _new_filled),
    **dict.fromkeys(_RANDOM, _random),
    "native_dropout": _dropout, "_fused_dropout": _dropout, "dropout": _dropout,
    "feature_dropout": _dropout,
    # parameters, gradients, two moments read; parameters and two moments written (Kingma 2014)
    "_fused_adam": _optimiser(3, 14), "_fused_adamw": _optimiser(3, 15),
    "_fused_sgd": _optimiser(2, 4), "_fused_adagrad": _optimiser(2, 6),
    "_multi_tensor_adam": _optimiser(3, 14),
    "_amp_foreach_non_finite_check_and_unscale": _optimiser(1, 2),
    "_foreach_norm": _optimiser(0, 2), "_foreach_max": _optimiser(0, 1),
}  # fmt: skip

# every other foreach operator reads its lists and writes one of them
foreach = _optimiser(1, 1)
