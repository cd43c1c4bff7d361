"""Which operations count and which window they span: steps by name, with or without unlinked."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np

from ...models.errors import AnalysisError
from ...models.graph import ExecutionGraph
from .activity import Activity
from .intervals import Flags


@dataclass(frozen=True, slots=True)
class Selection:
    """Which operations a breakdown looks at.

    Attributes:
        steps: names, numbers (`4` finds `ProfilerStep#4`) or patterns (`*#4`); empty for the
            whole run.
        include_unlinked: count device operations whose launch is not in the file.
    """

    steps: tuple[str, ...] = ()
    include_unlinked: bool = True


@dataclass(frozen=True, slots=True)
class Window:
    """A window of a timeline."""

    first_ns: int
    last_ns: int

    @property
    def duration_ns(self) -> int:
        """Give its length."""
        return self.last_ns - self.first_ns


def counted(activity: Activity, selection: Selection) -> Activity:
    """Drop unlinked operations where they are not wanted."""
    return activity if selection.include_unlinked else activity.where(~activity.unlinked)


def window_of(activity: Activity, selection: Selection) -> Window:
    """Give the window from the first to the last operation launched in the selected steps.

    Raises:
        AnalysisError: no step of that name, or nothing ran in it.
    """
    chosen = np.ones(len(activity), dtype=bool)
    if selection.steps:
        chosen = np.isin(activity.step, steps_named(activity.graph, selection.steps))
    found = span(activity, chosen)
    if found is None:
        where = f" in step {', '.join(selection.steps)}" if selection.steps else ""
        raise AnalysisError(
            f"rank {activity.rank}: nothing ran{where}, neither on a device nor on the host",
            remedy="" if selection.include_unlinked else "leave --no-include-unlinked out",
        )
    return found


def span(activity: Activity, chosen: Flags) -> Window | None:
    """Give the window from the first to the last chosen operation, None where there is none."""
    if not chosen.any():
        return None
    return Window(int(activity.start_ns[chosen].min()), int(activity.end_ns[chosen].max()))


def steps_named(graph: ExecutionGraph, wanted: Sequence[str]) -> list[int]:
    """Give the indices of the steps that names, numbers or patterns find.

    Raises:
        AnalysisError: one of them finds none.
    """
    found: set[int] = set()
    for pattern in wanted:
        hits = {n for n, step in enumerate(graph.steps) if _is_named(step.name, pattern)}
        if not hits:
            names = ", ".join(dict.fromkeys(step.name for step in graph.steps)) or "none"
            raise AnalysisError(f"no step is named {pattern!r}", remedy=f"steps: {names}")
        found |= hits
    return sorted(found)


def _is_named(name: str, pattern: str) -> bool:
    if pattern.isdigit():
        return name.endswith((f"#{pattern}", f"_{pattern}", f" {pattern}"))
    return name == pattern or fnmatchcase(name, pattern)
