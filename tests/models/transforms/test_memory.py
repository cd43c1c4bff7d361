"""What each what-if does to memory, on plans added up by hand.

W: a layer's weights, gradient or state (8 x 8 floats, 256 bytes); A: what a layer keeps (1000 x 8,
32,000 bytes); T: its temporary (1000 x 32, 128,000 bytes). Two layers' peak: in the second forward

    2 W + 2 W state + A0 + A1 + T
"""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from etsim.models.memory.plan import BACKWARD, FORWARD, MemoryPlan, Use
from etsim.models.transforms.catalogue import parse_asked, transforms
from etsim.models.transforms.memory_pipeline import most_in_flight
from etsim.models.transforms.memory_sizes import paired_sizes, resized
from etsim.models.transforms.schedules import Schedule, stage_orders

from ..memory_plans import Life, plan_of, training_plan
from .test_tensor_parallel import transformer
from .training_graph import scenario_of, training_run

W, A, T = 256, 32_000, 128_000


def small(layers: int = 2) -> MemoryPlan:
    return training_plan(layers, width=8, batch=1000)


def after(plan: MemoryPlan, *asked: str, layers: int = 2) -> list[MemoryPlan]:
    """Edit memory alone: the graph is a run of as many layers, of other sizes."""
    plans = [plan]
    for text in asked:
        what = parse_asked(text)
        edit = what.transform.memory.edit
        scenario = scenario_of(training_run(layers))
        if edit is not None:
            plans = [new for old in plans for new in edit(old, scenario, what.values)]
    return plans


def peak(plan: MemoryPlan, *asked: str, layers: int = 2) -> int:
    return max(new.peak().bytes for new in after(plan, *asked, layers=layers))


def uses(plan: MemoryPlan) -> Mapping[Use, int]:
    return plan.peak().by_use


def test_the_plan_is_as_drawn() -> None:
    assert peak(small()) == 4 * W + 2 * A + T


@pytest.mark.parametrize("name", sorted(transforms()))
def test_every_transform_declares_what_it_does_to_memory(name: str) -> None:
    effect = transforms()[name].memory
    assert effect.about
    assert effect.changes != effect.about.startswith("unchanged: ")


CHANGING = {
    "accumulate", "amp", "batch", "checkpoint", "compress", "ddp", "fused-optimizer", "layers",
    "length", "pipeline", "quantise", "ranks", "tp", "zero",
}  # fmt: skip


def test_exactly_these_change_memory() -> None:
    assert {name for name, t in transforms().items() if t.memory.changes} == CHANGING


def test_a_batch_scales_activations_and_not_the_model() -> None:
    assert peak(small(), "batch:from=1000,to=3000") == 4 * W + 3 * (2 * A + T)
    assert peak(small(), "batch:from=1000,to=2000", "batch:from=2000,to=500") == (
        4 * W + (2 * A + T) // 2
    )


def test_storages_without_a_shape_grow_with_the_batch_and_that_is_told() -> None:
    plan = small().with_more(Use.ACTIVATION, 50_000)
    (grown,) = after(plan, "batch:from=1000,to=2000")
    assert grown.peak().bytes == 4 * W + 2 * (2 * A + T + 50_000)
    assert "no recorded shape" in grown.notes[0]
    assert "50,000 bytes" in grown.notes[0]


def test_a_cache_grows_with_batch_and_length() -> None:
    """Four sequences of 100 tokens in 8 heads of 16."""
    cache = Life(Use.KV_CACHE, 0, 9, (4, 8, 100, 16), made=False)
    weights = Life(Use.PARAMETER, 0, 9, (100, 16), made=False)
    plan = plan_of([cache, weights], [(0, FORWARD, "")], 9)
    (longer,) = after(plan, "length:from=100,to=300")
    (wider,) = after(longer, "batch:from=4,to=8")
    assert uses(longer)[Use.KV_CACHE] == 3 * cache.bytes
    assert uses(wider) == {Use.PARAMETER: weights.bytes, Use.KV_CACHE: 6 * cache.bytes}


def test_attention_scores_grow_with_the_square_of_the_length() -> None:
    scores = Life(Use.ACTIVATION, 0, 9, (4, 8, 100, 100), maker="aten::softmax")
    plan = plan_of([scores], [(0, FORWARD, "")], 9)
    assert peak(plan, "length:from=100,to=300") == 9 * scores.bytes


def test_two_runs_tell_sizes_that_no_shape_does() -> None:
    """Of batch 10 and 20, storages of 500 and 900 bytes: at 30 it is 1300."""
    first, second = (
        plan_of([Life(Use.ACTIVATION, 0, 9, size_bytes=size)], [(0, FORWARD, "")], 9)
        for size in (500, 900)
    )
    effect = paired_sizes(transforms()["batch"].memory, second)
    assert effect.edit is not None
    values = parse_asked("batch:from=10,to=30,at=20").values
    (found,) = effect.edit(first, scenario_of(training_run()), values)
    assert found.peak().bytes == 1300
    assert found.notes == ()


def test_more_layers_keep_more_and_run_one_after_the_other() -> None:
    """Five layers: all they keep, but one temporary."""
    assert peak(small(), "layers:to=5") == 10 * W + 5 * A + T == peak(small(5))


def test_fewer_layers_take_theirs_along() -> None:
    """The state is shared out by parameters, to the byte but for rounding."""
    assert peak(small(5), "layers:to=2", layers=5) == pytest.approx(peak(small()), abs=5)


def test_a_checkpointed_layer_makes_again_what_it_does_not_keep() -> None:
    """No layer reads another's A here; the peak is layer 0 again, when layer 1 has its gradient."""
    assert peak(small(), "checkpoint") == 4 * W + W + A + T
    assert peak(small(), "checkpoint:every=0") == peak(small())


def test_copies_of_layers_checkpoint_as_layers_do() -> None:
    assert peak(small(), "layers:to=6", "checkpoint:every=0") == peak(small(6))
    (copied,) = after(small(), "layers:to=6")
    (checkpointed,) = after(copied, "checkpoint", layers=6)
    (made_so,) = after(small(6), "checkpoint", layers=6)
    assert checkpointed.peak().bytes == made_so.peak().bytes


def test_accumulated_gradients_live_through_all_micro_batches() -> None:
    """In the second forward there are two gradients more."""
    assert peak(small(), "accumulate:steps=2") == 6 * W + 2 * A + T
    assert peak(small(), "accumulate:steps=1") == peak(small())


def test_a_new_gradient_stands_beside_the_sum() -> None:
    """Without activations: 2 W, states, sums, and the gradient that is being added."""
    (plan,) = after(training_plan(2, width=8, batch=1), "accumulate:steps=4")
    assert plan.peak().bytes >= 7 * W


def test_mixed_precision_halves_activations_and_copies_weights() -> None:
    (plan,) = after(small(), "amp")
    assert plan.peak().bytes == 4 * W + W + A + T // 2
    assert uses(plan)[Use.CAST] == 2 * W // 2


def test_quantised_weights_take_their_bits() -> None:
    (plan,) = after(small(), "quantise:bits=8")
    assert uses(plan)[Use.PARAMETER] == 2 * W // 4
    assert "wide copy" in plan.notes[0]


def test_data_parallel_ranks_hold_buckets_of_all_gradients() -> None:
    (plan,) = after(small(), "ddp:ranks=8")
    assert uses(plan)[Use.BUCKET] == 2 * W
    (views,) = after(small(), "ddp:ranks=8,views=1")
    assert Use.BUCKET not in uses(views)
    assert uses(views)[Use.GRADIENT] == 2 * W
    (alone,) = after(plan, "ranks:ranks=1")
    assert Use.BUCKET not in uses(alone)


@pytest.mark.parametrize(
    ("stage", "parameters", "state"), [(1, 2 * W, W), (2, 2 * W, W), (3, W, W)]
)
def test_zero_shares_what_its_stage_says(stage: int, parameters: int, state: int) -> None:
    """Two ranks; two layers that are all of the model, so in stage 3 both are gathered."""
    (plan,) = after(small(), f"zero:ranks=2,stage={stage}")
    found = {use: plan.bytes_of(use) for use in Use}
    assert found[Use.PARAMETER] == parameters
    assert found[Use.OPTIMIZER_STATE] == state
    assert found[Use.GRADIENT] == {1: 2 * W, 2: W + 2 * W, 3: W + W}[stage]
    assert found[Use.GATHERED] == (2 * W if stage == 3 else 0)


def test_without_prefetch_one_layer_is_gathered() -> None:
    (plan,) = after(small(4), "zero:ranks=4,prefetch=0", layers=4)
    assert plan.bytes_of(Use.GATHERED) == W


def test_stages_of_a_pipeline_hold_their_layers_and_micro_batches_in_flight() -> None:
    """1F1B, two stages, four micro-batches: stage 0 holds two, stage 1 one."""
    first, second = after(small(), "pipeline:stages=2,micro=4")
    assert first.peak().bytes == 2 * W + A + T + A
    assert second.peak().bytes == 2 * W + A + T
    assert (first.stage, second.stage) == (0, 1)


def test_gpipe_holds_all_micro_batches() -> None:
    first, second = after(small(), "pipeline:stages=2,micro=4,schedule=gpipe")
    assert first.peak().bytes == second.peak().bytes == 2 * W + A + T + 3 * A


def test_tensor_parallel_ranks_share_products_and_attention_but_not_norms() -> None:
    """Of 64 wide: in (192, 64), attention by heads, up (256, 64); the norm stays whole."""
    inner = [
        Life(Use.PARAMETER, 0, 9, (192, 64), made=False, module="Net_0/Block_0/in"),
        Life(Use.GRADIENT, 5, 9, (64, 192), made=True, module="Net_0/Block_0"),
        Life(Use.ACTIVATION, 0, 9, (32, 192), module="Net_0/Block_0/in"),
        Life(Use.ACTIVATION, 0, 9, (1, 4, 32, 16), module="Net_0/Block_0",
             maker="aten::scaled_dot_product_attention"),
        Life(Use.ACTIVATION, 0, 9, (32, 256), module="Net_0/Block_0", maker="aten::gelu"),
        Life(Use.ACTIVATION, 0, 9, (32, 64), module="Net_0/Block_0", maker="aten::layer_norm"),
    ]  # fmt: skip
    plan = plan_of(inner, [(0, FORWARD, "Net_0/Block_0"), (5, BACKWARD, "Net_0/Block_0")], 9)
    asked = parse_asked("tp:degree=2")
    assert asked.transform.memory.edit is not None
    (cut,) = asked.transform.memory.edit(plan, scenario_of(transformer()), asked.values)
    whole = plan.lives.size_bytes.tolist()
    assert cut.lives.size_bytes.tolist() == [*(size // 2 for size in whole[:5]), whole[5]]


@pytest.mark.parametrize(("stages", "micros"), [(4, 8), (4, 2), (2, 5)])
def test_1f1b_holds_as_many_as_stages_behind_it(stages: int, micros: int) -> None:
    orders = stage_orders(Schedule.ONE_F_ONE_B, stages, micros)
    held = [most_in_flight(order, {stage: 1.0}) for stage, order in enumerate(orders)]
    assert held == [min(stages - stage, micros) for stage in range(stages)]


@pytest.mark.parametrize(
    ("asked", "size"),
    [("compress", W), ("compress:method=powersgd", 2 * W), ("compress:method=topk,ratio=0.25", W)],
)
def test_what_is_sent_lies_beside_the_gradients(asked: str, size: int) -> None:
    (plan,) = after(small(), asked)
    assert plan.bytes_of(Use.MESSAGE) == size


def test_a_change_of_time_alone_leaves_the_memory_object() -> None:
    scenario = scenario_of(training_run())
    plan = small()
    asked = parse_asked("host:2")
    assert asked.transform.memory(scenario, asked.values) == ()
    assert after(plan, "host:2") == [plan]


def test_memory_goes_with_the_scenario() -> None:
    scenario = replace(scenario_of(training_run()), memory=(small(),))
    changed = parse_asked("layers:to=4")(scenario)
    assert changed.memory[0].peak().bytes == 8 * W + 4 * A + T
    assert parse_asked("layers:to=2")(scenario).memory == scenario.memory


def test_tables_of_embeddings_that_nothing_steps_do_not_grow_with_the_batch() -> None:
    """fbgemm's lookups update their tables themselves: no optimizer tells that they are weights."""
    table = Life(Use.ACTIVATION, 1, 1, (64, 16), maker="fbgemm::embedding_lookup", made=False)
    made = Life(Use.ACTIVATION, 1, 3, (16, 8), maker="fbgemm::embedding_lookup")
    plan = plan_of([table, made], [(0, 0, "")], 4)
    after = resized(plan, {"from": 16.0, "to": 64.0}, length=False)
    assert after.lives.size_bytes.tolist() == [table.bytes, 4 * made.bytes]
