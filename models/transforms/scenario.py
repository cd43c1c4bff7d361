"""A scenario: the graph that will be priced and replayed, and the machines it stands between.

Durations are in the source's terms: a transform changes what is done, and the pricing that follows
carries it to the target. Rows that were never measured (offloaded from a CPU run) have duration 0
and are priced from their operator's shapes alone, so for them changing the operator is enough.
"""

from dataclasses import dataclass, replace

from ..graph import ExecutionGraph
from ..hardware import Hardware
from ..memory.plan import MemoryPlan


@dataclass(frozen=True, slots=True, eq=False)
class Scenario:
    """What is asked: a graph, recorded on `source` (None: unknown), for `target`.

    Attributes:
        memory: what the fullest rank takes, of a pipeline each stage; empty where unknown.
    """

    graph: ExecutionGraph
    source: Hardware | None
    target: Hardware
    memory: tuple[MemoryPlan, ...] = ()

    @property
    def costs(self) -> Hardware:
        """Give the machine whose model prices changes: the source, else the target."""
        return self.source if self.source is not None else self.target

    def with_graph(self, graph: ExecutionGraph) -> "Scenario":
        """Give the scenario with another graph."""
        return replace(self, graph=graph)
