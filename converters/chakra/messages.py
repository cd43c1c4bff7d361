"""Chakra's messages as Python values: attributes by name, parse errors told with their place."""

from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

from google.protobuf.message import DecodeError

from ...models.errors import TraceFormatError
from .schema import AttributeMessage, GlobalMetadata, Node, NodeMessage

Scalar: TypeAlias = bool | int | float | str | bytes
AttributeValue: TypeAlias = Scalar | tuple[Scalar, ...]
Attributes: TypeAlias = dict[str, AttributeValue]


def read_metadata(content: bytes, where: Path) -> Attributes:
    """Give the file's attributes, `version` among them.

    Raises:
        TraceFormatError: the bytes are no GlobalMetadata.
    """
    message = GlobalMetadata()
    try:
        message.ParseFromString(content)
    except DecodeError as error:
        raise TraceFormatError("its metadata cannot be decoded", where=where) from error
    return {"version": message.version, **read_attributes(message.attr)}


def read_node(content: bytes, number: int, where: Path) -> NodeMessage:
    """Give one node's message.

    Raises:
        TraceFormatError: the bytes are no Node.
    """
    message = Node()
    try:
        message.ParseFromString(content)
    except DecodeError as error:
        raise TraceFormatError(
            f"node {number} cannot be decoded",
            where=where,
            remedy="the file is damaged: copy or write it again",
        ) from error
    return message


def read_attributes(messages: Iterable[AttributeMessage]) -> Attributes:
    """Give attributes by name; one without a value is left out."""
    attributes: Attributes = {}
    for message in messages:
        kind = message.WhichOneof("value")
        if kind is not None:
            value = getattr(message, kind)
            attributes[message.name] = tuple(value.values) if kind.endswith("_list") else value
    return attributes
