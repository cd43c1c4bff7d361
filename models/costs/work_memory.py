"""Work of operators that only move data: copies, layout, gather and scatter, embeddings, pools."""

from collections.abc import Mapping
from dataclasses import replace
from math import prod

from .tensors import ITEM_BYTES, Call, Tensor, walk_together
from .work_matmul import WorkFn
from .work_values import FREE_WORK, Rows, Unit, Work, WorkClass


def _rows(tensor: Tensor) -> Rows:
    columns = tensor.shape[-1] if tensor.shape else 1
    return Rows(max(1, tensor.elements // max(1, columns)), columns)


def moved(call: Call, work_class: WorkClass, read: int, written: int, geometry: Rows) -> Work:
    """Give the work of moving bytes."""
    return Work(
        work_class, Unit.MEMORY, call.dtype, 0, bytes_read=read, bytes_written=written,
        geometry=geometry,
    )  # fmt: skip


def _free(call: Call) -> Work:
    return FREE_WORK


def _copy(call: Call) -> Work:
    """(destination, source): source read, destination written, each in its own dtype."""
    to, source = call.tensor(0), call.tensors[1] if len(call.tensors) > 1 else call.tensor(0)
    written = to.elements * ITEM_BYTES[to.dtype]
    work = moved(call, WorkClass.COPY, source.bytes, written, _rows(to))
    return work if walk_together([to, source]) else replace(work, placed=to.elements)


def _duplicate(call: Call) -> Work:
    """Read all inputs, write as much (or what the outputs say)."""
    read = sum(t.elements * ITEM_BYTES[t.dtype] for t in call.tensors)
    if not call.tensors:
        raise LookupError
    written = sum(t.bytes for t in call.outputs) if call.outputs else read
    largest = max(call.tensors, key=lambda tensor: tensor.elements)
    return moved(call, WorkClass.COPY, read, written, _rows(largest))


def _index_elements(call: Call) -> list[Tensor]:
    return [t for t in call.tensors[1:] if t.dtype in {"int64", "int32", "bool", "int8"}]


def _embedding(call: Call) -> Work:
    """(weight, indices): one row read and written for each index."""
    weight, indices = call.tensor(0), call.tensor(1)
    width = weight.shape[-1]
    rows_bytes = indices.elements * width * ITEM_BYTES[weight.dtype]
    read = indices.bytes + rows_bytes
    return moved(call, WorkClass.EMBEDDING, read, rows_bytes, Rows(indices.elements, width))


def _embedding_backward(call: Call) -> Work:
    """(grad, indices, num_weights, ...): the gradient read, the whole table written."""
    grad, indices = call.tensor(0), call.tensor(1)
    rows = call.integers(2)
    table = (rows[0] if rows else indices.elements) * grad.shape[-1] * ITEM_BYTES[grad.dtype]
    read = grad.bytes + indices.bytes * 4  # the indices are sorted, then read again
    return moved(call, WorkClass.EMBEDDING, read, table, _rows(grad))


def _embedding_bag(call: Call) -> Work:
    """(weight, indices, offsets): a row read for each index, one written for each bag."""
    weight, indices, offsets = call.tensor(0), call.tensor(1), call.tensor(2)
    row_bytes = weight.shape[-1] * ITEM_BYTES[weight.dtype]
    read = indices.bytes + offsets.bytes + indices.elements * row_bytes
    geometry = Rows(offsets.elements, weight.shape[-1])
    return moved(call, WorkClass.EMBEDDING, read, offsets.elements * row_bytes, geometry)


def _embedding_bag_backward(call: Call) -> Work:
    """(grad, indices, offsets, ...): a gradient row read and a weight row updated per index."""
    grad, indices = call.tensor(0), call.tensor(1)
    touched = indices.elements * grad.shape[-1] * ITEM_BYTES[grad.dtype]
    read = grad.bytes + 2 * indices.bytes + touched
    return moved(call, WorkClass.EMBEDDING, read, touched, Rows(indices.elements, grad.shape[-1]))


def _gather(call: Call) -> Work:
    """(source, ..., index): as many elements read and written as the index selects."""
    source = call.tensor(0)
    indices = _index_elements(call)
    if not indices:
        return _duplicate(call)
    index = max(indices, key=lambda tensor: tensor.elements)
    if call.name == "gather":
        selected = index.elements
    elif index.dtype in {"bool", "int8"}:  # a mask: at most what it covers
        selected = source.elements
    else:  # whole slices: every index brings the dimensions it does not index
        indexed = source.shape[: len(indices)] if call.name == "index" else source.shape[:1]
        if call.name == "index_select":
            place = call.integers(1)
            indexed = (source.shape[place[0]],) if place else source.shape[:1]
        selected = index.elements * (source.elements // max(1, prod(indexed)))
    bytes_out = selected * ITEM_BYTES[source.dtype]
    columns = source.shape[-1] if source.shape else 1
    geometry = Rows(max(1, selected // max(1, columns)), columns)
    return moved(call, WorkClass.EMBEDDING, index.bytes + bytes_out, bytes_out, geometry)


def _scatter(call: Call) -> Work:
    """(target, ..., index, values): values and index read, target elements read and written."""
    target = call.tensor(0)
    others = call.tensors[1:]
    floating = [t for t in others if t.dtype == target.dtype]
    touched = max((t.elements for t in floating or others), default=target.elements)
    bytes_touched = touched * ITEM_BYTES[target.dtype]
    read = sum(t.bytes for t in others) + bytes_touched
    columns = target.shape[-1] if target.shape else 1
    geometry = Rows(max(1, touched // max(1, columns)), columns)
    return moved(call, WorkClass.EMBEDDING, read, bytes_touched, geometry)


def _pool(call: Call) -> Work:
    """Read the input, write the pooled output; the window's size where no output is recorded."""
    x = call.tensor(0)
    if call.outputs:
        written = sum(t.bytes for t in call.outputs)
    else:
        stride = call.integers(2) or call.integers(1)
        shrink = prod(max(1, s) for s in stride) if stride and call.name[0] != "_" else 1
        written = x.bytes // max(1, shrink)
    return moved(call, WorkClass.COPY, x.bytes, max(written, ITEM_BYTES[x.dtype]), _rows(x))


def _pool_backward(call: Call) -> Work:
    x = call.tensor(1)
    read = sum(t.bytes for t in call.tensors)
    return moved(call, WorkClass.COPY, read, x.bytes, _rows(x))


def _adaptive_pool(call: Call) -> Work:
    x = call.tensor(0)
    target = prod(call.integers(1)) if call.integers(1) else 1
    written = x.elements // max(1, prod(x.shape[2:])) * target * ITEM_BYTES[x.dtype]
    return moved(call, WorkClass.COPY, x.bytes, written, _rows(x))


_FREE = (
    "view", "reshape_alias", "_reshape_alias", "_unsafe_view", "as_strided", "transpose", "t",
    "permute", "expand", "expand_as", "squeeze", "unsqueeze", "select", "slice", "split",
    "split_with_sizes", "chunk", "unbind", "narrow", "detach", "alias", "empty", "empty_like",
    "empty_strided", "new_empty", "new_empty_strided", "result_type", "resize", "set", "size",
    "view_as", "view_as_real", "view_as_complex", "unflatten", "movedim", "swapaxes", "lift_fresh",
    "is_nonzero", "item", "diagonal", "record_stream", "_has_compatible_shallow_copy_type",
)  # fmt: skip
_DUPLICATES = (
    "clone", "contiguous", "cat", "stack", "_to_copy", "to", "repeat", "repeat_interleave", "tile",
    "flip", "roll", "constant_pad_nd", "pad", "reflection_pad2d", "_cat", "tril", "triu",
    "im2col", "col2im", "upsample_nearest1d", "upsample_nearest2d", "upsample_bilinear2d",
    "upsample_bicubic2d", "pixel_shuffle", "cudnn_grid_sampler", "grid_sampler_2d", "diag",
    "split_copy", "slice_backward", "select_backward", "split_backward", "_chunk_cat", "hstack",
    "vstack", "unfold", "unfold_backward", "rot90", "channel_shuffle", "_pin_memory",
    "split_with_sizes_copy", "_foreach_copy", "fft_r2c", "_fft_r2c", "_fft_c2c", "_fft_c2r",
)  # fmt: skip
_GATHERS = ("index", "index_select", "gather", "take", "take_along_dim", "masked_select")
_SCATTERS = (
    "index_put", "_index_put_impl", "index_add", "index_copy", "index_fill", "scatter",
    "scatter_add", "scatter_reduce", "_unsafe_index_put", "put",
)  # fmt: skip

MEMORY: Mapping[str, WorkFn] = {
    **dict.fromkeys(_FREE, _free),
    **dict.fromkeys(_DUPLICATES, _duplicate),
    **dict.fromkeys(_GATHERS, _gather),
    **dict.fromkeys(_SCATTERS, _scatter),
    "copy": _copy, "_local_scalar_dense": _duplicate,
    "embedding": _embedding, "embedding_dense_backward": _embedding_backward,
    "embedding_backward": _embedding_backward, "_embedding_bag": _embedding_bag,
    "embedding_bag": _embedding_bag, "_embedding_bag_forward_only": _embedding_bag,
    "_embedding_bag_dense_backward": _embedding_bag_backward,
    "_embedding_bag_backward": _embedding_bag_backward,
    "max_pool2d": _pool, "max_pool2d_with_indices": _pool, "avg_pool2d": _pool,
    "max_pool3d_with_indices": _pool, "avg_pool3d": _pool, "avg_pool1d": _pool,
    "max_pool2d_with_indices_backward": _pool_backward, "avg_pool2d_backward": _pool_backward,
    "_adaptive_avg_pool2d": _adaptive_pool, "adaptive_avg_pool2d": _adaptive_pool,
    "adaptive_max_pool2d": _adaptive_pool, "_adaptive_avg_pool2d_backward": _pool_backward,
}  # fmt: skip
