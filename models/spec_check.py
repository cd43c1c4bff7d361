"""Check a spec's leaves: kind of value, unit, sign, what is missing, what contradicts what.

Every fault is gathered by its key; nothing here raises, so that a file's faults are told at once.
"""

import math
from collections.abc import Iterator, Mapping
from typing import assert_never

from .hardware import DeviceKind
from .spec_contradictions import contradictions
from .spec_figures import Figures
from .spec_keys import KEYS, REQUIRED, Plain, complaint
from .units import Dimension, UnitError, parse


class _FaultError(ValueError):
    """One value is wrong; the message says how."""


def check(leaves: Mapping[str, object]) -> tuple[Figures, dict[str, str]]:
    """Read all leaves; give the figures and the faults by key."""
    figures, faults = Figures(), {}
    for key, value in leaves.items():
        try:
            _take(figures, key, value)
        except (_FaultError, UnitError) as error:
            faults[key] = str(error)
    faults |= dict(_missing(leaves))
    for key, fault in contradictions(figures):
        faults.setdefault(key, fault)
    return figures, faults


def _take(figures: Figures, key: str, value: object) -> None:
    """Read one leaf into the figures."""
    if key not in KEYS:  # a change asked for; a file's own keys are known by now
        raise _FaultError(complaint(key))
    measure = KEYS[key]
    if isinstance(measure, Dimension):
        figures.numbers[key] = _quantity(value, measure)
        return
    match measure:
        case Plain.COUNT | Plain.FACTOR | Plain.SHARE:
            figures.numbers[key] = _number(value, measure)
        case Plain.TEXT:
            figures.texts[key] = _text(value)
        case Plain.KIND:
            figures.texts[key] = _kind(value)
        case Plain.TEXTS:
            figures.lists[key] = _texts(value)
        case Plain.FREE:
            figures.calibration = _mapping(value)
        case _:
            assert_never(measure)


def _quantity(value: object, dimension: Dimension) -> float:
    number = parse(value, dimension)
    if number < 0 or (number == 0 and dimension is not Dimension.DURATION):
        least = "0 or more" if dimension is Dimension.DURATION else "above 0"
        raise _FaultError(f"must be {least}, is '{value}'")
    return number


def _number(value: object, measure: Plain) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _FaultError(f"must be {measure.value}, is '{value}'")
    fits = math.isfinite(value) and value > 0
    if measure is Plain.COUNT:
        fits = fits and float(value).is_integer()
    if measure is Plain.SHARE:
        fits = fits and value <= 1
    if not fits:
        raise _FaultError(f"must be {measure.value}, is {value}")
    return float(value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _FaultError(f'must be text; write it in quotes: "{value}"')
    text = " ".join(value.split())
    if not text:
        raise _FaultError("has no value")
    return text


def _kind(value: object) -> str:
    if value not in list(DeviceKind):
        raise _FaultError(f"must be {Plain.KIND.value}, is '{value}'")
    return str(value)


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise _FaultError(f"must be {Plain.TEXTS.value}, such as [one, two]")
    return tuple(value)


def _mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise _FaultError("must be a mapping, as `etsim calibrate` writes it")
    return value


def _missing(leaves: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Find what must stand in a file and does not."""
    for key in REQUIRED:
        if key not in leaves:
            measure = KEYS[key]
            example = f" (e.g. '{measure.example}')" if isinstance(measure, Dimension) else ""
            yield key, f"missing{example}"
    if "peak.fp32" not in leaves and "vector.fp32" not in leaves:
        yield "peak.fp32", "missing (e.g. '19.5 TFLOP/s'); vector.fp32 would do as well"
    gives_node_link = any(key.startswith("links.node.") for key in leaves)
    if gives_node_link and "links.node.bandwidth" not in leaves:
        yield "links.node.bandwidth", "missing (e.g. '300 GB/s')"
