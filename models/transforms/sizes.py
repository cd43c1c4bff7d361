"""Another batch size or sequence length: every operator re-costed by its own FLOPs and bytes.

Attention grows with the square of the length because its shapes do; weights, the optimizer and
what operators cost to dispatch stay.
"""

from collections.abc import Mapping
from dataclasses import replace
from math import prod

import numpy as np

from ..errors import UsageError
from ..graph import NONE, Category, ExecutionGraph
from ..memory.text import PLAN_PROPERTY, plan_from_text
from .memory_sizes import BATCH, LENGTH, paired_sizes
from .recost import need_shapes, recosted
from .registry import Asked, Parameter, Transform, Value, register, whole
from .scenario import Scenario
from .symbols import Hint, Shape, Symbols, find_symbols
from .training import OPTIMIZER, in_phase, named_rows

FROM = Parameter("from", "its size in the recorded run")
TO = Parameter("to", "its size wanted")
SECOND = Parameter(
    "second", "a second run, of another size: no dimension is guessed", "", is_text=True
)
AT = Parameter("at", "its size in the second run", 0.0)


def _batch(scenario: Scenario, values: Mapping[str, Value]) -> Scenario:
    return _resized(scenario, values, "batch", length=False)


def _length(scenario: Scenario, values: Mapping[str, Value]) -> Scenario:
    return _resized(scenario, values, "length", length=True)


def _resized(
    scenario: Scenario, values: Mapping[str, Value], what: str, *, length: bool
) -> Scenario:
    if values["second"]:
        raise UsageError(f"{what}: the second run was not read", remedy="see sizes.paired")
    recorded, wanted = whole(values, "from", what, least=1), whole(values, "to", what, least=1)
    graph = scenario.graph
    need_shapes(graph, what)
    if recorded == wanted:
        return scenario
    hint = Hint(recorded, wanted, parameter_shapes(graph), length)
    after = recosted(scenario, ~in_phase(graph, OPTIMIZER) & ~_of_gradients(graph), hint.operator)
    if after is scenario:
        raise UsageError(f"{what}: no operator has a dimension of {recorded}")
    return after


def second_run(asked: Asked) -> str:
    """Give the file of the second run that a change of size names, "" for none."""
    return str(asked.values.get("second", ""))


def paired(asked: Asked, recorded: ExecutionGraph, second: ExecutionGraph) -> Asked:
    """Give a change of size that knows its dimensions from two recorded runs.

    Raises:
        UsageError: the second run's size is missing or the first one's.
        NeedsRecordingError: the runs do not do the same.
    """
    what, values = asked.transform.name, asked.values
    sizes = whole(values, "from", what, least=1), whole(values, "at", what, least=1)
    wanted = whole(values, "to", what, least=1)
    if sizes[0] == sizes[1]:
        raise UsageError(f"{what}: both runs are of size {sizes[0]}")
    symbols = find_symbols(recorded, second, sizes)
    other = plan_from_text(second.meta.property(PLAN_PROPERTY))
    transform = replace(
        asked.transform,
        apply=lambda scenario, _: resized_by(scenario, symbols, wanted),
        memory=paired_sizes(asked.transform.memory, other),
    )
    return replace(asked, transform=transform)


def resized_by(scenario: Scenario, symbols: Symbols, wanted: int) -> Scenario:
    """Give a scenario with the symbol of two recorded runs at another value."""
    return recosted(
        scenario,
        ~in_phase(scenario.graph, OPTIMIZER),
        lambda operator: symbols.operator(operator, wanted),
    )


def _of_gradients(graph: ExecutionGraph) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Tell which rows handle gradients of parameters or their buckets: no size of data there."""
    rows: np.ndarray[tuple[int], np.dtype[np.bool_]] = np.isin(
        graph.nodes.category, (Category.COLLECTIVE, Category.SEND, Category.RECV)
    )
    for part in ("AccumulateGrad", "reducer::", "c10d::"):
        rows[named_rows(graph, part)] = True
    inside = graph.nodes.parent >= 0
    rows[inside] |= rows[graph.nodes.parent[inside]]
    return rows


def parameter_shapes(graph: ExecutionGraph) -> frozenset[Shape]:
    """Give the shapes of parameters: of gradients, and of what the optimizer works on."""
    shapes: set[Shape] = set()
    rows = np.concatenate(
        (named_rows(graph, "AccumulateGrad"), np.flatnonzero(in_phase(graph, OPTIMIZER)))
    ).astype(np.int64)
    for index in np.unique(graph.nodes.operator[rows]).tolist():
        if index == NONE:
            continue
        for dims in graph.operators[index].input_shapes:
            nested = dims if isinstance(dims, tuple) else ()
            for shape in (nested, *nested):
                if isinstance(shape, tuple) and all(isinstance(d, int) for d in shape):
                    shapes.add(tuple(d for d in shape if isinstance(d, int)))
    return frozenset(shape for shape in shapes if prod(shape) > 1) | _weights(graph)


def _weights(graph: ExecutionGraph) -> frozenset[Shape]:
    """In a run without a backward: the right matrices of `linear` and `addmm`."""
    if named_rows(graph, "AccumulateGrad").size:
        return frozenset()
    right = {"aten::linear": 1, "aten::addmm": 2}
    found: set[Shape] = set()
    for operator in graph.operators:
        place = right.get(operator.name, len(operator.input_shapes))
        for dims in operator.input_shapes[place : place + 1]:
            shape = dims if isinstance(dims, tuple) else ()
            found.add(tuple(d for d in shape if isinstance(d, int)))
    return frozenset(found - {()})


register(
    Transform(
        name="batch",
        about="Another batch size.",
        edit="Finds the batch in the operators' shapes and re-costs every operator of forward and "
        "backward by the FLOPs and bytes of its new shapes; the optimizer stays.",
        assumes="the batch is the first dimension of activations, and no dimension of the model "
        "is mistaken for it",
        needs="operators with shapes",
        parameters=(FROM, TO, SECOND, AT),
        apply=_batch,
        memory=BATCH,
    )
)
register(
    Transform(
        name="length",
        about="Another sequence length.",
        edit="Finds the length in the operators' shapes (behind the batch, or in its product with "
        "it) and re-costs every operator by its new shapes, attention by the square.",
        assumes="no dimension of the model is mistaken for the length",
        needs="operators with shapes",
        parameters=(FROM, TO, SECOND, AT),
        apply=_length,
        memory=LENGTH,
    )
)
