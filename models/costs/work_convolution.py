"""Work of convolutions and their backward, as implicit matrix products.

forward      2 · batch · ∏ output · C_out · (C_in / groups) · ∏ filter      FLOPs
backward     the same once for the input's gradient, once for the weight's
depthwise    no product (one channel a group): a pass over the tensors on the plain lanes, the
             place of every element computed from its channel and position
"""

from collections.abc import Mapping
from math import prod

from .tensors import Call
from .work_matmul import WorkFn
from .work_values import Gemm, Rows, Unit, Work, WorkClass


def _filled(values: list[int], dimensions: int, default: int) -> list[int]:
    if not values:
        return [default] * dimensions
    return (values * dimensions)[:dimensions] if len(values) < dimensions else values[:dimensions]


def _output_size(
    spatial: tuple[int, ...], filter_size: tuple[int, ...], call: Call, positions: tuple[int, ...]
) -> tuple[int, ...]:
    """⌊(i + 2p - d(f - 1) - 1) / s⌋ + 1 (PyTorch, Conv2d); same-padding where p is unknown."""
    stride_at, padding_at, dilation_at = positions
    count = len(spatial)
    stride = _filled(call.integers(stride_at), count, 1)
    dilation = _filled(call.integers(dilation_at), count, 1)
    known = call.integers(padding_at)
    padding = _filled(known, count, 0) if known else [size // 2 for size in filter_size]
    return tuple(
        max(1, (i + 2 * p - d * (f - 1) - 1) // s + 1)
        for i, f, s, p, d in zip(spatial, filter_size, stride, padding, dilation, strict=True)
    )


def _transposed_size(
    spatial: tuple[int, ...], filter_size: tuple[int, ...], call: Call, positions: tuple[int, ...]
) -> tuple[int, ...]:
    """(i - 1) s - 2p + d(f - 1) + 1 (PyTorch, ConvTranspose2d)."""
    stride_at, padding_at, dilation_at = positions
    count = len(spatial)
    stride = _filled(call.integers(stride_at), count, 1)
    padding = _filled(call.integers(padding_at), count, 0)
    dilation = _filled(call.integers(dilation_at), count, 1)
    return tuple(
        max(1, (i - 1) * s - 2 * p + d * (f - 1) + 1)
        for i, f, s, p, d in zip(spatial, filter_size, stride, padding, dilation, strict=True)
    )


def _geometry(batch: int, positions: tuple[int, ...], weight: tuple[int, ...], groups: int) -> Gemm:
    """(batch · output positions, C_in/g · taps) x (C_in/g · taps, C_out/g), once a group."""
    out_channels, in_per_group, *taps = weight
    return Gemm(
        batch=groups,
        m=batch * prod(positions),
        n=max(1, out_channels // groups),
        k=in_per_group * prod(taps),
        filter_taps=prod(taps),
    )


def _work(call: Call, gemm: Gemm, passes: int, written_elements: int) -> Work:
    depthwise = gemm.batch > 1 and gemm.k == gemm.filter_taps
    return Work(
        WorkClass.CONVOLUTION,
        Unit.VECTOR if depthwise else Unit.MATRIX,
        call.dtype,
        flops=2 * passes * gemm.batch * gemm.m * gemm.n * gemm.k,
        bytes_read=sum(tensor.bytes for tensor in call.tensors),
        bytes_written=written_elements * call.item_bytes,
        geometry=Rows(gemm.batch * gemm.n, gemm.m) if depthwise else gemm,
        placed=passes * gemm.batch * gemm.m * gemm.n if depthwise else 0,
    )


def _forward(call: Call, order: tuple[int, int, int, int], transposed: bool) -> Work:
    """Order: positions of stride, padding, dilation, groups among the arguments."""
    x, weight = call.shape(0), call.shape(1)
    groups = max(1, x[1] // weight[1]) if not transposed else 1
    if transposed:
        given = call.integers(order[3])
        groups = given[0] if given else 1
        out = (
            call.outputs[0].shape[2:]
            if call.outputs
            else _transposed_size(x[2:], weight[2:], call, order[:3])
        )
        # the product runs over the input's positions: C_in rows meet (C_out/g · taps) columns
        gemm = Gemm(
            groups, x[0] * prod(x[2:]), weight[1] * prod(weight[2:]), weight[0] // groups,
        )  # fmt: skip
        return _work(call, gemm, 1, x[0] * weight[1] * groups * prod(out))
    out = (
        call.outputs[0].shape[2:]
        if call.outputs
        else _output_size(x[2:], weight[2:], call, order[:3])
    )
    gemm = _geometry(x[0], out, weight, groups)
    return _work(call, gemm, 1, x[0] * weight[0] * prod(out))


def _convolution(call: Call) -> Work:
    """(input, weight, bias, stride, padding, dilation, transposed, output_padding, groups)."""
    transposed = call.is_true(6)
    return _forward(call, (3, 4, 5, 8), transposed)


def _conv_nd(call: Call) -> Work:
    """(input, weight, bias, stride, padding, dilation, groups)."""
    return _forward(call, (3, 4, 5, 6), transposed=False)


def _conv_transpose_nd(call: Call) -> Work:
    """(input, weight, bias, stride, padding, output_padding, groups, dilation)."""
    return _forward(call, (3, 4, 7, 6), transposed=True)


def _cudnn(call: Call) -> Work:
    """(input, weight, padding, stride, dilation, groups, ...)."""
    return _forward(call, (3, 2, 4, 5), transposed=False)


def _cudnn_transpose(call: Call) -> Work:
    """(input, weight, padding, output_padding, stride, dilation, groups, ...)."""
    return _forward(call, (4, 2, 5, 6), transposed=True)


def _miopen(call: Call) -> Work:
    """(input, weight, bias, padding, stride, dilation, groups, ...)."""
    return _forward(call, (4, 3, 5, 6), transposed=False)


def _backward(call: Call, mask_at: int, transposed: bool) -> Work:
    """(grad_output, input, weight, ...): one product each for input and weight gradient."""
    grad, x, weight = call.shape(0), call.shape(1), call.shape(2)
    mask = call.text(mask_at).lower()
    wanted = [part.strip(" []") in {"true", "1"} for part in mask.split(",")] if mask else []
    passes = sum(wanted[:2]) if len(wanted) >= 2 else 2
    written = (x_elements(x) if not wanted or wanted[0] else 0) + prod(weight)
    if transposed:
        gemm = Gemm(1, x[0] * prod(x[2:]), weight[1] * prod(weight[2:]), weight[0])
    else:
        gemm = _geometry(x[0], grad[2:], weight, max(1, x[1] // weight[1]))
    return _work(call, gemm, max(1, passes), written)


def x_elements(shape: tuple[int, ...]) -> int:
    """Give the number of elements of a shape."""
    return prod(shape)


def _convolution_backward(call: Call) -> Work:
    """(grad, input, weight, bias_sizes, stride, padding, dilation, transposed, ..., mask)."""
    return _backward(call, 10, call.is_true(7))


def _cudnn_backward(call: Call) -> Work:
    return _backward(call, 99, transposed=False)


CONVOLUTION: Mapping[str, WorkFn] = {
    "convolution": _convolution, "_convolution": _convolution,
    "convolution_overrideable": _convolution,
    "conv1d": _conv_nd, "conv2d": _conv_nd, "conv3d": _conv_nd,
    "cudnn_convolution": _cudnn, "cudnn_convolution_transpose": _cudnn_transpose,
    "cudnn_convolution_relu": _conv_nd, "cudnn_convolution_add_relu": _cudnn,
    "miopen_convolution": _miopen, "miopen_depthwise_convolution": _miopen,
    "mkldnn_convolution": _miopen, "thnn_conv2d": _cudnn, "_slow_conv2d_forward": _cudnn,
    "_conv_depthwise2d": _cudnn, "conv_depthwise3d": _cudnn,
    "conv_transpose1d": _conv_transpose_nd, "conv_transpose2d": _conv_transpose_nd,
    "conv_transpose3d": _conv_transpose_nd,
    "convolution_backward": _convolution_backward,
    "cudnn_convolution_backward": _cudnn_backward,
}  # fmt: skip
