"""Lives of storages found by columns are those that a walk finds node by node."""

from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from etsim.converters.execution_trace import ExecutionTrace, read_execution_trace
from etsim.converters.storage_lives import storage_lives

Tensor = tuple[int, int]  # storage, elements
Life = tuple[int, int, int, int, int, bool]  # id, first, last, origin, elements, made


@dataclass(frozen=True, slots=True)
class Drawn:
    """A node: how many of the open ones above it have ended, what it is given and gives out."""

    ended: int
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


tensors = st.lists(st.tuples(st.integers(1, 3), st.integers(1, 9)), max_size=2).map(tuple)
runs = st.lists(st.builds(Drawn, st.integers(0, 3), tensors, tensors), min_size=1, max_size=12)


def recorded(run: list[Drawn]) -> tuple[ExecutionTrace, list[int]]:
    """Give the trace and each node's parent by place, -1 at the top."""
    nodes = []
    parents: list[int] = []
    stack: list[int] = []
    for place, drawn in enumerate(run):
        stack = stack[: max(0, len(stack) - drawn.ended)]
        parents.append(stack[-1] if stack else -1)
        stack.append(place)
        told = {
            side: {"values": [[0, storage, 0, n, 1, "cpu"] for storage, n in of]}
            for side, of in (("inputs", drawn.inputs), ("outputs", drawn.outputs))
        }
        nodes.append({"id": place + 1, "name": "op", "ctrl_deps": parents[-1] + 1, **told})
    document = {"schema": "1.1.1", "pid": 1, "finish_ts": 1, "nodes": nodes}
    return read_execution_trace(Path("et.json"), msgspec.json.encode(document)), parents


@dataclass(slots=True)
class Walk:
    """The meaning, node by node: touches are (node, elements) by life."""

    run: list[Drawn]
    life_of: dict[int, int] = field(default_factory=dict)
    made_by: dict[int, int] = field(default_factory=dict)
    touches: list[tuple[int, int, int]] = field(default_factory=list)
    known: list[tuple[int, int, bool]] = field(default_factory=list)

    def touch(self, node: int, tensor: Tensor) -> None:
        if tensor[0] not in self.life_of:
            self.begin(tensor[0], node, made=False)
        self.touches.append((self.life_of[tensor[0]], node, tensor[1]))

    def begin(self, storage: int, origin: int, *, made: bool) -> None:
        self.life_of[storage] = len(self.known)
        self.known.append((storage, origin, made))

    def leave(self, node: int, now: int, began: int) -> None:
        given = {storage for storage, _ in self.run[node].inputs}
        for storage, elements in self.run[node].outputs:
            if storage not in given and self.made_by.get(storage, -1) < node:
                before = self.life_of.get(storage)
                self.begin(storage, node, made=True)
                self.made_by[storage] = node
                self.touches[began:] = [
                    (self.life_of[storage] if life == before else life, at, size)
                    for life, at, size in self.touches[began:]
                ]
            self.touch(now, (storage, elements))


def walked(run: list[Drawn], parents: list[int]) -> list[Life]:
    walk, stack = Walk(run), list[tuple[int, int]]()
    for node, parent in enumerate([*parents, -2]):
        while stack and stack[-1][0] != parent:
            ended, began = stack.pop()
            walk.leave(ended, node - 1, began)
        if node < len(run):
            stack.append((node, len(walk.touches)))
            for tensor in run[node].inputs:
                walk.touch(node, tensor)
    lives: list[Life] = []
    for life, (storage, origin, made) in enumerate(walk.known):
        mine = [(node, size) for its, node, size in walk.touches if its == life]
        if mine:
            nodes = [node for node, _ in mine]
            largest = max(size for _, size in mine)
            lives.append((storage, min(nodes), max(nodes), origin, largest, made))
    return lives


@given(runs)
def test_lives_are_those_of_a_walk_through_the_nodes(run: list[Drawn]) -> None:
    et, parents = recorded(run)
    found = storage_lives(et)
    columns = (found.id, found.first, found.last, found.origin, found.size_bytes, found.made)
    assert list(zip(*(c.tolist() for c in columns), strict=True)) == walked(run, parents)


def test_a_storage_made_inside_is_handed_on_by_those_around() -> None:
    """outer( inner() -> 1 ) -> 1: one life, made by inner; then used again by another maker."""
    et, _ = recorded([Drawn(0, (), ((1, 5),)), Drawn(0, (), ((1, 5),)), Drawn(2, (), ((1, 7),))])
    found = storage_lives(et)
    assert found.origin.tolist() == [1, 2]
    assert found.made.tolist() == [True, True]
    assert found.size_bytes.tolist() == [5, 7]


def test_tensors_within_lists_count_and_text_does_not() -> None:
    values = [[[1, 8, 0, 3, 4, "cuda:0"], [2, 9, 1, 3, 4, "cuda:0"]], "[3, 7, 0, 3, 4", [1, 2], 5]
    node = {"id": 1, "name": "op", "ctrl_deps": 0, "inputs": {"values": values}}
    document = {"schema": "1.1.1", "pid": 1, "finish_ts": 1, "nodes": [node]}
    found = storage_lives(read_execution_trace(Path("et.json"), msgspec.json.encode(document)))
    assert dict(zip(found.id.tolist(), found.size_bytes.tolist(), strict=True)) == {8: 12, 9: 16}
