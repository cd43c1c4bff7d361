"""An operator's arguments as tensors: the one place where recorded dtype names are understood."""

import re
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TypeGuard

from ..graph import Dims, Operator

# our dtype -> bytes of one element
ITEM_BYTES: dict[str, int] = {
    "fp64": 8, "fp32": 4, "tf32": 4, "fp16": 2, "bf16": 2, "fp8": 1, "int64": 8, "int32": 4,
    "int16": 2, "int8": 1, "bool": 1, "complex64": 8, "complex128": 16,
}  # fmt: skip

# C++ names (Kineto, execution trace) and Python names -> our dtype
DTYPE_OF_NAME: dict[str, str] = {
    "double": "fp64", "float64": "fp64", "float": "fp32", "float32": "fp32",
    "c10::Half": "fp16", "half": "fp16", "float16": "fp16", "Half": "fp16",
    "c10::BFloat16": "bf16", "bfloat16": "bf16", "BFloat16": "bf16",
    "c10::Float8_e4m3fn": "fp8", "c10::Float8_e5m2": "fp8", "c10::Float8_e4m3fnuz": "fp8",
    "c10::Float8_e5m2fnuz": "fp8", "float8_e4m3fn": "fp8", "float8_e5m2": "fp8",
    "long": "int64", "long int": "int64", "int64": "int64", "int64_t": "int64",
    "long long": "int64", "int": "int32", "int32": "int32", "unsigned int": "int32",
    "short": "int16", "short int": "int16", "int16": "int16", "unsigned short": "int16",
    "signed char": "int8", "char": "int8", "int8": "int8", "unsigned char": "int8",
    "uint8": "int8", "c10::qint8": "int8", "c10::quint8": "int8", "bool": "bool",
    "c10::complex<float>": "complex64", "complex64": "complex64",
    "c10::complex<double>": "complex128", "complex128": "complex128",
    "fp64": "fp64", "fp32": "fp32", "tf32": "tf32", "fp16": "fp16", "bf16": "bf16", "fp8": "fp8",
}  # fmt: skip

FLOATING = frozenset({"fp64", "fp32", "tf32", "fp16", "bf16", "fp8", "complex64", "complex128"})
_WRAPPED = re.compile(r"^(?:Tensor|Optional|nullable)\((.*)\)$")
_LIST = re.compile(r"^(?:GenericList|TensorList|List)\[(.*)\]$")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")


def dtype_of(name: str) -> str:
    """Give our dtype for a recorded type name, "" where it is not a tensor's.

    >>> dtype_of("Tensor(c10::BFloat16)"), dtype_of("float"), dtype_of("Scalar")
    ('bf16', 'fp32', '')
    """
    name = name.strip()
    if wrapped := _WRAPPED.match(name):
        return dtype_of(wrapped[1])
    return DTYPE_OF_NAME.get(name.removeprefix("torch."), "")


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor argument.

    Attributes:
        stored_elements: without dimensions that are only expanded.
        strides: None where they were not recorded.
    """

    shape: tuple[int, ...]
    dtype: str
    stored_elements: int
    strides: tuple[int, ...] | None = None

    @property
    def elements(self) -> int:
        """Give the number of elements."""
        return prod(self.shape)

    @property
    def bytes(self) -> int:
        """Give the bytes that memory really holds."""
        return self.stored_elements * ITEM_BYTES[self.dtype]


def walk_together(tensors: list[Tensor]) -> bool:
    """Tell whether one pass over memory visits the same elements of all tensors.

    Then PyTorch's elementwise kernels load several at once; else they compute the place of each.
    """
    layouts = {(tensor.shape, tensor.strides) for tensor in tensors if tensor.elements > 1}
    steps = {_steps(shape, strides) for shape, strides in layouts}
    shapes = {tuple(size for size, _ in each) for each in steps}
    recorded = {each for each in steps if all(stride is not None for _, stride in each)}
    return len(shapes) <= 1 and len(recorded) <= 1 and all(map(_is_dense, recorded))


def _steps(
    shape: tuple[int, ...], strides: tuple[int, ...] | None
) -> tuple[tuple[int, int | None], ...]:
    """Give size and stride of the dimensions longer than 1: of others no stride counts."""
    places = zip(shape, strides or (None,) * len(shape), strict=True)
    return tuple((size, stride) for size, stride in places if size != 1)


def _is_dense(steps: tuple[tuple[int, int | None], ...]) -> bool:
    """Tell whether elements lie without gaps or repeats, in whatever order."""
    expected = 1
    for stride, size in sorted((stride or 0, size) for size, stride in steps):
        if stride != expected:
            return False
        expected *= size
    return True


def _is_shape(dims: Dims) -> TypeGuard[tuple[int, ...]]:
    return isinstance(dims, tuple) and all(isinstance(size, int) for size in dims)


def _tensor(dims: tuple[int, ...], dtype: str, strides: Dims) -> Tensor:
    if not (isinstance(strides, tuple) and len(strides) == len(dims)):
        return Tensor(dims, dtype, prod(dims))
    stored = prod(size for size, stride in zip(dims, strides, strict=True) if stride != 0)
    return Tensor(dims, dtype, stored, strides if _is_shape(strides) else None)


def _argument(dims: Dims, type_name: str, strides: Dims, default: str) -> tuple[Tensor, ...]:
    """Give the tensors of one argument: none for a scalar, several for a list."""
    if not isinstance(dims, tuple):
        return ()
    if _is_shape(dims):
        dtype = dtype_of(type_name)
        shape = tuple(size for size in dims if isinstance(size, int))
        if not dtype and shape and "List" not in type_name and type_name != "Scalar":
            dtype = default
        return (_tensor(shape, dtype, strides),) if dtype else ()
    inner = _LIST.match(type_name.strip())
    types = inner[1].split(",") if inner else []
    stride_list = strides if isinstance(strides, tuple) else ()
    tensors: list[Tensor] = []
    for place, part in enumerate(dims):
        name = types[place].strip() if place < len(types) else ""
        if name and not dtype_of(name):
            continue  # a list of plain numbers
        stride = stride_list[place] if place < len(stride_list) else ()
        tensors.extend(_argument(part, dtype_of(name) or default, stride, default))
    return tuple(tensors)


def _arguments(
    shapes: tuple[Dims, ...], types: tuple[str, ...], strides: tuple[Dims, ...]
) -> tuple[tuple[Tensor, ...], ...]:
    floats = [dtype for name in types if (dtype := dtype_of(name)) in FLOATING]
    default = floats[0] if floats else "fp32"
    padded_types = (*types, *[""] * len(shapes))
    padded_strides: tuple[Dims, ...] = (*strides, *[()] * len(shapes))
    return tuple(
        _argument(dims, padded_types[place], padded_strides[place], default)
        for place, dims in enumerate(shapes)
    )


class Call:
    """An operator with its arguments understood: what the functions of work look at."""

    def __init__(self, operator: Operator) -> None:
        self.operator = operator
        self.name = operator.name.rsplit("::", 1)[-1].split(".", 1)[0]
        self.arguments = _arguments(
            operator.input_shapes, operator.input_types, operator.input_strides
        )
        self.outputs = [
            tensor
            for group in _arguments(operator.output_shapes, operator.output_types, ())
            for tensor in group
        ]

    @cached_property
    def tensors(self) -> list[Tensor]:
        """Give all input tensors, lists flattened."""
        return [tensor for group in self.arguments for tensor in group]

    def tensor(self, position: int) -> Tensor:
        """Give the tensor at a position.

        Raises:
            LookupError: there is none, so the formula does not fit this call.
        """
        return self.arguments[position][0]

    def shape(self, position: int) -> tuple[int, ...]:
        """Give the shape of the tensor at a position."""
        return self.tensor(position).shape

    def text(self, position: int) -> str:
        """Give a concrete argument as recorded, "" where it was not."""
        concrete = self.operator.concrete_inputs
        return concrete[position].strip() if position < len(concrete) else ""

    def integers(self, position: int) -> list[int]:
        """Give a concrete list (or number) of integers, empty where it was not recorded."""
        return [int(float(found)) for found in _NUMBER.findall(self.text(position))]

    def is_true(self, position: int) -> bool:
        """Tell whether a concrete argument is true."""
        return self.text(position).lower() in {"true", "1"}

    @property
    def dtype(self) -> str:
        """Give the dtype the maths runs in: of the first floating tensor, else of the first."""
        floating = [tensor.dtype for tensor in self.tensors if tensor.dtype in FLOATING]
        others = [tensor.dtype for tensor in self.tensors]
        return (floating or others or ["fp32"])[0]

    @property
    def item_bytes(self) -> int:
        """Give the bytes of one element of the maths' dtype."""
        return ITEM_BYTES[self.dtype]
