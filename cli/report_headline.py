"""The sentences that a report begins with."""

from ..simulator.whatif import WhatIf
from .output import ms
from .report_content import Answer


def headline(answer: Answer) -> str:
    """Say how long the run takes on a machine, and how sure that is."""
    summary = answer.summary
    ratio = summary.predicted_ns / summary.measured_ns if summary.measured_ns else 0.0
    if answer.self_check:
        return (
            f"Self-check on {summary.source}: replayed {ms(summary.predicted_ns)} ms, measured "
            f"{ms(summary.measured_ns)} ms ({100 * (ratio - 1):+.2f} %)."
        )
    low, high = summary.interval_ns
    return (
        f"Predicted {ms(summary.predicted_ns)} ms on {summary.target}; measured "
        f"{ms(summary.measured_ns)} ms on {summary.source} (x{ratio:.2f}). "
        f"90 % of the doubt lies between {ms(low)} and {ms(high)} ms."
    )


def whatif_line(answer: WhatIf) -> str:
    """Say what all changes together bring."""
    first, last = answer.stages[0], answer.stages[-1]
    change = last.predicted_ns / first.predicted_ns - 1 if first.predicted_ns else 0.0
    low, high = last.interval_ns
    return (
        f"With all changes asked for, {ms(last.predicted_ns)} ms on {answer.target} "
        f"({100 * change:+.1f} %); 90 % of the doubt lies between {ms(low)} and {ms(high)} ms."
    )
