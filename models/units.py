"""Read quantities as datasheets write them, "2039 GB/s", as checked floats in base units.

    "312 TFLOP/s"  ->  3.12e14 operations/s       "900 Gbit/s"  ->  1.125e11 bytes/s
     number prefix+unit                             b is a bit, B a byte: case matters

A quantity without a unit, or with a unit of another dimension, is refused: a spec that says
"2.0 TB" for a bandwidth is wrong in a way that no later check would find.
"""

import math
import re
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum


class UnitError(ValueError):
    """A text is not a quantity of the dimension asked for; the message is one clause."""


@dataclass(frozen=True, slots=True)
class _DimensionFacts:
    """How a dimension is told to people: 'is a size, expected bytes (e.g. '80 GB')'."""

    told: str
    base_unit: str
    example: str


class Dimension(Enum):
    """What a quantity measures; the values come out in the base unit."""

    OPERATION_RATE = _DimensionFacts("an operation rate", "operations/s", "312 TFLOP/s")
    OPERATIONS = _DimensionFacts("a number of operations", "operations", "24 GFLOP")
    BYTE_RATE = _DimensionFacts("a bandwidth", "bytes/s", "2039 GB/s")
    SIZE = _DimensionFacts("a size", "bytes", "80 GiB")
    FREQUENCY = _DimensionFacts("a frequency", "Hz", "1410 MHz")
    DURATION = _DimensionFacts("a duration", "seconds", "5 us")
    POWER = _DimensionFacts("a power", "watts", "400 W")
    LENGTH = _DimensionFacts("a length", "nanometres", "7 nm")
    PRICE = _DimensionFacts("a price per time", "USD/h", "2.5 USD/h")

    @property
    def told(self) -> str:
        """Name the dimension with its article."""
        return self.value.told

    @property
    def base_unit(self) -> str:
        """Name the unit that `parse` returns."""
        return self.value.base_unit

    @property
    def example(self) -> str:
        """Show one well-formed quantity."""
        return self.value.example


_LARGE = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
_BINARY = {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50}
_SMALL = {"": 1.0, "m": 1e-3, "u": 1e-6, "µ": 1e-6, "μ": 1e-6, "n": 1e-9}
_BIT = 1 / 8

# unit -> (dimension, value of one unit in the base unit, prefixes it takes)
_UNITS: dict[str, tuple[Dimension, float, dict[str, float]]] = {
    "FLOP": (Dimension.OPERATIONS, 1.0, _LARGE),
    "FLOPs": (Dimension.OPERATIONS, 1.0, _LARGE),
    "OP": (Dimension.OPERATIONS, 1.0, _LARGE),
    "FLOP/s": (Dimension.OPERATION_RATE, 1.0, _LARGE),
    "FLOPs/s": (Dimension.OPERATION_RATE, 1.0, _LARGE),
    "FLOPS": (Dimension.OPERATION_RATE, 1.0, _LARGE),
    "OP/s": (Dimension.OPERATION_RATE, 1.0, _LARGE),
    "OPS": (Dimension.OPERATION_RATE, 1.0, _LARGE),
    "B/s": (Dimension.BYTE_RATE, 1.0, _LARGE | _BINARY),
    "Bps": (Dimension.BYTE_RATE, 1.0, _LARGE),
    "bit/s": (Dimension.BYTE_RATE, _BIT, _LARGE),
    "b/s": (Dimension.BYTE_RATE, _BIT, _LARGE),
    "bps": (Dimension.BYTE_RATE, _BIT, _LARGE),
    "B": (Dimension.SIZE, 1.0, _LARGE | _BINARY),
    "bit": (Dimension.SIZE, _BIT, _LARGE),
    "Hz": (Dimension.FREQUENCY, 1.0, _LARGE),
    "s": (Dimension.DURATION, 1.0, _SMALL),
    "W": (Dimension.POWER, 1.0, _LARGE | {"m": 1e-3}),
    "nm": (Dimension.LENGTH, 1.0, {"": 1.0}),  # process nodes only
    "USD/h": (Dimension.PRICE, 1.0, {"": 1.0}),
    "USD/hour": (Dimension.PRICE, 1.0, {"": 1.0}),
}

# spelling with its prefix -> (dimension, factor to the base unit)
_SPELLINGS: dict[str, tuple[Dimension, float]] = {
    prefix + unit: (dimension, prefix_factor * factor)
    for unit, (dimension, factor, prefixes) in _UNITS.items()
    for prefix, prefix_factor in prefixes.items()
}

_QUANTITY = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([^\W\d].*?)?\s*")


def parse(quantity: object, dimension: Dimension) -> float:
    """Read a quantity of one dimension, in its base unit (see `Dimension.base_unit`).

    >>> parse("312 TFLOP/s", Dimension.OPERATION_RATE)
    312000000000000.0

    Raises:
        UnitError: no number, no unit, an unknown unit, or one of another dimension.
    """
    number, unit = _split(quantity, dimension)
    found = _SPELLINGS.get(unit)
    if found is None:
        raise UnitError(f"'{quantity}' has the unknown unit '{unit}', {_expected(dimension, unit)}")
    found_dimension, factor = found
    if found_dimension is not dimension:
        example = _mended(number, unit, dimension)
        raise UnitError(
            f"'{quantity}' is {found_dimension.told}, "
            f"expected {dimension.base_unit} (e.g. '{example}')"
        )
    value = float(number) * factor
    if not math.isfinite(value):
        raise UnitError(f"'{quantity}' is too large to be a quantity")
    return value


def _split(quantity: object, dimension: Dimension) -> tuple[str, str]:
    """Part the number from the unit, both still text."""
    wish = f"expected {dimension.base_unit} (e.g. '{dimension.example}')"
    if isinstance(quantity, bool) or not isinstance(quantity, str | int | float):
        raise UnitError(f"{_short(quantity)} is not a quantity, {wish}")
    match = _QUANTITY.fullmatch(str(quantity))
    if match is None:
        comma = "; write numbers without commas" if "," in str(quantity) else ""
        raise UnitError(f"{_short(quantity)} is not a quantity, {wish}{comma}")
    number, unit = match.groups()
    if unit is None:
        raise UnitError(f"{_short(quantity)} has no unit, {wish}")
    return number, "".join(unit.split())


def _expected(dimension: Dimension, unit: str) -> str:
    """Say what was expected, with the nearest spelling of the dimension where one is near."""
    known = [text for text, (its_dimension, _) in _SPELLINGS.items() if its_dimension is dimension]
    # bytes stand before bits in the table and win where only the case differs
    of_lower_case = {text.lower(): text for text in reversed(known)}
    near = of_lower_case.get(unit.lower()) or next(iter(get_close_matches(unit, known, n=1)), None)
    if near is not None:
        return f"did you mean '{near}'?"
    return f"expected {dimension.base_unit} (e.g. '{dimension.example}')"


def _mended(number: str, unit: str, dimension: Dimension) -> str:
    """Give the quantity as it was probably meant: '2.0 TB' -> '2.0 TB/s', else an example."""
    for candidate in (f"{unit}/s", unit.removesuffix("/s")):
        if candidate in _SPELLINGS and _SPELLINGS[candidate][0] is dimension:
            return f"{number} {candidate}"
    return dimension.example


def _short(value: object) -> str:
    """Show a value found in a file, cut to a readable length."""
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
