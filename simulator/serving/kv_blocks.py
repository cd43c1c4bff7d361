"""The KV cache of one engine in blocks, and the prefixes it keeps for later requests.

    total = free + private to a request + shared (in use) + kept (unused prefixes, oldest first)

Kept prefixes cost nothing: they are given up, oldest first, when somebody needs the room.
"""

from collections import OrderedDict
from collections.abc import Sequence


class KvBlocks:
    """Counts blocks; which physical block is whose does not matter for time."""

    __slots__ = ("block_tokens", "free", "group_blocks", "kept", "least_free", "shared", "total")

    def __init__(self, total: int, block_tokens: int, prefix_block_tokens: int) -> None:
        self.total = total
        self.block_tokens = block_tokens
        self.free = total
        self.least_free = total
        self.group_blocks = max(1, prefix_block_tokens // block_tokens)
        self.shared: dict[int, int] = {}  # prefix block -> requests that use it
        self.kept: OrderedDict[int, None] = OrderedDict()

    @property
    def available(self) -> int:
        """Give how many blocks could be had."""
        return self.free + len(self.kept) * self.group_blocks

    def blocks_for(self, tokens: int) -> int:
        """Give how many blocks hold so many tokens."""
        return -(-tokens // self.block_tokens)

    def take(self, blocks: int) -> None:
        """Take blocks, giving up kept prefixes where needed; the caller has asked `available`."""
        while self.free < blocks:
            self.kept.popitem(last=False)
            self.free += self.group_blocks
        self.free -= blocks
        if self.free < self.least_free:  # noqa: PLR1730  # min() costs more than the rest here
            self.least_free = self.free

    def give(self, blocks: int) -> None:
        """Give private blocks back."""
        self.free += blocks

    def matching(self, prefix: Sequence[int]) -> int:
        """Give how many leading prefix blocks stand in the cache."""
        hits = 0
        for block in prefix:
            if block not in self.shared and block not in self.kept:
                break
            hits += 1
        return hits

    def share(self, prefix: Sequence[int]) -> None:
        """Begin to use prefix blocks that stand in the cache."""
        for block in prefix:
            self.kept.pop(block, None)
            self.shared[block] = self.shared.get(block, 0) + 1

    def publish(self, prefix: Sequence[int]) -> list[int]:
        """Turn a request's freshly computed blocks into shared ones; give those that were new.

        A block that another request published meanwhile stays private.
        """
        fresh = [b for b in prefix if b not in self.shared and b not in self.kept]
        for block in fresh:
            self.shared[block] = 1
        return fresh

    def unshare(self, prefix: Sequence[int]) -> None:
        """Stop using shared blocks; those nobody uses any more are kept for later."""
        for block in prefix:
            users = self.shared[block] - 1
            if users:
                self.shared[block] = users
            else:
                del self.shared[block]
                self.kept[block] = None
