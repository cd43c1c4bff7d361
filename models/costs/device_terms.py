"""Device rows as terms: model by model where the work is known, rate by rate where only a name is.

model         t = A_target · t_source / A_source ^ β ...            work: all but A_target
name          t = floor' + (t_source - floor) · rate / rate'
namesakes     t = t_source · Σ their t / Σ their t_source           where some have an operator
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..graph import ExecutionGraph, Int32s, Int64s
from ..hardware import Device, DeviceKind, Hardware
from .device_model import Estimate, estimate, floor_ns
from .device_work import DeviceWork, device_rows, understood, unmeasured
from .kernel_rules import KernelRules
from .likeness import likeness
from .named_kernels import rate_ratio
from .terms import Float64s, Lines, Term, stacked
from .transfer import beta, carried_share, residual_limit


@dataclass(frozen=True, slots=True, eq=False)
class _Namesakes:
    """Kernels of one name with an operator, by (name, kind): what tells of those without."""

    kind: Int64s
    name: Int64s  # which line
    weight: Float64s  # times the model at the target: their time there
    before_ns: Float64s  # by name

    def ratios(self, at_target: Float64s) -> Float64s:
        """Give the change of each name's time, shape (names,)."""
        after = self.weight * at_target[self.kind]
        return np.bincount(self.name, weights=after, minlength=len(self.before_ns)) / self.before_ns


@dataclass(frozen=True, slots=True, eq=False)
class DeviceTerms:
    """The device rows of a graph, for all targets that are to the source what one target is.

    Attributes:
        known: what the rows do.
        absolute: (rows,) has no measurement on a like device: the model's time counts.
        term: all rows; lines stand as: model by kind, name by kind, shortest kernel, namesakes.
    """

    known: DeviceWork
    absolute: NDArray[np.bool_]
    source: Hardware | None
    namesakes: _Namesakes
    work: Float64s
    line: Int64s

    @property
    def term(self) -> Term:
        """Give all rows as one term."""
        return Term(self.known.rows, self.work, self.line, self.lines)

    def lines(self, target: Hardware) -> Lines:
        """Give a target's lines."""
        return self.lines_by(estimate(target, self.known.works), target)

    def lines_by(self, at_target: Estimate, target: Hardware) -> Lines:
        """Give a target's lines from the model's times there."""
        model = Lines.rates(at_target.time_ns)
        if self.source is None:
            return model
        short = floor_ns(target) / floor_ns(self.source)
        rates = np.zeros(len(self.known.works))
        for kind in np.flatnonzero(self.known.by_name).tolist():
            rates[kind] = rate_ratio(self.known.works[kind], self.source, target)
        by_name = Lines(rates, np.full(len(rates), floor_ns(self.source) * short))
        namesakes = Lines.rates(self.namesakes.ratios(at_target.time_ns))
        return stacked([model, by_name, Lines.rates(np.array([short])), namesakes])


def device_terms(
    graph: ExecutionGraph, source: Hardware | None, target: Hardware, rules: KernelRules
) -> DeviceTerms | None:
    """Understand the device rows; of the target only kind and likeness to the source count."""
    rows = device_rows(graph)
    if not len(rows):
        return None
    known = understood(graph, rows, rules)
    absolute = unmeasured(graph)[rows]
    work, line = np.ones(len(rows)), known.kind.copy()
    if source is None or changes_kind(source.device, target.device):
        absolute[:] = True
    if source is None:
        nobody = np.empty(0, dtype=np.int64)
        namesakes = _Namesakes(nobody, nobody, np.empty(0), np.empty(0))
        return DeviceTerms(known, absolute, source, namesakes, work, line)
    scaled = np.flatnonzero(~absolute)
    modelled = scaled[~known.by_name[known.kind[scaled]]]
    work[modelled] = _carried(known, modelled, source, target)
    named = scaled[known.by_name[known.kind[scaled]]]
    namesakes = _put_named(known, modelled, named, source, (work, line))
    return DeviceTerms(known, absolute, source, namesakes, work, line)


def changes_kind(source: Device, target: Device) -> bool:
    """Tell whether one of two devices is a CPU."""
    return (source.kind is DeviceKind.CPU) != (target.kind is DeviceKind.CPU)


def _carried(known: DeviceWork, rows: Int64s, source: Hardware, target: Hardware) -> Float64s:
    """Give what rows with a known operator multiply the model's time at the target with."""
    if not len(rows):
        return np.empty(0)
    alike, kind = likeness(source.device, target.device), known.kind[rows]
    exponent = np.array([beta(work.work_class, alike) for work in known.works])
    limit = np.array([residual_limit(work.work_class) for work in known.works])
    together, own = known.together_ns[rows], known.measured_ns[rows]
    at_source = estimate(source, known.works).time_ns
    share = carried_share(together, at_source[kind], exponent[kind], limit[kind])
    weight: Float64s = own * share / np.maximum(together, 1.0)
    return weight


def _put_named(
    known: DeviceWork,
    modelled: Int64s,
    named: Int64s,
    source: Hardware,
    columns: tuple[Float64s, Int64s],
) -> _Namesakes:
    """Set work and line of the rows of which only the name is known."""
    work, line = columns
    kinds, own = len(known.works), known.measured_ns
    floor = floor_ns(source)
    short = own[named] < floor
    work[named] = np.where(short, own[named], own[named] - floor)
    line[named] = np.where(short, 2 * kinds, kinds + known.kind[named])
    names = np.unique(known.name[named])
    teller_ns = _sums(known.name[modelled], own[modelled], int(known.name.max()) + 1)
    names = names[teller_ns[names] > 0]
    place = np.full(int(known.name.max()) + 1, -1, dtype=np.int64)
    place[names] = np.arange(len(names))
    told = named[place[known.name[named]] >= 0]
    work[told], line[told] = own[told], 2 * kinds + 1 + place[known.name[told]]
    tellers = modelled[place[known.name[modelled]] >= 0]
    of_name = place[known.name[tellers]]
    pairs, pair = np.unique(of_name * kinds + known.kind[tellers], return_inverse=True)
    return _Namesakes(
        kind=pairs % max(1, kinds),
        name=pairs // max(1, kinds),
        weight=_sums(pair.reshape(-1), work[tellers], len(pairs)),
        before_ns=_sums(of_name, own[tellers], len(names)),
    )


def _sums(place: Int64s | Int32s, amounts: Float64s, count: int) -> Float64s:
    """Sum amounts by place, shape (count,)."""
    sums: Float64s = np.zeros(count)
    np.add.at(sums, place, amounts)
    return sums
