"""Memory of activation checkpointing: a layer keeps its input, and one layer at a time the rest.

    forward   A===  B===                    kept    A: read in forward only; its result stays
    backward            [B=====B] [A=====A]         made again in front of the layer's backward

Peak of activations = inputs of layers + one layer (Chen et al. 2016, "Training deep nets with
sublinear memory cost"; Korthikanti et al. 2022, "Reducing activation recomputation", section 5).
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..graph import NONE, Int64s
from ..memory.effect import MemoryEffect, Values
from ..memory.plan import BACKWARD, Lives, Mask, MemoryPlan, Track
from .memory_time import Pass, Warp, layers_of_names, passes_of
from .repeats import find_layers
from .scenario import Scenario


def _checkpoint(plan: MemoryPlan, scenario: Scenario, values: Values) -> tuple[MemoryPlan, ...]:
    every = int(values["every"])
    if not every:
        return (plan,)
    paths = find_layers(scenario.graph, str(values["module"]), "checkpoint").paths
    layer = layers_of_names(plan, paths)
    chosen = {k: passes_of(plan, layer, k) for k in range(0, len(paths), every)}
    return (checkpointed(plan, layer, chosen),)


def checkpointed(plan: MemoryPlan, layer: Int64s, chosen: dict[int, list[Pass]]) -> MemoryPlan:
    """Let layers compute again what they do not keep.

    Args:
        plan: the plan.
        layer: of each of the plan's names.
        chosen: the passes of each layer that does.
    """
    passes = [p for of_layer in chosen.values() for p in of_layer]
    warp = Warp.of([(p.backward[0], p.forward_length) for p in passes])
    wide = warp.plan(plan)
    lives, added = wide.lives, []
    last = lives.last.copy()
    for number, of_layer in chosen.items():
        for p in of_layer:
            inner = _inner(plan.lives, layer, number, p)
            kept = inner & (plan.lives.last >= p.backward[0])
            last[kept] = np.maximum(lives.first, lives.forward_last)[kept]
            added.append(_again(plan.lives.take(inner), p, warp))
    for more in added:
        lives_last = replace(lives, last=last) if lives is wide.lives else lives
        lives = lives_last.followed_by(more)
    return replace(wide.with_lives(lives), track=_track(wide.track, passes, warp, plan))


def _inner(lives: Lives, layer: Int64s, number: int, p: Pass) -> Mask:
    """Tell what a layer's forward makes for itself: what another layer reads is kept."""
    born = (lives.made == 1) & (lives.first >= p.forward[0]) & (lives.first <= p.forward[1])
    read_behind = lives.forward_last > p.forward[1]
    mine: Mask = born & (layer[lives.module] == number) & ~read_behind
    return mine


def _again(own: Lives, p: Pass, warp: Warp) -> Lives:
    """Give the second lives: made in the room in front of backward, which uses them up."""
    shift = warp.room(p.backward[0]) - p.forward[0]
    in_forward = own.last <= p.forward[1]
    last = np.where(
        in_forward,
        own.last + shift,
        np.where(own.last >= p.backward[0], warp(own.last), own.forward_last + shift),
    )
    return replace(
        own,
        first=own.first + shift,
        last=np.maximum(last, own.first + shift),
        forward_last=np.full(len(own), NONE),
        born=np.full(len(own), BACKWARD),
    )


def _track(wide: Track, passes: Sequence[Pass], warp: Warp, plan: MemoryPlan) -> Track:
    """The second forward belongs to its layer's backward."""
    rows = [int(np.searchsorted(plan.track.start, p.backward[0], side="right")) - 1 for p in passes]
    start = wide.start.copy()
    for row, p in zip(rows, passes, strict=True):
        start[row] = warp.room(p.backward[0])
    return replace(wide, start=start)


CHECKPOINT = MemoryEffect(
    "layers keep their inputs only, and one layer at a time makes its activations again",
    _checkpoint,
)
