"""Data-parallel scale-out: a run of one rank becomes one of N alike ranks, under DDP.

backward   g3 g2 | g1 g0        bucket by bucket, in the order in which gradients are ready
comm            [all_reduce]  [all_reduce]  -> optimizer
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ..errors import UsageError
from ..graph import Category
from .buckets import bucketed
from .communication import Communicator, reduce_gradients
from .links import with_link
from .memory_sharing import DDP
from .registry import MEBI_25, Parameter, Transform, Value, flag, register, whole
from .scenario import Scenario
from .training import iterations


def _ddp(scenario: Scenario, values: Mapping[str, Value]) -> Scenario:
    ranks = whole(values, "ranks", "ddp", least=1)
    if ranks == 1:
        return scenario
    graph = scenario.graph
    if graph.meta.world_size > 1 or np.any(graph.nodes.category == Category.COLLECTIVE):
        raise UsageError(
            "ddp: the run already has several ranks", remedy="--apply ranks:ranks=... changes them"
        )
    scenario = replace(
        scenario, target=with_link(scenario.target, str(values["link"]), ranks, "ddp")
    )
    communicator = Communicator(scenario, "default_pg", ranks)
    for iteration in iterations(graph, "ddp"):
        reduce_gradients(
            communicator,
            iteration,
            bucketed(iteration.gradients, float(values["bucket"])),
            overlap=flag(values, "overlap", "ddp"),
            copies=not flag(values, "views", "ddp"),
        )
    scaled = communicator.scenario
    meta = replace(scaled.graph.meta, world_size=ranks)
    return scaled.with_graph(replace(scaled.graph, meta=meta))


register(
    Transform(
        name="ddp",
        about="Train on N data-parallel ranks, each with the recorded batch.",
        edit="Gathers gradients into buckets in backward order (of `bucket`; with the default the "
        "first of 1 MiB), inserts copies into the bucket, an all-reduce per bucket on a lane of "
        "its own, and copies back; the optimizer waits for the last.",
        assumes="all ranks are alike and never wait for a straggler, and that an all-reduce takes "
        "nothing from the compute it overlaps (CPU ranks without a spare core each: all of it)",
        needs="AccumulateGrad with shapes and Optimizer.step",
        parameters=(
            Parameter("ranks", "number of ranks"),
            MEBI_25,
            Parameter(
                "link", "node, host, network, ib400, ..., or 50GB/s; the nearest", "", is_text=True
            ),
            Parameter("overlap", "0: all-reduces start when backward has ended", 1.0),
            Parameter("views", "1: gradients are views of buckets, no copies", 0.0),
        ),
        apply=_ddp,
        memory=DDP,
    )
)
