"""Lives of storages: which storage lives from which node to which, and how large it is.

    storage  1 |======================================|   there before, touched to the end
    storage  2       |=====forward....backward=====|      made and let go
    storage  2                     |==backward..step==|   its id again: another life

A storage lives from the first operator that touches it to the last. Its bytes are the largest
extent any tensor on it shows (offset + elements). Ids are used again once a storage is freed: an
operator that gives out a storage which it was not given has made a new one, unless an operator
inside it did. What the maker's own calls touched of the id is of the new storage, too.

    maker          |------------------|out          touches of one id, by time:   1 1 | 2 2 2
    its calls         |in|  |---|in                                          maker begins ^
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..models.graph import NONE, Int32s, Int64s
from .execution_trace import Arguments, ExecutionTrace

# One group: the four numbers of a tensor are split at once for all; "\0" stands between texts.
_TENSOR = re.compile(rb'\[\s*\d+,\s*(\d+,\s*\d+,\s*\d+,\s*\d+),\s*"[a-z]+[^"]*"\s*\]|\0')
_ZERO_STRIDE = re.compile(rb"[\[,]\s*0\s*[\],]")
TENSOR_FIELDS = 6  # tensor id, storage id, offset, elements, bytes an element, device
LARGEST_BYTES = 2.0**60  # what is larger is damage


@dataclass(frozen=True, slots=True, eq=False)
class Lives:
    """Every life of a storage, in order of beginning, and who touches it.

    Attributes:
        id: the storage's own, shape (lives,) as the others.
        first, last: nodes that touch it.
        origin: the node that made it, or the first that touched it.
        made: whether it began inside the recording.
        touch_life, touch_node: shape (touches,).
    """

    id: Int64s
    size_bytes: Int64s
    first: Int64s
    last: Int64s
    origin: Int64s
    made: NDArray[np.bool_]
    touch_life: Int64s
    touch_node: Int64s


@dataclass(frozen=True, slots=True, eq=False)
class _Tensors:
    """The tensors in texts, one text after the other; those of text t begin at `first[t]`."""

    first: Int64s
    storage: Int64s
    extent_bytes: Int64s

    def of(self, texts: Int32s) -> tuple[Int64s, Int64s]:
        """Give the tensors in many texts: which of the texts, and which tensor."""
        count = np.diff(self.first)[texts]
        owner = np.repeat(np.arange(len(texts)), count)
        begin = np.repeat(self.first[texts] - np.cumsum(count) + count, count)
        return owner, begin + np.arange(len(owner))


@dataclass(frozen=True, slots=True, eq=False)
class _Touches:
    """Columns of shape (touches,) by storage, then time.

    Inputs are touched when their node begins, outputs when it ends.

    Attributes:
        serial: place in time among all touches.
        node: the latest node that had begun by then.
        time: 2 node, and 1 more for an output.
        maker: the node that gives out a storage which it was not given, -1 for others.
    """

    serial: Int64s
    storage: Int64s
    extent_bytes: Int64s
    node: Int64s
    time: Int64s
    maker: Int64s


def storage_lives(et: ExecutionTrace) -> Lives:
    """Give all lives of all storages of a run."""
    touches = _touches(et)
    making = _making(touches)
    begins = _changes(touches.storage)
    maker = np.full(len(begins), NONE)  # of the life that begins at a touch
    serial = touches.serial.copy()
    start = _starts(touches, making)
    begins[start], maker[start] = True, touches.maker[making]
    serial[start] = touches.serial[making]  # it is known to be new when its maker ends
    begin = np.flatnonzero(begins)
    begin = begin[np.argsort(serial[begin])]
    life = np.empty(len(begins), dtype=np.int64)
    life[begin] = np.arange(len(begin))
    life = life[np.maximum.accumulate(np.where(begins, np.arange(len(begins)), 0))]
    last, size = touches.node[begin], np.zeros(len(begin), dtype=np.int64)
    np.maximum.at(last, life, touches.node)
    np.maximum.at(size, life, touches.extent_bytes)
    made = maker[begin] != NONE
    return Lives(
        id=touches.storage[begin],
        size_bytes=size,
        first=touches.node[begin],
        last=last,
        origin=np.where(made, maker[begin], touches.node[begin]),
        made=made,
        touch_life=life,
        touch_node=touches.node,
    )


def _changes(storage: Int64s) -> NDArray[np.bool_]:
    """Tell for each touch whether it is the first of its storage."""
    flags = np.ones(len(storage), dtype=bool)
    flags[1:] = storage[1:] != storage[:-1]
    return flags


def _making(touches: _Touches) -> Int64s:
    """Give the touches that make a new storage.

    Those by a maker; but if the maker of the same id before it began later, it ran inside: it made
    the storage, and this one only hands it on.
    """
    makers = np.flatnonzero(touches.maker != NONE)
    new = _changes(touches.storage[makers])
    new[1:] |= touches.maker[makers[:-1]] < touches.maker[makers[1:]]
    return makers[new]


def _starts(touches: _Touches, making: Int64s) -> Int64s:
    """Give each new storage's first touch: the first since its maker began."""
    length = int(touches.time.max(initial=0)) + 2
    before = np.cumsum(_changes(touches.storage)) * length
    return np.searchsorted(before + touches.time, before[making] + 2 * touches.maker[making])


def _touches(et: ExecutionTrace) -> _Touches:
    ended, moment = _ends(et)
    given, taken = _tensors_of(et.inputs.table), _tensors_of(et.outputs.table)
    node, into = given.of(et.inputs.code)
    end, out = taken.of(et.outputs.code[ended])
    storage = np.concatenate((given.storage[into], taken.storage[out]))
    extent_bytes = np.concatenate((given.extent_bytes[into], taken.extent_bytes[out]))
    time = np.concatenate((2 * node, 2 * moment[end] + 1))
    maker = np.where(_were_given(storage, node, ended[end]), NONE, ended[end])
    serial = np.empty(len(time), dtype=np.int64)
    # stable: nodes that end at one moment stay in the order in which they end
    serial[np.argsort(time, kind="stable")] = np.arange(len(time))
    order = np.lexsort((serial, storage))
    return _Touches(
        serial=serial[order],
        storage=storage[order],
        extent_bytes=extent_bytes[order],
        node=time[order] // 2,
        time=time[order],
        maker=np.concatenate((np.full(len(node), NONE), maker))[order],
    )


def _were_given(storage: Int64s, node: Int64s, end: Int64s) -> NDArray[np.bool_]:
    """Tell for each output whether its node has the same storage among its inputs."""
    distinct, code = np.unique(storage, return_inverse=True)
    pairs = np.concatenate((node, end)) * len(distinct) + code
    return np.isin(pairs[len(node) :], pairs[: len(node)])


def _ends(et: ExecutionTrace) -> tuple[Int64s, Int64s]:
    """Give the nodes in the order in which they end, and the latest that had begun by then."""
    ids = et.id.tolist()
    ended: list[int] = []
    moment: list[int] = []
    stack: list[int] = []
    for node, parent in enumerate(et.parent.tolist()):
        while stack and ids[stack[-1]] != parent:
            ended.append(stack.pop())
            moment.append(node - 1)
        stack.append(node)
    ended.extend(reversed(stack))
    moment.extend([len(ids) - 1] * len(stack))
    return np.array(ended, dtype=np.int64), np.array(moment, dtype=np.int64)


def _tensors_of(table: Sequence[Arguments]) -> _Tensors:
    """Find the tensors among each of the different arguments."""
    texts: list[bytes] = []
    expanding: list[tuple[int, int, int]] = []
    for place, arguments in enumerate(table):
        values = bytes(arguments.values)
        if b'"' in values and _expands(bytes(arguments.strides)):  # a tensor names its device
            expanding.extend((place, *tensor) for tensor in _expanded_tensors(arguments))
            values = b""
        texts.append(values)
    found = _TENSOR.findall(b"\0".join(texts))
    is_tensor = np.fromiter(map(bool, found), dtype=bool)
    numbers = np.fromstring(b",".join(filter(None, found)), dtype=np.int64, sep=",")
    storage, offset, elements, item_bytes = numbers.reshape(-1, 4).T
    extent = (offset.astype(float) + elements) * item_bytes
    place = np.cumsum(~is_tensor)[is_tensor]
    others = np.array(expanding, dtype=np.int64).reshape(-1, 3).T
    return _by_text(
        len(table),
        np.concatenate((place, others[0])),
        np.concatenate((storage, others[1])),
        np.concatenate((np.minimum(extent, LARGEST_BYTES).astype(np.int64), others[2])),
    )


def _by_text(count: int, place: Int64s, storage: Int64s, extent_bytes: Int64s) -> _Tensors:
    order = np.argsort(place, kind="stable")
    first = np.concatenate(([0], np.cumsum(np.bincount(place, minlength=count))))
    return _Tensors(first, storage[order], extent_bytes[order])


@lru_cache(maxsize=1 << 16)
def _expands(strides: bytes) -> bool:
    """Tell whether a stride is 0; a run has few different strides."""
    return _ZERO_STRIDE.search(strides) is not None


def _expanded_tensors(arguments: Arguments) -> Iterator[tuple[int, int]]:
    """Give (storage, bytes up to its end) of each tensor, some of which are expanded views."""
    texts = (arguments.values, arguments.shapes, arguments.strides)
    for storage, extent in _expanded(*(msgspec.json.decode(text) for text in texts)):
        yield storage, min(extent, int(LARGEST_BYTES))


def _expanded(value: object, shape: object, stride: object) -> Iterator[tuple[int, int]]:
    """An expanded view counts its elements many times; its strides tell how far it reaches."""
    if not isinstance(value, list):
        return
    if len(value) == TENSOR_FIELDS and isinstance(value[-1], str):
        reach = 1 + sum(
            (size - 1) * step
            for size, step in zip(_ints(shape), _ints(stride), strict=False)
            if size > 0
        )
        yield value[1], (value[2] + min(reach, value[3])) * value[4]
        return
    for index, item in enumerate(value):
        inner = [
            x[index] if isinstance(x, list) and index < len(x) else [] for x in (shape, stride)
        ]
        yield from _expanded(item, *inner)


def _ints(value: object) -> list[int]:
    return [v for v in value if isinstance(v, int)] if isinstance(value, list) else []
