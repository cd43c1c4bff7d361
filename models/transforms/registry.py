"""The transforms by name; each is checked when it is registered.

A transform is asked for as `name` or `name:key=value,key=value`. Its parameters are declared with
their units, so that a wrong one is told before anything runs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite

from ..errors import UsageError
from ..memory.effect import MemoryEffect
from ..units import Dimension, UnitError, parse
from .scenario import Scenario

Value = float | str
Apply = Callable[[Scenario, Mapping[str, Value]], Scenario]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a transform.

    Attributes:
        dimension: of a quantity with a unit ("25 MB"); None with `is_text` False: a plain number.
        default: None where it must be given.
    """

    name: str
    about: str
    default: Value | None = None
    dimension: Dimension | None = None
    is_text: bool = False


MEBI_25 = Parameter(
    "bucket", "cap of a bucket of gradients, DDP's bucket_cap_mb", float(25 << 20), Dimension.SIZE
)


@dataclass(frozen=True, slots=True)
class Transform:
    """A what-if.

    Attributes:
        edit: exactly what is changed in the graph, one sentence.
        assumes: what is taken for granted.
        needs: what the recording must hold, "" for nothing.
        memory: what happens to the memory it takes.
    """

    name: str
    about: str
    edit: str
    assumes: str
    needs: str
    parameters: tuple[Parameter, ...]
    apply: Apply
    memory: MemoryEffect


@dataclass(frozen=True, slots=True)
class Asked:
    """A transform with the values it was asked for."""

    transform: Transform
    values: Mapping[str, Value]
    text: str

    def __call__(self, scenario: Scenario) -> Scenario:
        """Apply it, to the graph and to the memory it takes."""
        after = self.transform.apply(scenario, self.values)
        if after is scenario or not scenario.memory:
            return after
        return replace(after, memory=self.transform.memory(scenario, self.values))


def number(values: Mapping[str, Value], key: str, asked: str, *, above: float = 0.0) -> float:
    """Give a parameter as a number above a bound.

    Raises:
        UsageError: it is not above.
    """
    value = float(values[key])
    if not value > above:
        raise UsageError(f"{asked}: {key} must be above {above:g}, not {value:g}")
    return value


def factor(values: Mapping[str, Value], key: str, asked: str) -> float:
    """Give a parameter that multiplies times: none may turn negative.

    Raises:
        UsageError: it is below 0.
    """
    value = float(values[key])
    if value < 0:
        raise UsageError(f"{asked}: {key} must be at least 0, not {value:g}")
    return value


def whole(values: Mapping[str, Value], key: str, asked: str, *, least: int) -> int:
    """Give a parameter as a whole number of at least so much.

    Raises:
        UsageError: it is not whole, or less.
    """
    value = float(values[key])
    if value != int(value) or value < least:
        raise UsageError(f"{asked}: {key} must be a whole number from {least}, not {value:g}")
    return int(value)


def flag(values: Mapping[str, Value], key: str, asked: str) -> bool:
    """Give a parameter as yes or no.

    Raises:
        UsageError: it is neither 1 nor 0.
    """
    if values[key] not in (0.0, 1.0):
        raise UsageError(f"{asked}: {key} must be 0 or 1, not {values[key]}")
    return bool(values[key])


_TRANSFORMS: dict[str, Transform] = {}


def register(transform: Transform) -> Transform:
    """Add a transform to the table.

    Raises:
        ValueError: its name is taken, or a text it owes its readers is missing.
    """
    if transform.name in _TRANSFORMS:
        raise ValueError(f"transform {transform.name} is registered twice")
    if not (transform.about and transform.edit and transform.assumes and transform.memory.about):
        raise ValueError(f"transform {transform.name} does not say what it does")
    _TRANSFORMS[transform.name] = transform
    return transform


def transforms() -> Mapping[str, Transform]:
    """Give all transforms by name."""
    return _TRANSFORMS


def parse_asked(text: str) -> Asked:
    """Read `name:key=value,...` as the command line takes it.

    Raises:
        UsageError: an unknown transform or parameter, a missing one, or a wrong unit.
    """
    name, _, rest = text.partition(":")
    if name not in _TRANSFORMS:
        raise UsageError(
            f"no transform {name!r}", remedy=f"one of {', '.join(sorted(_TRANSFORMS))}"
        )
    transform = _TRANSFORMS[name]
    given = _given(transform, [part for part in rest.split(",") if part], text)
    values: dict[str, Value] = {}
    for parameter in transform.parameters:
        if parameter.name in given:
            values[parameter.name] = _value(parameter, given[parameter.name], text)
        elif parameter.default is not None:
            values[parameter.name] = parameter.default
        else:
            raise UsageError(
                f"--apply {text!r}: {parameter.name} is missing", remedy=parameter.about
            )
    return Asked(transform, values, text)


def _given(transform: Transform, parts: Sequence[str], text: str) -> dict[str, str]:
    known = [parameter.name for parameter in transform.parameters]
    given: dict[str, str] = {}
    for part in parts:
        key, equals, value = part.partition("=")
        if not equals and known and not given:  # `host:2` for `host:speed=2`
            key, value = known[0], part
        if key not in known:
            listed = ", ".join(sorted(known)) or "none"
            raise UsageError(
                f"--apply {text!r}: unknown parameter {key!r}", remedy=f"known: {listed}"
            )
        given[key] = value
    return given


def _value(parameter: Parameter, text: str, asked: str) -> Value:
    if parameter.is_text:
        return text
    try:
        unit = parameter.dimension
        value = float(text) if unit is None else parse(text, unit)
    except (UnitError, ValueError) as error:
        told = str(error) if isinstance(error, UnitError) else f"{text!r} is no number"
        raise UsageError(f"--apply {asked!r}: {parameter.name}: {told}") from None
    if not isfinite(value):
        raise UsageError(f"--apply {asked!r}: {parameter.name}: {text!r} is no finite number")
    if parameter.dimension is not None and value < 0:
        raise UsageError(f"--apply {asked!r}: {parameter.name}: {text!r} is below 0")
    return value
