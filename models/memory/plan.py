"""A memory plan: the storages of one training iteration (or one serving run) of one rank, as lives.

    parameters   |======================================|     there all the time
    saved        |  F0=====================B0            |     from forward to backward
    saved        |      F1============B1                 |
    gradients    |                     ===============   |     from backward to the optimiser
                   forward       ^ peak   backward   step

What-ifs edit the lives; the peak is looked for anew, since it may move. Times are places in the
recorded order of operators, not nanoseconds: only before and after matter.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from ..graph import NONE, Int64s

Shape = tuple[int, ...]
Mask = NDArray[np.bool_]
FORWARD, BACKWARD, OPTIMIZER = 0, 1, 2


class Use(StrEnum):
    """What a storage is for."""

    PARAMETER = "parameters"
    GRADIENT = "gradients"
    OPTIMIZER_STATE = "optimizer state"
    ACTIVATION = "activations"
    KV_CACHE = "KV cache"
    BUCKET = "gradient buckets"
    GATHERED = "gathered parameters"
    CAST = "16-bit copies of weights"
    MESSAGE = "compressed messages"
    OTHER = "other"


USES: tuple[Use, ...] = tuple(Use)
NUMBER_OF_USE: Mapping[Use, int] = {use: number for number, use in enumerate(USES)}
MODEL_USES = (Use.PARAMETER, Use.GRADIENT, Use.OPTIMIZER_STATE)


@dataclass(frozen=True, slots=True, eq=False)
class Lives:
    """One row a storage; index columns hold -1 where there is nothing. Shape (storages,) each.

    Attributes:
        first, last: the first and the last moment at which it is in use.
        forward_last, backward_last: its last use in forward and in backward, NONE without one.
        born, gone: phase of its first and last use (0 forward, 1 backward, 2 optimiser).
        made: whether it was made in the recording; else it was there before.
        use: into `USES`.
        shape: into the plan's shapes; known only where it tells the bytes.
        dtype, maker: into the plan's names; the maker is the outermost operator that made it, or
            first read it.
        module: into the plan's names; where it is made.
    """

    size_bytes: Int64s
    first: Int64s
    last: Int64s
    forward_last: Int64s
    backward_last: Int64s
    born: Int64s
    gone: Int64s
    made: Int64s
    use: Int64s
    shape: Int64s
    dtype: Int64s
    maker: Int64s
    module: Int64s

    def __len__(self) -> int:
        return len(self.size_bytes)

    def take(self, rows: Int64s | Mask) -> "Lives":
        """Give some of the rows."""
        return Lives(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    def followed_by(self, other: "Lives") -> "Lives":
        """Give these rows and then the other's."""
        return Lives(
            **{
                f.name: np.concatenate((getattr(self, f.name), getattr(other, f.name)))
                for f in fields(self)
            }
        )

    def of(self, *uses: Use) -> Mask:
        """Tell which rows are of a use."""
        return np.isin(self.use, [NUMBER_OF_USE[use] for use in uses])


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """Which phase and which module runs when: a row wherever either changes, (runs,) each."""

    start: Int64s
    phase: Int64s
    module: Int64s


@dataclass(frozen=True, slots=True)
class Peak:
    """Bytes at the fullest moment, and what they are for."""

    bytes: int
    by_use: Mapping[Use, int]


@dataclass(frozen=True, slots=True, eq=False)
class MemoryPlan:
    """The lives of one rank's storages.

    Attributes:
        start, end: the moments between which all lives lie.
        names: of modules, operators and dtypes.
        notes: what is not known, or was taken for granted, a sentence each.
        stage: of a pipeline; 0 without one.
    """

    lives: Lives
    track: Track
    start: int
    end: int
    names: tuple[str, ...]
    shapes: tuple[Shape, ...]
    notes: tuple[str, ...] = ()
    stage: int = 0
    _peak: list[Peak] = field(default_factory=list, repr=False)

    def with_lives(self, lives: Lives, *notes: str) -> "MemoryPlan":
        """Give the plan with other lives."""
        told = tuple(dict.fromkeys((*self.notes, *notes)))
        return replace(self, lives=lives, notes=told, _peak=[])

    def with_sizes(self, rows: Mask, factor: float | NDArray[np.float64]) -> "MemoryPlan":
        """Multiply the sizes of rows; factor may be per row."""
        size = self.lives.size_bytes
        scaled = np.rint(size * np.where(rows, factor, 1.0)).astype(np.int64)
        return self.with_lives(replace(self.lives, size_bytes=scaled))

    def with_more(
        self, use: Use, size_bytes: float, span: tuple[int, int] | None = None
    ) -> "MemoryPlan":
        """Add one storage, there all the time if no span is given."""
        if size_bytes < 1:
            return self
        first, last = span if span is not None else (self.start, self.end)
        column = {f.name: np.array([NONE], dtype=np.int64) for f in fields(Lives)}
        column |= {
            "size_bytes": np.array([round(size_bytes)], dtype=np.int64),
            "first": np.array([first]), "last": np.array([last]),
            "use": np.array([NUMBER_OF_USE[use]]), "made": np.array([0]),
        }  # fmt: skip
        return self.with_lives(self.lives.followed_by(Lives(**column)))

    def at_stage(self, stage: int) -> "MemoryPlan":
        """Give the plan as that of a pipeline's stage."""
        return replace(self, stage=stage, _peak=[])

    def lasting(self, rows: Mask) -> "MemoryPlan":
        """Let rows live all the time."""
        first = np.where(rows, self.start, self.lives.first)
        last = np.where(rows, self.end, self.lives.last)
        return self.with_lives(replace(self.lives, first=first, last=last))

    def bytes_of(self, *uses: Use) -> int:
        """Give the bytes of all storages of a use, whenever they live."""
        return int(self.lives.size_bytes[self.lives.of(*uses)].sum())

    def peak(self) -> Peak:
        """Sum the living storages at every moment and look at the largest."""
        if not self._peak:
            self._peak.append(_peak(self.lives))
        return self._peak[0]

    @property
    def trains(self) -> bool:
        """Tell whether there is a backward."""
        return bool((self.track.phase == BACKWARD).any())


def _peak(lives: Lives) -> Peak:
    if not len(lives):
        return Peak(0, {})
    moments = np.concatenate((lives.first, lives.last + 1))
    change = np.concatenate((lives.size_bytes, -lives.size_bytes))
    order = np.lexsort((change, moments))  # at one moment first what goes, then what comes
    living = np.cumsum(change[order])
    best = int(living.argmax())
    at = int(moments[order[best]])
    alive = (lives.first <= at) & (lives.last >= at)
    sums = np.bincount(lives.use[alive], lives.size_bytes[alive], minlength=len(USES))
    by_use = {use: int(total) for use, total in zip(USES, sums, strict=True) if total}
    return Peak(int(living[best]), by_use)
