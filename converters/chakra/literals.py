"""Read Python lists that Chakra wrote as text, each distinct text once."""

import ast
from typing import Any

import msgspec

from ...models.graph import Dims

_UNREADABLE = (ValueError, SyntaxError, TypeError, MemoryError, RecursionError)


class LiteralReader:
    """Turns the texts of IOInfo into tuples; what cannot be read becomes empty and is counted."""

    def __init__(self) -> None:
        self.unreadable = 0
        self._shapes: dict[str, tuple[Dims, ...]] = {}
        self._texts: dict[str, tuple[str, ...]] = {}

    def shapes(self, text: str) -> tuple[Dims, ...]:
        """Give shapes; what is no list of integers counts as scalar.

        >>> LiteralReader().shapes("[[2, 3], []]")
        ((2, 3), ())
        """
        if text not in self._shapes:
            self._shapes[text] = tuple(_dims(item) for item in self._list(text))
        return self._shapes[text]

    def texts(self, text: str) -> tuple[str, ...]:
        """Give a list of strings, such as types."""
        if text not in self._texts:
            self._texts[text] = tuple(str(item) for item in self._list(text))
        return self._texts[text]

    def concrete(self, text: str, types: tuple[str, ...]) -> tuple[str, ...]:
        """Give the values that are no tensors as text, "" for those that are.

        >>> LiteralReader().concrete("[[5, 6, 0, 4, 4, 'cpu'], 1]", ("Tensor(float)", "Int"))
        ('', '1')
        """
        values = self._list(text)
        padded = (*types, *[""] * (len(values) - len(types)))
        return tuple(
            "" if "Tensor" in kind else str(value)
            for value, kind in zip(values, padded, strict=False)
        )

    def _list(self, text: str) -> list[object]:
        if text in {"", "[]"}:
            return []
        try:
            value = _evaluated(text)
        except _UNREADABLE:
            value = None
        if isinstance(value, list | tuple):
            return list(value)
        self.unreadable += 1
        return []


def _evaluated(text: str) -> Any:
    """Evaluate a literal; most are JSON but for their quotes, and JSON is 20 times as fast."""
    if '"' not in text and "\\" not in text:
        try:
            return msgspec.json.decode(text.replace("'", '"'))
        except msgspec.DecodeError:
            pass  # None, True, nan, a tuple
    return ast.literal_eval(text)


def _dims(item: object) -> Dims:
    if isinstance(item, list | tuple):
        return tuple(_dims(inner) for inner in item)
    return item if isinstance(item, int) else ()
