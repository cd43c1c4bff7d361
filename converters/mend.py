"""Repair what profilers are known to write wrongly into JSON, where the repair is safe.

- quotes inside an event's name that are not escaped (pytorch#146900)
- control characters inside strings, NaN and Infinity, half of a surrogate pair

Each is found by what stands around it; sound text stays as it is, to the byte.
"""

import re

_NAME = re.compile(rb'("name"\s*:\s*")((?:\\.|[^\\\n])*?)("\s*,\s*"[^"\\\n]{1,99}"\s*:|"\s*\})')
_QUOTE = re.compile(rb'\\.|"')
_NO_NUMBER = re.compile(rb"([:\[,]\s*)-?(?:NaN|Infinity|nan|inf)(?=\s*[,}\]])")
_SURROGATE = re.compile(
    rb"(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")


def mended(text: bytes) -> tuple[bytes, int]:
    """Give the text with every known fault repaired, and how many there were."""
    places = 0

    def replaced(pattern: re.Pattern[bytes], by: bytes) -> None:
        nonlocal text, places
        text, count = pattern.subn(by, text)
        places += count

    replaced(_CONTROL, b" ")
    replaced(_NO_NUMBER, rb"\1null")
    text, halves = _without_halves(text)
    text, quotes = _with_escaped_quotes(text)
    return text, places + halves + quotes


def _without_halves(text: bytes) -> tuple[bytes, int]:
    halves = 0

    def whole(found: re.Match[bytes]) -> bytes:
        nonlocal halves
        if found[1]:
            return found[0]
        halves += 1
        return b"\\ufffd"

    return _SURROGATE.sub(whole, text), halves


def _with_escaped_quotes(text: bytes) -> tuple[bytes, int]:
    names = 0

    def escaped(found: re.Match[bytes]) -> bytes:
        nonlocal names
        inside = _QUOTE.sub(lambda q: q[0] if len(q[0]) > 1 else b'\\"', found[2])
        names += inside != found[2]
        return found[1] + inside + found[3]

    return _NAME.sub(escaped, text), names
