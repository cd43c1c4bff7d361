"""The event loop of a serving cluster: arrivals, engine steps, KV transfers.

One heap of (time, priority, serial, kind, subject, epoch); the serial makes equal times
deterministic, an epoch older than its engine's or link's says that the plan changed meanwhile.
"""

from enum import IntEnum
from heapq import heappop, heappush
from itertools import count

import numpy as np

from ...models.errors import AnalysisError
from ...models.graph import Int64s
from ...models.serving.kv_transfer import TransferMode
from ...models.serving.outcome import ClusterRun, RequestTimes
from ...models.serving.step_cost import StepCost
from ...models.serving.workload import Workload
from .engine import Engine
from .ledger import NEVER, Ledger
from .lines import TICKS_PER_NS, DecodeLines
from .link import SharedLink
from .router import router
from .settings import Cluster, Role


class Event(IntEnum):
    """What happens, in the order of its priority at equal times."""

    FLOW_START = 0  # a KV transfer begins
    FLOW_END = 1
    KV_READY = 2  # a request's KV stands at the decode side
    STEP_END = 3
    WAKE = 4  # an idle engine looks at its queue, after all that happens at the same time


def simulate(cluster: Cluster, workload: Workload) -> ClusterRun:
    """Run the requests through the cluster until all are served.

    Raises:
        AnalysisError: no pool can begin or none can finish a request.
    """
    return _Run(cluster, workload).run()


class _Run:
    """The state of one simulation."""

    def __init__(self, cluster: Cluster, workload: Workload) -> None:
        self.cluster = cluster
        self.workload = workload
        self.ledger = Ledger(workload)
        self.engines = _engines(cluster, self.ledger)
        begin = [e for e in self.engines if e.pool.role is not Role.DECODE]
        decode = [e for e in self.engines if e.pool.role is Role.DECODE]
        if not begin or (not decode and any(e.pool.role is Role.PREFILL for e in begin)):
            raise AnalysisError("the cluster has no engine that can serve a request to its end")
        self.route = router(cluster.routing, begin, self.ledger)
        self.route_decode = router(cluster.routing, decode or begin, self.ledger)
        self.least_room = min(e.admission.blocks.total for e in self.engines)
        self.link = SharedLink(cluster.link) if cluster.link else None
        self.take_runs = cluster.take_runs
        self.layered = cluster.link is not None and cluster.link.mode is TransferMode.LAYERED
        self.early: dict[int, int] = {}  # request -> end of its layered transfer, -1 under way
        self.source: dict[int, Engine] = {}  # request -> the engine that computed its prompt
        self.heap: list[tuple[int, int, int, Event, int, int]] = []
        self.serial = count()
        self.now = 0
        self.events = self.turns = self.rejected = 0

    # ---- the loop -----------------------------------------------------------------------

    def run(self) -> ClusterRun:
        heap, arrivals = self.heap, self.ledger.arrival
        request, total = 0, len(self.ledger)
        while heap or request < total:
            self.turns += 1
            if request < total and (not heap or arrivals[request] <= heap[0][0]):
                self.now = arrivals[request]
                self._arrive(request)
                request += 1
                continue
            self.now, _priority, _serial, kind, subject, epoch = heappop(heap)
            if kind is Event.STEP_END:
                engine = self.engines[subject]
                if epoch == engine.epoch:
                    self._end_step(engine)
            else:
                self._other(kind, subject, epoch)
        return self._outcome()

    def _push(self, time: int, kind: Event, subject: int, epoch: int = 0) -> None:
        heappush(self.heap, (time, kind, next(self.serial), kind, subject, epoch))

    def _other(self, kind: Event, subject: int, epoch: int) -> None:
        if kind is Event.WAKE:
            engine = self.engines[subject]
            if engine.kind is None and epoch == engine.epoch:
                self._plan(engine)
        elif kind is Event.FLOW_START:
            self._start_flow(subject)
        elif kind is Event.KV_READY:
            self._kv_ready(subject)
        elif self.link is not None and epoch == self.link.epoch:
            self._end_flow(self.link.take_ended(self.now))

    # ---- engines ------------------------------------------------------------------------

    def _arrive(self, request: int) -> None:
        self.events += 1
        ledger = self.ledger
        most = ledger.prompt[request] + ledger.output[request]
        engine = self.route(request)
        if engine.admission.blocks.blocks_for(most) > self.least_room:
            self.rejected += 1
            return
        self._give(engine, request)

    def _give(self, engine: Engine, request: int) -> None:
        engine.waiting.append(request)
        if engine.kind is None:
            self._push(self.now, Event.WAKE, engine.index, engine.epoch)
        elif engine.cut_run(self.now):
            engine.epoch += 1
            self._push(engine.step_end, Event.STEP_END, engine.index, engine.epoch)

    def _plan(self, engine: Engine) -> None:
        if engine.plan(self.now, take_runs=self.take_runs):
            engine.epoch += 1
            self._push(engine.step_end, Event.STEP_END, engine.index, engine.epoch)
            if self.layered and engine.pool.role is Role.PREFILL:
                self._announce_flows(engine)

    def _end_step(self, engine: Engine) -> None:
        engine.finish(self.now)
        if engine.handed_over:
            for request in engine.handed_over:
                self._hand_over(engine, request)
            engine.handed_over.clear()
        self._plan(engine)

    # ---- KV on its way ------------------------------------------------------------------

    def _announce_flows(self, engine: Engine) -> None:
        """Layer by layer: a prompt's KV leaves once the first layer of its last step is done."""
        link, ledger = self.cluster.link, self.ledger
        assert link is not None
        first_layer = (engine.step_end - engine.started) // link.layers
        for request, take in engine.chunks:
            last = ledger.generated[request] + 1 == ledger.output[request]
            if take == ledger.todo[request] and not last:
                self.early[request] = NEVER
                self._push(engine.started + first_layer, Event.FLOW_START, request)

    def _hand_over(self, engine: Engine, request: int) -> None:
        self.source[request] = engine
        if self.link is None:
            self._kv_ready(request)
        elif not self.layered:
            self._start_flow(request)
        elif self.early[request] != NEVER:
            self._last_layer(request)

    def _start_flow(self, request: int) -> None:
        link = self.link
        assert link is not None
        link.start(self.now, request, self._kv_bytes(request))
        self._push(link.next_end(), Event.FLOW_END, 0, link.epoch)

    def _end_flow(self, request: int) -> None:
        link = self.link
        assert link is not None
        self.events += 1
        if (following := link.next_end()) != -1:
            self._push(following, Event.FLOW_END, 0, link.epoch)
        if not self.layered:
            self._arrive_at_decode(request, self.now)
            return
        self.early[request] = self.now
        if request in self.source:
            self._last_layer(request)

    def _last_layer(self, request: int) -> None:
        """The last layer's KV exists only at the prefill's end and then still has to cross."""
        link = self.cluster.link
        assert link is not None
        crossing = self._kv_bytes(request) / link.layers / link.flow_bytes_per_s
        crossed = self.ledger.first[request] + round(crossing * 1e9 * TICKS_PER_NS)
        self._arrive_at_decode(request, max(self.early.pop(request), crossed))

    def _kv_bytes(self, request: int) -> float:
        link = self.cluster.link
        assert link is not None
        return link.kv_bytes_per_token * self.ledger.stored(request)

    def _arrive_at_decode(self, request: int, time: int) -> None:
        assert self.cluster.link is not None
        time = max(time, self.now) + self.cluster.link.overhead_ns * TICKS_PER_NS
        self._push(time, Event.KV_READY, request)

    def _kv_ready(self, request: int) -> None:
        self.ledger.kv_ready[request] = self.now
        source = self.source.pop(request)
        source.admission.release(request)
        if source.kind is None and source.waiting:
            self._push(self.now, Event.WAKE, source.index, source.epoch)
        self._give(self.route_decode(request), request)

    # ---- the outcome --------------------------------------------------------------------

    def _outcome(self) -> ClusterRun:
        numbers = _numbers(self.engines)
        names = [f"{e.pool.name} {i}" for e, i in zip(self.engines, numbers, strict=True)]
        slices = sorted(
            (s for e in self.engines for s in e.slices or ()), key=lambda s: (s.start_ns, s.engine)
        )
        notes = []
        if self.rejected:
            notes.append(f"{self.rejected} requests are longer than the KV cache: not served")
        return ClusterRun(
            times=_times(self.workload, self.ledger),
            engines=tuple(e.use(name) for e, name in zip(self.engines, names, strict=True)),
            span_ns=max(self.now, 1) // TICKS_PER_NS,
            events=self.events + sum(e.events for e in self.engines),
            loop_events=self.turns,
            link_busy_ns=self.link.busy // TICKS_PER_NS if self.link else 0,
            rejected=self.rejected,
            slices=tuple(slices),
            notes=tuple(notes),
        )


def _engines(cluster: Cluster, ledger: Ledger) -> list[Engine]:
    lines: dict[int, DecodeLines] = {}  # one table for each cost, however many replicas share it
    engines: list[Engine] = []
    for pool in cluster.pools:
        cost: StepCost = pool.engine.cost
        table = lines.setdefault(id(cost), DecodeLines(cost))
        engines += [
            Engine(len(engines) + i, pool, table, ledger, record=cluster.record)
            for i in range(pool.replicas)
        ]
    return engines


def _numbers(engines: list[Engine]) -> list[int]:
    seen: dict[str, int] = {}
    numbers = []
    for engine in engines:
        numbers.append(seen.get(engine.pool.name, 0))
        seen[engine.pool.name] = numbers[-1] + 1
    return numbers


def _times(workload: Workload, ledger: Ledger) -> RequestTimes:
    def ns(ticks: list[int]) -> Int64s:
        return np.array([t if t == NEVER else t // TICKS_PER_NS for t in ticks], dtype=np.int64)

    return RequestTimes(
        arrival_ns=workload.arrival_ns,
        prompt_tokens=workload.prompt_tokens,
        output_tokens=workload.output_tokens,
        start_ns=ns(ledger.start),
        first_token_ns=ns(ledger.first),
        kv_ready_ns=ns(ledger.kv_ready),
        finish_ns=ns(ledger.finish),
        preemptions=np.array(ledger.preemptions, dtype=np.int64),
        prefix_tokens=np.array(ledger.prefix_tokens, dtype=np.int64),
        replica=np.array(ledger.replica, dtype=np.int64),
    )
