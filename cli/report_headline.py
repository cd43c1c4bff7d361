"""The sentences that a report begins with."""

from ..simulator.whatif import WhatIf
from .headline import headline as told
from .output import ms
from .report_content import Answer


def headline(answer: Answer) -> str:
    """Say how long the run takes on a machine, and how sure that is."""
    return told(answer.summary, self_check=answer.self_check)


def whatif_line(answer: WhatIf) -> str:
    """Say what all changes together bring."""
    first, last = answer.stages[0], answer.stages[-1]
    change = last.predicted_ns / first.predicted_ns - 1 if first.predicted_ns else 0.0
    low, high = last.interval_ns
    return (
        f"With all changes asked for, {ms(last.predicted_ns)} ms on {answer.target} "
        f"({100 * change:+.1f} %); 90 % of the doubt lies between {ms(low)} and {ms(high)} ms."
    )
