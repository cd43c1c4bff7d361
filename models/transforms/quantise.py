"""Weights in fewer bits: products that are bound by reading their weights get faster.

bytes = activations + weights · w'/w        time' = time · model(new bytes) / model(old bytes)
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ..costs.device_model import estimate
from ..costs.tensors import ITEM_BYTES, Call
from ..costs.work import work_of
from ..costs.work_values import Gemm, Work, WorkClass
from ..graph import Operator, Provenance
from .memory_training import QUANTISE
from .recost import by_ratio, doers, need_shapes
from .registry import Parameter, Transform, Value, factor, number, register
from .scenario import Scenario
from .training import BACKWARD, in_phase


def _quantise(scenario: Scenario, values: Mapping[str, Value]) -> Scenario:
    bits = number(values, "bits", "quantise")
    dequant = factor(values, "dequant", "quantise")
    graph = scenario.graph
    need_shapes(graph, "quantise")
    operators = graph.nodes.operator
    weighty = {i for i, operator in enumerate(graph.operators) if _weight_bytes(operator)}
    chosen = doers(graph) & np.isin(operators, sorted(weighty)) & ~in_phase(graph, BACKWARD)
    rows = np.flatnonzero(chosen)
    if not len(rows):
        return scenario
    unique, kind = np.unique(operators[rows], return_inverse=True)
    old = [work_of(graph.operators[index]) for index in unique.tolist()]
    new = [_lighter(graph.operators[i], w, bits) for i, w in zip(unique.tolist(), old, strict=True)]
    if new == old:
        return scenario
    ratio = estimate(scenario.costs, new).time_ns / estimate(scenario.costs, old).time_ns
    times = np.where([a == b for a, b in zip(old, new, strict=True)], 1.0, ratio * (1 + dequant))
    absolute = estimate(scenario.target, new).time_ns * (1 + dequant)
    nodes = graph.nodes
    duration = nodes.duration_ns.copy()
    measured = duration[rows] > 0
    duration[rows] = np.rint(np.where(measured, duration[rows] * times[kind], absolute[kind]))
    provenance = by_ratio(graph, duration)
    provenance[rows[~measured]] = Provenance.DEFAULT  # keeps the time given here
    nodes = replace(nodes, duration_ns=duration, provenance=provenance)
    return scenario.with_graph(replace(graph, nodes=nodes))


def _weight_bytes(operator: Operator) -> int:
    """Give the bytes of the right matrix of a product without batch, 0 for other operators."""
    work = work_of(operator)
    if work.work_class is not WorkClass.MATMUL or not isinstance(work.geometry, Gemm):
        return 0
    if work.geometry.batch != 1:
        return 0
    item = ITEM_BYTES[Call(operator).dtype]
    return work.geometry.k * work.geometry.n * item


def _lighter(operator: Operator, work: Work, bits: float) -> Work:
    item_bits = 8 * ITEM_BYTES[Call(operator).dtype]
    saved = _weight_bytes(operator) * max(0.0, 1 - bits / item_bits)
    return replace(work, bytes_read=max(0, work.bytes_read - round(saved)))


register(
    Transform(
        name="quantise",
        about="Store weights in fewer bits, compute as before (W8, W4).",
        edit="Takes the saved bytes from every product with a weight matrix, outside backward, and "
        "re-costs it; what computing binds stays.",
        assumes="the right operand of a product without batch is a weight, and unpacking costs "
        "`dequant` of the product's time",
        needs="operators with shapes",
        parameters=(
            Parameter("bits", "8 or 4"),
            Parameter("dequant", "share of time added for unpacking", 0.0),
        ),
        apply=_quantise,
        memory=QUANTISE,
    )
)
