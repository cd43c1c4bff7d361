"""The points of a sweep: every machine with every set of changed figures and every what-if.

machines x figures (ranges of values) x what-ifs (alternatives)  ->  points, in a fixed order
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from ..models.errors import UsageError

RANGE = re.compile(r"([\d.eE+]+)\s*([A-Za-z/]*)")


@dataclass(frozen=True, slots=True)
class Point:
    """One question of a sweep.

    Attributes:
        hardware: catalogue name or YAML.
        figures: dotted key -> value with unit, set instead of the spec's.
        changes: what-ifs in order, as `--apply` takes them.
    """

    hardware: str
    figures: tuple[tuple[str, str], ...]
    changes: tuple[str, ...]

    @property
    def key(self) -> str:
        """Name the point; equal keys are equal questions."""
        figures = ",".join(f"{key}={value}" for key, value in self.figures)
        return "|".join((self.hardware, figures, ";".join(self.changes)))


def points_of(
    hardware: Sequence[str],
    ranges: Mapping[str, Sequence[str]],
    alternatives: Sequence[Sequence[str]],
) -> list[Point]:
    """Span all combinations.

    Args:
        hardware: machines.
        ranges: values by dotted key.
        alternatives: of each what-if its versions; a version of "" leaves it out.
    """
    figures = [[(key, value) for value in values] for key, values in ranges.items()]
    return [
        Point(machine, tuple(chosen), tuple(c for c in changes if c))
        for machine, chosen, changes in product(hardware, product(*figures), product(*alternatives))
    ]


def parse_range(text: str) -> tuple[str, list[str]]:
    """Read `memory.bandwidth=1.5TB/s:4TB/s:20` (from, to, how many) or `cores=80,108,132`.

    Raises:
        UsageError: not of either form, units that differ, or fewer than two steps.
    """
    key, equals, values = text.partition("=")
    if not equals or not key or not values:
        raise UsageError(f"--range {text!r} is not KEY=FROM:TO:COUNT or KEY=A,B,...")
    if ":" not in values:
        return key, [value.strip() for value in values.split(",")]
    parts = values.split(":")
    if len(parts) != 3 or not parts[2].isdigit() or int(parts[2]) < 2:
        raise UsageError(f"--range {text!r}: expected FROM:TO:COUNT with a count of 2 or more")
    (low, unit), (high, unit_high) = (_split(part, text) for part in parts[:2])
    if unit != unit_high:
        raise UsageError(f"--range {text!r}: {unit!r} and {unit_high!r} are different units")
    count = int(parts[2])
    step = (high - low) / (count - 1)
    return key, [f"{low + step * i:.6g}{' ' + unit if unit else ''}" for i in range(count)]


def _split(text: str, asked: str) -> tuple[float, str]:
    match = RANGE.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"--range {asked!r}: {text!r} is no number with a unit")
    return float(match[1]), match[2]


def parse_alternatives(text: str) -> list[str]:
    """Read `ddp:ranks=1|2|4|8` as one what-if per value; a plain what-if is one alternative.

    Raises:
        UsageError: values for two parameters at once.
    """
    name, colon, rest = text.partition(":")
    parts = rest.split(",")
    spanned = [place for place, part in enumerate(parts) if "|" in part]
    if not spanned:
        return [text]
    if len(spanned) > 1:
        raise UsageError(f"--vary {text!r} spans two parameters; give two --vary")
    place = spanned[0]
    key, equals, values = parts[place].partition("=")
    versions = []
    for value in values.split("|"):
        chosen = [*parts[:place], f"{key}{equals}{value}", *parts[place + 1 :]]
        versions.append(f"{name}{colon}{','.join(chosen)}")
    return versions
