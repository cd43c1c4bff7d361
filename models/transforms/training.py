"""Where a training step's parts stand in a graph: gradients, forward and backward, optimizer.

    | forward ... backward (AccumulateGrad: a gradient is there) ... | Optimizer.step | ...
      first                                                     last   optimizer rows

An iteration ends with its `Optimizer.step`; steps need not be marked.
"""

from dataclasses import dataclass

import numpy as np

from ..errors import NeedsRecordingError
from ..graph import NONE, Category, ExecutionGraph, Int64s
from .edit import Mask
from .gradients import ACCUMULATE, Gradient, Gradients, find_gradients, named_rows, no_gradients

__all__ = [
    "ACCUMULATE", "BACKWARD", "OPTIMIZER", "OPTIMIZER_STEP", "Gradient", "Gradients", "Iteration",
    "fixed", "in_phase", "iterations", "marks", "named_rows", "passes",
]  # fmt: skip

OPTIMIZER_STEP = "Optimizer.step"
BACKWARD = "backward"
OPTIMIZER = "optimizer"


@dataclass(frozen=True, slots=True, eq=False)
class Iteration:
    """One training iteration of one rank.

    Attributes:
        first, last: the rows of forward and backward lie between, both included.
        optimizer: the rows under `Optimizer.step`, its own mark first; never empty.
    """

    rank: int
    first: int
    last: int
    optimizer: Int64s
    gradients: Gradients

    def forward_backward(self, graph: ExecutionGraph) -> Int64s:
        """Give the rank's rows between `first` and `last`, without marks and the origin."""
        rows = np.arange(self.first, self.last + 1)
        mine = graph.nodes.rank[rows] == self.rank
        mine &= graph.nodes.category[rows] != Category.ORIGIN
        plain: Int64s = rows[mine & ~np.isin(rows, marks(graph))]
        return plain


def marks(graph: ExecutionGraph) -> Int64s:
    """Give the rows that mark begins and ends of steps."""
    ends = [(step.begin_row, step.end_row) for step in graph.steps]
    return np.array(ends, dtype=np.int64).reshape(-1)


def fixed(graph: ExecutionGraph) -> Mask:
    """Tell which rows belong to no part: the origin, marks of steps."""
    found: Mask = graph.nodes.category == Category.ORIGIN
    found[marks(graph)] = True
    return found


def in_phase(graph: ExecutionGraph, phase: str) -> Mask:
    """Tell which rows are of a phase, shape (nodes,)."""
    if phase not in graph.names:
        return np.zeros(len(graph), dtype=bool)
    found: Mask = graph.nodes.phase == graph.names.index(phase)
    return found


def passes(graph: ExecutionGraph, what: str) -> list[Iteration]:
    """Find the iterations of a training run, or the steps of one that only goes forward.

    Without an optimizer a pass is a marked step, or the whole run where none is marked.

    Raises:
        NeedsRecordingError: a training run without its optimizer.
    """
    if named_rows(graph, ACCUMULATE).size or named_rows(graph, OPTIMIZER_STEP).size:
        return iterations(graph, what, with_shapes=False)
    nothing = np.empty(0, dtype=np.int64)
    spans = [
        (int(graph.nodes.rank[step.begin_row]), step.begin_row + 1, step.end_row - 1)
        for step in graph.steps
    ]
    if not spans:
        ranks = np.unique(graph.nodes.rank[graph.nodes.category == Category.HOST]).tolist()
        spans = [(rank, 1, len(graph) - 1) for rank in ranks]
    return [
        Iteration(rank, first, last, nothing, no_gradients()) for rank, first, last in sorted(spans)
    ]


def iterations(graph: ExecutionGraph, what: str, *, with_shapes: bool = True) -> list[Iteration]:
    """Find the training iterations of all ranks, in order of rows.

    Args:
        graph: of one or many ranks.
        what: the transform, for messages.
        with_shapes: whether the gradients' shapes are needed; else there may be none.

    Raises:
        NeedsRecordingError: no optimizer step is marked, or no gradient has a shape.
    """
    steps = named_rows(graph, OPTIMIZER_STEP)
    steps = steps[graph.nodes.category[steps] == Category.ANNOTATION]
    if not len(steps):
        raise NeedsRecordingError(
            f"{what}: the recording has no optimizer step",
            remedy="record whole training steps: forward, backward and optimizer.step()",
        )
    gradients = find_gradients(graph)
    if not len(gradients) and with_shapes:
        raise NeedsRecordingError(
            f"{what}: no gradients with shapes (AccumulateGrad) in the recording",
            remedy="record whole training steps with record_shapes=True; apply this before what "
            "removes host rows (cuda-graphs)",
        )
    found = []
    for rank in np.unique(graph.nodes.rank[steps]).tolist():
        rows = _Rows.of(graph, rank)
        ready = gradients.of_rank(graph, rank)
        after = NONE
        for step in steps[graph.nodes.rank[steps] == rank].tolist():
            optimizer = rows.under(step)
            first, last = rows.between(after, step)
            mine = ready[slice(*np.searchsorted(ready.rows, (first, step)).tolist())]
            found.append(Iteration(rank, first, last, optimizer, mine))
            after = int(optimizer[-1])
    kept = [it for it in found if it.gradients or not with_shapes]
    return sorted(kept, key=lambda it: it.first)


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """A rank's rows; those that end a run of optimizer rows; those of forward and backward."""

    all: Int64s
    breaks: Int64s
    plain: Int64s

    @classmethod
    def of(cls, graph: ExecutionGraph, rank: int) -> "_Rows":
        mine = graph.nodes.rank == rank
        phase, device = in_phase(graph, OPTIMIZER), graph.on_device()
        ends = mine & ~phase & ~device
        ends[named_rows(graph, "Optimizer.zero_grad")] = True
        plain = mine & ~phase & ~fixed(graph)
        return cls(np.flatnonzero(mine), np.flatnonzero(ends & mine), np.flatnonzero(plain))

    def under(self, step: int) -> Int64s:
        """Give the rows that the optimizer issued: the run of its phase from its mark on."""
        end = int(np.searchsorted(self.breaks, step, side="right"))
        limit = int(self.breaks[end]) if end < len(self.breaks) else int(self.all[-1]) + 1
        begin, after = np.searchsorted(self.all, (step, limit))
        return self.all[begin:after]

    def between(self, after: int, step: int) -> tuple[int, int]:
        """Give the first plain row behind a row, and the last row in front of a step."""
        last = int(self.all[int(np.searchsorted(self.all, step)) - 1])
        place = int(np.searchsorted(self.plain, after, side="right"))
        if place < len(self.plain) and self.plain[place] < step:
            return int(self.plain[place]), last
        return after + 1, last
