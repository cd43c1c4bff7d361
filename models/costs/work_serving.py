"""Work of serving engines' own operators: paged attention, rotary embedding, cache writes, gates.

Shapes are those that vLLM and SGLang record; how long a paged sequence is the trace does not
tell, so decode attention is bounded by what its block table could address.
"""

from collections.abc import Mapping
from math import prod

from .tensors import ITEM_BYTES, Call
from .work_attention import attention_work
from .work_elementwise import pointwise
from .work_matmul import WorkFn
from .work_rows import rows_work
from .work_values import Attention, Gemm, Rows, Unit, Work, WorkClass


def _gated(call: Call) -> Work:
    """(out, x): x is (tokens, 2 d), out (tokens, d): silu(x₁) x₂."""
    widest = max(call.tensors, key=lambda tensor: tensor.elements)
    out = widest.elements // 2
    return Work(
        WorkClass.ELEMENTWISE, Unit.VECTOR, call.dtype, flops=10 * out,
        bytes_read=widest.bytes, bytes_written=out * ITEM_BYTES[widest.dtype],
        geometry=Rows(prod(widest.shape[:-1]), widest.shape[-1] // 2),
    )  # fmt: skip


def _rms_norm(call: Call) -> Work:
    """(out, x, weight, ε) or (x, residual, weight, ε): read and written once each."""
    x = call.tensor(0)
    rows = Rows(prod(x.shape[:-1]), x.shape[-1])
    big = [t for t in call.tensors if t.elements == x.elements]
    fused = "fused_add" in call.name
    read = x.bytes * (2 if fused else 1)
    written = x.elements * ITEM_BYTES[big[0].dtype] * (2 if fused else 1)
    return Work(
        WorkClass.NORMALISATION, Unit.VECTOR, call.dtype, flops=8 * x.elements,
        bytes_read=read, bytes_written=written, geometry=rows,
    )  # fmt: skip


def _rotary(call: Call) -> Work:
    """(positions, query, key, head_size, cos_sin_cache): query and key rotated in place."""
    floating = [t for t in call.tensors if t.dtype not in {"int64", "int32"}]
    rotated = sum(t.elements * ITEM_BYTES[t.dtype] for t in floating[:2])
    tokens = call.tensors[0].elements
    return Work(
        WorkClass.ELEMENTWISE, Unit.VECTOR, call.dtype, flops=6 * sum(
            t.elements for t in floating[:2]
        ),
        bytes_read=rotated, bytes_written=rotated, geometry=Rows(tokens, 1),
    )  # fmt: skip


def _cache_write(call: Call) -> Work:
    """(key, value, key_cache, value_cache, slots, ...): keys and values read, written once."""
    new = sum(call.tensor(place).bytes for place in (0, 1))
    tokens = call.shape(0)[0]
    return Work(
        WorkClass.COPY, Unit.MEMORY, call.dtype, bytes_read=new, bytes_written=new,
        geometry=Rows(tokens, prod(call.shape(0)[1:])),
    )  # fmt: skip


def _paged_attention(call: Call) -> Work:
    """(out, query, key_cache, value_cache, kv_heads, scale, block_tables, seq_lens, ...)."""
    query = call.shape(1)
    tables = next(
        (t.shape for t in call.tensors[4:] if t.dtype == "int32" and len(t.shape) == 2), (1, 1)
    )
    cache = call.shape(2)
    block = cache[1] if len(cache) == 4 else cache[-2]
    heads_given = call.integers(4)
    kv_heads = heads_given[0] if heads_given else (cache[2] if len(cache) == 4 else cache[1])
    context = tables[1] * max(1, block)
    a = Attention(query[0], query[-2], kv_heads, 1, context, query[-1], query[-1])
    kv_bytes = 2 * a.batch * kv_heads * context * a.head_dim * ITEM_BYTES[call.tensor(2).dtype]
    return attention_work(call, a, read_bytes=kv_bytes + call.tensor(1).bytes)


def _unified_attention(call: Call) -> Work:
    """(query, key, value, output, ...): packed tokens; without lengths, one sequence."""
    q, k = call.shape(0), call.shape(1)
    a = Attention(1, q[-2], k[-2], q[0], k[0], q[-1], k[-1], causal=True)
    return attention_work(call, a)


def _moe_gemm(call: Call) -> Work:
    """(hidden (t, k), w1 (e, 2n, k), w2 (e, k, n), ...): top-k unknown, every expert read."""
    tensors = [t for t in call.tensors if len(t.shape) == 3]
    hidden = call.tensor(0)
    if len(tensors) < 2:
        raise LookupError
    w1, w2 = tensors[0], tensors[1]
    tokens, experts = prod(hidden.shape[:-1]), w1.shape[0]
    ids = [t.shape for t in call.tensors if len(t.shape) == 2 and t.shape[0] == tokens]
    top_k = min((shape[1] for shape in ids if shape[1] <= 32), default=1)
    flops = 2 * tokens * top_k * (prod(w1.shape[1:]) + prod(w2.shape[1:]))
    used = min(1.0, tokens * top_k / experts)
    return Work(
        WorkClass.MATMUL, Unit.MATRIX, call.dtype, flops=flops,
        bytes_read=int(used * (w1.bytes + w2.bytes)) + hidden.bytes,
        bytes_written=hidden.bytes,
        geometry=Gemm(experts, max(1, tokens * top_k // experts), w1.shape[1], w1.shape[2]),
    )  # fmt: skip


def _quantise(call: Call) -> Work:
    return pointwise(call)


def _selective_scan(call: Call) -> Work:
    x = max(call.tensors, key=lambda tensor: tensor.elements)
    rows = Rows(prod(x.shape[:-1]), x.shape[-1])
    return rows_work(call, WorkClass.REDUCTION, rows, flops_per_element=10, written=x.bytes)


SERVING: Mapping[str, WorkFn] = {
    "silu_and_mul": _gated, "gelu_and_mul": _gated, "gelu_tanh_and_mul": _gated,
    "fused_add_rms_norm": _rms_norm, "rmsnorm": _rms_norm, "fused_add_rmsnorm": _rms_norm,
    "rms_norm_static_fp8_quant": _rms_norm, "gemma_rmsnorm": _rms_norm,
    "rotary_embedding": _rotary, "rotary_embedding_": _rotary, "apply_rotary_emb": _rotary,
    "apply_rope_pos_ids_cos_sin_cache": _rotary,
    "reshape_and_cache": _cache_write, "reshape_and_cache_flash": _cache_write,
    "paged_attention_v1": _paged_attention, "paged_attention_v2": _paged_attention,
    "paged_attention": _paged_attention,
    "unified_attention": _unified_attention, "unified_attention_with_output": _unified_attention,
    "fused_experts": _moe_gemm, "fused_moe": _moe_gemm, "moe_forward": _moe_gemm,
    "inplace_fused_experts": _moe_gemm, "outplace_fused_experts": _moe_gemm,
    "static_scaled_fp8_quant": _quantise, "dynamic_scaled_fp8_quant": _quantise,
    "dynamic_per_token_scaled_fp8_quant": _quantise, "per_token_group_quant_fp8": _quantise,
    "selective_scan_fwd": _selective_scan, "causal_conv1d_fwd": _selective_scan,
}  # fmt: skip
