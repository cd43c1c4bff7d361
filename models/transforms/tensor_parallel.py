"""Tensor parallelism as in Megatron-LM: products of a layer cut by columns, then by rows.

    x -> [W columns / t] -> heads / t, gelu / t -> [W rows / t] -> all-reduce -> + residual, norm

Each row-cut product is followed by an all-reduce in forward, each column-cut one in backward; they
lie on the critical path. Norms and residuals are computed by every rank.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import prod

import numpy as np

from ..costs.tensors import ITEM_BYTES, Call
from ..costs.work import work_of
from ..costs.work_values import WorkClass
from ..errors import NeedsRecordingError, UsageError
from ..graph import NONE, Category, Collective, Dims, ExecutionGraph, Operator, Provenance
from ..memory.effect import MemoryEffect, Values
from ..memory.plan import MODEL_USES, MemoryPlan
from .insertion import Insertion
from .links import with_link
from .memory_time import layers_of_names
from .module_passes import Passes
from .recost import recosted, recosted_parts
from .registry import Parameter, Transform, Value, register, whole
from .repeats import Layers, find_layers
from .scenario import Scenario
from .symbols import Shape
from .training import ACCUMULATE, BACKWARD, OPTIMIZER, in_phase, named_rows

ATTENTION = (WorkClass.PREFILL, WorkClass.DECODE, WorkClass.SOFTMAX)
LINEAR = "aten::linear"


@dataclass(frozen=True, slots=True)
class _Linear:
    """One linear module of a layer: its weight (outputs, inputs) and which way it is cut."""

    module: int
    outputs: int
    inputs: int
    by_rows: bool
    rows: int  # of its input: tokens
    item_bytes: int
    dtype: str

    def cut(self, operator: Operator, degree: int) -> Operator:
        """Give an operator of the module on one of `degree` ranks."""
        shapes = tuple(self.cut_shape(dims, degree) for dims in operator.input_shapes)
        return replace(operator, input_shapes=shapes, output_shapes=(), input_strides=())

    def cut_shape(self, dims: Dims, degree: int) -> Dims:
        """Cut the outputs (columns) or the inputs (rows) where a shape holds them."""
        if not isinstance(dims, tuple) or not all(isinstance(d, int) for d in dims):
            return dims
        shape = tuple(d for d in dims if isinstance(d, int))
        wanted = self.inputs if self.by_rows else self.outputs
        weight = (self.outputs, self.inputs)
        if shape == weight:
            place = 1 if self.by_rows else 0
        elif shape == weight[::-1]:
            place = 0 if self.by_rows else 1
        elif shape and shape[-1] == wanted and (len(shape) > 1 or not self.by_rows):
            place = len(shape) - 1
        elif len(shape) == 2 and shape[0] == wanted and shape[1] == self.rows:
            place = 0  # a transposed gradient
        else:
            return dims
        return (*shape[:place], shape[place] // degree, *shape[place + 1 :])


def _tp(scenario: Scenario, values: Mapping[str, Value]) -> Scenario:
    degree = whole(values, "degree", "tp", least=1)
    if degree == 1:
        return scenario
    target = with_link(scenario.target, str(values["link"]), degree, "tp")
    scenario = replace(scenario, target=target)
    graph = scenario.graph
    layers = find_layers(graph, str(values["module"]), "tp")
    linears = _all_linears(graph, layers)
    if not any(linear.by_rows for linear in linears):
        raise NeedsRecordingError(
            f"tp: no pair of linear modules in {layers.paths[0]}",
            remedy="record with stacks or record_function and record_shapes=True",
        )
    _divisible(linears, degree)
    of_module = np.full(len(graph.names) + 1, NONE, dtype=np.int64)
    of_module[[linear.module for linear in linears]] = np.arange(len(linears))
    part = np.where(layers.of_row != NONE, of_module[graph.nodes.module], NONE)
    cuts = [partial(linear.cut, degree=degree) for linear in linears]
    scenario = recosted_parts(scenario, part, cuts)
    between = (layers.of_row != NONE) & (part == NONE)
    wide = frozenset(linear.outputs for linear in linears if not linear.by_rows)
    hidden = frozenset(linear.inputs for linear in linears if not linear.by_rows)
    scenario = recosted(
        scenario, between, lambda operator: _between(operator, wide - hidden, degree)
    )
    scenario = _fewer_parameters(scenario, linears, degree)
    return scenario.with_graph(_reduced(scenario.graph, linears, degree))


def _fewer_parameters(scenario: Scenario, linears: Sequence[_Linear], degree: int) -> Scenario:
    """Cut the weights in gradients and in the optimizer too."""
    cut = _cut_weights(linears, degree)

    def smaller(dims: Dims) -> Dims:
        if isinstance(dims, tuple) and dims and all(isinstance(d, tuple) for d in dims):
            return tuple(smaller(inner) for inner in dims)
        return cut.get(dims, dims)

    rows = in_phase(scenario.graph, OPTIMIZER)
    rows[named_rows(scenario.graph, ACCUMULATE)] = True
    return recosted(
        scenario,
        rows,
        lambda op: replace(op, input_shapes=tuple(smaller(dims) for dims in op.input_shapes)),
    )


def _cut_weights(linears: Sequence[_Linear], degree: int) -> dict[Dims, Dims]:
    cut: dict[Dims, Dims] = {}
    for linear in linears:
        n, k = linear.outputs, linear.inputs
        cut[n, k] = (n, k // degree) if linear.by_rows else (n // degree, k)
    return cut


def _shared(plan: MemoryPlan, scenario: Scenario, values: Values) -> tuple[MemoryPlan, ...]:
    """Cut weights by their shapes, activations as the operators that make them are cut.

    Per layer 10/34 of the activations (inputs, norms, residuals) stay whole, and 24/34 and the
    scores are cut by the degree (Korthikanti et al. 2022, equation 2).
    """
    degree = int(values["degree"])
    if degree == 1:
        return (plan,)
    layers = find_layers(scenario.graph, str(values["module"]), "tp")
    linears = _all_linears(scenario.graph, layers)
    modules = {scenario.graph.names[linear.module]: linear for linear in linears}
    weights = _cut_weights(linears, degree)
    hidden = {linear.inputs for linear in linears if not linear.by_rows}
    wide = {linear.outputs for linear in linears if not linear.by_rows} - hidden
    lives, cut = plan.lives, layers_of_names(plan, layers.paths)[plan.lives.module] != NONE
    model, names = lives.of(*MODEL_USES), (*plan.names, "")

    def after(shape: Shape, row: int) -> Dims:
        if model[row] and len(shape) > 1:
            turned = weights.get(shape[::-1])
            return weights.get(shape, turned if turned is not None else shape)
        linear = modules.get(names[lives.module[row]])
        if linear is not None:
            return linear.cut_shape(shape, degree)
        attends = "attention" in names[lives.maker[row]] or "softmax" in names[lives.maker[row]]
        return _cut_between(shape, frozenset(wide), degree, attends=attends)

    factor = np.ones(len(lives))
    for row in np.flatnonzero((cut | model) & (lives.shape != NONE)).tolist():
        shape = plan.shapes[lives.shape[row]]
        factor[row] = prod(_shape(after(shape, row))) / max(1, prod(shape))
    return (plan.with_sizes(lives.size_bytes >= 0, factor),)


def _divisible(linears: Sequence[_Linear], degree: int) -> None:
    for linear in linears:
        size = linear.inputs if linear.by_rows else linear.outputs
        if size % degree:
            raise UsageError(f"tp: a dimension of {size} cannot be cut into {degree}")


def _all_linears(graph: ExecutionGraph, layers: Layers) -> list[_Linear]:
    return [
        linear
        for layer in range(len(layers.paths))
        for linear in _linears(graph, np.flatnonzero(layers.of_row == layer))
    ]


def _linears(
    graph: ExecutionGraph, rows: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> list[_Linear]:
    """Find the linear modules of one layer in order of forward, and which way each is cut.

    One that narrows to the layer's width is cut by rows; a square one is if attention stands
    between it and the linear before.
    """
    found: list[_Linear] = []
    seen: set[int] = set()
    attended = False
    for operator, module in _calls(graph, rows):
        attended |= work_of(operator).work_class in ATTENTION
        weight = _weight(operator)
        if weight is None or module in seen:
            continue
        seen.add(module)
        outputs, inputs = weight
        width = found[0].inputs if found else inputs
        by_rows = outputs == width and (inputs != width or attended)
        attended = attended and not by_rows
        tokens = prod(_shape(operator.input_shapes[0])[:-1])
        dtype = Call(operator).dtype
        found.append(_Linear(module, outputs, inputs, by_rows, tokens, ITEM_BYTES[dtype], dtype))
    return found


def _calls(
    graph: ExecutionGraph, rows: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> Iterator[tuple[Operator, int]]:
    """Give the linear operators and attentions of forward, each with its module."""
    tells = [
        _weight(op) is not None or work_of(op).work_class in ATTENTION for op in graph.operators
    ]
    rows = rows[~in_phase(graph, BACKWARD)[rows]]
    rows = rows[np.array([*tells, False])[graph.nodes.operator[rows]]]
    modules = graph.nodes.module[rows].tolist()
    for index, module in zip(graph.nodes.operator[rows].tolist(), modules, strict=True):
        yield graph.operators[index], module


def _weight(operator: Operator) -> tuple[int, int] | None:
    if operator.name != LINEAR or len(operator.input_shapes) < 2:
        return None
    shape = _shape(operator.input_shapes[1])
    return (shape[0], shape[1]) if len(shape) == 2 else None


def _shape(dims: Dims) -> Shape:
    return tuple(d for d in dims if isinstance(d, int)) if isinstance(dims, tuple) else ()


def _cut_between(dims: Dims, wide: frozenset[int], degree: int, *, attends: bool) -> Dims:
    shape = _shape(dims)
    if attends and len(shape) >= 3:
        place = 1 if len(shape) == 4 else 0
        return (*shape[:place], max(1, shape[place] // degree), *shape[place + 1 :])
    if len(shape) > 1 and shape[-1] in wide:
        return (*shape[:-1], shape[-1] // degree)
    return dims


def _between(operator: Operator, wide: frozenset[int], degree: int) -> Operator:
    """Attention has fewer heads; pointwise operators of the wide part fewer columns."""
    work = work_of(operator)
    attention = work.work_class in ATTENTION

    shapes = tuple(
        _cut_between(dims, wide, degree, attends=attention) for dims in operator.input_shapes
    )
    if shapes == operator.input_shapes:
        return operator
    return replace(operator, input_shapes=shapes, output_shapes=(), input_strides=())


def _reduced(graph: ExecutionGraph, linears: Sequence[_Linear], degree: int) -> ExecutionGraph:
    """Insert the all-reduces in line: on the compute stream, or on the host thread without one."""
    insertion = Insertion(graph)
    passes = Passes.of(graph)
    for linear in linears:
        size = linear.rows * (linear.outputs if linear.by_rows else linear.inputs)
        message = Collective(
            "all_reduce", "tensor_parallel", tuple(range(degree)), linear.dtype,
            size * linear.item_bytes,
        )  # fmt: skip
        lasts, makers = passes.ends(linear.module, backward=not linear.by_rows)
        insertion.put(
            insertion.reserve(len(lasts)), lasts, 0, name="tensor_parallel:all_reduce",
            lane=graph.nodes.lane[makers], category=int(Category.COLLECTIVE), duration_ns=0,
            collective=message, provenance=int(Provenance.ROOFLINE),
        )  # fmt: skip
    return insertion.done()


register(
    Transform(
        name="tp",
        about="Cut the layers of a transformer over t ranks (Megatron-LM).",
        edit="Cuts linear modules by columns, then by rows, attention by heads and what lies "
        "between by columns, re-costs each, and inserts an all-reduce of the activations behind "
        "row-cut products in forward and column-cut ones in backward, on the critical path.",
        assumes="host time stays, and the layer follows Megatron's order of linear modules",
        needs="modules down to linear layers, and shapes",
        parameters=(
            Parameter("degree", "number of ranks a layer is cut over"),
            Parameter("link", "as in ddp; the nearest", "", is_text=True),
            Parameter("module", "pattern of the layers; the largest repeated", "", is_text=True),
        ),
        apply=_tp,
        memory=MemoryEffect(
            "products, attention and what lies between take a share of it", _shared
        ),
    )
)
