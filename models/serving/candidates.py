"""All fleets worth a look, evaluated at once: together, or x prefill and y decode replicas.

A fleet apart is a pair of halves, each worked out once (`sides`); the pairs are an outer product.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..hardware import Hardware
from .curves import Ask, GroupCurve, group_curve
from .group import largest_group
from .kv_transfer import KvTransfer, TransferMode, link_wait
from .outcome import Floats
from .setup import Setup
from .sides import Side, decode_side, prefill_side, together_side

REPLICA_STEPS = 16  # counts tried above the least that could keep up
WIDER = (1.5, 2.0, 3.0)  # and these multiples of it


@dataclass(frozen=True, slots=True)
class Fleet:
    """One fleet with its closed-form figures.

    Attributes:
        prefill, decode: the halves; the same group and count where `apart` is False.
        ttft_s, tpot_s: at the asked share.
        kv_s: what the KV transfer adds before the second token.
        prompts_first: policy of co-located replicas.
    """

    apart: bool
    prefill: GroupCurve
    prefills: int
    decode: GroupCurve
    decodes: int
    devices: int
    usd_per_hour: float | None
    ttft_s: float
    tpot_s: float
    kv_s: float
    batch: float
    prompts_first: bool = False

    @property
    def arithmetic(self) -> str:
        """Say how its devices add up: `8 = 2x2 + 1x4`."""
        if not self.apart:
            return f"{self.devices} = {self.prefills}x{self.prefill.tp}"
        first, second = self.prefill.tp, self.decode.tp
        return f"{self.devices} = {self.prefills}x{first} + {self.decodes}x{second}"

    def told(self, *, machines: bool = False) -> str:
        """Say it in words: `2 prefill (tp 2) + 1 decode (tp 4)`, with the machines if asked."""

        def group(curve: GroupCurve) -> str:
            return f"tp {curve.tp} {curve.hardware.name}" if machines else f"tp {curve.tp}"

        if not self.apart:
            return f"{self.prefills} x {group(self.prefill)}"
        first, second = group(self.prefill), group(self.decode)
        return f"{self.prefills} prefill ({first}) + {self.decodes} decode ({second})"


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Fleets in columns, shape (fleets,); `fleet` gives one as a value.

    Attributes:
        first, second: index of the half in `sides`, entry within it.
        cost: USD an hour, or devices where a price is missing.
    """

    sides: tuple[Side, ...]
    first: NDArray[np.int32]
    first_entry: NDArray[np.int32]
    second: NDArray[np.int32]
    second_entry: NDArray[np.int32]
    devices: Floats
    cost: Floats
    ttft_s: Floats
    tpot_s: Floats
    kv_s: Floats

    def __len__(self) -> int:
        return len(self.devices)

    @property
    def apart(self) -> NDArray[np.bool_]:
        """Tell which are apart."""
        return np.not_equal(self.first, self.second)

    def strain(self, ask: Ask) -> Floats:
        """Give how much of its promise each uses, at most 1 where it keeps it."""
        return np.maximum(self.ttft_s / ask.slo.ttft_s, self.tpot_s / ask.slo.tpot_s)

    def fleet(self, index: int) -> Fleet:
        """Give one fleet."""
        one, other = self.sides[self.first[index]], self.sides[self.second[index]]
        i, j = self.first_entry[index], self.second_entry[index]
        apart = one is not other
        x, y = int(one.replicas[i]), int(other.replicas[j])
        prices = [one.curve.usd_per_hour, other.curve.usd_per_hour if apart else 0.0]
        known = all(price is not None for price in prices)
        usd = x * (prices[0] or 0.0) + y * (prices[1] or 0.0) if known else None
        return Fleet(
            apart=apart,
            prefill=one.curve,
            prefills=x,
            decode=other.curve,
            decodes=y,
            devices=int(self.devices[index]),
            usd_per_hour=usd,
            ttft_s=float(self.ttft_s[index]),
            tpot_s=float(self.tpot_s[index]),
            kv_s=float(self.kv_s[index]),
            batch=float(other.batch[j]),
            prompts_first=bool(one.prompts_first[i]),
        )


def group_sizes(setup: Setup, hardware: Hardware) -> list[int]:
    """Give the tensor-parallel sizes a machine offers: powers of two within a node."""
    sizes = [1]
    while sizes[-1] * 2 <= min(largest_group(hardware), setup.card.query_heads):
        sizes.append(sizes[-1] * 2)
    return sizes


@dataclass(frozen=True, slots=True)
class Curves:
    """The groups of a setup's machines that can hold the model, by what they are for."""

    both: tuple[GroupCurve, ...]
    prefill: tuple[GroupCurve, ...]
    decode: tuple[GroupCurve, ...]


def curves_of(setup: Setup, ask: Ask, *, cost_factor: float = 1.0) -> Curves:
    """Work out every group; they depend on the lengths asked, not on the rate."""
    known: dict[str, tuple[GroupCurve, ...]] = {}
    for machine in (setup.hardware, setup.prefill_hardware, setup.decode_hardware):
        if machine.name not in known:
            found = [
                group_curve(setup, machine, tp, ask, cost_factor=cost_factor)
                for tp in group_sizes(setup, machine)
            ]
            known[machine.name] = tuple(curve for curve in found if curve is not None)
    return Curves(
        tuple(curve for machine in known.values() for curve in machine),
        known[setup.prefill_hardware.name],
        known[setup.decode_hardware.name],
    )


def _counts(least: float) -> Floats:
    """Give the replica counts worth trying above the least that could keep up."""
    start = max(1, int(np.ceil(least)))
    wide = [int(np.ceil(start * factor)) for factor in WIDER]
    return np.unique(np.array([*range(start, start + REPLICA_STEPS), *wide], dtype=np.float64))


def evaluate(setup: Setup, ask: Ask, curves: Curves) -> Candidates:
    """Evaluate every fleet of these groups."""
    together = [together_side(c, ask, _counts(_least_together(c, ask))) for c in curves.both]
    prefills = [prefill_side(c, ask, _counts(ask.rate * c.prefill_s)) for c in curves.prefill]
    decodes = [decode_side(c, ask, _counts(_least_decode(c, ask))) for c in curves.decode]
    sides = (*together, *prefills, *decodes)
    priced = all(side.curve.usd_per_hour is not None for side in sides)
    parts = [_alone(i, side, priced=priced) for i, side in enumerate(together)]
    for i, one in enumerate(prefills, len(together)):
        for j, other in enumerate(decodes, len(together) + len(prefills)):
            parts.append(_pairs(setup, ask, (i, one), (j, other), priced=priced))
    return _joined(sides, parts)


def _least_decode(curve: GroupCurve, ask: Ask) -> float:
    """Give λ over the most one replica could decode: b_max / (n T(b_max))."""
    limit = np.array([max(1.0, curve.batch_limit)])
    most = limit / (ask.output * curve.step_s(limit))
    return ask.rate / float(most[0])


def _least_together(curve: GroupCurve, ask: Ask) -> float:
    return ask.rate * curve.prefill_s + _least_decode(curve, ask)


_Part = tuple[Floats, ...]


def _unit(curve: GroupCurve, *, priced: bool) -> float:
    return (curve.usd_per_hour or 0.0) if priced else float(curve.tp)


def _alone(index: int, side: Side, *, priced: bool) -> _Part:
    entries = np.arange(len(side.replicas), dtype=np.float64)
    own = np.full_like(entries, index)
    devices = side.replicas * side.curve.tp
    cost = side.replicas * _unit(side.curve, priced=priced)
    zero = np.zeros_like(entries)
    return (own, entries, own, entries, devices, cost, side.ttft_s, side.tpot_s, zero)


def _pairs(
    setup: Setup, ask: Ask, first: tuple[int, Side], second: tuple[int, Side], *, priced: bool
) -> _Part:
    (i, one), (j, other) = first, second
    x = np.repeat(np.arange(len(one.replicas)), len(other.replicas))
    y = np.tile(np.arange(len(other.replicas)), len(one.replicas))
    kv = _transfer_seconds(setup, ask, one, other)[x, y]
    gaps = max(ask.output - 1, 1)
    devices = one.replicas[x] * one.curve.tp + other.replicas[y] * other.curve.tp
    first_price, second_price = (_unit(side.curve, priced=priced) for side in (one, other))
    cost = one.replicas[x] * first_price + other.replicas[y] * second_price
    return (
        np.full(len(x), float(i)), x.astype(np.float64), np.full(len(x), float(j)),
        y.astype(np.float64), devices, cost, one.ttft_s[x], other.tpot_s[y] + kv / gaps, kv,
    )  # fmt: skip


def _transfer_seconds(setup: Setup, ask: Ask, one: Side, other: Side) -> Floats:
    """Exposed transfer and wait for the link, for each pair of counts."""
    size = ask.prompt * setup.card.kv_bytes(setup.precision.kv_bytes)
    flow = setup.network_bytes_per_s * min(one.curve.tp, other.curve.tp)
    move = KvTransfer(size, flow, setup.card.layers, one.curve.prefill_s)
    links = np.minimum(one.replicas[:, None], other.replicas[None, :])
    wait = np.array([[link_wait(ask.rate, size, flow * n) for n in row] for row in links.tolist()])
    found: Floats = wait + move.delay_s(TransferMode.LAYERED)
    return found


def _joined(sides: Sequence[Side], parts: Sequence[_Part]) -> Candidates:
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)] if parts else []
    if not columns:
        columns = [np.zeros(0)] * 9
    first, first_entry, second, second_entry = (c.astype(np.int32) for c in columns[:4])
    return Candidates(tuple(sides), first, first_entry, second, second_entry, *columns[4:])
