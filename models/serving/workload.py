"""Requests to serve: when each arrives, how long its prompt and its answer are.

A log is columns; times are ns from its first request. It may be scaled in rate (the same requests,
closer together), cut and repeated.
"""

from dataclasses import dataclass, replace

import numpy as np

from ..errors import InputError
from ..graph import Int64s


@dataclass(frozen=True, slots=True, eq=False)
class Workload:
    """Requests in order of arrival; all columns of shape (requests,).

    Attributes:
        arrival_ns: from the first request; never falls.
        prompt_tokens, output_tokens: at least 1 each.
        prefix_blocks: for each request the ids of its prompt's blocks of `prefix_block_tokens`
            tokens, equal ids meaning equal content up to there; empty where unknown.
        dropped: rows of the source left out, with no tokens on one side.
    """

    arrival_ns: Int64s
    prompt_tokens: Int64s
    output_tokens: Int64s
    prefix_blocks: tuple[tuple[int, ...], ...] = ()
    prefix_block_tokens: int = 512
    dropped: int = 0
    origin: str = ""

    def __len__(self) -> int:
        return len(self.arrival_ns)

    @property
    def span_s(self) -> float:
        """Give the time from first to last arrival, seconds."""
        return float(self.arrival_ns[-1] - self.arrival_ns[0]) / 1e9 if len(self) else 0.0

    @property
    def rate(self) -> float:
        """Give mean arrivals a second (n - 1 gaps over the span), 0 for fewer than two."""
        return (len(self) - 1) / self.span_s if self.span_s > 0 else 0.0

    @property
    def mean_prompt(self) -> float:
        """Give the mean prompt length."""
        return float(np.mean(self.prompt_tokens))

    @property
    def mean_output(self) -> float:
        """Give the mean answer length."""
        return float(np.mean(self.output_tokens))

    def scaled(self, factor: float) -> "Workload":
        """Give the same requests arriving `factor` times as fast."""
        arrival = np.rint(self.arrival_ns / factor).astype(np.int64)
        return replace(self, arrival_ns=arrival)

    def first(self, count: int) -> "Workload":
        """Give the first requests only."""
        return replace(
            self,
            arrival_ns=self.arrival_ns[:count],
            prompt_tokens=self.prompt_tokens[:count],
            output_tokens=self.output_tokens[:count],
            prefix_blocks=self.prefix_blocks[:count],
        )

    def checked(self, where: str = "") -> "Workload":
        """Give itself after a look at its rules.

        Raises:
            InputError: there is no request, times fall, or a length is below 1.
        """
        if not len(self):
            raise InputError("no requests with tokens on both sides", where=where)
        if np.any(np.diff(self.arrival_ns) < 0):
            raise InputError("arrival times fall", where=where, remedy="sort the log by time")
        if min(int(self.prompt_tokens.min()), int(self.output_tokens.min())) < 1:
            raise InputError("a request without prompt or answer", where=where)
        return self


def squared_variation(values: Int64s) -> float:
    """Give CV², variance over squared mean."""
    mean = float(np.mean(values))
    return float(np.var(values)) / mean**2 if mean else 0.0
