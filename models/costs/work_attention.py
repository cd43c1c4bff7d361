"""Work of attention: two products a forward pass, five a backward pass (one is recomputed).

forward      2 b h q k (d + d_v)                        FLOPs (no discount for the causal mask)
backward     2 b h q k (3 d + 2 d_v)                    S again, dP, dV, dQ, dK
bytes        Q, K, V once and O once; the scores never leave the chip
"""

from collections.abc import Mapping
from math import prod

from .tensors import Call, Tensor
from .work_matmul import WorkFn
from .work_values import Attention, Unit, Work, WorkClass

DECODE_QUERIES = 16  # up to so many queries a sequence the cache's bytes rule, not the products


def attention_work(call: Call, a: Attention, read_bytes: int | None = None) -> Work:
    """Give the work of one attention call."""
    widths = 3 * a.head_dim + 2 * a.value_dim if a.backward else a.head_dim + a.value_dim
    decode = a.queries <= DECODE_QUERIES < a.keys and not a.backward
    q_elements = a.batch * a.heads * a.queries * a.head_dim
    kv_elements = a.batch * a.kv_heads * a.keys * (a.head_dim + a.value_dim)
    written = q_elements + kv_elements if a.backward else q_elements
    read = sum(t.bytes for t in call.tensors) if read_bytes is None else read_bytes
    return Work(
        WorkClass.DECODE if decode else WorkClass.PREFILL,
        Unit.MATRIX,
        call.dtype,
        flops=2 * a.batch * a.heads * a.queries * a.keys * widths,
        bytes_read=read,
        bytes_written=written * call.item_bytes,
        geometry=a,
    )


def _heads_first(
    q: Tensor, k: Tensor, v: Tensor, *, causal: bool, backward: bool = False
) -> Attention:
    """(..., heads, sequence, head_dim), as aten's attention operators take them."""
    return Attention(
        batch=prod(q.shape[:-3]), heads=q.shape[-3], kv_heads=k.shape[-3], queries=q.shape[-2],
        keys=k.shape[-2], head_dim=q.shape[-1], value_dim=v.shape[-1], causal=causal,
        backward=backward,
    )  # fmt: skip


def _sdpa(call: Call) -> Work:
    """(query, key, value, attn_mask, dropout_p, is_causal)."""
    a = _heads_first(call.tensor(0), call.tensor(1), call.tensor(2), causal=call.is_true(5))
    return attention_work(call, a)


def _sdpa_flash(call: Call) -> Work:
    """(query, key, value, dropout_p, is_causal, ...)."""
    a = _heads_first(call.tensor(0), call.tensor(1), call.tensor(2), causal=call.is_true(4))
    return attention_work(call, a)


def _sdpa_efficient(call: Call) -> Work:
    """(query, key, value, attn_bias, compute_log_sumexp, dropout_p, is_causal)."""
    causal = call.is_true(6) or call.is_true(5)
    a = _heads_first(call.tensor(0), call.tensor(1), call.tensor(2), causal=causal)
    return attention_work(call, a)


def _sdpa_backward(call: Call) -> Work:
    """(grad_out, query, key, value, ...); the causal flag stands among the later arguments."""
    causal = any(call.text(place).lower() == "true" for place in range(4, 20))
    a = _heads_first(call.tensor(1), call.tensor(2), call.tensor(3), causal=causal, backward=True)
    return attention_work(call, a)


def _sequences(call: Call, first: int) -> int:
    """Give the number of packed sequences: the length of `cu_seqlens` less one."""
    for group in call.arguments[first:]:
        for tensor in group:
            if tensor.dtype in {"int32", "int64"} and len(tensor.shape) == 1:
                return max(1, tensor.shape[0] - 1)
    return 1


def _heads_late(call: Call, at: int, *, causal: bool, backward: bool) -> Work:
    """(batch, sequence, heads, d) or packed (tokens, heads, d), as flash-attention takes them."""
    q, k, v = call.tensor(at), call.tensor(at + 1), call.tensor(at + 2)
    if len(q.shape) == 3:
        batch = _sequences(call, at + 3)
        queries, keys = -(-q.shape[0] // batch), -(-k.shape[0] // batch)
    else:
        batch, queries, keys = q.shape[0], q.shape[1], k.shape[1]
    a = Attention(
        batch, q.shape[-2], k.shape[-2], queries, keys, q.shape[-1], v.shape[-1],
        causal=causal, backward=backward,
    )  # fmt: skip
    return attention_work(call, a)


def _says_true(call: Call) -> bool:
    return any(text.strip().lower() == "true" for text in call.operator.concrete_inputs)


def _flash_forward(call: Call) -> Work:
    return _heads_late(call, 0, causal=_says_true(call), backward=False)


def _flash_backward(call: Call) -> Work:
    return _heads_late(call, 1, causal=_says_true(call), backward=True)


def _flex(call: Call) -> Work:
    a = _heads_first(call.tensor(0), call.tensor(1), call.tensor(2), causal=False)
    return attention_work(call, a)


def _flex_backward(call: Call) -> Work:
    """(query, key, value, out, logsumexp, grad_out, ...)."""
    a = _heads_first(call.tensor(0), call.tensor(1), call.tensor(2), causal=False, backward=True)
    return attention_work(call, a)


ATTENTION: Mapping[str, WorkFn] = {
    "scaled_dot_product_attention": _sdpa,
    "_scaled_dot_product_attention_math": _sdpa,
    "_scaled_dot_product_flash_attention": _sdpa_flash,
    "_scaled_dot_product_flash_attention_for_cpu": _sdpa_flash,
    "_scaled_dot_product_efficient_attention": _sdpa_efficient,
    "_scaled_dot_product_cudnn_attention": _sdpa_efficient,
    "_scaled_dot_product_fused_attention_overrideable": _sdpa_efficient,
    "_scaled_dot_product_flash_attention_backward": _sdpa_backward,
    "_scaled_dot_product_flash_attention_for_cpu_backward": _sdpa_backward,
    "_scaled_dot_product_efficient_attention_backward": _sdpa_backward,
    "_scaled_dot_product_cudnn_attention_backward": _sdpa_backward,
    "_flash_attention_forward": _flash_forward, "_efficient_attention_forward": _flash_forward,
    "_flash_attention_backward": _flash_backward,
    "_efficient_attention_backward": _flash_backward,
    "flex_attention": _flex,
    "flex_attention_backward": _flex_backward, "FlashAttnFunc": _flash_forward,
    "FlashAttnVarlenFunc": _flash_forward, "FlashAttnFuncBackward": _flash_backward,
    "fwd": _flash_forward, "varlen_fwd": _flash_forward, "bwd": _flash_backward,
    "varlen_bwd": _flash_backward, "_flash_attn_forward": _flash_forward,
    "_flash_attn_varlen_forward": _flash_forward, "_flash_attn_backward": _flash_backward,
    "_flash_attn_varlen_backward": _flash_backward,
    # of xformers: the sequence stands before the heads
    "efficient_attention_forward_cutlass": _flash_forward, "flash_fwd": _flash_forward,
    "efficient_attention_forward_ck": _flash_forward,
    "efficient_attention_backward_cutlass": _flash_backward, "flash_bwd": _flash_backward,
    "efficient_attention_backward_ck": _flash_backward,
}  # fmt: skip
