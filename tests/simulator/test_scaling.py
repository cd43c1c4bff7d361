"""`--scale`: what each name means, what it leaves alone, and what it refuses."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etsim.models.errors import UsageError
from etsim.models.graph import Category, EdgeKind, ExecutionGraph, LaneKind, Operator
from etsim.models.graph_builder import GraphBuilder
from etsim.simulator.replay import replay
from etsim.simulator.scaling import Scale, ScaleTarget, apply_scales, parse_scale

ROWS = ("aten::mm", "launch", "sgemm", "copy", "all_reduce", "sync", "python")
DURATIONS = (10, 4, 100, 20, 40, 2, 6)


def run() -> ExecutionGraph:
    """Draw a host thread, a stream and a wait.

    host     [mm 10]-3->[launch 4]            [sync 2]-5->[python 6]
    stream              `-7->[sgemm 100]-1->[copy 20][all_reduce 40]--^
    """
    b = GraphBuilder()
    host = b.lane(LaneKind.HOST, 1, 1)
    stream = b.lane(LaneKind.DEVICE, 0, 7)
    mm = Operator("aten::mm")
    a = b.add("aten::mm", host, duration_ns=10, operator=mm)
    launch = b.add("launch", host, duration_ns=4, category=Category.LAUNCH, operator=mm,
                   after=[(a, EdgeKind.HOST_ORDER, 3)])  # fmt: skip
    k = b.add("sgemm", stream, duration_ns=100, category=Category.KERNEL, operator=mm,
              after=[(launch, EdgeKind.LAUNCH, 7)])  # fmt: skip
    c = b.add("copy", stream, duration_ns=20, category=Category.MEMCPY,
              after=[(k, EdgeKind.STREAM_ORDER, 1)])  # fmt: skip
    r = b.add("all_reduce", stream, duration_ns=40, category=Category.COLLECTIVE,
              after=[(c, EdgeKind.STREAM_ORDER, 0)])  # fmt: skip
    s = b.add("sync", host, duration_ns=2, category=Category.SYNC,
              after=[(launch, EdgeKind.HOST_ORDER, 0), (r, EdgeKind.SYNC, 9)])  # fmt: skip
    b.add("python", host, duration_ns=6, after=[(s, EdgeKind.HOST_ORDER, 5)])
    return b.build()


def scaled_by(*texts: str) -> tuple[dict[str, int], list[int]]:
    graph = run()
    durations, lags = apply_scales(
        graph, graph.nodes.duration_ns, graph.edge_lag_ns, [parse_scale(t) for t in texts]
    )
    changed = {
        name: new
        for name, old, new in zip(ROWS, DURATIONS, durations.tolist(), strict=True)
        if new != old
    }
    return changed, lags.tolist()


UNSCALED_LAGS = [3, 7, 1, 0, 0, 9, 5]


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("kernel=0.5", {"sgemm": 50, "copy": 10}),
        ("memcpy=2", {"copy": 40}),
        ("collective=2", {"all_reduce": 80}),
        ("launch=0.5", {"launch": 2}),
        ("name:sg*=0.1", {"sgemm": 10}),
        ("name:python=2", {"python": 12}),
        ("kernel=1", {}),
    ],
)
def test_a_scale_changes_its_own_rows_and_no_lag(text: str, changed: dict[str, int]) -> None:
    assert scaled_by(text) == (changed, UNSCALED_LAGS)


def test_host_scales_host_rows_and_host_time_between_them_but_not_the_tail_of_a_wait() -> None:
    assert scaled_by("host=2") == (
        {"aten::mm": 20, "launch": 8, "python": 12},
        [6, 7, 1, 0, 0, 9, 10],
    )


def test_an_operator_on_the_device_scales_its_kernel_and_not_its_dispatch() -> None:
    assert scaled_by("name:aten::mm*=0.8") == ({"sgemm": 80}, UNSCALED_LAGS)


def test_scales_multiply_and_round_once() -> None:
    assert scaled_by("kernel=0.5", "name:sgemm=0.05")[0] == {"sgemm": 2, "copy": 10}  # 2.5 -> 2


def test_scaling_everything_that_binds_moves_the_end_by_it() -> None:
    graph = run()
    new = apply_scales(
        graph, graph.nodes.duration_ns, graph.edge_lag_ns, [parse_scale("kernel=0.5")]
    )
    assert replay(graph, *new).makespan_ns == replay(graph).makespan_ns - 60


def test_costs_beyond_the_precision_of_floats_stay_as_they_are_where_nothing_scales_them() -> None:
    graph = run()
    huge = np.full(len(graph), 2**60 + 1)
    durations, _ = apply_scales(graph, huge, graph.edge_lag_ns, [parse_scale("memcpy=0.5")])
    assert durations.tolist().count(2**60 + 1) == len(graph) - 1


@pytest.mark.parametrize(
    "text",
    ["kernel", "=2", "kernels=2", "kernel=", "kernel=fast", "kernel=-1", "kernel=nan",
     "kernel=inf", "name:=2", "name=2", "host:x=2", ""],
)  # fmt: skip
def test_bad_scales_are_refused_with_the_names_there_are(text: str) -> None:
    with pytest.raises(UsageError, match=r"kernel=F, memcpy=F, collective=F, host=F, launch=F"):
        parse_scale(text)


def test_a_name_that_nothing_has_is_refused() -> None:
    with pytest.raises(UsageError, match="no row and no operator is called 'gemm'"):
        scaled_by("name:gemm=2")


@given(
    st.sampled_from([t for t in ScaleTarget if t is not ScaleTarget.NAME]),
    st.floats(0, 1e300),
)
def test_every_factor_is_read_exactly(target: ScaleTarget, factor: float) -> None:
    assert parse_scale(f"{target}={factor!r}") == Scale(target, factor)
