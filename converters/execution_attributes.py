r"""What the nodes of an execution trace say in `attrs`: numbers as columns, each schema once.

PyTorch writes the same attributes in the same order into every node. So the heads of many nodes
without digits and space are one text many times over, and their digits are the numbers:

    [{"name": "rf_id", "type": "uint64", "value": 7}, ... {"name": "op_schema", ... "aten::mm(..."
    -------------------- head -----------------------------------             - tail: read once -
    [{"name":"rf_id","type":"uint","value":}, ...

Blocks of nodes that are written otherwise are read attribute by attribute.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..models.errors import TraceFormatError
from ..models.graph import NONE, Int64s
from ..models.graph_builder import Interner
from .coded import Coded

ATTRIBUTE_FIELDS = ("rf_id", "fw_parent", "seq_id", "scope", "tid")
_BLOCK = 1 << 12
_KIND_OF_NUMBER = dict.fromkeys((*ATTRIBUTE_FIELDS, "fw_tid"), "uint") | {"seq_id": "int"}
_USUAL_HEAD = '[{}{{"name":'.format(
    "".join(f'{{"name":"{n}","type":"{k}","value":}},' for n, k in _KIND_OF_NUMBER.items())
).encode()
_USUAL_TAIL = re.compile(rb',\s*"type":\s*"\w+",\s*"value":\s*"([^"\\]*)"\s*\}')
_BEFORE_TAIL = b'"op_schema"'
_DIGITS, _SPACE = b"0123456789-", b" \t\r\n"
_OTHERS = bytes(set(range(256)) - set(_DIGITS + b","))
_COMMA_TO_SPACE = bytes.maketrans(b",", b" ")
_LARGEST = 2**63 - 1  # stands for whatever is larger, too


class Attribute(msgspec.Struct, gc=False):
    """One entry of a node's `attrs`."""

    name: str = ""
    value: int | float | bool | str | list[object] | dict[str, object] | None = None


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


_ATTRIBUTES = msgspec.json.Decoder(list[Attribute] | None, strict=False)


@dataclass(frozen=True, slots=True)
class Attributes:
    """What nodes say: `numbers` by ATTRIBUTE_FIELDS, shape (nodes,) each."""

    numbers: dict[str, Int64s]
    op_schema: Coded[str]


def read_attributes(nodes: Sequence[Node], path: Path) -> Attributes:
    """Read what the nodes say, in `attrs` or, as the flat layout has it, in themselves.

    Raises:
        TraceFormatError: `attrs` is no list of attributes.
        OverflowError: a number beyond 64 bits.
    """
    reader = _Reader(path)
    for first in range(0, len(nodes), _BLOCK):
        reader.read(nodes[first : first + _BLOCK])
    numbers = np.concatenate([np.empty((len(ATTRIBUTE_FIELDS), 0), np.int64), *reader.numbers], 1)
    code = np.array(reader.schemas, dtype=np.int32)
    return Attributes(
        dict(zip(ATTRIBUTE_FIELDS, numbers, strict=True)), Coded(list(reader.pool), code)
    )


@dataclass(slots=True)
class _Reader:
    """What the blocks gave so far; `schemas` are places in `pool`."""

    path: Path
    numbers: list[NDArray[np.int64]] = field(default_factory=list)
    schemas: list[int] = field(default_factory=list)
    pool: Interner[str] = field(default_factory=Interner)
    schema_of_tail: dict[bytes, int] = field(default_factory=dict)

    def read(self, nodes: Sequence[Node]) -> None:
        """Read a block of nodes."""
        texts = [bytes(node.attrs) for node in nodes]
        if not self._read_usual(texts):
            self._read_others(nodes, texts)

    def _read_usual(self, texts: Sequence[bytes]) -> bool:
        """Read attributes as PyTorch writes them; tell whether they are so."""
        heads, _, tails = zip(*(text.partition(_BEFORE_TAIL) for text in texts), strict=True)
        numbers = _usual_numbers(heads)
        if numbers is None:
            return False
        known = self.schema_of_tail
        for tail in dict.fromkeys(tails):
            if tail not in known:
                usual = _USUAL_TAIL.match(tail)
                known[tail] = NONE if usual is None else self.pool[usual[1].decode()]
        schemas = list(map(known.__getitem__, tails))
        if NONE in schemas:
            return False
        self.numbers.append(numbers)
        self.schemas.extend(schemas)
        return True

    def _read_others(self, nodes: Sequence[Node], texts: Sequence[bytes]) -> None:
        """Read attributes in any order, with any others between; or none."""
        for node, text in zip(nodes, texts, strict=True):
            if text:
                _spread(node, text, self.path)
        self.numbers.append(np.stack([number_column(nodes, name) for name in ATTRIBUTE_FIELDS]))
        self.schemas.extend(self.pool[node.op_schema] for node in nodes)


def _usual_numbers(heads: Sequence[bytes]) -> NDArray[np.int64] | None:
    """Give the numbers of the heads, (fields, nodes); None where some head is not the usual."""
    text = b"".join(heads)
    if text.translate(None, _DIGITS + _SPACE) != _USUAL_HEAD * len(heads):
        return None
    digits = text.translate(_COMMA_TO_SPACE, _OTHERS)
    numbers: NDArray[np.int64] = np.fromstring(digits, dtype=np.int64, sep=" ")
    width = 2 * len(_KIND_OF_NUMBER)  # the 64 of a type, and the value
    if len(numbers) != width * len(heads) or (numbers == _LARGEST).any():
        return None
    return numbers.reshape(-1, width).T[1::2][: len(ATTRIBUTE_FIELDS)]


def number_column(nodes: Sequence[Node], name: str) -> Int64s:
    """Give one field of the nodes; unsigned fields write "none" as 2**64 - 1."""
    values = list(map(attrgetter(name), nodes))
    try:
        return np.array(values, dtype=np.int64)
    except OverflowError:
        return np.array([v if v < 2**63 else v - 2**64 for v in values], dtype=np.int64)


def _spread(node: Node, text: bytes, path: Path) -> None:
    """Put the nested layout's attributes where the flat layout has them."""
    try:
        attributes = _ATTRIBUTES.decode(text)
    except msgspec.ValidationError as error:
        raise TraceFormatError(f"is not an execution trace: {error}", where=path) from None
    value_of = {attribute.name: attribute.value for attribute in attributes or ()}
    for name in ATTRIBUTE_FIELDS:
        value = value_of.get(name)
        if isinstance(value, int):
            setattr(node, name, value)
    node.op_schema = str(value_of.get("op_schema", ""))
