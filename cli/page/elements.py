"""HTML piece by piece: whatever is not markup yet is escaped, so that no name can be markup."""

import re
from html import escape

# What no HTML may hold, and characters that turn the direction of the text around them.
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_VOID = frozenset({"meta", "rect", "line", "path", "circle"})


class Markup(str):
    """Text that is HTML already; only this file makes it from anything else."""

    __slots__ = ()


def text(value: str) -> Markup:
    """Escape text for use between tags and in attributes; markup stays as it is."""
    if isinstance(value, Markup):
        return value
    encodable = value.encode("utf-8", "replace").decode("utf-8")
    return Markup(escape(_UNSEEN.sub("\N{REPLACEMENT CHARACTER}", encodable)))


def element(name: str, *children: str, **attributes: str | float | None) -> Markup:
    """Give an element; `class_` is written `class`, other underscores become hyphens.

    >>> print(element("p", "a < b", class_="note"))
    <p class="note">a &lt; b</p>
    """
    told = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(_value(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Markup(f"<{name}{told}/>")
    return Markup(f"<{name}{told}>{''.join(map(text, children))}</{name}>")


def _value(value: str | float) -> str:
    """Write numbers as short as a tenth of a pixel needs."""
    if isinstance(value, str):
        return value
    return f"{value:.1f}".removesuffix(".0")


def together(*parts: str) -> Markup:
    """Join pieces."""
    return Markup("".join(map(text, parts)))


def verbatim(code: str) -> Markup:
    """Give our own constant text, such as a style sheet, as markup."""
    return Markup(code)
