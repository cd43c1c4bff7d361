"""Memory of another number of layers.

forward  A B [B'] C   backward  C [B'] B A       a copy lives in the room next to its model
"""

from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np

from ..graph import NONE, Int64s
from ..memory.effect import MemoryEffect, Values
from ..memory.plan import BACKWARD, FORWARD, OPTIMIZER, Lives, MemoryPlan, Track, Use
from .memory_time import MOMENTS, Pass, Warp, layers_of_names, passes_of
from .pool import Pool
from .repeats import counted, find_layers
from .scenario import Scenario

BY_PARAMETERS = (Use.OPTIMIZER_STATE, Use.BUCKET, Use.CAST, Use.MESSAGE)
OF_LISTS = ("_foreach_", "_fused_")


def _layers(plan: MemoryPlan, scenario: Scenario, values: Values) -> tuple[MemoryPlan, ...]:
    paths = find_layers(scenario.graph, str(values["module"]), "layers").paths
    recorded, wanted = len(paths), int(values["to"])
    layer = layers_of_names(plan, paths)
    if wanted > recorded:
        after = _with_copies(plan, paths, layer, wanted - recorded)
    else:
        first = wanted // 2  # as the transform: out of the middle
        gone = range(first, first + recorded - wanted)
        after = plan.with_lives(plan.lives.take(~np.isin(layer[plan.lives.module], gone)))
    return (with_parameters_share(plan, after),)


def with_parameters_share(before: MemoryPlan, after: MemoryPlan) -> MemoryPlan:
    """Scale what has no module but goes by the parameters: the optimiser's state, buckets."""
    old, new = (plan.bytes_of(Use.PARAMETER) for plan in (before, after))
    if not old:
        return after
    lists = [any(part in name for part in OF_LISTS) for name in after.names]
    in_lists = np.array([*lists, False])[after.lives.maker] & (after.lives.born == OPTIMIZER)
    return after.with_sizes(after.lives.of(*BY_PARAMETERS) | in_lists, new / old)


def _with_copies(plan: MemoryPlan, paths: Sequence[str], layer: Int64s, copies: int) -> MemoryPlan:
    """Repeat the middle layer: room behind its forward and in front of its backward."""
    middle = len(paths) // 2
    passes = passes_of(plan, layer, middle)
    rooms = [
        room
        for p in passes
        for room in (
            (p.forward[1] + 1, copies * p.forward_length),
            (p.backward[0], copies * p.backward_length),
        )
    ]
    warp = Warp.of(rooms)
    wide = warp.plan(plan)
    mine = layer[plan.lives.module] == middle
    names = Pool(plan.names)
    lives, own = _handed_in(plan, wide, passes, copies).take(~mine), plan.lives.take(mine)
    modules = [_renamed(plan.names, names, paths, middle, copy) for copy in range(copies + 1)]
    for copy, renamed in enumerate(modules):
        moved = _moved(plan, own, warp, passes, (copy, copies))
        copied = replace(moved, module=renamed[own.module])
        lives = lives.followed_by(copied)
    track = _longer_track(plan, wide.track, passes, modules)
    return replace(wide.with_lives(lives), names=names.values, track=track)


def _moved(
    plan: MemoryPlan, own: Lives, warp: Warp, passes: Sequence[Pass], copy: tuple[int, int]
) -> Lives:
    """Give a layer's lives as those of its copy number copy[0] of copy[1]."""
    return replace(
        own,
        **{name: _moments(plan, getattr(own, name), warp, passes, copy) for name in MOMENTS},
    )


def _moments(
    plan: MemoryPlan, old: Int64s, warp: Warp, passes: Sequence[Pass], copy: tuple[int, int]
) -> Int64s:
    """Map moments of a layer's lives to those of a copy.

    forward  copy j runs j lengths later; who reads its result is the next copy, or what follows
    backward copy j runs j lengths earlier than the first, in front of which all copies run, and
             hands its gradient on to copy j - 1
    """
    number, copies = copy
    new = warp(old)
    starts = plan.track.start
    phase = plan.track.phase[np.searchsorted(starts, old, side="right") - 1]
    forward, backward = phase == FORWARD, phase == BACKWARD
    for index, p in enumerate(passes):
        after = passes[index + 1].forward[0] if index + 1 < len(passes) else plan.end
        f, b = p.forward_length, p.backward_length
        in_forward = (old >= p.forward[0]) & (old <= p.forward[1])
        read_later = (old > p.forward[1]) & (old < p.backward[0]) & forward
        read_back = (old > p.forward[1]) & (old < p.backward[0]) & ~forward
        in_backward = (old >= p.backward[0]) & (old <= p.backward[1]) & (old < after)
        handed_on = (old > p.backward[1]) & (old < after) & backward
        new = new - handed_on * number * b
        new = new + in_forward * number * f - read_later * (copies - number) * f
        new = new + read_back * (copies - number) * b - in_backward * number * b
    return new


def _longer_track(
    plan: MemoryPlan, wide: Track, passes: Sequence[Pass], modules: Sequence[Int64s]
) -> Track:
    """Add the runs of the copies, under their own names."""
    parts = [wide]
    for copy, renamed in enumerate(modules[1:], start=1):
        for p in passes:
            for (first, last), shift in (
                (p.forward, copy * p.forward_length),
                (p.backward, -copy * p.backward_length),
            ):
                rows = (plan.track.start >= first) & (plan.track.start <= last)
                parts.append(
                    Track(
                        wide.start[rows] + shift,
                        wide.phase[rows],
                        renamed[plan.track.module[rows]],
                    )
                )
    columns = [np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Track)]
    order = np.argsort(columns[0], kind="stable")
    return Track(*(column[order] for column in columns))


def _handed_in(plan: MemoryPlan, wide: MemoryPlan, passes: Sequence[Pass], copies: int) -> Lives:
    """The gradient that comes from behind ends in the last copy, which runs first in backward."""
    old, last = plan.lives, wide.lives.last.copy()
    for p in passes:
        ends = (old.last >= p.backward[0]) & (old.last <= p.backward[1])
        rows = ends & (old.born == BACKWARD) & (old.first < p.backward[0])
        last[rows] -= copies * p.backward_length
    return replace(wide.lives, last=last)


def _renamed(
    old: Sequence[str], names: Pool[str], paths: Sequence[str], copied: int, copy: int
) -> Int64s:
    """Give for each name that of a copy: the layer's next free number; one NONE behind."""
    if not copy:
        return np.array([*range(len(old)), NONE])
    base, last, sign = counted(paths[-1])
    own = paths[copied]
    table = [
        names[f"{base}{last + copy}{sign}{name.removeprefix(own)}"]
        if name == own or name.startswith(f"{own}/")
        else index
        for index, name in enumerate(old)
    ]
    return np.array([*table, NONE])


LAYERS = MemoryEffect(
    "every layer's parameters, gradients and activations come or go with it; the optimiser's state "
    "goes by the parameters",
    _layers,
)
