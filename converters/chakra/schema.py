"""Chakra's messages as protobuf classes, from tables: no generated code to grow stale.

`et_def.proto` beside this file says the same for people and other languages; a test compares.
"""

from collections.abc import Iterable, Mapping, MutableSequence
from enum import IntEnum
from typing import Protocol, cast

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from ...models.graph import NodeKind

PACKAGE = "ChakraProtoMsg"

SCALARS = (
    "double", "float", "int32", "int64", "uint32", "uint64", "sint32", "sint64",
    "fixed32", "fixed64", "sfixed32", "sfixed64", "bool", "string", "bytes",
)  # fmt: skip


class CollectiveCommType(IntEnum):
    """Chakra's kinds of collectives, with Chakra's own numbers."""

    ALL_REDUCE = 0
    REDUCE = 1
    ALL_GATHER = 2
    GATHER = 3
    SCATTER = 4
    BROADCAST = 5
    ALL_TO_ALL = 6
    REDUCE_SCATTER = 7
    REDUCE_SCATTER_BLOCK = 8
    BARRIER = 9


ENUMS: Mapping[str, Mapping[str, int]] = {
    "NodeType": {f"{kind.name}_NODE": int(kind) for kind in NodeKind},
    "CollectiveCommType": {kind.name: int(kind) for kind in CollectiveCommType},
}

# message -> field -> (number, type); "*" marks a repeated field.
MESSAGES: Mapping[str, Mapping[str, tuple[int, str]]] = {
    **{f"{scalar.capitalize()}List": {"values": (1, f"{scalar}*")} for scalar in SCALARS},
    "AttributeProto": {
        "name": (1, "string"),
        "doc_string": (2, "string"),
        **{f"{scalar}_val": (3 + 2 * i, scalar) for i, scalar in enumerate(SCALARS)},
        **{
            f"{scalar}_list": (4 + 2 * i, f"{scalar.capitalize()}List")
            for i, scalar in enumerate(SCALARS)
        },
    },
    "GlobalMetadata": {"version": (1, "string"), "attr": (2, "AttributeProto*")},
    "IOInfo": {"values": (1, "string"), "shapes": (2, "string"), "types": (3, "string")},
    "Node": {
        "id": (1, "uint64"),
        "name": (2, "string"),
        "type": (3, "NodeType"),
        "ctrl_deps": (4, "uint64*"),
        "data_deps": (5, "uint64*"),
        "start_time_micros": (6, "uint64"),
        "duration_micros": (7, "uint64"),
        "inputs": (8, "IOInfo"),
        "outputs": (9, "IOInfo"),
        "attr": (10, "AttributeProto*"),
    },
    "Tensor": {
        "tensor_id": (1, "uint64"),
        "storage_id": (2, "uint64"),
        "offset": (3, "uint64"),
        "num_elem": (4, "uint64"),
        "elem_bytes": (5, "uint64"),
        "device": (6, "string"),
    },
}
_ONEOF_FROM = 3  # AttributeProto: fields from here on exclude each other


class AttributeMessage(Protocol):
    """What of an AttributeProto is used by name; its value is read through `WhichOneof`."""

    name: str

    def WhichOneof(self, oneof_group: str, /) -> str | None:  # noqa: N802  # protobuf's name
        """Give the name of the field that is set."""


class IOInfoMessage(Protocol):
    """Inputs or outputs of a node: Python lists as text."""

    values: str
    shapes: str
    types: str


class _Wire(Protocol):
    def SerializeToString(self) -> bytes: ...  # noqa: N802
    def ParseFromString(self, serialized: bytes, /) -> int: ...  # noqa: N802


class MetadataMessage(_Wire, Protocol):
    """The first message of a file."""

    version: str

    @property
    def attr(self) -> Iterable[AttributeMessage]:
        """Give the attributes."""


class NodeMessage(_Wire, Protocol):
    """One node as it stands on the wire."""

    id: int
    name: str
    type: int
    start_time_micros: int
    duration_micros: int

    @property
    def ctrl_deps(self) -> MutableSequence[int]:
        """Give the ids this node waits for: callers."""

    @property
    def data_deps(self) -> MutableSequence[int]:
        """Give the ids this node waits for: everything else."""

    @property
    def inputs(self) -> IOInfoMessage:
        """Give the inputs."""

    @property
    def outputs(self) -> IOInfoMessage:
        """Give the outputs."""

    @property
    def attr(self) -> Iterable[AttributeMessage]:
        """Give the attributes."""


def file_descriptor() -> FileDescriptorProto:
    """Give the schema as protobuf's own description of a file."""
    file = FileDescriptorProto(name="etsim/et_def.proto", package=PACKAGE, syntax="proto3")
    for name, numbers in ENUMS.items():
        enum = file.enum_type.add(name=name)
        for key, number in numbers.items():
            enum.value.add(name=key, number=number)
    for name, table in MESSAGES.items():
        message = file.message_type.add(name=name)
        if name == "AttributeProto":
            message.oneof_decl.add(name="value")
        for key, (number, kind) in sorted(table.items(), key=lambda item: item[1][0]):
            described = message.field.add(name=key, number=number)
            _describe_type(described, kind)
            if name == "AttributeProto" and number >= _ONEOF_FROM:
                described.oneof_index = 0
    return file


def _describe_type(described: FieldDescriptorProto, kind: str) -> None:
    base = kind.rstrip("*")
    repeated = kind.endswith("*")
    described.label = (
        FieldDescriptorProto.LABEL_REPEATED if repeated else FieldDescriptorProto.LABEL_OPTIONAL
    )
    if base in SCALARS:
        described.type = FieldDescriptorProto.Type.Value(f"TYPE_{base.upper()}")
    else:
        in_enums = base in ENUMS
        described.type = (
            FieldDescriptorProto.TYPE_ENUM if in_enums else FieldDescriptorProto.TYPE_MESSAGE
        )
        described.type_name = f".{PACKAGE}.{base}"


_POOL = DescriptorPool()  # our own: another package may have registered Chakra's file already
_POOL.Add(file_descriptor())


def _message_class(name: str) -> object:
    return GetMessageClass(_POOL.FindMessageTypeByName(f"{PACKAGE}.{name}"))


Node = cast("type[NodeMessage]", _message_class("Node"))
GlobalMetadata = cast("type[MetadataMessage]", _message_class("GlobalMetadata"))
