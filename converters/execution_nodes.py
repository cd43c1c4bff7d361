"""Nodes of an execution trace, chunk by chunk into columns: no node outlives its chunk.

Two layouts exist. 1.0.1 keeps everything flat in the node; later ones nest inputs and outputs
and put the rest into `attrs`. Which one a node has is seen from the node, not from the version.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..models.errors import TraceFormatError
from ..models.graph import Int32s, Int64s
from ..models.graph_builder import Interner
from .coded import Coded
from .execution_attributes import NOTHING, AttributeReader, Node, UsualNode, number_column

EMPTY = msgspec.Raw(b"[]")


class Arguments(msgspec.Struct, gc=False, frozen=True):
    """Inputs or outputs of a node, as raw JSON: most are equal and are parsed once."""

    values: msgspec.Raw = EMPTY
    shapes: msgspec.Raw = EMPTY
    types: msgspec.Raw = EMPTY
    strides: msgspec.Raw = EMPTY


class NestedNode(Node, gc=False):
    """A node since 1.0.2, whatever its attributes."""

    inputs: msgspec.Raw = NOTHING
    outputs: msgspec.Raw = NOTHING


class FlatNode(Node, gc=False):
    """A node of 1.0.1."""

    inputs: msgspec.Raw = EMPTY
    input_shapes: msgspec.Raw = EMPTY
    input_types: msgspec.Raw = EMPTY
    outputs: msgspec.Raw = EMPTY
    output_shapes: msgspec.Raw = EMPTY
    output_types: msgspec.Raw = EMPTY


AnyNode = UsualNode | NestedNode | FlatNode
_USUAL = msgspec.json.Decoder(list[UsualNode], strict=False)
_NESTED = msgspec.json.Decoder(list[NestedNode], strict=False)
_FLAT = msgspec.json.Decoder(list[FlatNode], strict=False)
_ARGUMENTS = msgspec.json.Decoder(Arguments)
_JSON = msgspec.json.Encoder()  # of raw JSON gives its bytes, sooner than bytes() does
_FLAT_ARGUMENTS = {
    "inputs": attrgetter("inputs", "input_shapes", "input_types"),
    "outputs": attrgetter("outputs", "output_shapes", "output_types"),
}
_ITEM = re.compile(r"\$\[(\d+)\]")


@dataclass(slots=True)
class NodeDecoder:
    """Decodes arrays of nodes of either layout; `before` counts the nodes of chunks before."""

    path: Path
    before: int = 0
    _flat: bool | None = None

    def __call__(self, text: bytes) -> Sequence[AnyNode]:
        """Decode one whole array; raises msgspec.DecodeError where it is none.

        Raises:
            TraceFormatError: an item is no node.
        """
        if self._flat is None:
            self._flat = b'"input_shapes"' in text[:1_000_000]
        try:
            return _FLAT.decode(text) if self._flat else _nested_nodes(text)
        except msgspec.ValidationError as error:
            told = _ITEM.sub(self._place, str(error))
            raise TraceFormatError(f"is not an execution trace: {told}", where=self.path) from None

    def _place(self, found: re.Match[str]) -> str:
        return f"$.nodes[{self.before + int(found[1]):,}]"


def _nested_nodes(text: bytes) -> Sequence[AnyNode]:
    try:
        return _USUAL.decode(text)
    except msgspec.ValidationError:
        return _NESTED.decode(text)


@dataclass(slots=True)
class ArgumentColumn:
    """Inputs or outputs (`which`) by node; each distinct text is parsed once."""

    which: str
    texts: Interner[bytes] = field(default_factory=Interner)
    parts: list[Int32s] = field(default_factory=list)

    def add(self, nodes: Sequence[AnyNode]) -> None:
        """Add a chunk's."""
        if isinstance(nodes[0], FlatNode):
            texts = (_nested(*parts) for parts in map(_FLAT_ARGUMENTS[self.which], nodes))
            places = map(self.texts.__getitem__, texts)
        else:
            raw = map(attrgetter(self.which), nodes)
            places = map(self.texts.__getitem__, map(_JSON.encode, raw))
        self.parts.append(np.fromiter(places, dtype=np.int32))

    def column(self, path: Path) -> Coded[Arguments]:
        """Give all; raises TraceFormatError where a text is of another form."""
        try:
            table = [_ARGUMENTS.decode(text) for text in self.texts]
        except msgspec.ValidationError as error:
            raise TraceFormatError(f"is not an execution trace: {error}", where=path) from None
        return Coded(table, _joined(self.parts, np.int32))


def _nested(values: msgspec.Raw, shapes: msgspec.Raw, types: msgspec.Raw) -> bytes:
    """Give the flat layout's arguments as the nested layout has them."""
    return b'{"values":%b,"shapes":%b,"types":%b}' % (bytes(values), bytes(shapes), bytes(types))


@dataclass(frozen=True, slots=True)
class NodeColumns:
    """Columns of shape (nodes,) in order of ids; named as `ExecutionTrace` has them."""

    id: Int64s
    parent: Int64s
    name: Coded[str]
    numbers: dict[str, Int64s]
    op_schema: Coded[str]
    inputs: Coded[Arguments]
    outputs: Coded[Arguments]


@dataclass(slots=True)
class NodeParts:
    """The columns in the making."""

    path: Path
    attributes: AttributeReader = field(init=False)
    inputs: ArgumentColumn = field(default_factory=lambda: ArgumentColumn("inputs"))
    outputs: ArgumentColumn = field(default_factory=lambda: ArgumentColumn("outputs"))
    _ids: list[Int64s] = field(default_factory=list)
    _parents: list[Int64s] = field(default_factory=list)
    _names: Interner[str] = field(default_factory=Interner)
    _name_parts: list[Int32s] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.attributes = AttributeReader(self.path)

    def add(self, nodes: Sequence[AnyNode]) -> None:
        """Add a chunk; errors as `AttributeReader.read`."""
        if not nodes:
            return
        self.attributes.read(nodes)
        self.inputs.add(nodes)
        self.outputs.add(nodes)
        self._ids.append(number_column(nodes, "id"))
        self._parents.append(_parents(nodes))
        names = map(self._names.__getitem__, map(attrgetter("name"), nodes))
        self._name_parts.append(np.fromiter(names, dtype=np.int32))

    def columns(self) -> NodeColumns:
        """Give the columns of all chunks."""
        ids = _joined(self._ids, np.int64)
        order = np.argsort(ids, kind="stable")
        said = self.attributes.attributes()
        return NodeColumns(
            id=ids[order],
            parent=_joined(self._parents, np.int64)[order],
            name=Coded(list(self._names), _joined(self._name_parts, np.int32)).sorted_by(order),
            numbers={name: column[order] for name, column in said.numbers.items()},
            op_schema=said.op_schema.sorted_by(order),
            inputs=self.inputs.column(self.path).sorted_by(order),
            outputs=self.outputs.column(self.path).sorted_by(order),
        )


def _parents(nodes: Sequence[AnyNode]) -> Int64s:
    try:
        return number_column(nodes, "ctrl_deps")
    except TypeError:  # None: the older layout, or a node without one
        parents = [node.parent if node.ctrl_deps is None else node.ctrl_deps for node in nodes]
        return np.array([parent or 0 for parent in parents], dtype=np.int64)


Number = TypeVar("Number", np.int32, np.int64)


def _joined(parts: list[NDArray[Number]], kind: type[Number]) -> NDArray[Number]:
    return np.concatenate([np.empty(0, dtype=kind), *parts])
