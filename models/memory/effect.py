"""What a what-if does to memory: an edit of the plan, or the statement that nothing changes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ..transforms.scenario import Scenario
from .plan import MemoryPlan

Values = Mapping[str, float | str]
# the plans of the ranks it leads to: one, or a pipeline's stages
Edit = Callable[[MemoryPlan, Scenario, Values], Sequence[MemoryPlan]]


@dataclass(frozen=True, slots=True)
class MemoryEffect:
    """A transform's effect on memory.

    Attributes:
        about: what changes, or why nothing does; one sentence.
        edit: None where nothing changes. It is given the scenario before the transform.
    """

    about: str
    edit: Edit | None = None

    @property
    def changes(self) -> bool:
        """Tell whether memory changes at all."""
        return self.edit is not None

    def __call__(self, scenario: Scenario, values: Values) -> tuple[MemoryPlan, ...]:
        """Give the plans after the transform."""
        if self.edit is None:
            return scenario.memory
        return tuple(
            after for plan in scenario.memory for after in self.edit(plan, scenario, values)
        )


def unchanged(why: str) -> MemoryEffect:
    """Say that a transform leaves memory as it is."""
    return MemoryEffect(f"unchanged: {why}")
