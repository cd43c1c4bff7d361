"""The cost of decode steps in whole ticks, as straight lines in the KV length.

A tick is a femtosecond, an integer: the time of k equal steps is then the exact sum of k single
ones, so a run of steps may be taken at once without moving any event.

    duration(step) = base + slope * KV       for low <= KV < high, one batch size
    time of k steps from KV on, each adding b tokens
                   = k base + slope (k KV + b k (k-1) / 2)
"""

import math
from dataclasses import dataclass

from ...models.serving.step_cost import StepCost
from ...models.serving.step_time import StepWork

TICKS_PER_NS = 1_000_000
_SEGMENT_BITS = 3  # keeps the leading 3 bits of KV: four segments an octave


@dataclass(frozen=True, slots=True)
class Line:
    """Decode time of one batch size between two KV lengths, ticks."""

    base: int
    slope: int
    high: int

    def after(self, steps: int, kv: int, batch: int) -> int:
        """Give the time of so many steps that begin at `kv` and add `batch` tokens each."""
        return steps * self.base + self.slope * (steps * kv + batch * steps * (steps - 1) // 2)

    def steps_until(self, elapsed: int, kv: int, batch: int) -> int:
        """Give the least number of steps (at least 1) that take `elapsed` or longer."""
        first = self.base + self.slope * kv
        grow = self.slope * batch
        if grow == 0:
            return max(1, -(-elapsed // first))
        # Root of steps (first - grow / 2) + grow / 2 steps² = elapsed, then mend the rounding.
        half = first - grow / 2
        guess = (math.sqrt(half * half + 2.0 * grow * elapsed) - half) / grow
        steps = max(1, int(guess))
        while self.after(steps, kv, batch) < elapsed:
            steps += 1
        while steps > 1 and self.after(steps - 1, kv, batch) >= elapsed:
            steps -= 1
        return steps


class DecodeLines:
    """The lines of one cost, made when first asked for."""

    def __init__(self, cost: StepCost) -> None:
        self._cost = cost
        self._lines: dict[tuple[int, int], Line] = {}

    def line(self, batch: int, kv: int) -> Line:
        """Give the line that holds at this batch size and KV length."""
        shift = max(kv.bit_length() - _SEGMENT_BITS, 0)
        low = kv >> shift << shift
        found = self._lines.get((batch, low))
        if found is None:
            found = self._lines[batch, low] = self._chord(batch, low, low + (1 << shift))
        return found

    def _chord(self, batch: int, low: int, high: int) -> Line:
        at_low = self._cost.step_ns(StepWork(decode_batch=batch, kv_tokens=low)) * TICKS_PER_NS
        at_high = self._cost.step_ns(StepWork(decode_batch=batch, kv_tokens=high)) * TICKS_PER_NS
        slope = max(0, round((at_high - at_low) / (high - low)))
        return Line(max(1, round(at_low)) - slope * low, slope, high)
