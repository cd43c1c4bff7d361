"""What encloses each row: the chain of annotated ranges, and the outermost operator in it.

    epoch_0 > forward > aten::linear > aten::addmm > sgemm
    ----- ranges ----   - operator -

A row's own parent may stand after it, so each row is settled after its chain of owners.
"""

from dataclasses import dataclass, field

import numpy as np

from ...models.graph import NONE, Category, EdgeKind, ExecutionGraph, Int64s


@dataclass(frozen=True, slots=True, eq=False)
class Ancestry:
    """What encloses each row; the columns have shape (nodes,).

    Attributes:
        path: into `paths`.
        range_row: the innermost annotated range, the row itself included; NONE where there is none.
        operator: the outermost operator, the row itself included; NONE for ranges.
        above: of a range, the range around it.
        module, phase: into the graph's names; a device row without one has its launch's.
        speaker: the row whose name says best what a row is for: on a host thread the outermost
            operator, on a stream the row itself.
        paths: the distinct chains of names, a marked step's name first.
    """

    path: Int64s
    range_row: Int64s
    operator: Int64s
    above: Int64s
    module: Int64s
    phase: Int64s
    speaker: Int64s
    paths: tuple[tuple[str, ...], ...]


def find_ancestry(graph: ExecutionGraph) -> Ancestry:
    """Find what encloses each row; a device row without a parent belongs where its launch does."""
    owner = _owners(graph)
    climb = _Climb(graph, owner.tolist())
    for row in range(len(graph)):
        climb.settle(row)
    rows, operator = np.arange(len(graph)), np.array(climb.operator, dtype=np.int64)
    return Ancestry(
        path=np.array(climb.path, dtype=np.int64),
        range_row=np.array(climb.range_row, dtype=np.int64),
        operator=operator,
        above=np.array(climb.above, dtype=np.int64),
        module=_inherited(graph.nodes.module.astype(np.int64), owner),
        phase=_inherited(graph.nodes.phase.astype(np.int64), owner),
        speaker=np.where(graph.on_device() | (operator == NONE), rows, operator),
        paths=tuple(climb.paths.chains),
    )


def _owners(graph: ExecutionGraph) -> Int64s:
    """Give each row's parent, or the row that launched it, NONE where there is neither."""
    owner = graph.nodes.parent.astype(np.int64)
    launches = graph.edge_kind == EdgeKind.LAUNCH
    launched_by = np.full(len(graph), NONE, dtype=np.int64)
    launched_by[graph.edge_target()[launches]] = graph.edge_source[launches]
    return np.where(owner == NONE, launched_by, owner)


def _inherited(own: Int64s, owner: Int64s) -> Int64s:
    """Fill in what a row lacks from its owner."""
    theirs = np.where(owner == NONE, NONE, own[owner])
    return np.where(own == NONE, theirs, own)


@dataclass(slots=True)
class _Paths:
    """Interns chains of names by (the chain above, the name added)."""

    chains: list[tuple[str, ...]] = field(default_factory=lambda: [()])
    _index: dict[tuple[int, str], int] = field(default_factory=dict)

    def extend(self, above: int, name: str) -> int:
        """Give the chain with a name added; a name that repeats the last one adds nothing."""
        if self.chains[above][-1:] == (name,):
            return above
        if (above, name) not in self._index:
            self._index[above, name] = len(self.chains)
            self.chains.append((*self.chains[above], name))
        return self._index[above, name]


class _Climb:
    """Settles rows from their owners; an owner may stand after the rows it encloses."""

    def __init__(self, graph: ExecutionGraph, owner: list[int]) -> None:
        count = len(graph)
        self.paths = _Paths()
        self.path, self.range_row, self.operator, self.above = ([NONE] * count for _ in range(4))
        self._owner = owner
        self._reached = [False] * count
        self._is_range = (graph.nodes.category == Category.ANNOTATION).tolist()
        self._step = graph.nodes.step.tolist()
        self._step_path = [self.paths.extend(0, step.name) for step in graph.steps] + [0]
        self._names = [graph.names[i] for i in graph.nodes.name.tolist()]

    def settle(self, row: int) -> None:
        """Work out a row after everything that encloses it; a circle of owners is cut open."""
        chain = []
        while row != NONE and not self._reached[row]:
            self._reached[row] = True
            chain.append(row)
            row = self._owner[row]
        if row != NONE and self.path[row] == NONE:
            row = NONE
        for below in reversed(chain):
            self._enter(below, row)
            row = below

    def _enter(self, row: int, above: int) -> None:
        path = self._step_path[self._step[row]] if above == NONE else self.path[above]
        operator = NONE if above == NONE else self.operator[above]
        around = NONE if above == NONE else self.range_row[above]
        if self._is_range[row] and operator == NONE:
            path = self.paths.extend(path, self._names[row])
            self.above[row] = around
            around = row
        elif operator == NONE:
            operator = row
        self.path[row], self.range_row[row], self.operator[row] = path, around, operator
