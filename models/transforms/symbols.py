"""Shapes as symbols: which dimensions of each operator are the batch, or the sequence length.

    one run and a hint (batch 8 of sequences of 64)        two runs (batch 8 and batch 16)
    (8, 64, 128)   -> (B, 64, 128)                         (8, 64, 128) | (16, 64, 128)
    (512, 128)     -> (64 B, 128)                          (512, 128)   | (1024, 128)
    (512, 128) W   -> as it is: a parameter's shape

From a hint a dimension counts where its place and value fit and no parameter has that shape; in a
product with a parameter-shaped result it is the inner one. From two runs a dimension is the symbol
where it differs, and follows it as a straight line.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ..costs.work import work_of
from ..costs.work_values import Gemm, WorkClass
from ..errors import NeedsRecordingError
from ..graph import NONE, Category, Dims, ExecutionGraph, Operator
from .training import OPTIMIZER, in_phase

Shape = tuple[int, ...]
PRODUCTS = {"mm": 0, "matmul": 0, "addmm": 1, "linear": 0, "_addmm_activation": 1}


@dataclass(frozen=True, slots=True)
class Hint:
    """What a user knows of a run: the symbol's value, what it becomes, and fixed shapes.

    Attributes:
        parameters: shapes that no symbol changes; their transposes count too.
        length: it is the sequence length, whose place is not the first but next to it.
    """

    value: int
    wanted: int
    parameters: frozenset[Shape]
    length: bool = False

    def operator(self, operator: Operator) -> Operator:
        """Give an operator with the symbol at its wanted value."""
        if self.value == self.wanted:
            return operator
        shapes = operator.input_shapes
        name = operator.name.rsplit("::", 1)[-1].rstrip("_")
        if name in PRODUCTS and len(shapes) > PRODUCTS[name] + 1:
            changed = self._product(shapes, PRODUCTS[name], transposed=name == "linear")
        else:
            scores = self._has_scores(shapes, operator)
            changed = tuple(self._dims(dims, scores=scores) for dims in shapes)
        outputs = tuple(
            self._dims(dims, scores=self._has_scores(operator.output_shapes, operator))
            for dims in operator.output_shapes
        )
        if changed == shapes and outputs == operator.output_shapes:
            return operator
        return replace(operator, input_shapes=changed, output_shapes=outputs, input_strides=())

    def _product(
        self, shapes: tuple[Dims, ...], left: int, *, transposed: bool
    ) -> tuple[Dims, ...]:
        """(m, k) x (k, n): the inner dimension where the result is a parameter, else the rows."""
        a, b = _shape(shapes[left]), _shape(shapes[left + 1])
        result = (*a[:-1], b[0] if transposed else b[-1]) if a and b else ()
        if len(a) == len(b) == 2 and self._fixed(result) and not self._fixed(b):
            inner = self._grown(a[-1])
            new: tuple[Dims, Dims] = ((a[0], inner), (inner, b[1]))
            return (*shapes[:left], *new, *shapes[left + 2 :])
        rows = self._dims(shapes[left]) if not self._fixed(a) or len(a) > 2 else self._rows(a)
        before = tuple(self._dims(dims) for dims in shapes[:left])
        right = shapes[left + 1] if len(b) == 2 else self._dims(shapes[left + 1])
        return (*before, rows, right, *shapes[left + 2 :])

    def _rows(self, shape: Shape) -> Shape:
        return (self._grown(shape[0]), *shape[1:])

    def _fixed(self, shape: Shape) -> bool:
        return shape in self.parameters or shape[::-1] in self.parameters

    def _grown(self, size: int) -> int:
        """A multiple of the symbol stays that multiple."""
        return size // self.value * self.wanted if size % self.value == 0 else size

    def _has_scores(self, shapes: tuple[Dims, ...], operator: Operator) -> bool:
        """Tell whether an operator works on attention scores, (..., length, length)."""
        if not self.length:
            return False
        work = work_of(operator)
        batched = isinstance(work.geometry, Gemm) and work.geometry.batch > 1
        square = any(len(s) >= 3 and s[-1] == s[-2] == self.value for s in map(_shape, shapes))
        return square or (batched and work.work_class is WorkClass.MATMUL)

    def _dims(self, dims: Dims, *, scores: bool = False) -> Dims:
        if not isinstance(dims, tuple) or not dims:
            return dims
        shape = _shape(dims)
        if len(shape) != len(dims):  # a list of tensors
            return tuple(self._dims(inner, scores=scores) for inner in dims)
        if self._fixed(shape):
            return dims
        return self._with_length(shape, scores=scores) if self.length else self._with_batch(shape)

    def _with_batch(self, shape: Shape) -> Shape:
        """The first dimension that is the batch itself, else a leading multiple of it."""
        exact = [place for place, size in enumerate(shape[:-1] or shape) if size == self.value]
        if exact and len(shape) > 2:
            place = exact[0]
            return (*shape[:place], self.wanted, *shape[place + 1 :])
        return self._rows(shape)

    def _with_length(self, shape: Shape, *, scores: bool) -> Shape:
        """Exact sizes behind the first place (the features' place only among scores)."""
        if len(shape) <= 2:
            return self._rows(shape) if shape[0] >= self.value else shape
        last = len(shape) if scores else len(shape) - 1
        return tuple(
            self.wanted if size == self.value and place < last else size
            for place, size in enumerate(shape)
        )


def _shape(dims: Dims) -> Shape:
    if not isinstance(dims, tuple):
        return ()
    return tuple(size for size in dims if isinstance(size, int))


@dataclass(frozen=True, slots=True)
class Symbols:
    """Two runs side by side: each operator of the first with its counterpart of the second.

    Attributes:
        values: the symbol in the first and in the second run.
        pairs: operators that differ.
        same: how many operators agree in all shapes.
    """

    values: tuple[int, int]
    pairs: Mapping[Operator, Operator]
    same: int
    _cache: dict[tuple[Operator, int], Operator] = field(default_factory=dict)

    def operator(self, operator: Operator, wanted: int) -> Operator:
        """Give an operator with the symbol at a value: each dimension on its straight line."""
        other = self.pairs.get(operator)
        if other is None or wanted == self.values[0]:
            return operator
        first, second = self.values
        share = (wanted - first) / (second - first)
        return replace(
            operator,
            input_shapes=tuple(map(_Between(share), operator.input_shapes, other.input_shapes)),
            output_shapes=tuple(map(_Between(share), operator.output_shapes, other.output_shapes)),
            input_strides=(),
        )


class _Between:
    def __init__(self, share: float) -> None:
        self.share = share

    def __call__(self, first: Dims, second: Dims) -> Dims:
        if isinstance(first, int) and isinstance(second, int):
            return round(first + (second - first) * self.share)
        if isinstance(first, tuple) and isinstance(second, tuple):
            return tuple(map(self, first, second))
        return first


def find_symbols(a: ExecutionGraph, b: ExecutionGraph, values: tuple[int, int]) -> Symbols:
    """Find the symbol's dimensions from two runs of one program.

    Args:
        a: the run that will be changed.
        b: the same program with another value of the symbol.
        values: the symbol in a and in b.

    Raises:
        NeedsRecordingError: the runs do not do the same operators in the same order.
    """
    left, right = _calls(a), _calls(b)
    if [op.name for op in left] != [op.name for op in right]:
        raise NeedsRecordingError(
            f"the two runs differ: {len(left)} and {len(right)} operators, not the same in order",
            remedy="record the same program twice, with two values of the size alone",
        )
    pairs: dict[Operator, Operator] = {}
    same = 0
    for mine, other in zip(left, right, strict=True):
        if mine.input_shapes == other.input_shapes and mine.output_shapes == other.output_shapes:
            same += 1
        elif _alike(mine.input_shapes, other.input_shapes):
            pairs[mine] = other
    return Symbols(values, pairs, same)


def _alike(a: Dims, b: Dims) -> bool:
    """Tell whether two nested shapes differ in sizes only."""
    if isinstance(a, int) or isinstance(b, int):
        return isinstance(a, int) and isinstance(b, int)
    return len(a) == len(b) and all(map(_alike, a, b))


def _calls(graph: ExecutionGraph) -> list[Operator]:
    """Give the operators called on host threads, by thread in order, without the optimizer."""
    nodes = graph.nodes
    rows = [
        row
        for row in range(len(graph))
        if nodes.operator[row] != NONE and nodes.category[row] in (Category.HOST, Category.LAUNCH)
    ]
    skipped = in_phase(graph, OPTIMIZER)
    lanes, calls = nodes.lane.tolist(), nodes.rf_id.tolist()  # callers stand before callees there
    return [
        graph.operators[int(nodes.operator[row])]
        for row in sorted(rows, key=lambda r: (lanes[r], calls[r], r))
        if not skipped[row]
    ]
