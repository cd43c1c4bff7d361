"""What the nodes of an execution trace say in `attrs`: numbers as columns, each schema once.

    "attrs": [{"name": "rf_id", "type": "uint64", "value": 7}, {"name": "fw_parent", ...}, ...]

PyTorch writes the same attributes in the same order into every node: such nodes are decoded by
place, and the decoder itself checks the names. Chunks with a node that is written otherwise are
read attribute by attribute.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..models.errors import TraceFormatError
from ..models.graph import NONE, Int32s, Int64s
from ..models.graph_builder import Interner
from .coded import Coded

ATTRIBUTE_FIELDS = ("rf_id", "fw_parent", "seq_id", "scope", "tid")
NOTHING = msgspec.Raw(b"{}")


class Node(msgspec.Struct, gc=False):
    """What both layouts share; the nested one has the fields behind `attrs` in there."""

    id: int
    name: str = ""
    ctrl_deps: int | None = None
    attrs: msgspec.Raw = msgspec.Raw(b"")
    parent: int | None = None
    rf_id: int = 0
    fw_parent: int = 0
    seq_id: int = NONE
    scope: int = 0
    tid: int = 0
    op_schema: str = ""


class _RfId(msgspec.Struct, tag_field="name", tag="rf_id", gc=False):
    value: int


class _FwParent(msgspec.Struct, tag_field="name", tag="fw_parent", gc=False):
    value: int


class _SeqId(msgspec.Struct, tag_field="name", tag="seq_id", gc=False):
    value: int


class _Scope(msgspec.Struct, tag_field="name", tag="scope", gc=False):
    value: int


class _Tid(msgspec.Struct, tag_field="name", tag="tid", gc=False):
    value: int


class _FwTid(msgspec.Struct, tag_field="name", tag="fw_tid", gc=False):
    pass


class _OpSchema(msgspec.Struct, tag_field="name", tag="op_schema", gc=False):
    value: str


class UsualAttributes(msgspec.Struct, array_like=True, gc=False):
    """The attributes in PyTorch's order; those behind them are passed over."""

    rf_id: _RfId
    fw_parent: _FwParent
    seq_id: _SeqId
    scope: _Scope
    tid: _Tid
    fw_tid: _FwTid
    op_schema: _OpSchema


class UsualNode(msgspec.Struct, gc=False):
    """A node of the nested layout as PyTorch writes it."""

    id: int
    attrs: UsualAttributes
    name: str = ""
    ctrl_deps: int | None = None
    parent: int | None = None
    inputs: msgspec.Raw = NOTHING
    outputs: msgspec.Raw = NOTHING


class Attribute(msgspec.Struct, gc=False):
    """One entry of any node's `attrs`."""

    name: str = ""
    value: int | float | bool | str | list[object] | dict[str, object] | None = None


_ATTRIBUTES = msgspec.json.Decoder(list[Attribute] | None, strict=False)
_USUAL_NUMBERS = tuple(f"attrs.{name}.value" for name in ATTRIBUTE_FIELDS)
_USUAL_SCHEMA, _SCHEMA = attrgetter("attrs.op_schema.value"), attrgetter("op_schema")


@dataclass(frozen=True, slots=True)
class Attributes:
    """What nodes say: `numbers` by ATTRIBUTE_FIELDS, shape (nodes,) each."""

    numbers: dict[str, Int64s]
    op_schema: Coded[str]


@dataclass(slots=True)
class AttributeReader:
    """Reads chunks of nodes: what they say in `attrs` or, in the flat layout, in themselves."""

    path: Path
    _numbers: list[NDArray[np.int64]] = field(default_factory=list)
    _schemas: list[Int32s] = field(default_factory=list)
    _pool: Interner[str] = field(default_factory=Interner)

    def read(self, nodes: Sequence[Node | UsualNode]) -> None:
        """Read a chunk of nodes.

        Raises:
            TraceFormatError: `attrs` is no list of attributes.
            OverflowError: a number beyond 64 bits.
        """
        usual = isinstance(nodes[0], UsualNode)
        for node in () if usual else nodes:
            if isinstance(node, Node) and bytes(node.attrs):
                _spread(node, self.path)
        names = _USUAL_NUMBERS if usual else ATTRIBUTE_FIELDS
        self._numbers.append(np.stack([number_column(nodes, name) for name in names]))
        schemas = map(_USUAL_SCHEMA if usual else _SCHEMA, nodes)
        self._schemas.append(np.fromiter(map(self._pool.__getitem__, schemas), dtype=np.int32))

    def attributes(self) -> Attributes:
        """Give what all nodes said."""
        numbers = np.concatenate(
            [np.empty((len(ATTRIBUTE_FIELDS), 0), np.int64), *self._numbers], 1
        )
        code = np.concatenate([np.empty(0, np.int32), *self._schemas])
        return Attributes(
            dict(zip(ATTRIBUTE_FIELDS, numbers, strict=True)), Coded(list(self._pool), code)
        )


def number_column(nodes: Sequence[msgspec.Struct], name: str) -> Int64s:
    """Give one field of the nodes; unsigned fields write "none" as 2**64 - 1."""
    value = attrgetter(name)
    try:
        return np.fromiter(map(value, nodes), np.int64, len(nodes))
    except OverflowError:
        numbers = map(value, nodes)
        return np.array([v if v < 2**63 else v - 2**64 for v in numbers], dtype=np.int64)


def _spread(node: Node, path: Path) -> None:
    """Put the nested layout's attributes where the flat layout has them."""
    try:
        attributes = _ATTRIBUTES.decode(node.attrs)
    except msgspec.ValidationError as error:
        raise TraceFormatError(f"is not an execution trace: {error}", where=path) from None
    value_of = {attribute.name: attribute.value for attribute in attributes or ()}
    for name in ATTRIBUTE_FIELDS:
        value = value_of.get(name)
        if isinstance(value, int):
            setattr(node, name, value)
    node.op_schema = str(value_of.get("op_schema", ""))
