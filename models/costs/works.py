"""Works that are priced on many machines: what follows from them alone is worked out once."""

from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any, TypeVar

from .work_values import Work

T = TypeVar("T")


class Works(list[Work]):
    """Pieces of work that nobody changes, with what was derived from them."""

    __slots__ = ("_derived",)

    def __init__(self, works: Iterable[Work] = ()) -> None:
        super().__init__(works)
        self._derived: dict[Callable[..., Any], Any] = {}

    def derived(self, make: Callable[[Sequence[Work]], T]) -> T:
        """Give what a function makes of them, made on first use."""
        if make not in self._derived:
            self._derived[make] = make(self)
        made: T = self._derived[make]
        return made


def once(make: Callable[[Sequence[Work]], T]) -> Callable[[Sequence[Work]], T]:
    """Let a function of works alone keep what it gives for `Works`; of others it is made anew."""

    @wraps(make)
    def kept(works: Sequence[Work]) -> T:
        return works.derived(make) if isinstance(works, Works) else make(works)

    return kept
