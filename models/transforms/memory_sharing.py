"""Memory of what ranks share or send: DDP's buckets, ZeRO's shards, compressed messages.

With N ranks of parameters P, gradients G, optimiser state O a rank holds (Rajbhandari et al. 2020,
"ZeRO: Memory Optimizations Toward Training Trillion Parameter Models", section 5 and figure 1)

    stage 1   P + G + O/N        stage 2   P + (G + O)/N        stage 3   (P + G + O)/N

and what is whole for a moment: a unit's gradients until they are scattered, in stage 3 the units
whose parameters are gathered (PyTorch's FSDP: the one at work and the one fetched ahead).
"""

from ..errors import NeedsRecordingError
from ..memory.effect import MemoryEffect, Values
from ..memory.plan import OPTIMIZER, MemoryPlan, Use
from .memory_time import layers_of_names
from .memory_training import until_step
from .repeats import find_layers
from .scenario import Scenario


def _gradient_bytes(plan: MemoryPlan) -> int:
    return plan.bytes_of(Use.GRADIENT) or plan.bytes_of(Use.PARAMETER)


def _ddp(plan: MemoryPlan, scenario: Scenario, values: Values) -> tuple[MemoryPlan, ...]:
    if int(values["ranks"]) == 1:
        return (plan,)
    if values["views"]:
        gradients = plan.lives.of(Use.GRADIENT)
        return (plan.lasting(gradients),)
    return (plan.with_more(Use.BUCKET, _gradient_bytes(plan)),)


def _ranks(plan: MemoryPlan, scenario: Scenario, values: Values) -> tuple[MemoryPlan, ...]:
    if int(values["ranks"]) > 1:
        return (plan,)
    return (plan.with_lives(plan.lives.take(~plan.lives.of(Use.BUCKET))),)


def _compress(plan: MemoryPlan, scenario: Scenario, values: Values) -> tuple[MemoryPlan, ...]:
    gradients, method = _gradient_bytes(plan), str(values["method"])
    if method == "powersgd":  # PyTorch: as much again as the gradients, for the error fed back
        return (plan.with_more(Use.MESSAGE, gradients),)
    share = 0.5 if method == "fp16" else 2 * float(values["ratio"])
    sent = plan.lives.first[plan.lives.of(Use.GRADIENT)]
    span = (int(sent.min()) if len(sent) else plan.start, until_step(plan)[1])
    return (plan.with_more(Use.MESSAGE, share * gradients, span),)


def _zero(plan: MemoryPlan, scenario: Scenario, values: Values) -> tuple[MemoryPlan, ...]:
    ranks, stage = int(values["ranks"]), int(values["stage"])
    if ranks == 1:
        return (plan,)
    units, notes = _units(plan, scenario) if stage == 3 else ([], ())
    bucket = max([float(values["bucket"])] if stage == 2 else units, default=0.0)
    of_step = (plan.lives.born == OPTIMIZER) & (plan.lives.made == 1)
    after = plan.with_sizes(plan.lives.of(Use.OPTIMIZER_STATE) | of_step, 1 / ranks)
    if stage >= 2:
        gradients = after.lives.of(Use.GRADIENT)
        whole = min(bucket, float(_gradient_bytes(plan)))
        begin = after.lives.first[gradients]
        after = after.with_sizes(gradients, 1 / ranks)
        span = (int(begin.min()) if len(begin) else plan.start, until_step(plan)[1])
        after = after.with_more(Use.GRADIENT, whole, span)
    if stage == 3:
        rest, *layers = units
        ahead = 2 if values["prefetch"] else 1
        gathered = rest + sum(sorted(layers, reverse=True)[:ahead])
        after = after.with_sizes(after.lives.of(Use.PARAMETER), 1 / ranks)
        after = after.with_more(Use.GATHERED, gathered, until_step(plan))
    return (after.with_lives(after.lives, *notes),)


def _units(plan: MemoryPlan, scenario: Scenario) -> tuple[list[float], tuple[str, ...]]:
    """Give the bytes of parameters in no layer, then of each layer."""
    whole = float(plan.bytes_of(Use.PARAMETER))
    try:
        paths = find_layers(scenario.graph, "", "zero").paths
    except NeedsRecordingError:
        return [whole], ("zero: no layers in the recording, so the whole model is gathered",)
    layer = layers_of_names(plan, paths)[plan.lives.module]
    parameters = plan.lives.of(Use.PARAMETER)
    sizes = [
        float(plan.lives.size_bytes[parameters & (layer == k)].sum()) for k in range(len(paths))
    ]
    return [whole - sum(sizes), *sizes], ()


DDP = MemoryEffect(
    "buckets as large as all gradients; with `views` the gradients lie in them and never go", _ddp
)
RANKS = MemoryEffect("every rank as before; alone it has no buckets", _ranks)
COMPRESS = MemoryEffect(
    "what is sent lies beside the gradients until the step: half of them (fp16), values and "
    "indices (topk), or for good as much again for the error fed back (powersgd)",
    _compress,
)
ZERO = MemoryEffect(
    "stage 1: optimiser state / N; 2: gradients / N too, and a bucket; 3: parameters / N too, and "
    "the gathered layers",
    _zero,
)
