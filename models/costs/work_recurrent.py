"""Work of recurrent layers that one operator runs whole: every weight meets every time step.

forward      2 · weights · steps · batch                                    FLOPs
backward     the same once for the gradient of what flows, once for that of the weights
"""

from collections.abc import Mapping
from math import prod

from .tensors import Call
from .work_matmul import WorkFn
from .work_values import Gemm, Unit, Work, WorkClass


def _weights(call: Call) -> int:
    """Give the elements of all weights: of the list, or of the buffer that holds them flattened.

    (input, weight[], stride, weight buffer, h, ...): a list's shapes are not always recorded.
    """
    listed = sum(t.elements for t in call.arguments[1] if len(t.shape) > 1)
    flat = sum(t.elements for t in call.arguments[3]) if len(call.arguments) > 3 else 0
    if not listed and not flat:
        raise LookupError
    return listed or flat


def _recurrent(call: Call, passes: int) -> Work:
    """As one product of the rows of all steps: (steps · batch, width) with all the weights."""
    x = call.tensor(0)
    rows, width = prod(x.shape[:-1]), x.shape[-1]
    weights = _weights(call)
    columns = max(1, weights // width)
    written = passes * rows * columns // 4 * call.item_bytes  # four gates make one state
    return Work(
        WorkClass.MATMUL, Unit.MATRIX, call.dtype, flops=2 * passes * rows * width * columns,
        bytes_read=passes * (x.bytes + weights * call.item_bytes), bytes_written=written,
        geometry=Gemm(1, rows, columns, width),
    )  # fmt: skip


def _forward(call: Call) -> Work:
    return _recurrent(call, 1)


def _backward(call: Call) -> Work:
    return _recurrent(call, 2)


def _mkldnn(call: Call) -> Work:
    """(input, weights of the input, weights of the state, ...): one layer, one direction."""
    x, inner, state = call.tensor(0), call.tensor(1), call.tensor(2)
    rows, columns = prod(x.shape[:-1]), inner.shape[0]
    width = inner.shape[-1] + state.shape[-1]
    read = x.bytes + inner.bytes + state.bytes
    return Work(
        WorkClass.MATMUL, Unit.MATRIX, call.dtype, flops=2 * rows * columns * width,
        bytes_read=read, bytes_written=rows * state.shape[-1] * call.item_bytes,
        geometry=Gemm(1, rows, columns, width),
    )  # fmt: skip


RECURRENT: Mapping[str, WorkFn] = {
    "_cudnn_rnn": _forward, "miopen_rnn": _forward,
    "_cudnn_rnn_backward": _backward, "miopen_rnn_backward": _backward,
    "mkldnn_rnn_layer": _mkldnn,
}  # fmt: skip
