"""Compile a kernel with numba where that pays: numba is an extra, and importing it costs 0.6 s.

A plain loop does about 3 million rows in the time that numba needs to start, so smaller jobs
never import it; where it is not installed the plain loops do every job, with equal results.
"""

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import ParamSpec, TypeVar

WORTH_COMPILING = 3_000_000  # row-scenarios (reference measurement: 0.56-0.65 s start-up)
WORTH_ONCE_STARTED = 300_000  # when another job has paid for that: one more kernel, some 50 ms

# Times are never NaN and a zero's sign tells nothing: maxima become one instruction, no result
# changes.
MATHS = frozenset(("nnan", "nsz"))

P = ParamSpec("P")
R = TypeVar("R")


@cache
def has_numba() -> bool:
    """Tell whether the extra `fast` is installed, without importing it."""
    return find_spec("numba") is not None


def pays(row_scenarios: int) -> bool:
    """Tell whether a job is large enough for compiled kernels, and they can be had."""
    worth = WORTH_ONCE_STARTED if compiled.cache_info().currsize else WORTH_COMPILING
    return row_scenarios > worth and has_numba()


@cache
def compiled(kernel: Callable[P, R]) -> Callable[P, R]:
    """Give the compiled form of a kernel; its machine code is kept on disk where there is room."""
    from numba import njit  # noqa: PLC0415  # only where it pays

    try:
        fast: Callable[P, R] = njit(kernel, cache=True, fastmath=set(MATHS))
    except RuntimeError:  # no folder that a cache could be written to
        fast = njit(kernel, fastmath=set(MATHS))
    return fast
