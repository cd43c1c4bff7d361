"""The figures of one spec while it is read: checked values by dotted key, and their defaults."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from .hardware import DeviceKind
from .spec_defaults import Default, defaults_of
from .spec_keys import KEYS
from .units import Dimension, parse

FMA_OPERATIONS = 2  # a fused multiply-add counts as two operations


@dataclass(slots=True)
class Figures:
    """The checked values by dotted key, in base units."""

    numbers: dict[str, float] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    lists: dict[str, tuple[str, ...]] = field(default_factory=dict)
    calibration: Mapping[str, object] = field(default_factory=dict)

    def under(self, table: str) -> dict[str, float]:
        """Give the numbers of a table by their names in it."""
        start = f"{table}."
        return {
            key.removeprefix(start): value
            for key, value in self.numbers.items()
            if key.startswith(start)
        }


def fill(figures: Figures) -> dict[str, str]:
    """Fill what the file left out; give the reasons by key.

    Call only on figures without faults: the derived defaults divide by what is required.
    """
    reasons = _derive(figures)
    defaults = defaults_of(
        DeviceKind(figures.texts["kind"]),
        has_node_link="links.node.bandwidth" in figures.numbers,
    )
    for key, default in defaults.items():
        if key not in figures.numbers and key not in figures.texts:
            _put(figures, key, default)
            reasons[key] = f"default: {default.reason}"
    return reasons


def _put(figures: Figures, key: str, default: Default) -> None:
    """Enter a default as if the file had said it."""
    measure = KEYS[key]
    if isinstance(measure, Dimension):
        figures.numbers[key] = parse(default.value, measure)
    elif isinstance(default.value, str):
        figures.texts[key] = default.value
    else:
        figures.numbers[key] = float(default.value)


def _derive(figures: Figures) -> dict[str, str]:
    """Fill what follows from the figures given: rates of the units a device lacks, lanes."""
    numbers, reasons = figures.numbers, {}
    for dtype, rate in figures.under("vector").items():
        if f"peak.{dtype}" not in numbers:
            numbers[f"peak.{dtype}"] = rate
            reasons[f"peak.{dtype}"] = f"default: vector.{dtype}, no matrix unit is given"
    if "vector.fp32" not in numbers:
        numbers["vector.fp32"] = numbers["peak.fp32"]
        reasons["vector.fp32"] = "default: peak.fp32, no vector rate is given"
    if "fp32_lanes" not in numbers:
        per_cycle = numbers["vector.fp32"] / (numbers["cores"] * numbers["clock"])
        numbers["fp32_lanes"] = per_cycle / FMA_OPERATIONS
        reasons["fp32_lanes"] = "default: vector.fp32 / (2 x cores x clock)"
    return reasons
