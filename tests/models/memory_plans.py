"""Memory plans drawn by hand: `from ..memory_plans import plan_of, life`."""

from dataclasses import dataclass, fields

import numpy as np

from etsim.models.graph import NONE
from etsim.models.memory.plan import (
    BACKWARD,
    FORWARD,
    NUMBER_OF_USE,
    OPTIMIZER,
    Lives,
    MemoryPlan,
    Shape,
    Track,
    Use,
)
from etsim.models.transforms.pool import Pool


@dataclass(frozen=True)
class Life:
    """One storage of fp32; without a shape its size is given."""

    use: Use
    first: int
    last: int
    shape: Shape | None = None
    size_bytes: int = 0
    maker: str = "aten::linear"
    module: str = ""
    read: int = NONE
    made: bool = True
    summed: int = NONE

    @property
    def bytes(self) -> int:
        """Give its size."""
        return self.size_bytes if self.shape is None else 4 * int(np.prod(self.shape))


def plan_of(lives: list[Life], runs: list[tuple[int, int, str]], end: int) -> MemoryPlan:
    """Make a plan.

    Args:
        lives: its storages.
        runs: (start, phase, module) whenever phase or module change.
        end: the last moment.
    """
    names, shapes = Pool[str](()), Pool[Shape](())
    starts = [start for start, _, _ in runs]
    phases = np.array([phase for _, phase, _ in runs])

    def phase_at(moment: int) -> int:
        return int(phases[np.searchsorted(starts, moment, side="right") - 1])

    rows = [
        {
            "size_bytes": life.bytes, "first": life.first, "last": life.last,
            "forward_last": life.read, "backward_last": life.summed,
            "born": phase_at(life.first), "gone": phase_at(life.last), "made": int(life.made),
            "use": NUMBER_OF_USE[life.use],
            "shape": NONE if life.shape is None else shapes[life.shape],
            "dtype": names["fp32"], "maker": names[life.maker],
            "module": names[life.module] if life.module else NONE,
        }
        for life in lives
    ]  # fmt: skip
    columns = {
        f.name: np.array([row[f.name] for row in rows], dtype=np.int64) for f in fields(Lives)
    }
    track = Track(
        np.array(starts),
        phases,
        np.array([names[module] if module else NONE for _, _, module in runs]),
    )
    return MemoryPlan(Lives(**columns), track, 0, end, names.values, shapes.values)


def training_plan(layers: int = 2, width: int = 512, batch: int = 16) -> MemoryPlan:
    """Layers of one product each, ten moments a pass; modules as those of `training_run`.

    F0 F1 | B1 B0 | step        saved: each layer's input; a temporary in the middle of each pass
    """
    half = 10 * layers
    last = 2 * half
    lives = []
    runs = [(10 * k, FORWARD, f"Net_0/Block_{k}") for k in range(layers)]
    runs += [(half + 10 * k, BACKWARD, f"Net_0/Block_{layers - 1 - k}") for k in range(layers)]
    runs.append((last, OPTIMIZER, ""))
    end = last + 9
    for k in range(layers):
        module, back = f"Net_0/Block_{k}", half + 10 * (layers - 1 - k)
        lives += [
            Life(Use.PARAMETER, 0, end, (width, width), module=module, made=False, read=10 * k),
            Life(Use.GRADIENT, back + 5, end, (width, width), module=module, summed=back + 6,
                 maker="aten::mm"),
            Life(Use.OPTIMIZER_STATE, 0, end, (width, width), made=False, maker="aten::mul_"),
            Life(Use.ACTIVATION, 10 * k + 1, back + 4, (batch, width), module=module,
                 read=10 * k + 8),
            Life(Use.ACTIVATION, 10 * k + 3, 10 * k + 4, (batch, 4 * width), module=module,
                 read=10 * k + 4, maker="aten::gelu"),
        ]  # fmt: skip
    return plan_of(lives, runs, end)
