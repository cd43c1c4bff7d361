"""Put host rows, device rows and edge blocks together into an ExecutionGraph.

Row 0 is the window's origin. Then host rows in time order, each device row behind its launch. A
row that nothing inside the window explains hangs on the origin by an external edge.
"""

from dataclasses import dataclass

import numpy as np

from ...models.graph import (
    COLUMN_DEFAULTS,
    COLUMN_TYPES,
    NONE,
    Category,
    Columns,
    EdgeKind,
    ExecutionGraph,
    GraphMeta,
    Int64s,
    Lane,
    LaneKind,
    LaunchConfig,
    Step,
)
from ...models.graph_builder import KIND_OF_CATEGORY, Interner
from ..kineto import EventTable, KinetoTrace, Source, Thread, whole
from .described import Described
from .device import DeviceRows
from .modules import PHASES
from .rows import EdgeBlock, HostRows
from .settle import settle

CATEGORY_OF_SOURCE = {
    Source.KERNEL: Category.KERNEL,
    Source.MEMCPY: Category.MEMCPY,
    Source.MEMSET: Category.MEMSET,
}
ORIGIN_NAME = "window"


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """Everything the linker found about one rank."""

    trace: KinetoTrace
    host: HostRows
    device: DeviceRows
    described: Described


@dataclass(frozen=True, slots=True, eq=False)
class Assembled:
    """The graph, and what the report tells of it."""

    graph: ExecutionGraph
    dropped_edges: int
    external_edges: int
    unexplained_device_ns: int


def issue_positions(host: HostRows) -> Int64s:
    """Give each host row's place in the rank's time order, shape (host rows,)."""
    order = np.lexsort((np.arange(len(host)), host.begin_ns))
    position = np.empty(len(host), dtype=np.int64)
    position[order] = np.arange(len(host))
    return position


def assemble(parts: Parts, blocks: list[EdgeBlock], anchored: Int64s, meta: GraphMeta) -> Assembled:
    """Order the rows, settle the edges and build the graph.

    Args:
        parts: rows and what is known of them.
        blocks: edges between proto rows (see rows.EdgeBlock).
        anchored: proto rows that hang on the origin whatever else they wait for.
        meta: of the graph.
    """
    row_of_proto = _row_order(parts)
    configs, config_of_event = _launch_configs(parts.trace)
    columns = _columns(parts, row_of_proto)
    columns["launch_config"][row_of_proto[len(parts.host) :]] = config_of_event
    edges = _Edges.collect(blocks, row_of_proto)
    start, end = columns["start_ns"], columns["start_ns"] + columns["duration_ns"]
    edges.hang_on_origin(row_of_proto[anchored], start)
    edges.hang_on_origin(edges.rows_without_predecessor(len(start)), start)
    edge_start = edges.sort(len(start))
    settled = settle(edge_start, edges.source, edges.lag_ns, start, end)
    names, name_columns = _names(parts, columns, row_of_proto)
    columns.update(name_columns)
    lanes = _lanes(parts.trace)
    graph = ExecutionGraph(
        nodes=Columns(**{k: v.astype(COLUMN_TYPES[k], copy=False) for k, v in columns.items()}),
        edge_start=edge_start,
        edge_source=edges.source.astype(np.int32),
        edge_kind=edges.kind.astype(np.uint8),
        edge_lag_ns=settled.lag_ns,
        names=names,
        lanes=lanes,
        operators=parts.described.operators.table,
        launch_configs=configs,
        collectives=parts.described.collectives.table,
        steps=_steps(parts, row_of_proto),
        meta=meta,
    ).checked()
    on_device = graph.on_device()
    return Assembled(
        graph,
        edges.dropped,
        int((edges.kind == EdgeKind.EXTERNAL).sum()),
        int(settled.unexplained_ns[on_device].sum()),
    )


def _row_order(parts: Parts) -> Int64s:
    """Give the graph row of each proto row: host rows first, then device rows."""
    hosts, devices = len(parts.host), len(parts.trace.device)
    anchor = np.concatenate((issue_positions(parts.host), parts.device.anchor))
    is_device = np.concatenate((np.zeros(hosts, np.int64), np.ones(devices, np.int64)))
    time = np.concatenate((np.zeros(hosts, np.int64), parts.trace.device.start_ns))
    order = np.lexsort((np.arange(hosts + devices), time, is_device, anchor))
    row = np.empty(hosts + devices, dtype=np.int64)
    row[order] = np.arange(1, hosts + devices + 1)
    return row


@dataclass(slots=True)
class _Edges:
    source: Int64s
    target: Int64s
    kind: Int64s
    lag_ns: Int64s
    dropped: int

    @classmethod
    def collect(cls, blocks: list[EdgeBlock], row_of_proto: Int64s) -> "_Edges":
        """Join blocks; drop edges against row order, which would contradict issue order."""
        source = row_of_proto[np.concatenate([b.source for b in blocks])]
        target = row_of_proto[np.concatenate([b.target for b in blocks])]
        kind = np.concatenate([np.full(len(b.source), b.kind, dtype=np.int64) for b in blocks])
        lag = np.concatenate([b.lag_ns for b in blocks])
        keep = source < target
        return cls(source[keep], target[keep], kind[keep], lag[keep], int((~keep).sum()))

    def hang_on_origin(self, rows: Int64s, start_ns: Int64s) -> None:
        """Add an external edge from the origin that holds each row until its measured start."""
        count = len(rows)
        self.source = np.concatenate((self.source, np.zeros(count, dtype=np.int64)))
        self.target = np.concatenate((self.target, rows))
        self.kind = np.concatenate((self.kind, np.full(count, EdgeKind.EXTERNAL, np.int64)))
        self.lag_ns = np.concatenate((self.lag_ns, start_ns[rows]))

    def rows_without_predecessor(self, count: int) -> Int64s:
        """Give the rows other than the origin that no edge reaches."""
        reached = np.zeros(count, dtype=bool)
        reached[self.target] = True
        reached[0] = True
        return np.flatnonzero(~reached)

    def sort(self, count: int) -> Int64s:
        """Sort by target, then source; give the CSR index of shape (count + 1,)."""
        order = np.lexsort((self.kind, self.source, self.target))
        for name in ("source", "target", "kind", "lag_ns"):
            setattr(self, name, getattr(self, name)[order])
        counts = np.bincount(self.target, minlength=count)
        return np.concatenate(([0], np.cumsum(counts))).astype(np.int64)


def _columns(parts: Parts, row_of_proto: Int64s) -> dict[str, Int64s]:
    """Give all columns in graph order; `name`, `module` and `phase` do not point anywhere yet."""
    trace, host, places = parts.trace, parts.host, parts.described.places
    hosts, devices = len(host), len(trace.device)
    columns: dict[str, Int64s] = {
        key: np.full(1 + hosts + devices, COLUMN_DEFAULTS.get(key, 0), dtype=kind)
        for key, kind in COLUMN_TYPES.items()
    }
    at_host, at_device = row_of_proto[:hosts], row_of_proto[hosts:]
    event = host.event
    is_event = event >= 0
    of_event: dict[str, Int64s] = {
        "operator": parts.described.operators.of_event.astype(np.int64),
        "collective": parts.described.collectives.of_host.astype(np.int64),
        "sequence": parts.described.collectives.host_sequence,
        "rf_id": parts.described.rf_id,
        "seq_id": parts.described.seq_id,
        "module": places.module,
        "phase": places.phase,
    }
    for key, values in of_event.items():
        columns[key][at_host[is_event]] = values[event[is_event]]
    columns["category"][at_host] = host.category
    columns["lane"][at_host] = 1 + host.thread
    columns["start_ns"][at_host] = host.start_ns
    columns["duration_ns"][at_host] = host.end_ns - host.start_ns
    row_of_event = at_host[host.row_of_event] if hosts else host.row_of_event
    columns["parent"][at_host] = _mapped(parts, parts.described.parent, row_of_event)
    columns["fw_parent"][at_host] = _mapped(parts, places.forward_event, row_of_event)
    columns["step"][at_host] = _step_of(parts, host.begin_ns)
    _fill_device(parts, columns, at_host, at_device)
    columns["category"][0] = Category.ORIGIN
    kinds = np.array([KIND_OF_CATEGORY.get(c, COLUMN_DEFAULTS["kind"]) for c in Category])
    columns["kind"] = kinds[columns["category"]]
    columns["rank"][:] = max(0, trace.rank)
    return columns


def _mapped(parts: Parts, event_of_event: Int64s, row_of_event: Int64s) -> Int64s:
    """Turn an event-to-event relation into graph rows for the host rows."""
    event = parts.host.event
    related = np.where(event >= 0, event_of_event[np.maximum(event, 0)], NONE)
    if not len(row_of_event):
        return related
    return np.where(related >= 0, row_of_event[np.maximum(related, 0)], NONE)


def _fill_device(
    parts: Parts, columns: dict[str, Int64s], at_host: Int64s, at_device: Int64s
) -> None:
    trace = parts.trace
    device, found = trace.device, parts.described.collectives
    by_source = np.array([CATEGORY_OF_SOURCE.get(s, Category.KERNEL) for s in Source])
    category = by_source[device.source]
    is_collective = found.of_device >= 0
    category[is_collective] = found.device_category[is_collective]
    columns["category"][at_device] = category
    columns["lane"][at_device] = 1 + len(trace.host.threads) + device.thread
    columns["start_ns"][at_device] = device.start_ns
    columns["duration_ns"][at_device] = device.duration_ns
    columns["operator"][at_device] = parts.described.operator_of_device
    columns["collective"][at_device] = found.of_device
    columns["sequence"][at_device] = found.device_sequence
    columns["bytes"][at_device] = _by_saying(
        device, [whole(args.bytes, 0) for args in device.sayings]
    )
    launched = parts.device.call_row >= 0
    call = at_host[parts.device.call_row[launched]]
    for key in ("step", "module", "phase"):
        columns[key][at_device[launched]] = columns[key][call]
    columns["parent"][at_device[launched]] = call


def _step_of(parts: Parts, begin_ns: Int64s) -> Int64s:
    """Give the step in whose window each host row begins, -1 outside all."""
    if not parts.described.steps:
        return np.full(len(begin_ns), NONE, dtype=np.int64)
    events = [step.event for step in parts.described.steps]
    starts, ends = parts.trace.host.start_ns[events], parts.trace.host.end_ns[events]
    place = np.searchsorted(starts, begin_ns, side="right") - 1
    inside = (place >= 0) & (begin_ns <= ends[place])
    return np.where(inside, place, NONE)


def _launch_configs(trace: KinetoTrace) -> tuple[tuple[LaunchConfig, ...], Int64s]:
    """Give the interned launch configurations and each device event's index, -1 for none."""
    table: Interner[LaunchConfig] = Interner()
    used = set(trace.device.saying.tolist())
    index = [
        table[
            LaunchConfig(
                tuple(args.grid),
                tuple(args.block or ()),
                whole(args.registers, 0),
                whole(args.shared_memory, 0),
            )
        ]
        if args.grid and place in used
        else NONE
        for place, args in enumerate(trace.device.sayings)
    ]
    return tuple(table), _by_saying(trace.device, index)


def _by_saying(device: EventTable, values: list[int]) -> Int64s:
    """Give each device event the value of what it says."""
    return np.array([*values, NONE], dtype=np.int64)[device.saying]


def _names(
    parts: Parts, columns: dict[str, Int64s], row_of_proto: Int64s
) -> tuple[tuple[str, ...], dict[str, Int64s]]:
    """Give the names in use and the three columns that point into them."""
    trace, host = parts.trace, parts.host
    step_names = np.array(
        [trace.host.name[step.event] for step in parts.described.steps] or [0], dtype=np.int64
    )
    of_host = np.where(
        host.event >= 0,
        trace.host.name[np.maximum(host.event, 0)] if len(trace.host) else 0,
        step_names[np.clip(-2 - host.event, 0, len(step_names) - 1)],
    )
    name = np.full(len(columns["kind"]), NONE, dtype=np.int64)
    name[row_of_proto[: len(host)]] = of_host
    name[row_of_proto[len(host) :]] = trace.device.name
    name[0] = len(trace.names)
    pool = [*trace.names, ORIGIN_NAME, *parts.described.places.modules, *PHASES]
    module_base = len(trace.names) + 1
    phase_base = module_base + len(parts.described.places.modules)
    module = np.where(columns["module"] >= 0, columns["module"] + module_base, NONE)
    phase = np.where(columns["phase"] >= 0, columns["phase"] + phase_base, NONE)
    return _compact(pool, {"name": name, "module": module, "phase": phase})


def _compact(
    pool: list[str], columns: dict[str, Int64s]
) -> tuple[tuple[str, ...], dict[str, Int64s]]:
    """Drop names that no row uses; equal strings become one."""
    used = np.unique(np.concatenate(list(columns.values())))
    table: Interner[str] = Interner()
    new = np.full(len(pool) + 1, NONE, dtype=np.int64)  # the last place serves index -1
    for index in used[used >= 0].tolist():
        new[index] = table[pool[index]]
    return tuple(table), {key: new[values] for key, values in columns.items()}


def _lanes(trace: KinetoTrace) -> tuple[Lane, ...]:
    def lane(kind: LaneKind, thread: Thread) -> Lane:
        return Lane(kind, thread.process, thread.number, thread.name)

    return (
        Lane(LaneKind.VIRTUAL, 0, 0, ORIGIN_NAME),
        *(lane(LaneKind.HOST, thread) for thread in trace.host.threads),
        *(lane(LaneKind.DEVICE, thread) for thread in trace.device.threads),
    )


def _steps(parts: Parts, row_of_proto: Int64s) -> tuple[Step, ...]:
    host, names = parts.host, parts.trace.names
    end_row = {
        -2 - event: int(row_of_proto[row])
        for row, event in enumerate(host.event.tolist())
        if event < NONE
    }
    return tuple(
        Step(
            names[int(parts.trace.host.name[step.event])],
            int(row_of_proto[host.row_of_event[step.event]]),
            end_row[number],
        )
        for number, step in enumerate(parts.described.steps)
    )
