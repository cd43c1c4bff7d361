"""A sweep as a YAML: the same words as the options, each with a list of texts."""

from pathlib import Path

import yaml

from ..models.errors import InputError, SpecError

KEYS = ("hw", "range", "apply", "vary")


def read_sweep(path: Path) -> dict[str, list[str]]:
    """Read a sweep file; all its faults are told at once.

    Raises:
        InputError: missing, or not a YAML mapping.
        SpecError: unknown keys, or values that are no lists of texts.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError("no such file", where=path) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        told = str(error).splitlines()[0]
        raise InputError(f"not YAML: {told}", where=path) from None
    if not isinstance(content, dict):
        raise InputError("is no mapping", where=path, remedy=f"keys are {', '.join(KEYS)}")
    faults = {
        str(key): f"unknown key; known are {', '.join(KEYS)}" for key in content if key not in KEYS
    }
    read: dict[str, list[str]] = {}
    for key in KEYS:
        values = content.get(key, [])
        values = [values] if isinstance(values, str) else values
        if isinstance(values, list) and all(isinstance(value, str) for value in values):
            read[key] = values
        else:
            faults[key] = "expected a list of texts, as the option --" + key + " takes them"
    if faults:
        raise SpecError(path, faults)
    return read
