"""Memory of another batch size or sequence length: activations by their own shapes.

What belongs to the model (parameters, gradients, optimiser state) stays. Attention scores grow with
the square of the length because their shape does.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from math import prod

import numpy as np

from ..graph import NONE, Operator
from ..memory.effect import MemoryEffect, Values
from ..memory.plan import OPTIMIZER, Mask, MemoryPlan, Shape, Use
from .scenario import Scenario
from .symbols import Hint

LEAST_TOLD = 0.01  # of the bytes of data: less without a shape is not worth a word
OF_DATA = (Use.ACTIVATION, Use.KV_CACHE, Use.OTHER)


def _batch(plan: MemoryPlan, scenario: Scenario, values: Values) -> tuple[MemoryPlan, ...]:
    return (resized(plan, values, length=False),)


def _length(plan: MemoryPlan, scenario: Scenario, values: Values) -> tuple[MemoryPlan, ...]:
    return (resized(plan, values, length=True),)


def of_data(plan: MemoryPlan) -> Mask:
    """Tell which storages may depend on the data: not the model's, not the optimiser's."""
    rows: Mask = plan.lives.of(*OF_DATA) & (plan.lives.born != OPTIMIZER)
    return rows


def resized(plan: MemoryPlan, values: Values, *, length: bool) -> MemoryPlan:
    """Give every storage of data the size of its new shape."""
    recorded, wanted = int(values["from"]), int(values["to"])
    hint = Hint(recorded, wanted, _parameter_shapes(plan), length)

    def changed(shape: Shape) -> Shape:
        operator = hint.operator(Operator("", output_shapes=(shape,)))
        dims = operator.output_shapes[0]
        assert isinstance(dims, tuple)
        return tuple(size for size in dims if isinstance(size, int))

    return by_shape(plan, changed, wanted / recorded, "the batch" if not length else "the length")


def by_shape(
    plan: MemoryPlan, change: Callable[[Shape], Shape], ratio: float, what: str
) -> MemoryPlan:
    """Change shapes of data; what has none goes by `ratio`, and that is told."""
    rows = of_data(plan)
    new = tuple(change(shape) for shape in plan.shapes)
    factors = [prod(b) / prod(a) if prod(a) else 1.0 for a, b in zip(plan.shapes, new, strict=True)]
    after = plan.with_sizes(rows, np.array([*factors, ratio])[plan.lives.shape])
    moved = rows & (plan.lives.shape != NONE)
    column = np.where(moved, plan.lives.shape + len(plan.shapes), plan.lives.shape)
    lives = replace(after.lives, shape=column)
    unknown = int(plan.lives.size_bytes[rows & (plan.lives.shape == NONE)].sum())
    notes = (
        (f"{unknown:,} bytes of storages have no recorded shape: taken to grow with {what}",)
        if unknown > LEAST_TOLD * max(1, int(plan.lives.size_bytes[rows].sum()))
        else ()
    )
    return replace(after.with_lives(lives, *notes), shapes=(*plan.shapes, *new))


def _parameter_shapes(plan: MemoryPlan) -> frozenset[Shape]:
    of_model = plan.lives.of(Use.PARAMETER, Use.GRADIENT) & (plan.lives.shape != NONE)
    shapes = {plan.shapes[index] for index in np.unique(plan.lives.shape[of_model]).tolist()}
    return frozenset(shape for shape in shapes if prod(shape) > 1)


def paired_sizes(effect: MemoryEffect, second: MemoryPlan | None) -> MemoryEffect:
    """Give the effect of a change of size that two recorded runs tell: no shape is guessed."""
    if second is None:
        return effect

    def edit(plan: MemoryPlan, scenario: Scenario, values: Values) -> tuple[MemoryPlan, ...]:
        first, other, wanted = (float(values[key]) for key in ("from", "at", "to"))
        assert effect.edit is not None
        guessed = effect.edit(plan, scenario, values)[0]
        size, known = guessed.lives.size_bytes.copy(), _calls(second)
        for row, call in enumerate(_calls(plan)):
            if call in known:
                old, new = plan.lives.size_bytes[row], second.lives.size_bytes[known[call]]
                size[row] = round(old + (new - old) * (wanted - first) / (other - first))
        lives = replace(
            guessed.lives, size_bytes=np.where(of_data(plan), size, plan.lives.size_bytes)
        )
        return (replace(guessed.with_lives(lives), notes=plan.notes),)

    return replace(effect, edit=edit)


def _calls(plan: MemoryPlan) -> dict[tuple[int | str, ...], int]:
    """Name each storage by who made it, where, and the how manieth of these it is."""
    names = (*plan.names, "")
    count: Counter[tuple[int | str, ...]] = Counter()
    found: dict[tuple[int | str, ...], int] = {}
    columns = zip(
        plan.lives.maker.tolist(), plan.lives.module.tolist(), plan.lives.born.tolist(), strict=True
    )
    for row, (maker, module, born) in enumerate(columns):
        call = (names[maker], names[module], born)
        count[call] += 1
        found[*call, count[call]] = row
    return found


BATCH = MemoryEffect("activations by their shapes; what belongs to the model stays", _batch)
LENGTH = MemoryEffect(
    "activations by their shapes, attention scores by the square where they are kept; what belongs "
    "to the model stays",
    _length,
)
