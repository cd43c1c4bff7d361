"""A plan's lines give each target the price of its own, to the nanosecond."""

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from etsim.models.costs.price import price
from etsim.models.costs.price_plan import price_plan, relation
from etsim.models.graph import (
    NONE,
    Category,
    Collective,
    EdgeKind,
    ExecutionGraph,
    LaneKind,
    Operator,
    Provenance,
)
from etsim.models.graph_builder import GraphBuilder
from etsim.models.hardware import Hardware
from etsim.tests.models.costs.conftest import cpu, machine

SQUARE = ((512, 512), (512, 512))
OPERATORS = (
    Operator("aten::mm", input_shapes=SQUARE, input_types=("float", "float")),
    Operator("aten::add", input_shapes=SQUARE, input_types=("c10::BFloat16",) * 2),
    Operator("aten::softmax", input_shapes=((64, 4096),), input_types=("float",)),
    Operator("aten::view", input_shapes=((8,),), input_types=("float",)),
)
NAMES = ("sgemm", "elementwise", "Memcpy HtoD (Pageable -> Device)", "Memset (Device)", "AllReduce")
GROUPS = (Collective("all_reduce", "0", (0, 1), "fp32", 1 << 22), Collective("send", "0", (0, 99)))
MACHINES = st.builds(
    machine,
    st.sampled_from(["one", "two"]),
    factor=st.floats(0.3, 4),
    host_speed=st.floats(0.3, 4),
)
ROWS = st.tuples(
    st.sampled_from(Category),
    st.sampled_from(NAMES),
    st.sampled_from((None, *OPERATORS)),
    st.sampled_from((None, *GROUPS)),
    st.one_of(st.just(0), st.integers(1, 4000), st.integers(1, 10**7)),
    st.sampled_from((Provenance.MEASURED, Provenance.ROOFLINE, Provenance.DEFAULT)),
    st.sampled_from(EdgeKind),
    st.integers(0, 3),
)


@st.composite
def graphs(draw: st.DrawFn) -> ExecutionGraph:
    """Give a chain of rows of all categories, with and without operators and measurements."""
    builder = GraphBuilder()
    host = builder.lane(LaneKind.HOST, 1, 1)
    stream = builder.lane(LaneKind.DEVICE, 0, 7)
    for row, (category, name, operator, group, duration, provenance, kind, shared) in enumerate(
        draw(st.lists(ROWS, min_size=1, max_size=14))
    ):
        tables: dict[str, Any] = {"operator": operator, "collective": group}
        builder.add(
            name,
            stream if category is Category.KERNEL else host,
            category=category,
            duration_ns=duration,
            **{key: value for key, value in tables.items() if value is not None},
            provenance=provenance,
            parent=row - shared if 0 < shared <= row else NONE,
            after=[(row - 1, kind, 777 * row)] if row else [],
        )
    graph = builder.build()
    moved = np.where(graph.nodes.category == Category.MEMCPY, 1 << 20, 0)
    return replace(graph, nodes=replace(graph.nodes, bytes=moved))


def foreign(hardware: Hardware) -> Hardware:
    return replace(hardware, device=replace(hardware.device, vendor="amd", architecture="cdna3"))


def linkless(hardware: Hardware) -> Hardware:
    return replace(hardware, links=())


SOURCES = st.one_of(st.none(), st.builds(cpu), MACHINES)
TARGETS = st.one_of(
    MACHINES, MACHINES.map(foreign), MACHINES.map(linkless), st.builds(cpu, cores=st.integers(1, 8))
)


@given(graphs(), SOURCES, st.lists(TARGETS, min_size=1, max_size=4))
@settings(deadline=None, max_examples=150)
def test_targets_of_one_relation_share_a_plan_to_the_nanosecond(
    graph: ExecutionGraph, source: Hardware | None, targets: list[Hardware]
) -> None:
    plans = {
        relation(source, target): price_plan(graph, source, target, keeps_defaults=False)
        for target in reversed(targets)
    }
    for target in targets:
        priced = price(graph, source, target)
        plan = plans[relation(source, target)]
        lines = plan.lines(target)
        duration = np.rint(plan.work * lines.price[plan.line] + lines.fixed_ns[plan.line])
        assert duration.astype(np.int64).tolist() == priced.duration_ns.tolist()
        lag = np.rint(graph.edge_lag_ns * plan.lag_factors(target)[graph.edge_kind])
        assert lag.astype(np.int64).tolist() == priced.lag_ns.tolist()


def test_rows_with_a_default_of_their_own_keep_it() -> None:
    builder = GraphBuilder()
    host = builder.lane(LaneKind.HOST, 1, 1)
    builder.add("a", host, duration_ns=1000, provenance=Provenance.DEFAULT)
    builder.add("b", host, duration_ns=1000)
    source, target = machine(), machine("two", host_speed=2)
    plan = price_plan(builder.build(), source, target)
    lines = plan.lines(target)
    assert (plan.work * lines.price[plan.line] + lines.fixed_ns[plan.line]).tolist() == [1000, 500]
