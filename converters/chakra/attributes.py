"""Chakra's node attributes, encoded one at a time and for many rows at once."""

from enum import IntEnum

from ...models.graph import Int64s
from .wire import LENGTH, VARINT, Block, Mask, length_field, tag, varint, varint_lengths

NODE_ATTR = 10
METADATA_ATTR = 2
_NAME = 1


class Value(IntEnum):
    """The fields of AttributeProto's `value` that are written, with their numbers."""

    INT32 = 7
    INT64 = 9
    UINT32 = 11
    UINT64 = 13
    BOOL = 27
    STRING = 29
    BYTES = 31


def number(name: str, value: int, kind: Value, *, owner: int = NODE_ATTR) -> bytes:
    """Encode an integer or truth attribute of a node (or of the owner's `attr` field)."""
    return length_field(owner, _named(name) + tag(kind, VARINT) + varint(value))


def text(name: str, value: str | bytes, *, owner: int = NODE_ATTR) -> bytes:
    """Encode a string or bytes attribute of a node (or of the owner's `attr` field)."""
    kind = Value.STRING if isinstance(value, str) else Value.BYTES
    content = value.encode() if isinstance(value, str) else value
    return length_field(owner, _named(name) + length_field(kind, content))


def add_numbers(
    block: Block, name: str, values: Int64s, kind: Value = Value.INT64, where: Mask | None = None
) -> None:
    """Add an integer attribute to every row of a block, or to those of `where`."""
    head = _named(name) + tag(kind, VARINT)
    block.headed_varints(tag(NODE_ATTR, LENGTH), head, values, where)


def add_bytes_head(block: Block, name: str, lengths: Int64s) -> None:
    """Add the head of a bytes attribute whose content of that length follows the block."""
    head = _named(name) + tag(Value.BYTES, LENGTH)
    block.constant(tag(NODE_ATTR, LENGTH))
    block.varints(len(head) + varint_lengths(lengths) + lengths)
    block.constant(head)
    block.varints(lengths)


def _named(name: str) -> bytes:
    return length_field(_NAME, name.encode())
