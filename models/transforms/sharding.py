"""ZeRO and FSDP: optimizer state, gradients and parameters shared out among N ranks.

    stage 1, 2   bwd |reduce_scatter ...|  optimizer / N  |all_gather ...|  next forward
    stage 3      |gather 1| fwd 1 |gather 2| fwd 2 ... bwd 2 |scatter 2| ... optimizer / N

Every gather of stage 3 is sent one unit ahead (prefetch), so it overlaps the unit before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..errors import NeedsRecordingError, UsageError
from ..graph import NONE, Category, Dims, ExecutionGraph, Operator
from .buckets import Bucket, bucketed
from .communication import Communicator, reduce_gradients
from .links import with_link
from .memory_sharing import ZERO
from .recost import recosted
from .registry import MEBI_25, Parameter, Transform, Value, flag, register, whole
from .repeats import Layers, find_layers
from .scenario import Scenario
from .training import Gradients, Iteration, iterations


def _zero(scenario: Scenario, values: Mapping[str, Value]) -> Scenario:
    ranks = whole(values, "ranks", "zero", least=1)
    stage = whole(values, "stage", "zero", least=1)
    if stage > 3:
        raise UsageError(f"zero: there are stages 1, 2 and 3, not {stage}")
    if ranks == 1:
        return scenario
    graph = scenario.graph
    if graph.meta.world_size > 1 or np.any(graph.nodes.category == Category.COLLECTIVE):
        raise UsageError("zero: starts from a run of one rank", remedy="leave ddp out; zero sends")
    target = with_link(scenario.target, str(values["link"]), ranks, "zero")
    found = iterations(graph, "zero")
    scenario = replace(scenario, target=target)
    scenario = _sharded_optimizer(scenario, found, ranks)
    communicator = Communicator(scenario, "default_pg", ranks)
    prefetch = flag(values, "prefetch", "zero")
    layers = _layers(graph) if stage == 3 else None
    for number, iteration in enumerate(found):
        if stage == 3:
            units = _units(graph, layers, iteration)
            _fully_sharded(communicator, iteration, units, prefetch=prefetch)
        else:
            after = found[number + 1] if number + 1 < len(found) else None
            _gathered_once(communicator, iteration, after, float(values["bucket"]))
    sent = communicator.scenario
    meta = replace(sent.graph.meta, world_size=ranks)
    return sent.with_graph(replace(sent.graph, meta=meta))


def _sharded_optimizer(scenario: Scenario, found: Sequence[Iteration], ranks: int) -> Scenario:
    """Give every tensor of the optimizer a share of its first dimension."""

    def share(dims: Dims) -> Dims:
        if not isinstance(dims, tuple) or not dims:
            return dims
        if all(isinstance(size, int) for size in dims):
            first = dims[0]
            return (-(-first // ranks), *dims[1:]) if isinstance(first, int) else dims
        return tuple(share(inner) for inner in dims)

    def shared(operator: Operator) -> Operator:
        shapes = tuple(share(dims) for dims in operator.input_shapes)
        return replace(operator, input_shapes=shapes, input_strides=())

    rows = np.zeros(len(scenario.graph), dtype=bool)
    for iteration in found:
        rows[iteration.optimizer] = True
    return recosted(scenario, rows, shared)


def _gathered_once(
    communicator: Communicator, iteration: Iteration, after: Iteration | None, cap_bytes: float
) -> None:
    """Stages 1 and 2: scatter gradients as they are ready, gather parameters after the step."""
    buckets = bucketed(iteration.gradients, cap_bytes)
    reduce_gradients(
        communicator, iteration, buckets, overlap=True, copies=False, kind="reduce_scatter"
    )
    host = _last_host(communicator.base.graph, iteration)
    for bucket in buckets:
        dtype = bucket.gradients[0].dtype
        gathered = communicator.collective(host, "all_gather", dtype, bucket.bytes)
        if after is not None:
            communicator.wait(gathered, _first_user(communicator, after.first, after.last))


def _last_host(graph: ExecutionGraph, iteration: Iteration) -> int:
    rows = iteration.optimizer
    return int(rows[graph.nodes.category[rows] != Category.KERNEL][-1])


def _first_user(communicator: Communicator, first: int, last: int) -> int:
    """Give the first row of a range that reads parameters: a kernel, or the host row itself."""
    at = int(np.searchsorted(communicator.kernels, first))
    if at < len(communicator.kernels) and communicator.kernels[at] <= last:
        return int(communicator.kernels[at])
    return first


@dataclass(frozen=True, slots=True)
class _Unit:
    """What is gathered together: a layer, or what belongs to none. Rows are host rows."""

    forward: tuple[int, int]
    backward: tuple[int, int]
    gradients: Gradients

    @property
    def bucket(self) -> Bucket:
        return Bucket(self.gradients)


def _layers(graph: ExecutionGraph) -> Layers | None:
    """Give the layers of a model, None where it shows none."""
    try:
        return find_layers(graph, "", "zero")
    except NeedsRecordingError:
        return None


def _units(graph: ExecutionGraph, layers: Layers | None, iteration: Iteration) -> list[_Unit]:
    """Give a unit a layer, and one for the rest of the model, which stays gathered."""
    if layers is None:
        return [_whole(iteration, iteration.gradients)]
    units, layer_of = [], layers.of_row[iteration.gradients.accumulate_rows]
    covered = np.zeros(len(layer_of), dtype=bool)
    for layer in range(len(layers.paths)):
        spans = [_span(graph, layers, layer, iteration, backward=b) for b in (False, True)]
        mine = layer_of == layer
        if mine.any() and spans[0] and spans[1]:
            units.append(_Unit(spans[0], spans[1], iteration.gradients.take(mine)))
            covered |= mine
    if covered.all():
        return units
    return [_whole(iteration, iteration.gradients.take(~covered)), *units]


def _whole(iteration: Iteration, gradients: Gradients) -> _Unit:
    first = int(iteration.gradients.rows.min())
    return _Unit((iteration.first, first), (first, iteration.last), gradients)


def _span(
    graph: ExecutionGraph, layers: Layers, layer: int, iteration: Iteration, *, backward: bool
) -> tuple[int, int] | None:
    rows = layers.rows(layer, iteration, backward=backward)
    rows = rows[graph.nodes.category[rows] != Category.KERNEL]
    return (int(rows[0]), int(rows[-1])) if len(rows) else None


def _fully_sharded(
    communicator: Communicator, iteration: Iteration, units: Sequence[_Unit], *, prefetch: bool
) -> None:
    """Stage 3: gather each unit before its forward and its backward, scatter its gradients."""
    _gathers(communicator, [(unit.forward, unit.bucket) for unit in units], prefetch=prefetch)
    layers = units[1:] if len(units) > 1 else []  # the first stays gathered
    behind = [(unit.backward, unit.bucket) for unit in reversed(layers)]
    _gathers(communicator, behind, prefetch=prefetch)
    buckets = [unit.bucket for unit in reversed(units)]
    reduce_gradients(
        communicator, iteration, buckets, overlap=True, copies=False, kind="reduce_scatter"
    )


def _gathers(
    communicator: Communicator,
    uses: Sequence[tuple[tuple[int, int], Bucket]],
    *,
    prefetch: bool,
) -> None:
    """Insert a gather in front of each use, issued where the use before begins."""
    graph, on_lane = communicator.base.graph, communicator.on_lane()
    for number, ((first, last), bucket) in enumerate(uses):
        issued = uses[number - 1][0][0] if prefetch and number else first
        before = max(0, issued - 1)
        if before == 0 or graph.nodes.rank[before] != graph.nodes.rank[first]:
            before = issued
        lane = int(graph.nodes.lane[first])
        host = on_lane.last(lane, before)
        host = first if host == NONE else host
        gathered = communicator.collective(
            host, "all_gather", bucket.gradients[0].dtype, bucket.bytes
        )
        user = _first_user(communicator, first, last)
        if user <= host:
            user = on_lane.next(int(graph.nodes.lane[host]), host)
        if user != NONE:
            communicator.wait(gathered, user)


register(
    Transform(
        name="zero",
        about="Share optimizer state (1), gradients (2) and parameters (3, FSDP) among N ranks.",
        edit="Inserts reduce-scatters of gradients instead of all-reduces, divides the optimizer's "
        "tensors by N, and gathers parameters after the step, or in stage 3 each layer's before "
        "its forward and again before its backward, one layer ahead.",
        assumes="all ranks are alike, and shards are even",
        needs="gradients with shapes and Optimizer.step; stage 3 also modules, else the model is "
        "one unit",
        parameters=(
            Parameter("ranks", "number of ranks"),
            Parameter("stage", "1, 2 or 3", 3.0),
            MEBI_25,
            Parameter("link", "as in ddp; the nearest", "", is_text=True),
            Parameter("prefetch", "0: gather only when needed", 1.0),
        ),
        apply=_zero,
        memory=ZERO,
    )
)
