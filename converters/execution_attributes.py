r"""What the nodes of an execution trace say in `attrs`: numbers as columns, each schema once.

PyTorch writes the same attributes in the same order into every node. So the heads of many nodes
without digits and space are one text many times over, and their digits are the numbers:

    [{"name": "rf_id", "type": "uint64", "value": 7}, ... {"name": "scope", ... "aten::mm(..."
    -------------------- head -----------------------------     - tail: each text read once ---
    [{"name":"rf_id","type":"uint","value":}, ...

Chunks of nodes that are written otherwise are read attribute by attribute.
"""

from collections.abc import Iterable, Sequence
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

HEAD_FIELDS, TAIL_FIELDS = ("rf_id", "fw_parent", "seq_id"), ("scope", "tid")
ATTRIBUTE_FIELDS = HEAD_FIELDS + TAIL_FIELDS
_USUAL_HEAD = (
    b'[{"name":"rf_id","type":"uint","value":},{"name":"fw_parent","type":"uint","value":},'
    b'{"name":"seq_id","type":"int","value":},{"name":'
)
_TAIL_BEGINS = b'"scope"'
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
_JSON = msgspec.json.Encoder()  # of raw JSON gives its bytes, sooner than bytes() does
_Tail = tuple[int, int, str]  # scope, thread and schema: few different ones


@dataclass(frozen=True, slots=True)
class Attributes:
    """What nodes say: `numbers` by ATTRIBUTE_FIELDS, shape (nodes,) each."""

    numbers: dict[str, Int64s]
    op_schema: Coded[str]


@dataclass(slots=True)
class AttributeReader:
    """Reads chunks of nodes: what they say in `attrs` or, in the flat layout, in themselves."""

    path: Path
    _heads: list[NDArray[np.int64]] = field(default_factory=list)
    _tails: list[NDArray[np.int32]] = field(default_factory=list)
    _pool: Interner[_Tail] = field(default_factory=Interner)
    _place_of_tail: dict[bytes, int] = field(default_factory=dict)

    def read(self, nodes: Sequence[Node]) -> None:
        """Read a chunk of nodes.

        Raises:
            TraceFormatError: `attrs` is no list of attributes.
            OverflowError: a number beyond 64 bits.
        """
        texts = list(map(_JSON.encode, map(attrgetter("attrs"), nodes)))
        if not self._read_usual(texts):
            self._read_others(nodes, texts)

    def attributes(self) -> Attributes:
        """Give what all nodes said."""
        heads = np.concatenate([np.empty((len(HEAD_FIELDS), 0), np.int64), *self._heads], 1)
        tail = np.concatenate([np.empty(0, np.int32), *self._tails])
        scope, thread, schema = zip(*self._pool, strict=True) if self._pool else ((), (), ())
        schemas: Interner[str] = Interner()
        schema_of_tail = np.array([schemas[text] for text in schema], dtype=np.int32)
        numbers = (*heads, _int_column(scope)[tail], _int_column(thread)[tail])
        return Attributes(
            dict(zip(ATTRIBUTE_FIELDS, numbers, strict=True)),
            Coded(list(schemas), schema_of_tail[tail]),
        )

    def _read_usual(self, texts: Sequence[bytes]) -> bool:
        """Read attributes as PyTorch writes them; tell whether they are so."""
        if not texts:
            return True
        heads, _, tails = zip(*(text.partition(_TAIL_BEGINS) for text in texts), strict=True)
        numbers = _usual_numbers(heads)
        if numbers is None:
            return False
        known = self._place_of_tail
        for tail in dict.fromkeys(tails):
            if tail not in known:
                known[tail] = self._place(tail)
        places = np.fromiter(map(known.__getitem__, tails), dtype=np.int32)
        if (places == NONE).any():
            return False
        self._heads.append(numbers)
        self._tails.append(places)
        return True

    def _place(self, text: bytes) -> int:
        """Read the attributes from `scope` on; NONE where they are not the usual."""
        unsaid = -7
        node = Node(id=0, rf_id=unsaid, fw_parent=unsaid, seq_id=unsaid)
        _spread(node, b'[{"name":"scope"' + text, self.path)
        said_twice = (node.rf_id, node.fw_parent, node.seq_id) != (unsaid, unsaid, unsaid)
        return NONE if said_twice else self._pool[node.scope, node.tid, node.op_schema]

    def _read_others(self, nodes: Sequence[Node], texts: Sequence[bytes]) -> None:
        """Read attributes in any order, with any others between; or none."""
        for node, text in zip(nodes, texts, strict=True):
            if text:
                _spread(node, text, self.path)
        self._heads.append(np.stack([number_column(nodes, name) for name in HEAD_FIELDS]))
        tails = ((node.scope, node.tid, node.op_schema) for node in nodes)
        self._tails.append(np.fromiter(map(self._pool.__getitem__, tails), dtype=np.int32))


def _usual_numbers(heads: Sequence[bytes]) -> NDArray[np.int64] | None:
    """Give the numbers of the heads, (fields, nodes); None where some head is not the usual."""
    text = b"".join(heads)
    if text.translate(None, _DIGITS + _SPACE) != _USUAL_HEAD * len(heads):
        return None
    digits = text.translate(_COMMA_TO_SPACE, _OTHERS)
    numbers: NDArray[np.int64] = np.fromstring(digits, dtype=np.int64, sep=" ")
    width = 2 * len(HEAD_FIELDS)  # the 64 of a type, and the value
    if len(numbers) != width * len(heads) or (numbers == _LARGEST).any():
        return None
    return numbers.reshape(-1, width).T[1::2]


def number_column(nodes: Sequence[Node], name: str) -> Int64s:
    """Give one field of the nodes; unsigned fields write "none" as 2**64 - 1."""
    return _int_column(map(attrgetter(name), nodes))


def _int_column(numbers: Iterable[int]) -> Int64s:
    values = list(numbers)
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
