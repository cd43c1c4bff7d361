"""Mixed precision, as autocast does it: products in 16 bits, reductions in 32, casts between.

|cast W|  mm (bf16)  gelu (bf16)  |cast| layer_norm (fp32) |cast|   ...   |cast dW| optimizer
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..costs.tensors import dtype_of
from ..costs.work import work_of
from ..costs.work_values import WorkClass
from ..errors import UsageError
from ..graph import NONE, Category, ExecutionGraph, Int64s, Operator
from .edit import Mask
from .memory_training import AMP
from .pool import by_first_use
from .recost import doers, need_shapes, recosted
from .registry import Parameter, Transform, Value, flag, register
from .scenario import Scenario
from .training import OPTIMIZER, Iteration, in_phase, iterations, named_rows
from .worker import Work, Worker

C_NAMES = {"bf16": "c10::BFloat16", "fp16": "c10::Half"}
# what autocast keeps in fp32 (PyTorch's list, by class of work)
STAYS_WIDE = frozenset((WorkClass.SOFTMAX, WorkClass.NORMALISATION, WorkClass.LOSS))
PRODUCTS = frozenset((WorkClass.MATMUL, WorkClass.CONVOLUTION, WorkClass.PREFILL, WorkClass.DECODE))
CAST_CALLS = 3  # to, _to_copy, copy_


def _amp(scenario: Scenario, values: Mapping[str, Value]) -> Scenario:
    dtype = str(values["dtype"])
    if dtype not in C_NAMES:
        raise UsageError(f"amp: no {dtype!r}", remedy=f"dtype={' or '.join(C_NAMES)}")
    graph = scenario.graph
    need_shapes(graph, "amp")
    wide = {op for op in graph.operators if work_of(op).work_class in STAYS_WIDE}
    narrowed = ~in_phase(graph, OPTIMIZER) & ~_gradients_kept(graph)

    def narrow(operator: Operator) -> Operator:
        return operator if operator in wide else narrower(operator, dtype)

    after = recosted(scenario, narrowed, narrow)
    if after is scenario:
        return scenario  # it ran in 16 bits already
    if named_rows(graph, "AccumulateGrad").size:
        after = _with_casts(after, dtype)
    if flag(values, "grads", "amp"):
        after = after.with_graph(_half_messages(after.graph, dtype))
    return after


def narrower(operator: Operator, dtype: str) -> Operator:
    """Give an operator with its fp32 tensors in 16 bits."""

    def renamed(name: str) -> str:
        if name.startswith("GenericList["):
            inner = name.removeprefix("GenericList[").removesuffix("]").split(",")
            return f"GenericList[{','.join(renamed(part) for part in inner)}]"
        if dtype_of(name) != "fp32":
            return name
        return f"Tensor({C_NAMES[dtype]})" if name.startswith("Tensor(") else C_NAMES[dtype]

    return replace(
        operator,
        input_types=tuple(renamed(name) for name in operator.input_types),
        output_types=tuple(renamed(name) for name in operator.output_types),
    )


def _gradients_kept(graph: ExecutionGraph) -> Mask:
    """Gradients of parameters stay fp32: accumulation and its children, collectives."""
    kept: Mask = np.isin(graph.nodes.category, (Category.COLLECTIVE, Category.MEMCPY))
    kept[named_rows(graph, "AccumulateGrad")] = True
    return kept


def _with_casts(scenario: Scenario, dtype: str) -> Scenario:
    """Insert the casts: each weight once, each of its gradients, borders of wide operators."""
    graph = scenario.graph
    worker = Worker(scenario)
    entering = [_product_shapes(operator) for operator in graph.operators]
    for iteration in iterations(graph, "amp"):
        used = np.unique(graph.nodes.operator[iteration.first : iteration.last + 1]).tolist()
        in_products = frozenset().union(*(entering[index] for index in used if index != NONE))
        _cast_weights(worker, iteration, in_products, dtype)
        if dtype == "fp16":
            _unscale(worker, iteration)
    _cast_borders(worker, dtype)
    return worker.scenario


def _product_shapes(operator: Operator) -> frozenset[tuple[int, ...]]:
    """Give the shapes of the tensors that enter a product; none of other operators."""
    if work_of(operator).work_class not in PRODUCTS:
        return frozenset()
    return frozenset(_flat(dims) for dims in operator.input_shapes if isinstance(dims, tuple))


def _flat(dims: object) -> tuple[int, ...]:
    return tuple(d for d in dims if isinstance(d, int)) if isinstance(dims, tuple) else ()


def _cast_weights(
    worker: Worker, iteration: Iteration, in_products: frozenset[tuple[int, ...]], dtype: str
) -> None:
    """Cast weights of products once at the beginning, and their gradients where they are added."""
    gradients = iteration.gradients
    cast = np.array([bool({k.shape, k.shape[::-1]} & in_products) for k in gradients.kinds])
    chosen = gradients.take(cast[gradients.kind])
    first = np.full(len(chosen), iteration.first)
    shapes = [kind.shape for kind in chosen.kinds]
    _cast_twice(
        worker, (first, chosen.accumulate_rows), chosen.kind, shapes,
        (("fp32", dtype), (dtype, "fp32")),
    )  # fmt: skip


def _cast_twice(
    worker: Worker,
    after: tuple[Int64s, Int64s],
    kind: Int64s,
    shapes: Sequence[tuple[int, ...]],
    dtypes: tuple[tuple[str, str], tuple[str, str]],
) -> None:
    """Insert pairs of casts of tensors, both ways: of each pair one behind each of two rows."""
    if not len(kind):
        return
    place, used = by_first_use(kind)
    operators = [_cast(shapes[k], way) for k in used for way in dtypes]
    numbers = worker.insertion.reserve(2 * worker.rows_of_work * len(kind))
    numbers = numbers.reshape(len(kind), 2, worker.rows_of_work)
    for way, rows in enumerate(after):
        lane = worker.base.graph.nodes.lane[rows].astype(np.int64)
        work = Work(rows, "aten::to", lane, CAST_CALLS)
        worker.works(numbers[:, way].reshape(-1), work, 2 * place + way, operators)


def _cast(shape: tuple[int, ...], dtypes: tuple[str, str]) -> Operator:
    return Operator(
        "aten::copy_",
        input_shapes=(shape, shape),
        input_types=(C_NAMES.get(dtypes[1], "float"), C_NAMES.get(dtypes[0], "float")),
    )


def _cast_borders(worker: Worker, dtype: str) -> None:
    """Around each operator that stays wide: its input widened, its result narrowed."""
    graph = worker.base.graph
    shapes = [_flat(op.input_shapes[0]) if op.input_shapes else () for op in graph.operators]
    wide = [
        bool(shape) and work_of(operator).work_class in STAYS_WIDE
        for operator, shape in zip(graph.operators, shapes, strict=True)
    ]
    rows = np.flatnonzero(doers(graph) & ~in_phase(graph, OPTIMIZER))
    rows = rows[np.array([*wide, False])[graph.nodes.operator[rows]]]
    host = np.where(graph.on_device()[rows], graph.nodes.parent[rows], rows)
    rows, host = rows[host != NONE], host[host != NONE]
    ways = ((dtype, "fp32"), ("fp32", dtype))
    _cast_twice(worker, (host, host), graph.nodes.operator[rows], shapes, ways)


def _unscale(worker: Worker, iteration: Iteration) -> None:
    """fp16 needs a loss scale: gradients are unscaled and checked for infinities."""
    shapes = tuple(gradient.shape for gradient in iteration.gradients)
    types = ",".join("fp32" for _ in shapes)
    name = "aten::_amp_foreach_non_finite_check_and_unscale_"
    operator = Operator(name, input_shapes=(shapes,), input_types=(f"GenericList[{types}]",))
    lane = int(worker.base.graph.nodes.lane[int(iteration.optimizer[0])])
    worker.work(iteration.last, name, lane, operator, CAST_CALLS)


def _half_messages(graph: ExecutionGraph, dtype: str) -> ExecutionGraph:
    """Send gradients in 16 bits: messages of fp32 become half as long."""
    halved = tuple(
        replace(c, dtype=dtype, message_bytes=c.message_bytes // 2)
        if dtype_of(c.dtype) == "fp32"
        else c
        for c in graph.collectives
    )
    return replace(graph, collectives=halved)


register(
    Transform(
        name="amp",
        about="Mixed precision: products and what follows them in 16 bits.",
        edit="Re-costs every fp32 operator of forward and backward in 16 bits but those that "
        "autocast keeps wide, inserts casts of weights and of their gradients once an iteration "
        "and around wide operators; fp16 adds an unscaling pass.",
        assumes="weights are cast once an iteration, the optimizer stays in fp32, and the device's "
        "peaks hold for the dtype",
        needs="operators with shapes and types",
        parameters=(
            Parameter("dtype", "bf16 or fp16", "bf16", is_text=True),
            Parameter("grads", "1: gradients are sent in 16 bits", 0.0),
        ),
        apply=_amp,
        memory=AMP,
    )
)
