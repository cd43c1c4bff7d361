"""Pipeline schedules: in which order each stage does its micro-batches' forwards and backwards.

    GPipe  stage 0   F0 F1 F2 F3 . . . . B0 B1 B2 B3        all forwards, then all backwards
    1F1B   stage 0   F0 F1 F2 . . B0 F3 B1 . B2 . B3        warm-up, then one of each

With p alike stages and m micro-batches the bubble is (p - 1) / (m + p - 1) of the time in both;
interleaved with v chunks a stage it is (p - 1) / (v m + p - 1) (Narayanan et al. 2021).
"""

from dataclasses import dataclass
from enum import StrEnum

from ..errors import AnalysisError, UsageError

BACKWARD_OVER_FORWARD = 2  # only to order rows; the replay finds the times


class Schedule(StrEnum):
    """How stages order their work."""

    GPIPE = "gpipe"
    ONE_F_ONE_B = "1f1b"
    INTERLEAVED = "interleaved"


@dataclass(frozen=True, slots=True, order=True)
class Task:
    """One micro-batch's forward or backward through one chunk of layers."""

    chunk: int
    micro: int
    backward: bool


def stage_orders(
    schedule: Schedule, stages: int, micros: int, chunks_a_stage: int = 1
) -> list[list[Task]]:
    """Give the tasks of each stage in order. Chunk c stands on stage c mod stages.

    Raises:
        UsageError: interleaving with micro-batches that the stages do not divide.
    """
    if schedule is Schedule.INTERLEAVED and micros % stages:
        raise UsageError(
            f"pipeline: interleaving needs micro-batches in multiples of {stages}, not {micros}"
        )
    return [_order(schedule, stage, stages, micros, chunks_a_stage) for stage in range(stages)]


def _order(schedule: Schedule, stage: int, stages: int, micros: int, v: int) -> list[Task]:
    total = micros * v
    forwards = [_virtual(k, stage, stages, v, backward=False) for k in range(total)]
    backwards = [_virtual(k, stage, stages, v, backward=True) for k in range(total)]
    if schedule is Schedule.GPIPE:
        warm = total
    elif schedule is Schedule.ONE_F_ONE_B:
        warm = min(stages - stage - 1, total)
    else:
        warm = min(2 * (stages - stage - 1) + (v - 1) * stages, total)
    steady = [task for pair in zip(forwards[warm:], backwards, strict=False) for task in pair]
    return [*forwards[:warm], *steady, *backwards[total - warm :]]


def _virtual(k: int, stage: int, stages: int, v: int, *, backward: bool) -> Task:
    """Give the k-th forward or backward of a stage: p micro-batches a chunk, chunk after chunk."""
    if v == 1:
        return Task(stage, k, backward)
    local = (k // stages) % v
    chunk = (v - 1 - local if backward else local) * stages + stage
    return Task(chunk, k // (stages * v) * stages + k % stages, backward)


def in_time(orders: list[list[Task]], chunks: int) -> list[Task]:
    """Merge the stages' orders into one in which every task stands behind what it needs.

    Raises:
        AnalysisError: the stages would wait for each other for ever.
    """
    end: dict[Task, int] = {}
    at = [0] * len(orders)
    free = [0] * len(orders)
    merged: list[tuple[int, int, Task]] = []
    while any(at[stage] < len(order) for stage, order in enumerate(orders)):
        ready = []
        for stage, order in enumerate(orders):
            if at[stage] == len(order):
                continue
            task = order[at[stage]]
            needs = needed(task, chunks)
            if all(need in end for need in needs):
                start = max([free[stage], *(end[need] for need in needs)])
                ready.append((start, stage, task))
        if not ready:
            raise AnalysisError("a pipeline's stages wait for each other")
        start, stage, task = min(ready)
        end[task] = free[stage] = start + (BACKWARD_OVER_FORWARD if task.backward else 1)
        at[stage] += 1
        merged.append((start, stage, task))
    return [task for _, _, task in merged]


def needed(task: Task, chunks: int) -> list[Task]:
    """Give what a task waits for on other chunks, and its own forward."""
    if not task.backward:
        return [Task(task.chunk - 1, task.micro, backward=False)] if task.chunk else []
    own = Task(task.chunk, task.micro, backward=False)
    if task.chunk == chunks - 1:
        return [own]
    return [own, Task(task.chunk + 1, task.micro, backward=True)]
