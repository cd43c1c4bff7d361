"""What follows from the candidates: the front, the break-even, why nothing fits."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ..errors import AnalysisError
from ..graph import Int64s
from .candidates import Candidates, Curves, curves_of, evaluate
from .curves import Ask, GroupCurve
from .setup import Setup

# Fleets on the front cost at most this many times the cheapest.
DEAREST = 4.0
# How far a break-even is looked for: this factor to either side of what is asked.
SEARCHED = 32.0
_BISECTIONS = 5


def by_cost(found: Candidates, ask: Ask, *, apart: bool | None = None, near: float = 1.0) -> Int64s:
    """Give the fleets that keep the promises (within `near`), cheapest first, then least strained.

    Args:
        found: the candidates.
        ask: what is promised.
        apart: only those apart, only those together, or both.
        near: 1.1 takes in those that miss by up to a tenth.
    """
    strain = found.strain(ask)
    keeps = strain <= near
    if apart is not None:
        keeps &= found.apart == apart
    index = np.flatnonzero(keeps)
    order = np.lexsort((strain[index], found.devices[index], found.cost[index]))
    return index[order].astype(np.int64)


def cheapest(found: Candidates, ask: Ask, *, apart: bool | None = None) -> int | None:
    """Give the cheapest fleet that keeps the promises, None where there is none."""
    index = by_cost(found, ask, apart=apart)
    return int(index[0]) if len(index) else None


def front(found: Candidates, ask: Ask) -> Int64s:
    """Give the fleets that no other beats in cost and in speed for the user at once (TPOT)."""
    index = by_cost(found, ask)
    index = index[found.cost[index] <= DEAREST * np.min(found.cost[index], initial=np.inf)]
    best = np.inf
    kept: list[int] = []
    for i in index.tolist():
        if found.tpot_s[i] < best * 0.98:  # a hair faster is not another choice
            best = float(found.tpot_s[i])
            kept.append(i)
    return np.array(kept, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class BreakEven:
    """Where apart and together change places along one quantity.

    Attributes:
        what: "requests/s", "prompt tokens", "bytes/s a device".
        here: the asked value.
        apart_wins_here: whether apart costs less at it.
        at: the value at which that changes, None if not within the searched range.
    """

    what: str
    here: float
    apart_wins_here: bool
    at: float | None


def break_evens(setup: Setup, ask: Ask) -> tuple[BreakEven, ...]:
    """Look along rate, prompt length and bandwidth, the others held."""
    same = curves_of(setup, ask)

    def at_rate(rate: float) -> bool:
        return _apart_wins(setup, replace(ask, rate=rate), same)

    def at_length(prompt: float) -> bool:
        longer = replace(ask, prompts=np.maximum(1.0, ask.prompts * prompt / ask.prompt))
        return _apart_wins(setup, longer, curves_of(setup, longer))

    def at_bandwidth(bandwidth: float) -> bool:
        return _apart_wins(replace(setup, network_bytes_per_s=bandwidth), ask, same)

    return (
        _search("requests/s", ask.rate, at_rate),
        _search("prompt tokens", ask.prompt, at_length),
        _search("bytes/s a device", setup.network_bytes_per_s, at_bandwidth),
    )


def _apart_wins(setup: Setup, ask: Ask, curves: Curves) -> bool:
    found = evaluate(setup, ask, curves)
    apart, together = cheapest(found, ask, apart=True), cheapest(found, ask, apart=False)
    if apart is None:
        return False
    return together is None or bool(found.cost[apart] < found.cost[together])


def _search(what: str, here: float, wins: Callable[[float], bool]) -> BreakEven:
    """Walk away from `here` by halves and doubles until the verdict changes, then narrow down."""
    now = wins(here)
    factors = (0.5, 2.0) if now else (2.0, 0.5)
    for factor in factors:
        near, far = here, here * factor
        while 1 / SEARCHED <= far / here <= SEARCHED:
            if wins(far) != now:
                return BreakEven(what, here, now, _narrow(near, far, wins, now=now))
            near, far = far, far * factor
    return BreakEven(what, here, now, None)


def _narrow(near: float, far: float, wins: Callable[[float], bool], *, now: bool) -> float:
    for _ in range(_BISECTIONS):
        middle = float(np.sqrt(near * far))
        near, far = (middle, far) if wins(middle) == now else (near, middle)
    return far


def refuse_impossible(setup: Setup, ask: Ask, curves: Curves) -> None:
    """Tell what binds, and what would make it possible, where even an idle fleet fails.

    Raises:
        AnalysisError: the model fits nowhere, or one lone request breaks a promise.
    """
    if not curves.both and not (curves.prefill and curves.decode):
        raise _fits_nowhere(setup, ask)
    prefills = curves.both + curves.prefill
    decodes = curves.both + curves.decode
    quickest = min(prefills, key=lambda c: c.prefill_s)
    if quickest.prefill_s > ask.slo.ttft_s:
        raise _prompt_too_long(setup, ask, quickest)
    fastest = min(decodes, key=lambda c: float(c.decode_s[0]))
    least = float(fastest.decode_s[0])
    if least > ask.slo.tpot_s:
        raise AnalysisError(
            f"no fleet keeps a TPOT of {_ms(ask.slo.tpot_s)}: one step of a lone request takes "
            f"{_ms(least)} on tp {fastest.tp} of {fastest.hardware.name}, the fastest group",
            remedy=f"decode binds; a TPOT of {_ms(least * 1.2)}, a narrower --dtype, a smaller "
            "model or more memory bandwidth makes it possible",
        )


def _fits_nowhere(setup: Setup, ask: Ask) -> AnalysisError:
    machine = setup.hardware
    weights = setup.card.total_params * setup.precision.weight_bytes / 1e9
    one = (float(ask.prompts.max()) + ask.output) * setup.card.kv_bytes(setup.precision.kv_bytes)
    return AnalysisError(
        f"{setup.card.name} fits no group of {machine.name}: {weights:,.0f} GB of weights and "
        f"{one / 1e9:,.1f} GB of KV for the longest request, a device has "
        f"{machine.device.memory_bytes / 1e9:,.0f} GB",
        remedy="memory binds; a narrower --dtype, a device with more memory or a node that joins "
        "more of them makes it possible",
    )


def _prompt_too_long(setup: Setup, ask: Ask, quickest: GroupCurve) -> AnalysisError:
    per_token = quickest.prefill_s / ask.prompt
    return AnalysisError(
        f"no fleet keeps a TTFT of {_ms(ask.slo.ttft_s)}: one prompt of {ask.prompt:,.0f} tokens "
        f"alone takes {_ms(quickest.prefill_s)} on tp {quickest.tp} of {quickest.hardware.name}, "
        "the fastest group",
        remedy=f"prefill binds; a TTFT of {_ms(quickest.prefill_s * 1.2)}, prompts of about "
        f"{ask.slo.ttft_s / per_token * 0.8:,.0f} tokens, or faster devices make it possible",
    )


def refuse_empty(found: Candidates, ask: Ask) -> None:
    """Tell how near the nearest fleet comes where none keeps the promises under load.

    Raises:
        AnalysisError: no candidate keeps both promises.
    """
    strain = found.strain(ask)
    if len(strain) and float(np.min(strain)) <= 1:
        return
    usable = np.flatnonzero(np.isfinite(strain))
    if not len(usable):
        raise AnalysisError(
            f"no fleet carries {ask.rate:g} requests/s: KV memory holds too few sequences",
            remedy="memory binds; a narrower --dtype or devices with more memory would do",
        )
    best = int(usable[np.argmin(strain[usable])])
    fleet = found.fleet(best)
    ttft = found.ttft_s[best] / ask.slo.ttft_s >= found.tpot_s[best] / ask.slo.tpot_s
    what, have = ("TTFT", fleet.ttft_s) if ttft else ("TPOT", fleet.tpot_s)
    raise AnalysisError(
        f"no fleet keeps both promises for {ask.share:.0%} of the requests: the nearest, "
        f"{fleet.told()}, comes to a {what} of {_ms(have)}",
        remedy=f"{what} binds; {_ms(have * 1.05)} for it, or a smaller --share, is possible",
    )


def refuse_too_many(found: Candidates, ask: Ask, most: int) -> None:
    """Tell how many devices it takes where the allowed number does not do.

    Raises:
        AnalysisError: every fleet that keeps the promises has more than `most` devices.
    """
    index = by_cost(found, ask)
    least = int(found.devices[index].min())
    if least > most:
        fits = ask.rate * most / least
        raise AnalysisError(
            f"{most} devices are too few: the smallest fleet that keeps the promises has {least}",
            remedy=f"--max-devices binds; about {fits:.2g} requests/s fit on {most} devices",
        )


def _ms(value_s: float) -> str:
    return f"{value_s * 1e3:,.3g} ms" if value_s < 1 else f"{value_s:,.3g} s"
