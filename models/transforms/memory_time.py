"""Insert time into a memory plan: what comes after moves, and copies live in the new room.

F0 F1 | B1 B0        one more layer like 1:   F0 F1 [F1'] | [B1'] B1 B0
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..graph import NONE, Int64s
from ..memory.plan import BACKWARD, FORWARD, MemoryPlan

MOMENTS = ("first", "last", "forward_last", "backward_last")


@dataclass(frozen=True, slots=True)
class Pass:
    """When one layer runs, of one micro-batch: first and last moment of forward and backward."""

    forward: tuple[int, int]
    backward: tuple[int, int]

    @property
    def forward_length(self) -> int:
        """Give how long the forward is."""
        return self.forward[1] - self.forward[0] + 1

    @property
    def backward_length(self) -> int:
        """Give how long the backward is."""
        return self.backward[1] - self.backward[0] + 1


@dataclass(frozen=True, slots=True, eq=False)
class Warp:
    """Room of some length put in front of moments; maps old moments to new ones."""

    at: Int64s
    length: Int64s

    @classmethod
    def of(cls, rooms: Sequence[tuple[int, int]]) -> "Warp":
        """Take (moment, length) of each room."""
        table = np.array(sorted(rooms), dtype=np.int64).reshape(-1, 2)
        return cls(table[:, 0], table[:, 1])

    def __call__(self, moments: Int64s) -> Int64s:
        """Map moments; NONE stays."""
        before = np.concatenate(([0], np.cumsum(self.length)))
        moved = moments + before[np.searchsorted(self.at, moments, side="right")]
        return np.where(moments == NONE, NONE, moved)

    def one(self, moment: int) -> int:
        """Map one moment."""
        return int(self(np.array([moment]))[0])

    def room(self, at: int) -> int:
        """Give where the room in front of an old moment begins."""
        return self.one(at) - int(self.length[self.at == at].sum())

    def plan(self, plan: MemoryPlan) -> MemoryPlan:
        """Map a whole plan; what lasted to the end still does."""
        lives = replace(plan.lives, **{name: self(getattr(plan.lives, name)) for name in MOMENTS})
        track = replace(plan.track, start=self(plan.track.start))
        return replace(
            plan.with_lives(lives), track=track, start=self.one(plan.start), end=self.one(plan.end)
        )


def layers_of_names(plan: MemoryPlan, paths: Sequence[str]) -> Int64s:
    """Give the layer that each of the plan's names lies in, NONE for others; one NONE behind."""
    table = [
        next((k for k, p in enumerate(paths) if name == p or name.startswith(f"{p}/")), NONE)
        for name in plan.names
    ]
    return np.array([*table, NONE], dtype=np.int64)


def passes_of(plan: MemoryPlan, layer_of_name: Int64s, layer: int) -> list[Pass]:
    """Give the passes of micro-batches through one layer, as far as they go there and back."""
    track = plan.track
    ends = np.append(track.start[1:], plan.end + 1) - 1
    mine = layer_of_name[track.module] == layer
    found: list[Pass] = []
    spans: dict[int, tuple[int, int]] = {}
    for run in np.flatnonzero(mine).tolist():
        phase, span = int(track.phase[run]), (int(track.start[run]), int(ends[run]))
        if phase == FORWARD and BACKWARD in spans:
            _close(spans, found)
        if phase in (FORWARD, BACKWARD):
            spans[phase] = (spans.get(phase, span)[0], span[1])
    _close(spans, found)
    return found


def _close(spans: dict[int, tuple[int, int]], found: list[Pass]) -> None:
    if FORWARD in spans and BACKWARD in spans:
        found.append(Pass(spans[FORWARD], spans[BACKWARD]))
    spans.clear()
