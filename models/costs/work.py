"""`work_of`: what an operator does, from its name, shapes and dtypes.

Each family has a file of small functions, each with its formula; here they are one table. A name
that no family knows is judged by the bytes of its tensors, which fits fused and Triton kernels.
"""

from collections.abc import Mapping
from functools import lru_cache

from ..graph import Operator
from .tensors import ITEM_BYTES, Call
from .work_attention import ATTENTION
from .work_convolution import CONVOLUTION
from .work_elementwise import ELEMENTWISE, foreach, pointwise
from .work_matmul import MATMUL, WorkFn
from .work_memory import MEMORY
from .work_recurrent import RECURRENT
from .work_rows import ROW_WISE
from .work_serving import SERVING
from .work_values import FREE_WORK, Rows, Unit, Work, WorkClass

FAMILIES: Mapping[str, WorkFn] = {
    **ELEMENTWISE, **MEMORY, **ROW_WISE, **CONVOLUTION, **ATTENTION, **SERVING, **MATMUL,
    **RECURRENT,
}  # fmt: skip


def by_bytes(call: Call) -> Work:
    """Judge an unknown operator by its tensors: read all, write the largest (or the outputs)."""
    if not call.tensors:
        return FREE_WORK
    largest = max(call.tensors, key=lambda tensor: tensor.elements)
    written = sum(t.bytes for t in call.outputs) or largest.elements * ITEM_BYTES[largest.dtype]
    columns = largest.shape[-1] if largest.shape else 1
    return Work(
        WorkClass.OTHER, Unit.MEMORY, call.dtype, 0,
        bytes_read=sum(tensor.bytes for tensor in call.tensors), bytes_written=written,
        geometry=Rows(max(1, largest.elements // max(1, columns)), columns),
    )  # fmt: skip


def _function(name: str) -> WorkFn:
    """Find the family's function: the name itself, in place (`add_`), by list, by backward."""
    plain = name.rstrip("_")
    if found := FAMILIES.get(name) or FAMILIES.get(plain):
        return found
    if plain.startswith(("_foreach_", "_fused_")):
        return foreach
    if plain.startswith("triton_poi"):
        return pointwise
    return by_bytes


@lru_cache(maxsize=65536)
def work_of(operator: Operator) -> Work:
    """Give what an operator does; never fails: shapes that fit no formula count by their bytes.

    >>> work_of(Operator("aten::mm", input_shapes=((2, 3), (3, 4)),
    ...                  input_types=("float", "float"))).flops
    48
    """
    call = Call(operator)
    try:
        return _function(call.name)(call)
    except (LookupError, ValueError):  # shapes are missing or of another kind than the formula's
        return by_bytes(call)


def is_known(operator: Operator) -> bool:
    """Tell whether a family knows the operator by name."""
    return _function(Call(operator).name) is not by_bytes
