"""Chakra's IOInfo: Python lists as text, `str(list)`."""

from ...models.graph import Dims, Operator
from .wire import length_field, text_field

_INPUTS, _OUTPUTS = 8, 9
_VALUES, _SHAPES, _TYPES = 1, 2, 3


def encode_io(operator: Operator) -> bytes:
    """Give a node's `inputs` and `outputs` fields."""
    return _io_info(
        _INPUTS, operator.concrete_inputs, operator.input_shapes, operator.input_types
    ) + _io_info(_OUTPUTS, (), operator.output_shapes, operator.output_types)


def _io_info(
    number: int, values: tuple[str, ...], shapes: tuple[Dims, ...], types: tuple[str, ...]
) -> bytes:
    content = (
        text_field(_VALUES, str(list(values)))
        + text_field(_SHAPES, str(_lists(shapes)))
        + text_field(_TYPES, str(list(types)))
    )
    return length_field(number, content)


def _lists(shapes: tuple[Dims, ...]) -> list[object]:
    return [dim if isinstance(dim, int) else _lists(dim) for dim in shapes]
