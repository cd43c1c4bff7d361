"""Work of row-wise operators: softmax, normalisations, reductions, losses, scans and sorts.

They read their input once and write their output once; what FLOPs they do never binds.
"""

from collections.abc import Callable, Mapping
from math import prod

from .tensors import ITEM_BYTES, Call
from .work_matmul import WorkFn
from .work_values import Rows, Unit, Work, WorkClass


def rows_work(
    call: Call, work_class: WorkClass, rows: Rows, *, flops_per_element: int, written: int
) -> Work:
    """Give the work of a row-wise pass over all tensors of the call, `written` bytes out."""
    return Work(
        work_class,
        Unit.VECTOR,
        call.dtype,
        flops=flops_per_element * rows.rows * rows.columns,
        bytes_read=sum(tensor.bytes for tensor in call.tensors),
        bytes_written=written,
        geometry=rows,
    )


def _rows_of(shape: tuple[int, ...], dimension: int = -1) -> Rows:
    if not shape:
        return Rows(1, 1)
    columns = shape[dimension] if -len(shape) <= dimension < len(shape) else shape[-1]
    return Rows(prod(shape) // max(1, columns), columns)


def _dimension(call: Call, position: int) -> int:
    given = call.integers(position)
    return given[0] if given else -1


def _same_size_output(call: Call, at: int = 0) -> int:
    if call.outputs:
        return sum(tensor.bytes for tensor in call.outputs)
    return call.tensor(at).elements * ITEM_BYTES[call.tensor(at).dtype]


def _softmax(call: Call) -> Work:
    """max, subtract, exp, sum, divide: 5 operations an element."""
    rows = _rows_of(call.shape(0), _dimension(call, 1))
    return rows_work(
        call, WorkClass.SOFTMAX, rows, flops_per_element=5, written=_same_size_output(call)
    )


def _softmax_backward(call: Call) -> Work:
    """Give dx = y (dy - Σ y dy): 4 operations an element; reads dy and y."""
    rows = _rows_of(call.shape(0), _dimension(call, 2))
    return rows_work(
        call, WorkClass.SOFTMAX, rows, flops_per_element=4, written=_same_size_output(call)
    )


def _layer_norm(call: Call) -> Work:
    """Mean, variance, scale and shift over `normalized_shape`: 8 operations an element."""
    x = call.shape(0)
    columns = prod(call.integers(1)) if call.integers(1) else x[-1]
    rows = Rows(max(1, prod(x) // max(1, columns)), columns)
    return rows_work(
        call, WorkClass.NORMALISATION, rows, flops_per_element=8, written=_same_size_output(call)
    )


def _norm_backward(call: Call) -> Work:
    """The gradient dx needs two row sums, dγ and dβ two column sums: 14 operations an element."""
    rows = _rows_of(call.shape(0))
    return rows_work(
        call, WorkClass.NORMALISATION, rows, flops_per_element=14, written=_same_size_output(call)
    )


def _batch_norm(call: Call) -> Work:
    """Per channel of (batch, channels, ...); training reads the input twice, inference once."""
    x = call.tensor(0)
    channels = x.shape[1] if len(x.shape) > 1 else 1
    rows = Rows(channels, x.elements // max(1, channels))
    work = rows_work(
        call, WorkClass.NORMALISATION, rows, flops_per_element=8, written=_same_size_output(call)
    )
    training = "true" in {text.lower() for text in call.operator.concrete_inputs[5:8]}
    again = x.bytes if training else 0
    return Work(
        work.work_class, work.unit, work.dtype, work.flops, work.bytes_read + again,
        work.bytes_written, rows,
    )  # fmt: skip


def _reduction(call: Call) -> Work:
    """One operation an element; what is written is small unless the outputs say more."""
    x = call.tensor(0)
    written = sum(t.bytes for t in call.outputs) if call.outputs else ITEM_BYTES[x.dtype]
    return rows_work(
        call, WorkClass.REDUCTION, _rows_of(x.shape), flops_per_element=1, written=written
    )


def _scan(call: Call) -> Work:
    rows = _rows_of(call.shape(0), _dimension(call, 1))
    return rows_work(
        call, WorkClass.REDUCTION, rows, flops_per_element=1, written=_same_size_output(call)
    )


RADIX_PASSES = 8  # 64-bit keys a byte at a time, read and written each pass (CUB radix sort)


def _sort(call: Call) -> Work:
    x = call.tensor(0)
    return Work(
        WorkClass.SORT, Unit.MEMORY, call.dtype,
        flops=x.elements * RADIX_PASSES,
        bytes_read=x.bytes * RADIX_PASSES,
        bytes_written=x.bytes * RADIX_PASSES,
        geometry=_rows_of(x.shape),
    )  # fmt: skip


def _loss(write_input: bool) -> Callable[[Call], Work]:
    """Give the work of a loss: reads prediction and target; backward writes a gradient."""

    def loss(call: Call) -> Work:
        x = call.tensor(1 if write_input and len(call.tensors) > 2 else 0)
        written = x.elements * ITEM_BYTES[x.dtype] if write_input else ITEM_BYTES[x.dtype]
        return rows_work(
            call, WorkClass.LOSS, _rows_of(x.shape), flops_per_element=3, written=written
        )

    return loss


_LOSSES = (
    "nll_loss_forward", "nll_loss2d_forward", "nll_loss_nd", "cross_entropy_loss", "mse_loss",
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "l1_loss", "smooth_l1_loss",
    "huber_loss", "kl_div", "soft_margin_loss", "nll_loss",
)  # fmt: skip
_LOSSES_BACKWARD = (
    "nll_loss_backward", "nll_loss2d_backward", "mse_loss_backward",
    "binary_cross_entropy_backward", "smooth_l1_loss_backward", "huber_loss_backward",
    "l1_loss_backward",
)  # fmt: skip
_REDUCTIONS = (
    "sum", "mean", "max", "min", "amax", "amin", "aminmax", "argmax", "argmin", "prod", "all",
    "any", "norm", "linalg_vector_norm", "linalg_norm", "var", "std", "var_mean", "std_mean",
    "logsumexp", "nansum", "count_nonzero", "nonzero", "nonzero_static", "_unique2", "unique_dim",
    "bincount", "histc", "equal", "mode", "median", "nanmedian",
)  # fmt: skip

ROW_WISE: Mapping[str, WorkFn] = {
    "softmax": _softmax, "_softmax": _softmax, "log_softmax": _softmax, "_log_softmax": _softmax,
    "_safe_softmax": _softmax, "_masked_softmax": _softmax,
    "_softmax_backward_data": _softmax_backward,
    "_log_softmax_backward_data": _softmax_backward,
    "layer_norm": _layer_norm, "native_layer_norm": _layer_norm, "rms_norm": _layer_norm,
    "_fused_rms_norm": _layer_norm, "native_group_norm": _layer_norm, "group_norm": _layer_norm,
    "native_layer_norm_backward": _norm_backward, "native_group_norm_backward": _norm_backward,
    "_fused_rms_norm_backward": _norm_backward,
    "native_batch_norm": _batch_norm, "_native_batch_norm_legit": _batch_norm,
    "batch_norm": _batch_norm, "_batch_norm_impl_index": _batch_norm,
    "cudnn_batch_norm": _batch_norm, "miopen_batch_norm": _batch_norm,
    "_native_batch_norm_legit_functional": _batch_norm, "_batch_norm_with_update": _batch_norm,
    "native_batch_norm_backward": _norm_backward, "cudnn_batch_norm_backward": _norm_backward,
    "miopen_batch_norm_backward": _norm_backward, "batch_norm_backward": _norm_backward,
    "batch_norm_stats": _reduction, "batch_norm_backward_reduce": _reduction,
    "batch_norm_elemt": _batch_norm, "batch_norm_backward_elemt": _norm_backward,
    "instance_norm": _batch_norm, "cumsum": _scan, "cumprod": _scan, "logcumsumexp": _scan,
    "sort": _sort, "argsort": _sort, "topk": _sort, "msort": _sort, "kthvalue": _sort,
    **dict.fromkeys(_REDUCTIONS, _reduction),
    **dict.fromkeys(_LOSSES, _loss(write_input=False)),
    **dict.fromkeys(_LOSSES_BACKWARD, _loss(write_input=True)),
}  # fmt: skip
