"""Another number of data-parallel ranks in a recorded run.

fewer   the others' rows go; who is left meets earlier
more    the recorded ranks stand for all: only the transfer grows
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ..errors import UsageError
from ..graph import NONE, Category, Collective, ExecutionGraph, Step
from .edit import Mask
from .gradient_messages import transfer_ratio
from .links import with_link
from .memory_sharing import RANKS
from .recost import by_ratio
from .registry import Parameter, Transform, Value, register, whole
from .scenario import Scenario
from .splice import originals, spliced

MEETINGS = (Category.COLLECTIVE, Category.SEND, Category.RECV)


def _ranks(scenario: Scenario, values: Mapping[str, Value]) -> Scenario:
    wanted = whole(values, "ranks", "ranks", least=1)
    graph = scenario.graph
    recorded = max(graph.meta.world_size, max((len(c.ranks) for c in graph.collectives), default=1))
    meeting = np.isin(graph.nodes.category, MEETINGS)
    if wanted == recorded == 1:
        return scenario
    if not meeting.any():
        raise UsageError(
            "ranks: the run has no collectives", remedy=f"--apply ddp:ranks={wanted} adds them"
        )
    if wanted == recorded:
        return scenario
    target = with_link(scenario.target, str(values["link"]), wanted, "ranks")
    scenario = replace(scenario, target=target)
    if wanted == 1:
        graph = without_ranks(graph, 1)
        kept = ~np.isin(graph.nodes.category, (*MEETINGS, Category.JOIN))
        alone = spliced(graph, originals(np.flatnonzero(kept)))
        return scenario.with_graph(replace(alone, meta=replace(alone.meta, world_size=1)))
    return scenario.with_graph(_resized(scenario, without_ranks(graph, wanted), recorded, wanted))


def _resized(
    scenario: Scenario, graph: ExecutionGraph, recorded: int, wanted: int
) -> ExecutionGraph:
    """Give every message its new ranks, and measured transfers their new time."""
    collectives, ratio = [], []
    for old in graph.collectives:
        whole_job = len(old.ranks) in (0, recorded)
        new = replace(old, ranks=tuple(range(wanted))) if whole_job else old
        collectives.append(new)
        ratio.append(_ratio(scenario, old, new, recorded) if whole_job else 1.0)
    factor = np.array([*ratio, 1.0])[graph.nodes.collective]
    duration = np.rint(graph.nodes.duration_ns * factor).astype(np.int64)
    nodes = replace(graph.nodes, duration_ns=duration, provenance=by_ratio(graph, duration))
    meta = replace(graph.meta, world_size=wanted)
    return replace(graph, nodes=nodes, collectives=tuple(collectives), meta=meta).checked()


def _ratio(scenario: Scenario, old: Collective, new: Collective, recorded: int) -> float:
    before = (old.kind, old.message_bytes, len(old.ranks) or recorded)
    after = (new.kind, new.message_bytes, len(new.ranks))
    return transfer_ratio(scenario.costs, before, after)


def without_ranks(graph: ExecutionGraph, least: int) -> ExecutionGraph:
    """Remove the rows of ranks from `least` on; joins stay, for who is left."""
    gone: Mask = graph.nodes.rank >= least
    if not gone.any():
        return graph
    kept_steps = [k for k, step in enumerate(graph.steps) if not gone[step.begin_row]]
    new_step = np.full(len(graph.steps) + 1, NONE, dtype=np.int32)
    new_step[kept_steps] = np.arange(len(kept_steps))
    steps: tuple[Step, ...] = tuple(graph.steps[k] for k in kept_steps)
    nodes = replace(graph.nodes, step=new_step[graph.nodes.step])
    fewer = replace(graph, nodes=nodes, steps=steps)
    return spliced(fewer, originals(np.flatnonzero(~gone)))


register(
    Transform(
        name="ranks",
        about="Another number of data-parallel ranks.",
        edit="Scales the transfer of collectives of the whole job by the model's ratio; with fewer "
        "ranks the others' rows go and waiting is replayed among those left, with one rank all "
        "collectives go.",
        assumes="more ranks than recorded bring no later straggler than those recorded, and each "
        "keeps its batch",
        needs="a recorded run with collectives, best of all its ranks",
        parameters=(
            Parameter("ranks", "number of ranks"),
            Parameter("link", "as in ddp; the nearest", "", is_text=True),
        ),
        apply=_ranks,
        memory=RANKS,
    )
)
