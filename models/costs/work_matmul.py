"""Work of the matrix product family: 2 m n k FLOPs, operands read once, result written once."""

from collections.abc import Callable, Mapping
from math import prod

from .tensors import ITEM_BYTES, Call
from .work_values import Gemm, Unit, Work, WorkClass

WorkFn = Callable[[Call], Work]

_INTEGER = {"int64": "int8", "int32": "int8", "int16": "int8", "bool": "int8"}


def product_work(call: Call, gemm: Gemm, *, extra_read_bytes: int = 0) -> Work:
    """Give the work of one (batched) product whose operands are the call's tensors."""
    read = sum(tensor.bytes for tensor in call.tensors) + extra_read_bytes
    out_bytes = _output_item_bytes(call)
    return Work(
        WorkClass.MATMUL,
        Unit.MATRIX,
        _INTEGER.get(call.dtype, call.dtype),
        flops=2 * gemm.batch * gemm.m * gemm.n * gemm.k,
        bytes_read=read,
        bytes_written=gemm.batch * gemm.m * gemm.n * out_bytes,
        geometry=gemm,
    )


def _output_item_bytes(call: Call) -> int:
    if call.outputs:
        return ITEM_BYTES[call.outputs[0].dtype]
    return 2 if call.dtype == "fp8" else call.item_bytes


def _product(call: Call, left: int, right: int) -> Work:
    """(..., m, k) x (..., k, n), broadcast over the leading dimensions."""
    a, b = call.shape(left), call.shape(right)
    if len(a) == 1:
        a = (1, *a)
    if len(b) == 1:
        b = (*b, 1)
    (m, k), n = a[-2:], b[-1]
    if b[-2] != k:
        raise LookupError
    if len(b) == 2:  # one right matrix: the leading dimensions are rows
        return product_work(call, Gemm(1, prod(a[:-1]), n, k))
    return product_work(call, Gemm(max(prod(a[:-2]), prod(b[:-2])), m, n, k))


def _mm(call: Call) -> Work:
    return _product(call, 0, 1)


def _addmm(call: Call) -> Work:
    return _product(call, 1, 2)


def _linear(call: Call) -> Work:
    """Give y = x Wᵀ + b with x (..., k) and W (n, k)."""
    x, w = call.shape(0), call.shape(1)
    return product_work(call, Gemm(1, prod(x[:-1]), w[0], w[-1]))


def _linear_backward(call: Call) -> Work:
    """Two products of the forward's size: dX = dY W and dW = dYᵀ X."""
    x, grad = call.shape(0), call.shape(1)
    m, k, n = prod(x[:-1]), x[-1], grad[-1]
    return product_work(call, Gemm(2, m, n, k))


def _mv(call: Call) -> Work:
    return _product(call, 0, 1)


def _addmv(call: Call) -> Work:
    return _product(call, 1, 2)


def _dot(call: Call) -> Work:
    return product_work(call, Gemm(1, 1, 1, call.tensor(0).elements))


def _outer(call: Call) -> Work:
    return product_work(call, Gemm(1, call.tensor(0).elements, call.tensor(1).elements, 1))


def _einsum(call: Call) -> Work:
    """Two operands: every index once in the loop nest, 2 ∏ sizes FLOPs.

    As a product: indices of both and the result are batch, of both only are k.
    """
    equation = call.text(0).replace(" ", "").strip("'\"")
    inputs, _, result = equation.partition("->")
    operands = inputs.split(",")
    tensors = call.tensors
    if len(operands) != 2 or len(tensors) != 2 or "." in equation:
        raise LookupError
    size = {
        index: extent
        for operand, tensor in zip(operands, tensors, strict=True)
        for index, extent in zip(operand, tensor.shape, strict=True)
    }
    left, right, kept = set(operands[0]), set(operands[1]), set(result)

    def extent(indices: set[str]) -> int:
        return prod(size[index] for index in indices)

    gemm = Gemm(
        extent(left & right & kept), extent(left - right), extent(right - left),
        extent((left & right) - kept),
    )  # fmt: skip
    return product_work(call, gemm)


def _grouped_mm(call: Call) -> Work:
    """Rows (tokens, k) against one expert's (k, n) each: 2 tokens k n FLOPs."""
    x, w = call.shape(0), call.shape(1)
    experts = w[0] if len(w) == 3 else 1
    return product_work(call, Gemm(experts, max(1, prod(x[:-1]) // experts), w[-1], x[-1]))


def _linear_like_transposed(call: Call) -> Work:
    """(m, k) against an (n, k) weight, as serving kernels store quantised weights."""
    x, w = call.shape(0), call.shape(1)
    n = w[0] if w[-1] == x[-1] else w[-1]
    return product_work(call, Gemm(1, prod(x[:-1]), n, x[-1]))


def _packed_four_bits(call: Call) -> Work:
    """(m, k) against weights of 4 bits, packed however: n is what their bytes hold over k."""
    x = call.tensor(0)
    packed = next((t for t in call.tensors[1:] if t.dtype in {"int32", "int8"}), None)
    if packed is None:
        raise LookupError
    k = x.shape[-1]
    gemm = Gemm(1, prod(x.shape[:-1]), max(1, 2 * packed.bytes // k), k)
    return product_work(call, gemm)


MATMUL: Mapping[str, WorkFn] = {
    "mm": _mm, "bmm": _mm, "matmul": _mm, "_int_mm": _mm, "_scaled_mm": _mm,
    "addmm": _addmm, "baddbmm": _addmm, "addbmm": _addmm, "_addmm_activation": _addmm,
    "linear": _linear, "_mkl_linear": _linear, "mkldnn_linear": _linear,
    "_mkldnn_linear": _linear, "linear_backward": _linear_backward,
    "mv": _mv, "addmv": _addmv, "dot": _dot, "vdot": _dot, "outer": _outer, "ger": _outer,
    "einsum": _einsum, "_grouped_mm": _grouped_mm, "_scaled_grouped_mm": _grouped_mm,
    "rocm_unquantized_gemm": _linear_like_transposed,
    "rocm_unquantized_gemm_impl": _linear_like_transposed,
    "cutlass_scaled_mm": _linear_like_transposed,
    "w8a8_block_fp8_matmul": _linear_like_transposed,
    "_weight_int4pack_mm": _packed_four_bits, "gptq_marlin_gemm": _packed_four_bits,
    "marlin_gemm": _packed_four_bits, "awq_gemm": _packed_four_bits,
    "awq_marlin_gemm": _packed_four_bits, "gemv_4bit": _packed_four_bits,
    "gemm_a8w8": _linear_like_transposed, "gemm_a8w8_blockscale": _linear_like_transposed,
}  # fmt: skip
