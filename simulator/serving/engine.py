"""One engine: continuous batching over paged KV, its next step and what the step brings.

    waiting --admit (blocks!)--> prompt chunks --last chunk--> running --last token--> done
       ^                                                          |
       +------------- preempted: blocks lost, computed again -----+

Decode steps between which nothing can change are planned as one run; an arrival cuts the run at
its next boundary, so the outcome is that of single steps, to the tick.
"""

from collections import deque

from ...models.serving.outcome import EngineSlice, EngineUse, SliceKind
from ...models.serving.step_time import StepWork
from .admission import Admission
from .batch import Batch
from .ledger import NEVER, Ledger
from .lines import TICKS_PER_NS, DecodeLines, Line
from .settings import Policy, Pool, Role

_NO_LINE = Line(1, 0, 0)


class Engine:
    """A replica. `plan` chooses the next step and gives its end; `finish` takes its effects.

    Attributes:
        chunks: (request, prompt tokens) of the step that runs.
        run_steps: decode steps of the run that runs.
        handed_over: prompts of the last `finish` whose KV must move on; the cluster empties it.
    """

    __slots__ = (
        "admission", "batch", "batch_ticks", "busy", "chunks", "cut", "decodes_beside", "epoch",
        "events", "handed_over", "index", "kind", "ledger", "line", "lines", "pool",
        "prefill_busy", "run_steps", "settings", "slices", "started", "step_end", "waiting", "work",
    )  # fmt: skip

    def __init__(
        self, index: int, pool: Pool, lines: DecodeLines, ledger: Ledger, *, record: bool = False
    ) -> None:
        self.index = index
        self.pool = pool
        self.settings = pool.engine
        self.lines = lines
        self.ledger = ledger
        self.admission = Admission(pool.engine, ledger)
        self.batch = Batch(pool.engine.block_tokens)
        self.decodes_beside = pool.engine.policy is Policy.DECODE_FIRST
        self.waiting: deque[int] = deque()
        self.chunks: list[tuple[int, int]] = []
        self.kind: SliceKind | None = None  # what runs now, None: idle
        self.line = _NO_LINE
        self.run_steps = 1
        self.work = StepWork()
        self.started = self.step_end = self.epoch = 0
        self.cut = False  # the run ends at the next boundary already
        self.slices: list[EngineSlice] | None = [] if record else None
        self.handed_over: list[int] = []
        self.busy = self.prefill_busy = self.batch_ticks = self.events = 0

    @property
    def load_requests(self) -> int:
        """Give how many requests it has."""
        return len(self.waiting) + len(self.batch.ends) + len(self.chunks)

    def cut_run(self, now: int) -> bool:
        """End the decode run at its next boundary, for a request came; tell whether it changed.

        It does not where the step is another kind or the new request must wait behind others.
        """
        if self.kind is not SliceKind.DECODE or self.run_steps == 1 or self.cut:
            return False
        if len(self.waiting) > 1:  # the head could not be admitted before: only an end helps
            return False
        self.cut = True
        size, kv = len(self.batch.ends), self.batch.kv
        self.run_steps = self.line.steps_until(now - self.started, kv, size)
        self.step_end = self.started + self.line.after(self.run_steps, kv, size)
        return True

    # ---- choose a step ------------------------------------------------------------------

    def plan(self, now: int, *, take_runs: bool = True) -> bool:
        """Choose the next step; `step_end` has its end. False where there is nothing to do."""
        self.started = now
        self.cut = False
        if self.waiting:
            self._pick_prompts(now)
        if not self.chunks and self.batch.ends:
            # Who just lost its blocks may fit again after one step (its prefix may stand cached).
            alone = self._make_room()
            if self.batch.ends:
                self._plan_decode(take_runs=take_runs and not alone)
                return True
            self._pick_prompts(now)  # all were preempted: they are the queue's head now
        if self.chunks:
            self._plan_prompts()
            return True
        return False

    def _pick_prompts(self, now: int) -> None:
        """Admit from the head of the queue what blocks, sequences and tokens allow."""
        s, ledger, waiting, chunks = self.settings, self.ledger, self.waiting, self.chunks
        whole = s.step_tokens - (len(self.batch.ends) if self.decodes_beside else 0)
        budget = whole
        while waiting and budget > 0 and len(self.batch.ends) + len(chunks) < s.max_sequences:
            request = waiting[0]
            if not s.chunked and ledger.todo[request] > budget and budget < whole:
                break
            if not ledger.private[request] and not self.admission.admit(request):
                break
            if ledger.start[request] == NEVER:
                ledger.start[request] = now
            todo = ledger.todo[request]
            if todo == 0:  # its KV came from a prefill engine
                self._join(waiting.popleft())
                continue
            take = min(todo, budget) if s.chunked else todo
            chunks.append((request, take))
            budget -= take
            if take < todo:
                break
            waiting.popleft()
            if len(chunks) == s.max_prompts:
                break

    def _plan_prompts(self) -> None:
        if self.decodes_beside and self.batch.ends:
            self._make_room()
        batch = len(self.batch.ends) if self.decodes_beside else 0
        ledger = self.ledger
        tokens = prompts = before = 0
        pairs = 0.0
        for request, take in self.chunks:
            todo = ledger.todo[request]
            done = ledger.prompt[request] + ledger.generated[request] - todo
            tokens += take
            before += done
            pairs += take * (done + take / 2)
            prompts += take == todo
        kv = self.batch.kv if batch else 0
        self.work = StepWork(tokens, pairs, before, prompts, batch, kv)
        self.kind = SliceKind.MIXED if batch else SliceKind.PREFILL
        duration = round(self.settings.cost.step_ns(self.work) * TICKS_PER_NS)
        self.step_end = self.started + max(1, duration)

    def _plan_decode(self, *, take_runs: bool) -> None:
        batch = self.batch
        size, kv = len(batch.ends), batch.kv
        steps = 1
        if take_runs:
            steps = batch.next_end() - batch.steps
            blocks = self.admission.blocks
            if blocks.free < (steps // batch.block_tokens + 1) * size:
                steps = min(steps, batch.steps_within(blocks.available))
        line = self.line = self.lines.line(size, kv)
        within = (line.high - 1 - kv) // size + 1
        self.run_steps = steps if steps < within else within
        self.kind = SliceKind.DECODE
        self.step_end = self.started + line.after(self.run_steps, kv, size)

    # ---- the running batch --------------------------------------------------------------

    def _make_room(self) -> bool:
        """Preempt, last come first, until the next decode step has its blocks; tell if any was."""
        batch, ledger = self.batch, self.ledger
        if batch.next_blocks() <= self.admission.blocks.free:  # nearly always
            return False
        before = len(batch.ends)
        while batch.ends and batch.next_blocks() > self.admission.blocks.available:
            request = batch.youngest()
            ledger.generated[request] = ledger.output[request] - batch.left(request)
            self._leave(request)
            ledger.preemptions[request] += 1
            ledger.todo[request] = ledger.prompt[request] + ledger.generated[request]
            # Behind a half-computed prompt, which holds blocks and must get on.
            half = bool(self.waiting) and ledger.private[self.waiting[0]] > 0
            self.waiting.insert(int(half), request)
            self.events += 1
        return len(batch.ends) < before

    def _join(self, request: int) -> None:
        ledger = self.ledger
        left = ledger.output[request] - ledger.generated[request]
        self.batch.join(request, ledger.stored(request), left)

    def _leave(self, request: int) -> None:
        """Take a request out of the batch and give back its blocks, those it grew by included."""
        ledger = self.ledger
        generated = ledger.output[request] - self.batch.left(request)
        stored = ledger.prompt[request] + generated - 1
        self.batch.leave(request, stored)
        self.admission.release(request, stored)

    def _grow(self, steps: int) -> None:
        need = self.batch.new_blocks(steps)
        if need:
            self.admission.blocks.take(need)
        self.batch.advance(steps)

    # ---- a step ends --------------------------------------------------------------------

    def finish(self, now: int) -> None:
        """Take the effects of the step that ends now."""
        kind, duration = self.kind, now - self.started
        self.busy += duration
        if self.slices is not None:
            self._remember(now)
        if kind is SliceKind.DECODE:
            self.events += self.run_steps
        else:
            self.events += 1
            self.prefill_busy += duration
        if kind is not SliceKind.PREFILL:
            self.batch_ticks += len(self.batch.ends) * duration
            self._grow(self.run_steps if kind is SliceKind.DECODE else 1)
            for request in self.batch.ended():
                self._leave(request)
                self._done(request, now)
        if self.chunks:
            self._end_prompts(now)
        self.kind = None

    def _end_prompts(self, now: int) -> None:
        ledger = self.ledger
        chunks, self.chunks = self.chunks, []
        for request, take in chunks:
            ledger.todo[request] -= take
            if ledger.todo[request]:
                continue
            self.admission.publish(request)
            ledger.generated[request] += 1
            if ledger.first[request] == NEVER:
                ledger.first[request] = ledger.kv_ready[request] = now
            if ledger.generated[request] == ledger.output[request]:
                self.admission.release(request)
                self._done(request, now)
            elif self.pool.role is Role.PREFILL:
                self.handed_over.append(request)
            else:
                self._join(request)

    def _done(self, request: int, now: int) -> None:
        self.ledger.finish[request] = now
        self.ledger.replica[request] = self.index
        self.events += 1

    # ---- what is told of it -------------------------------------------------------------

    def _remember(self, now: int) -> None:
        assert self.kind is not None
        assert self.slices is not None
        decode = self.kind is SliceKind.DECODE
        self.slices.append(
            EngineSlice(
                engine=self.index,
                kind=self.kind,
                start_ns=self.started // TICKS_PER_NS,
                end_ns=now // TICKS_PER_NS,
                steps=self.run_steps if decode else 1,
                prefill_tokens=0 if decode else int(self.work.prefill_tokens),
                batch=0 if self.kind is SliceKind.PREFILL else len(self.batch.ends),
                kv_tokens=self.batch.kv,
                waiting=len(self.waiting),
            )
        )

    def use(self, name: str) -> EngineUse:
        """Give how it spent the run."""
        decoding = self.busy - (self.prefill_busy if not self.decodes_beside else 0)
        blocks = self.admission.blocks
        return EngineUse(
            name=name,
            devices=self.pool.devices,
            busy_ns=self.busy // TICKS_PER_NS,
            prefill_ns=self.prefill_busy // TICKS_PER_NS,
            steps=self.batch.steps,
            mean_batch=self.batch_ticks / decoding if decoding else 0.0,
            peak_kv_share=1 - blocks.least_free / blocks.total if blocks.total else 0.0,
        )
