"""Memory of another batch size or sequence length: activations by their own shapes.

What belongs to the model (parameters, gradients, optimiser state) stays. Attention scores grow with
the square of the length because their shape does.
"""

import re
from collections import defaultdict
from dataclasses import replace
from math import prod

import numpy as np

from ..graph import NONE, Operator
from ..memory.effect import MemoryEffect, Values
from ..memory.plan import FORWARD, OPTIMIZER, Mask, MemoryPlan, Shape, Use
from .scenario import Scenario
from .symbols import Hint

LEAST_TOLD = 0.01  # of the bytes of data: less without a shape is not worth a word
_COPIES = re.compile(r"aten::(to|_to_copy|t|contiguous|clone)$")
_LOOKUPS = re.compile(r"embedding")
_REAL = re.compile(r"(fp|bf)\d+")
OF_DATA = (Use.ACTIVATION, Use.KV_CACHE, Use.OTHER)


def _batch(plan: MemoryPlan, scenario: Scenario, values: Values) -> tuple[MemoryPlan, ...]:
    return (resized(plan, values, length=False),)


def _length(plan: MemoryPlan, scenario: Scenario, values: Values) -> tuple[MemoryPlan, ...]:
    return (resized(plan, values, length=True),)


def of_data(plan: MemoryPlan) -> Mask:
    """Tell which storages may depend on the data: not the model's, not the optimiser's."""
    rows: Mask = plan.lives.of(*OF_DATA) & (plan.lives.born != OPTIMIZER)
    return rows & ~_tables(plan)


def _tables(plan: MemoryPlan) -> Mask:
    """Tell which storages are tables of embeddings that no optimiser step touches.

    Fused lookups (fbgemm) update their tables and the tables' state themselves. The indices that
    they read beside them were there before, too, but are whole numbers.
    """
    real = np.array([*(_REAL.match(name) is not None for name in plan.names), False])
    found: Mask = (plan.lives.made == 0) & named(plan, _LOOKUPS) & real[plan.lives.dtype]
    return found


def named(plan: MemoryPlan, pattern: re.Pattern[str]) -> Mask:
    """Tell which storages were made (or first read) by operators of a name."""
    table = np.array([*(pattern.search(name) is not None for name in plan.names), False])
    return table[plan.lives.maker]


def resized(plan: MemoryPlan, values: Values, *, length: bool) -> MemoryPlan:
    """Give every storage of data the size of its new shape."""
    recorded, wanted = int(values["from"]), int(values["to"])
    rows = of_data(plan)
    # what has a parameter's shape in forward has it by chance, or is a copy; in backward a shape
    # that forward's data has too is that of data
    free = rows & (plan.lives.born == FORWARD) & ~named(plan, _COPIES)
    after = plan
    model = _shapes_of(plan, plan.lives.of(Use.PARAMETER, Use.GRADIENT))
    seen = _shapes_of(plan, free)
    fixed_behind = frozenset(s for s in model if s not in seen and s[::-1] not in seen)
    for chosen, fixed in ((free, frozenset[Shape]()), (rows & ~free, fixed_behind)):
        after = _by_shape(after, chosen, Hint(recorded, wanted, fixed, length))
    unknown = int(plan.lives.size_bytes[rows & (plan.lives.shape == NONE)].sum())
    if unknown > LEAST_TOLD * int(plan.lives.size_bytes[rows].sum()):
        what = "length" if length else "batch"
        return after.with_lives(
            after.lives,
            f"{unknown:,} bytes of storages have no recorded shape: taken to grow with the {what}",
        )
    return after


def _by_shape(plan: MemoryPlan, rows: Mask, hint: Hint) -> MemoryPlan:
    """Change the shapes of rows; what has none grows as the symbol."""
    used = np.unique(plan.lives.shape[rows & (plan.lives.shape != NONE)])
    new = [_changed(plan.shapes[index], hint) for index in used.tolist()]
    factor = np.full(len(plan.shapes) + 1, hint.wanted / hint.value)
    factor[used] = [
        prod(b) / max(1, prod(plan.shapes[a])) for a, b in zip(used.tolist(), new, strict=True)
    ]
    place = np.arange(len(plan.shapes) + 1)
    place[used] = len(plan.shapes) + np.arange(len(used))
    place[-1] = NONE
    after = plan.with_sizes(rows, factor[plan.lives.shape])
    shape = np.where(rows, place[plan.lives.shape], plan.lives.shape)
    lives = replace(after.lives, shape=shape)
    return replace(after.with_lives(lives), shapes=(*plan.shapes, *new))


def _changed(shape: Shape, hint: Hint) -> Shape:
    dims = hint.operator(Operator("", output_shapes=(shape,))).output_shapes[0]
    assert isinstance(dims, tuple)
    return tuple(size for size in dims if isinstance(size, int))


def _shapes_of(plan: MemoryPlan, rows: Mask) -> frozenset[Shape]:
    known = np.unique(plan.lives.shape[rows & (plan.lives.shape != NONE)])
    return frozenset(plan.shapes[index] for index in known.tolist())


def paired_sizes(effect: MemoryEffect, second: MemoryPlan | None) -> MemoryEffect:
    """Give the effect of a change of size that two recorded runs tell: no shape is guessed."""
    if second is None:
        return effect

    def edit(plan: MemoryPlan, scenario: Scenario, values: Values) -> tuple[MemoryPlan, ...]:
        first, other, wanted = (float(values[key]) for key in ("from", "at", "to"))
        assert effect.edit is not None
        guessed = effect.edit(plan, scenario, values)[0]
        size, calls = guessed.lives.size_bytes.copy(), _calls(second)
        for call, rows in _calls(plan).items():
            if len(rows) == len(calls.get(call, ())):  # else they do not tell which is which
                old, new = plan.lives.size_bytes[rows], second.lives.size_bytes[calls[call]]
                size[rows] = np.rint(old + (new - old) * (wanted - first) / (other - first))
        lives = replace(
            guessed.lives, size_bytes=np.where(of_data(plan), size, plan.lives.size_bytes)
        )
        return (replace(guessed.with_lives(lives), notes=plan.notes),)

    return replace(effect, edit=edit)


def _calls(plan: MemoryPlan) -> dict[tuple[str, str, int], list[int]]:
    """Give the storages of data that were made, in order, by who made them and where."""
    names, lives = (*plan.names, ""), plan.lives
    rows = np.flatnonzero(of_data(plan) & (lives.made == 1))
    found: dict[tuple[str, str, int], list[int]] = defaultdict(list)
    for row in rows[np.argsort(lives.first[rows], kind="stable")].tolist():
        call = (names[lives.maker[row]], names[lives.module[row]], int(lives.born[row]))
        found[call].append(row)
    return dict(found)


BATCH = MemoryEffect("activations by their shapes; what belongs to the model stays", _batch)
LENGTH = MemoryEffect(
    "activations by their shapes, attention scores by the square where they are kept; what belongs "
    "to the model stays",
    _length,
)
