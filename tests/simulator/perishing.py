"""A block whose worker is killed: a module of its own, so that workers can import it."""

import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

from etsim.simulator.sweep import Result, Run, evaluate
from etsim.simulator.sweep_points import Point


def perishing(fuse: Path, doomed: Point) -> Callable[[Run, Sequence[Point]], list[Result]]:
    """Give an `evaluate` whose worker is killed at a block while the fuse lies there."""
    spared_pid = os.getpid()

    def evaluate_or_perish(run: Run, points: Sequence[Point]) -> list[Result]:
        if points[0] == doomed and fuse.exists() and os.getpid() != spared_pid:
            fuse.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        return evaluate(run, points)

    return evaluate_or_perish
