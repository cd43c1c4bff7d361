"""One measured operator: what a table of measurements holds and a calibration learns from."""

from dataclasses import dataclass

from ..graph import Operator


@dataclass(frozen=True, slots=True)
class MeasuredKernel:
    """An operator with its shapes, and how long the device took for it."""

    operator: Operator
    duration_ns: float
    where: str = ""  # file and line, for messages


@dataclass(frozen=True, slots=True)
class MeasuredMessage:
    """A collective of so many bytes among so many ranks, and how long it took."""

    kind: str
    ranks: int
    message_bytes: int
    duration_ns: float
