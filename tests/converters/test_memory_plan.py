"""From an execution trace to a memory plan: an iteration, shapes, modules, weights, KV cache."""

from pathlib import Path

import msgspec
import pytest

from etsim.converters.convert import Sources, convert
from etsim.converters.execution_trace import read_execution_trace
from etsim.converters.memory import memory_use
from etsim.models.memory.plan import MemoryPlan, Use
from etsim.models.memory.text import PLAN_PROPERTY, plan_from_text

from .test_memory import RECORDED, node, recorded, tensor


def plan_in(path: Path, trace: Path | None = None) -> MemoryPlan:
    graph = convert(Sources(0, path, trace)).graph
    plan = plan_from_text(graph.meta.property(PLAN_PROPERTY))
    assert plan is not None
    return plan


def test_one_iteration_of_a_recorded_run_is_kept_and_its_peak_is_that_of_the_run() -> None:
    et = RECORDED / "transformer.et.json.gz"
    plan = plan_in(et, RECORDED / "transformer.trace.json.gz")
    used = memory_use(read_execution_trace(et))
    assert used is not None
    assert plan.peak().bytes == used.peak_bytes
    assert plan.peak().by_use == used.by_use
    assert plan.end - plan.start < len(read_execution_trace(et)) / 2
    assert plan.trains
    assert plan.bytes_of(Use.GRADIENT) == pytest.approx(plan.bytes_of(Use.PARAMETER), rel=0.01)


def test_most_bytes_of_a_recorded_run_have_a_shape() -> None:
    plan = plan_in(RECORDED / "transformer.et.json.gz")
    unknown = plan.lives.size_bytes[plan.lives.shape < 0].sum()
    assert unknown < 0.01 * plan.lives.size_bytes.sum()


def test_a_storage_is_named_by_its_outermost_operator(tmp_path: Path) -> None:
    """linear calls addmm, which makes 30 floats; the plan says linear, and 5 x 6."""
    path = recorded(
        tmp_path,
        node(3, "aten::linear", inputs=[tensor(1, 10)], outputs=[tensor(2, 30)], shapes=[[5, 6]]),
        node(4, "aten::addmm", parent=3, outputs=[tensor(2, 30)], shapes=[[5, 6]]),
        node(5, "aten::relu", inputs=[tensor(2, 30)], shapes=[[5, 6]]),
    )
    plan = plan_in(path)
    (row,) = (r for r in range(len(plan.lives)) if plan.lives.made[r])
    assert plan.names[plan.lives.maker[row]] == "aten::linear"
    assert plan.shapes[plan.lives.shape[row]] == (5, 6)


def test_a_run_that_does_not_train_has_weights_and_a_cache(tmp_path: Path) -> None:
    """x, weight -> linear; the cache of before and the new keys are joined, then attended to."""
    x, weight, new = tensor(1, 8), tensor(2, 64), tensor(3, 8)
    old, joined, query = tensor(4, 80), tensor(5, 88), tensor(6, 8)
    path = recorded(
        tmp_path,
        node(3, "aten::linear", inputs=[x, weight], outputs=[new], shapes=[[1, 8], [8, 8]]),
        node(4, "aten::cat", inputs=[old, new], outputs=[joined], shapes=[[1, 10, 8], [1, 1, 8]]),
        node(
            5,
            "aten::scaled_dot_product_attention",
            inputs=[query, joined, joined],
            shapes=[[1, 1, 8], [1, 11, 8], [1, 11, 8]],
        ),
    )
    document = msgspec.json.decode(path.read_bytes())
    document["nodes"][3]["outputs"]["shapes"] = [[1, 11, 8]]
    path.write_bytes(msgspec.json.encode(document))
    plan = plan_in(path)
    assert plan.bytes_of(Use.PARAMETER) == 64 * 4
    assert plan.bytes_of(Use.KV_CACHE) == (80 + 88) * 4


def test_a_run_without_tensors_has_no_plan(tmp_path: Path) -> None:
    graph = convert(Sources(0, recorded(tmp_path, node(3, "aten::a")), None)).graph
    assert graph.meta.property(PLAN_PROPERTY) == ""
