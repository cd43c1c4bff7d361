"""Price one graph for many targets: read it once, then fill small tables of lines for each target.

    duration[v, t] = rint(work[v] · price[line of v, t] + fixed[line of v, t])
    lag[e, t]      = rint(lag[e] · factor[kind of e, t])

To the bit what `price` says of each target, since both take the same terms.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from ..graph import EdgeKind, ExecutionGraph, Int32s, Provenance
from ..hardware import DeviceKind, Hardware
from .cpu_prices import cpu_terms
from .device_terms import device_terms
from .device_work import unmeasured
from .host_prices import host_terms, lag_ratios
from .kernel_rules import KernelRules, default_rules
from .likeness import likeness
from .link_prices import link_terms, never_sent, never_sent_terms
from .terms import Float64s, Lines, Term, stacked

AS_RECORDED = 0  # the line of rows that no target changes


@dataclass(frozen=True, slots=True, eq=False)
class PricePlan:
    """A graph read for targets of one relation.

    Attributes:
        work: (nodes,).
        line: (nodes,) into the stacked lines of `terms`, after the line AS_RECORDED.
        keeps_lags: the targets are the recording's own machine.
    """

    source: Hardware | None
    work: Float64s
    line: Int32s
    terms: tuple[Term, ...]
    keeps_lags: bool

    def lines(self, target: Hardware) -> Lines:
        """Give a target's lines."""
        stay = Lines(np.ones(1), np.zeros(1))
        return stacked([stay, *(term.lines(target) for term in self.terms)])

    def lag_factors(self, target: Hardware) -> Float64s:
        """Give what lags of each kind are multiplied by, shape (kinds,)."""
        return np.ones(len(EdgeKind)) if self.keeps_lags else lag_ratios(self.source, target)


def relation(source: Hardware | None, target: Hardware) -> Hashable:
    """Give what of a target decides which terms there are: equal relations, one plan."""
    device = target.device
    if source is None:
        return device.kind is DeviceKind.CPU
    return (
        source.name == target.name,
        device.kind is DeviceKind.CPU,
        likeness(source.device, device),
    )


def price_plan(
    graph: ExecutionGraph,
    source: Hardware | None,
    target: Hardware,
    rules: KernelRules | None = None,
    *,
    keeps_defaults: bool = True,
) -> PricePlan:
    """Read a graph for one target and all that have the same `relation` to the source.

    Args:
        graph: recorded on `source`, None where unknown.
        source: the machine.
        target: any of them.
        rules: what kernels without an operator do.
        keeps_defaults: rows that already carry the target's own default keep it.
    """
    same = source is not None and source.name == target.name
    terms = _terms(graph, source, target, rules or default_rules(), same=same)
    work = graph.nodes.duration_ns.astype(np.float64)
    line = np.full(len(graph), AS_RECORDED, dtype=np.int32)
    first = AS_RECORDED + 1
    for term in terms:  # the later term of a row counts
        work[term.rows], line[term.rows] = term.work, first + term.line
        first += len(term.lines(target).price)
    if keeps_defaults:
        given = graph.nodes.provenance == Provenance.DEFAULT
        work[given], line[given] = graph.nodes.duration_ns[given], AS_RECORDED
    return PricePlan(source, work, line, tuple(terms), keeps_lags=same)


def _terms(
    graph: ExecutionGraph,
    source: Hardware | None,
    target: Hardware,
    rules: KernelRules,
    *,
    same: bool,
) -> Sequence[Term]:
    """Give the terms in the order in which `price` puts them."""
    if same and not np.any(unmeasured(graph) | never_sent(graph)):
        return []
    device = device_terms(graph, source, target, rules)
    on_device = [device.term] if device else []
    if same:
        return [*on_device, *never_sent_terms(graph)]
    on_cpu = cpu_terms(graph, source, target)
    return [*host_terms(graph, source), *on_cpu, *on_device, *link_terms(graph, source)]
