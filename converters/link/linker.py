"""Link one rank's trace: every reason to wait becomes a typed edge; a report says how surely."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...models.graph import EdgeKind, ExecutionGraph, GraphMeta, Int32s, Int64s
from ..kineto import KinetoTrace, Source
from .assemble import Assembled, Parts, assemble, issue_positions
from .calls import Call, calls_of
from .described import Joined, describe
from .device import LONGEST_LATENCY_NS, DeviceRows, backlog, device_edges, place_device_rows
from .handover import Handovers, link_handovers
from .host import make_host_rows
from .host_collectives import HostCollectives, link_host_collectives
from .launches import Launches, find_launches
from .names import HOST_COLLECTIVE
from .queue import QueueLinks, link_queue
from .releases import link_releases
from .rows import EdgeBlock, HostRows, edge_block
from .segments import segment
from .steps import find_steps
from .stream_waits import StreamWaits, link_stream_waits
from .sync import Certainty, SyncLinks, link_syncs

BACKLOG_ANCHOR_NS = 1_000_000  # a stream's first launch that waits longer had unseen work before it


@dataclass(frozen=True, slots=True, eq=False)
class Reasons:
    """Every reason to wait that was found in a rank's trace."""

    rows: DeviceRows
    syncs: SyncLinks
    waits: StreamWaits
    queue: QueueLinks
    handovers: Handovers
    host_collectives: HostCollectives
    backlog: Int64s
    late: Int64s

    def blocks(self, host: HostRows) -> list[EdgeBlock]:
        """Give all edges between proto rows."""
        count = len(host)
        return [
            _host_order(host, self.handovers, self.host_collectives),
            *device_edges(self.rows, count),
            self.syncs.edges(count),
            self.waits.edges(count, self.rows.gap_ns),
            self.queue.edges,
            _without_targets(self.handovers.edges, self.host_collectives.explained),
            self.host_collectives.edges,
        ]

    def anchored(self, host: HostRows) -> Int64s:
        """Give the proto rows whose start work outside the window decides."""
        unseen = np.array(self.syncs.unseen, dtype=np.int64)
        return np.concatenate((unseen, len(host) + self.backlog, len(host) + self.late))


@dataclass(frozen=True, slots=True, eq=False)
class Linked:
    """A rank's graph with all that linking found, for the report and for tests."""

    graph: ExecutionGraph
    reasons: Reasons
    assembled: Assembled


def link(trace: KinetoTrace, joined: Joined | None = None) -> Linked:
    """Build a rank's execution graph from its trace.

    Args:
        trace: the rank's Kineto trace.
        joined: what its execution trace adds, where there is one.
    """
    segments = segment(trace.host, _owns_time(trace))
    launches = find_launches(trace)
    steps = find_steps(trace)
    host = make_host_rows(trace, segments, launches, steps)
    described = describe(trace, joined, segments.parent, launches, steps)
    reasons = _find_reasons(trace, host, launches, segments.parent)
    collectives = replace(described.collectives, host_sequence=reasons.host_collectives.sequence)
    parts = Parts(trace, host, reasons.rows, replace(described, collectives=collectives))
    meta = _meta(trace, joined)
    assembled = assemble(parts, reasons.blocks(host), reasons.anchored(host), meta)
    notes = (*_notes(reasons, assembled, trace), *_clamp_note(segments.clamped))
    graph = replace(assembled.graph, meta=replace(meta, notes=notes))
    return Linked(graph, reasons, assembled)


def _find_reasons(
    trace: KinetoTrace, host: HostRows, launches: Launches, parent: Int32s
) -> Reasons:
    position = issue_positions(host)
    rows = place_device_rows(trace, launches, host, position)
    waits = link_releases(trace, host, rows, link_stream_waits(trace, host, rows, position))
    return Reasons(
        rows=rows,
        syncs=link_syncs(trace, host, rows, launches, position),
        waits=waits,
        queue=link_queue(trace, host, rows, launches),
        handovers=link_handovers(host, _polls(trace, host)),
        host_collectives=link_host_collectives(trace, host, parent),
        backlog=backlog(trace, rows),
        late=_late_first_launches(trace, rows, host, waits),
    )


def _polls(trace: KinetoTrace, host: HostRows) -> NDArray[np.bool_]:
    is_query = calls_of(trace.names) == Call.QUERY
    of_event = np.append(is_query[trace.host.name], False)  # index -1, no event, finds the False
    flags: NDArray[np.bool_] = of_event[np.maximum(host.event, -1)]
    return flags


def _owns_time(trace: KinetoTrace) -> NDArray[np.bool_]:
    """Operators and runtime calls do; annotations do not, but for a backend's collectives."""
    collective = [HOST_COLLECTIVE.match(name) is not None for name in trace.names]
    step = [name.startswith("ProfilerStep#") for name in trace.names]
    is_collective, is_step = np.array(collective, dtype=bool), np.array(step, dtype=bool)
    name = trace.host.name
    own = (trace.host.source != Source.ANNOTATION) & ~is_step[name]
    flags: NDArray[np.bool_] = own | is_collective[name]
    return flags


def _host_order(host: HostRows, handovers: Handovers, collectives: HostCollectives) -> EdgeBlock:
    """Each thread's rows in order; the time between them is host work unless a wait explains it."""
    follows = np.flatnonzero(host.thread[1:] == host.thread[:-1]) + 1
    lag = np.maximum(host.begin_ns[follows] - host.end_ns[follows - 1], 0)
    explained = np.zeros(len(host), dtype=bool)
    explained[handovers.explained] = True
    explained[collectives.explained] = True
    lag[explained[follows]] = 0
    return edge_block(EdgeKind.HOST_ORDER, follows - 1, follows, lag)


def _without_targets(block: EdgeBlock, rows: Int64s) -> EdgeBlock:
    """Drop edges into rows whose wait is known by structure: times may tell another story."""
    keep = ~np.isin(block.target, rows)
    return EdgeBlock(block.kind, block.source[keep], block.target[keep], block.lag_ns[keep])


def _late_first_launches(
    trace: KinetoTrace, rows: DeviceRows, host: HostRows, waits: StreamWaits
) -> Int64s:
    """Streams whose first launched event starts so late that unseen work must stand before it.

    Unless it waits for work on another stream, which may well take so long.
    """
    first = np.flatnonzero((rows.previous < 0) & (rows.call_row >= 0))
    late = trace.device.start_ns[first] - host.end_ns[rows.call_row[first]] > BACKLOG_ANCHOR_NS
    waiting = [target for _, target, _ in waits.found]
    return first[late & ~np.isin(first, waiting)]


def _meta(trace: KinetoTrace, joined: Joined | None) -> GraphMeta:
    properties = {
        "schema": joined.et.schema if joined else "",
        "pid": str(joined.et.pid) if joined else "",
        "host_name": trace.host_name,
        "backend": trace.backend,
        "runtime": "hip" if trace.is_hip else "cuda" if len(trace.device) else "",
    }
    return GraphMeta(
        rank=max(0, trace.rank),
        world_size=trace.world_size,
        clock_base_ns=trace.clock_base_ns,
        source_device=trace.device_name,
        device_memory_bytes=trace.device_memory_bytes,
        properties=tuple((key, value) for key, value in properties.items() if value),
    )


def _notes(reasons: Reasons, assembled: Assembled, trace: KinetoTrace) -> list[str]:
    """Say in sentences what was inferred, guessed, missing or dropped."""
    syncs, waits = reasons.syncs, reasons.waits
    counted = [
        (
            int((reasons.rows.call_row < 0).sum()),
            "device events have no launch in the file (backlog)",
        ),
        (len(syncs.unseen), "waits were for work outside the window (external)"),
        (len(reasons.late), "streams begin late, behind work outside the window (external)"),
        (syncs.count(Certainty.GUESSED), "waits have a guessed target"),
        (waits.count(Certainty.GUESSED), "stream waits have a guessed target"),
        (waits.without_target, "stream waits have no target"),
        (reasons.host_collectives.without_issuer, "host collectives have no issuing operator"),
        (reasons.host_collectives.without_waiter, "host collectives have nobody waiting for them"),
        (assembled.dropped_edges, "edges contradict the issue order and were dropped"),
        (trace.skipped_events, "events have no time and were skipped"),
    ]
    notes = [*trace.notes, *(f"{count:,} {what}" for count, what in counted if count)]
    idle = assembled.unexplained_device_ns
    if idle > LONGEST_LATENCY_NS:
        notes.append(f"{idle / 1e6:.2f} ms of device waiting is explained by no edge")
    return notes


def _clamp_note(clamped: int) -> list[str]:
    return [f"{clamped:,} events end after the event that encloses them"] if clamped else []
