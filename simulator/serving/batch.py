"""The running batch of an engine, never walked: one counter, one heap, one count a remainder.

Every running request gets one token a decode step, so a counter of decode steps says all. A
request that joins at counter D with m tokens to come ends at D + m. It needs a new KV block
whenever its length passes a multiple of the block, which depends on (length - counter) alone:

    offsets[r] = running requests with (length - counter) mod block = r
    new blocks at counter D = offsets[-D mod block]
"""

from heapq import heappop, heappush


class Batch:
    """Who decodes, and what it costs in KV; lengths are told on joining and leaving."""

    __slots__ = ("block_tokens", "ends", "finishing", "kv", "offsets", "steps")

    def __init__(self, block_tokens: int) -> None:
        self.block_tokens = block_tokens
        self.ends: dict[int, int] = {}  # request -> counter at which it ends, in joining order
        self.finishing: list[tuple[int, int]] = []  # (counter, request); some have left meanwhile
        self.steps = 0  # the counter
        self.kv = 0  # KV tokens of all
        self.offsets = [0] * block_tokens

    def __len__(self) -> int:
        return len(self.ends)

    def join(self, request: int, length: int, left: int) -> None:
        """Let a request with `length` stored tokens decode for `left` steps."""
        end = self.steps + left
        self.ends[request] = end
        heappush(self.finishing, (end, request))
        self.kv += length
        self.offsets[(length - self.steps) % self.block_tokens] += 1

    def left(self, request: int) -> int:
        """Give how many tokens a request still wants."""
        return self.ends[request] - self.steps

    def leave(self, request: int, length: int) -> None:
        """Take a request of so many stored tokens out."""
        del self.ends[request]
        self.kv -= length
        self.offsets[(length - self.steps) % self.block_tokens] -= 1

    def youngest(self) -> int:
        """Give who joined last."""
        return next(reversed(self.ends))

    def next_end(self) -> int:
        """Give the counter of the next end."""
        heap, ends = self.finishing, self.ends
        while ends.get(heap[0][1]) != heap[0][0]:
            heappop(heap)
        return heap[0][0]

    def ended(self) -> list[int]:
        """Give who has all its tokens; they still count until they leave."""
        heap = self.finishing
        done: list[int] = []
        while heap and heap[0][0] <= self.steps:
            end, request = heappop(heap)
            # One that left and joined again may have the same end twice; equal entries follow
            # each other.
            if self.ends.get(request) == end and done[-1:] != [request]:
                done.append(request)
        return done

    def next_blocks(self) -> int:
        """Give how many blocks the next decode step needs."""
        return self.offsets[-self.steps % self.block_tokens]

    def new_blocks(self, steps: int) -> int:
        """Give how many blocks the next `steps` decode steps need."""
        offsets, size = self.offsets, self.block_tokens
        if steps == 1:
            return offsets[-self.steps % size]
        cycles, rest = divmod(steps, size)
        # The remainders come down from here, and around: two slices of the counts.
        last = -self.steps % size
        first = last - rest + 1
        if first >= 0:
            return cycles * len(self.ends) + sum(offsets[first : last + 1])
        around = sum(offsets[: last + 1]) + sum(offsets[first + size :])
        return cycles * len(self.ends) + around

    def steps_within(self, blocks: int) -> int:
        """Give how many decode steps so many blocks allow."""
        size, cycles = self.block_tokens, blocks // len(self.ends)
        steps, left = cycles * size, blocks - cycles * len(self.ends)
        for step in range(self.steps, self.steps + size):
            left -= self.offsets[-step % size]
            if left < 0:
                break
            steps += 1
        return steps

    def advance(self, steps: int) -> None:
        """Count so many decode steps."""
        self.kv += steps * len(self.ends)
        self.steps += steps
