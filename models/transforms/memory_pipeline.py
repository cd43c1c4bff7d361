"""Memory of a pipeline's stages: their layers, and the activations of micro-batches in flight.

    GPipe        every stage holds all m micro-batches until the first backward (Huang et al. 2019)
    1F1B         stage s of p holds min(p - s, m) of them
    interleaved  those of its chunks that have gone forward and not yet back

1F1B and interleaved: Narayanan et al. 2021, "Efficient Large-Scale Language Model Training on GPU
Clusters Using Megatron-LM", section 2.2.

The number is counted in the schedule's own order of tasks, so it is that of the replay.
"""

from collections.abc import Sequence

import numpy as np

from ..graph import NONE, Int64s
from ..memory.effect import MemoryEffect, Values
from ..memory.plan import BACKWARD, FORWARD, MODEL_USES, OPTIMIZER, Mask, MemoryPlan, Use
from .memory_layers import with_parameters_share
from .memory_time import layers_of_names, passes_of
from .repeats import find_layers
from .scenario import Scenario
from .schedules import Schedule, Task, stage_orders
from .stage_cut import first_layers


def _pipeline(plan: MemoryPlan, scenario: Scenario, values: Values) -> tuple[MemoryPlan, ...]:
    stages, micros = int(values["stages"]), int(values["micro"])
    schedule = Schedule(str(values["schedule"]))
    per_stage = int(values["chunks"]) if schedule is Schedule.INTERLEAVED else 1
    layers = find_layers(scenario.graph, str(values["module"]), "pipeline")
    firsts = first_layers(scenario.graph, layers, stages * per_stage)
    chunk = _chunks(plan, layers.paths, firsts)
    orders = stage_orders(schedule, stages, micros, per_stage)
    return tuple(
        _stage(plan, chunk, number, (stages, order)) for number, order in enumerate(orders)
    )


def _chunks(plan: MemoryPlan, paths: Sequence[str], firsts: Sequence[int]) -> Int64s:
    """Give the chunk of each storage, NONE for what every stage has its share of.

    What lies in no layer stands before the first or behind the last.
    """
    of_name = layers_of_names(plan, paths)
    lives = plan.lives
    layer = of_name[lives.module]
    begins, ends = (passes_of(plan, of_name, k) for k in (0, len(paths) - 1))
    seen = np.where(lives.of(Use.PARAMETER), lives.forward_last, lives.first)
    head = np.zeros(len(lives), dtype=bool)
    for first, last in zip(begins, ends, strict=False):
        head |= (seen >= last.forward[0]) & (seen <= last.backward[1])
        head &= ~((seen >= first.backward[0]) & (seen <= first.backward[1]))
    layer = np.where(layer != NONE, layer, np.where(head, len(paths) - 1, 0))
    found: Int64s = np.searchsorted(firsts, layer, side="right") - 1
    shared = lives.of(Use.OPTIMIZER_STATE, Use.BUCKET, Use.CAST, Use.MESSAGE, Use.GATHERED)
    return np.where(shared | (lives.born == OPTIMIZER), NONE, found)


def _stage(
    plan: MemoryPlan, chunk: Int64s, number: int, pipeline: tuple[int, Sequence[Task]]
) -> MemoryPlan:
    stages, order = pipeline
    mine = (chunk == NONE) | (chunk % stages == number)
    part = with_parameters_share(plan, plan.with_lives(plan.lives.take(mine)))
    saved = _saved(plan)
    sizes = {
        c: float(plan.lives.size_bytes[saved & (chunk == c)].sum())
        for c in {task.chunk for task in order}
    }
    more = most_in_flight(order, sizes) - sum(sizes.values())
    return part.with_more(Use.ACTIVATION, more).at_stage(number)


def _saved(plan: MemoryPlan) -> Mask:
    """Tell what a micro-batch keeps from forward to backward, of the first if there are more."""
    lives = plan.lives
    backward = plan.track.start[plan.track.phase == BACKWARD]
    forward = plan.track.start[plan.track.phase == FORWARD]
    later = forward[forward > backward[0]] if len(backward) else forward[:0]
    first = lives.first < (later[0] if len(later) else plan.end + 1)
    kept: Mask = (lives.born == FORWARD) & (lives.gone == BACKWARD) & first & ~lives.of(*MODEL_USES)
    return kept


def most_in_flight(order: Sequence[Task], bytes_of_chunk: dict[int, float]) -> float:
    """Give the most that a stage holds of micro-batches that went forward and not yet back."""
    held = most = 0.0
    for task in order:
        held += bytes_of_chunk[task.chunk] * (-1 if task.backward else 1)
        most = max(most, held)
    return most


PIPELINE = MemoryEffect(
    "each stage has its layers' parameters, gradients and state, and the activations of all "
    "micro-batches in flight",
    _pipeline,
)
