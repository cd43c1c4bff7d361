"""Memory of how a step is trained: precision, accumulation, the optimiser, weights in fewer bits.

Mixed precision as Rajbhandari et al. 2020 (ZeRO, section 3.1) count it: 16-bit copies of the
weights beside the wide ones that the optimiser works on; activations in 16 bits but where autocast
keeps operators wide (PyTorch, "Automatic Mixed Precision", operators that autocast to float32).
"""

import re
from dataclasses import replace

import numpy as np

from ..costs.tensors import ITEM_BYTES
from ..graph import NONE
from ..memory.effect import MemoryEffect, Values
from ..memory.plan import (
    BACKWARD,
    NUMBER_OF_USE,
    OPTIMIZER,
    Mask,
    MemoryPlan,
    Use,
)
from .memory_sizes import named, of_data
from .scenario import Scenario

_WIDE = re.compile(r"softmax|norm|loss|nll")
_PRODUCTS = re.compile(r"aten::(linear|t|mm|addmm|matmul|bmm|conv\w*|_convolution)$")
NARROW_BYTES = 2


def _weights(plan: MemoryPlan) -> Mask:
    """Tell the parameters that enter products: matrices, not the rows of an embedding."""
    deep = np.array([*(len(shape) > 1 for shape in plan.shapes), False])
    mine: Mask = plan.lives.of(Use.PARAMETER) & deep[plan.lives.shape] & named(plan, _PRODUCTS)
    return mine


def _of_dtype(plan: MemoryPlan, dtype: str) -> Mask:
    table = np.array([*(name == dtype for name in plan.names), False])
    return table[plan.lives.dtype]


def _amp(plan: MemoryPlan, scenario: Scenario, values: Values) -> tuple[MemoryPlan, ...]:
    narrow = of_data(plan) & (plan.lives.made == 1) & _of_dtype(plan, "fp32") & ~named(plan, _WIDE)
    factor = NARROW_BYTES / ITEM_BYTES["fp32"]
    cast = _weights(plan) & _of_dtype(plan, "fp32")
    copies = float(plan.lives.size_bytes[cast].sum()) * factor
    names = (*plan.names, str(values["dtype"]))
    dtype = np.where(narrow, len(plan.names), plan.lives.dtype)
    after = plan.with_sizes(narrow, factor)
    after = replace(after.with_lives(replace(after.lives, dtype=dtype)), names=names)
    return (after.with_more(Use.CAST, copies, until_step(plan)),)


def until_step(plan: MemoryPlan) -> tuple[int, int]:
    """Give the span of forward and backward."""
    steps = plan.track.start[plan.track.phase == OPTIMIZER]
    return plan.start, int(steps[0]) - 1 if len(steps) else plan.end


def _accumulate(plan: MemoryPlan, scenario: Scenario, values: Values) -> tuple[MemoryPlan, ...]:
    if int(values["steps"]) == 1:
        return (plan,)
    gradients = plan.lives.of(Use.GRADIENT)
    new = plan.lives.take(gradients & (plan.lives.backward_last != NONE))
    new = replace(
        new,
        last=new.backward_last,
        use=np.full(len(new), NUMBER_OF_USE[Use.OTHER]),
        gone=np.full(len(new), BACKWARD),
    )
    sums = replace(plan.lives, first=np.where(gradients, plan.start, plan.lives.first))
    return (plan.with_lives(sums.followed_by(new)),)


def _fused(plan: MemoryPlan, scenario: Scenario, values: Values) -> tuple[MemoryPlan, ...]:
    temporary = (plan.lives.born == OPTIMIZER) & (plan.lives.made == 1)
    return (plan.with_lives(plan.lives.take(~temporary)),)


def _quantise(plan: MemoryPlan, scenario: Scenario, values: Values) -> tuple[MemoryPlan, ...]:
    items = [8 * ITEM_BYTES.get(name, 0) for name in plan.names]
    bits = np.array([*items, 0])[plan.lives.dtype]
    rows = _weights(plan) & (bits > float(values["bits"]))
    after = plan.with_sizes(rows, float(values["bits"]) / np.where(rows, bits, 1))
    if plan.trains:
        after = after.with_lives(
            after.lives, "weights in fewer bits: a wide copy to train on is not counted"
        )
    return (after,)


AMP = MemoryEffect(
    "activations in 16 bits but those of operators that stay wide; 16-bit copies of the weights "
    "come to the wide ones; gradients and the optimiser's state stay wide",
    _amp,
)
ACCUMULATE = MemoryEffect(
    "gradients live through all micro-batches, each new one beside its sum; activations are those "
    "of one micro-batch",
    _accumulate,
)
FUSED_STEP = MemoryEffect("the state stays; what the step made between its operators goes", _fused)
QUANTISE = MemoryEffect("weights of products take `bits` an element", _quantise)
