"""The sentence that a prediction begins with, wherever it is told."""

from collections.abc import Sequence

from ..simulator.scaling import Scale
from ..simulator.summary import Summary
from .output import ms


def headline(summary: Summary, scales: Sequence[Scale] = (), *, self_check: bool) -> str:
    """Say how long the run takes on the target, how long it took, and how sure that is."""
    changed = f" with {', '.join(str(s) for s in scales)}" if scales else ""
    if not summary.measured_ns:
        return f"Predicted {ms(summary.predicted_ns)} ms on {summary.target}{changed}."
    ratio = summary.predicted_ns / summary.measured_ns
    if self_check and not scales:
        error = f"{100 * (ratio - 1):+.2f} %"
        return (
            f"Self-check on {summary.source}: replayed {ms(summary.predicted_ns)} ms, measured "
            f"{ms(summary.measured_ns)} ms ({error})."
        )
    low, high = summary.interval_ns
    return (
        f"Predicted {ms(summary.predicted_ns)} ms on {summary.target}{changed}; measured "
        f"{ms(summary.measured_ns)} ms on {summary.source} (x{ratio:.2f}). "
        f"90 % of the doubt lies between {ms(low)} and {ms(high)} ms."
    )
