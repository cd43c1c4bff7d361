"""Who gets KV blocks on an engine: reserving, using cached prefixes, giving back."""

from .kv_blocks import KvBlocks
from .ledger import Ledger
from .settings import EngineSettings


class Admission:
    """The blocks of one engine and the requests that hold them."""

    __slots__ = ("_caches", "_ledger", "blocks")

    def __init__(self, settings: EngineSettings, ledger: Ledger) -> None:
        self.blocks = KvBlocks(
            settings.kv_tokens // settings.block_tokens,
            settings.block_tokens,
            ledger.prefix_block_tokens,
        )
        self._ledger = ledger
        self._caches = settings.prefix_cache and bool(ledger.prefix)

    def admit(self, request: int) -> bool:
        """Reserve the blocks of everything the request has so far; False where they lack."""
        ledger, blocks = self._ledger, self.blocks
        # A prompt, or all that a preemption lost; else KV that came from elsewhere.
        stored = ledger.todo[request] or ledger.stored(request)
        need = blocks.blocks_for(stored)
        if self._caches:
            return self._admit_behind_prefix(request, stored, need)
        if need > blocks.available:
            return False
        blocks.take(need)
        ledger.private[request] = need
        return True

    def _admit_behind_prefix(self, request: int, stored: int, need: int) -> bool:
        ledger, blocks = self._ledger, self.blocks
        prefix = ledger.prefix[request]
        tokens = blocks.group_blocks * blocks.block_tokens
        # At least one token must be computed, or there would be no first token.
        hits = min(blocks.matching(prefix), (stored - 1) // tokens)
        idle = sum(1 for block in prefix[:hits] if block in blocks.kept)
        private = need - hits * blocks.group_blocks
        if private > blocks.available - idle * blocks.group_blocks:
            return False
        ledger.shared[request] = list(prefix[:hits])
        blocks.share(prefix[:hits])
        blocks.take(private)
        ledger.private[request] = private
        if ledger.todo[request]:
            ledger.todo[request] -= hits * tokens
            if ledger.generated[request] == 0:
                ledger.prefix_tokens[request] = hits * tokens
        return True

    def publish(self, request: int) -> None:
        """Let later requests use the prompt's whole prefix blocks."""
        if not self._caches:
            return
        ledger, blocks = self._ledger, self.blocks
        tokens = blocks.group_blocks * blocks.block_tokens
        whole = ledger.prompt[request] // tokens
        fresh = blocks.publish(ledger.prefix[request][len(ledger.shared[request]) : whole])
        ledger.shared[request] = ledger.shared[request] + fresh
        ledger.private[request] -= len(fresh) * blocks.group_blocks

    def release(self, request: int, stored: int = 0) -> None:
        """Give a request's blocks back; one that decoded has grown to `stored` tokens."""
        ledger, blocks = self._ledger, self.blocks
        private = ledger.private[request]
        if stored:
            shared = len(ledger.shared[request]) * blocks.group_blocks
            private = blocks.blocks_for(stored) - shared
        blocks.give(private)
        ledger.private[request] = 0
        if ledger.shared[request]:
            blocks.unshare(ledger.shared[request])
            ledger.shared[request] = []
