"""The requests of a run while it runs: plain lists, one entry a request."""

from ...models.serving.workload import Workload
from .lines import TICKS_PER_NS

NEVER = -1


class Ledger:
    """What is known of each request so far; times in ticks.

    Attributes:
        todo: prompt tokens still to compute before the next token comes.
        generated: tokens given out.
        private: KV blocks held on the engine that has it.
        shared: prefix blocks it uses there.
    """

    __slots__ = (
        "arrival", "finish", "first", "generated", "kv_ready", "output", "preemptions", "prefix",
        "prefix_block_tokens", "prefix_tokens", "private", "prompt", "replica", "shared", "start",
        "todo",
    )  # fmt: skip

    def __init__(self, workload: Workload) -> None:
        count = len(workload)
        self.arrival: list[int] = [t * TICKS_PER_NS for t in workload.arrival_ns.tolist()]
        self.prompt: list[int] = workload.prompt_tokens.tolist()
        self.output: list[int] = workload.output_tokens.tolist()
        self.todo = list(self.prompt)
        self.generated = [0] * count
        self.private = [0] * count
        self.shared: list[list[int]] = [[]] * count
        self.prefix = workload.prefix_blocks
        self.prefix_block_tokens = workload.prefix_block_tokens
        self.prefix_tokens = [0] * count
        self.start = [NEVER] * count
        self.first = [NEVER] * count
        self.kv_ready = [NEVER] * count
        self.finish = [NEVER] * count
        self.preemptions = [0] * count
        self.replica = [NEVER] * count

    def __len__(self) -> int:
        return len(self.arrival)

    def stored(self, request: int) -> int:
        """Give the tokens whose KV stands once its prompt (or what was lost) is computed.

        The newest token's own KV is only stored by the step that reads it.
        """
        return self.prompt[request] + max(self.generated[request] - 1, 0)
