"""Join an execution trace with the Kineto trace of the same run, and prove how well it worked.

Three ways, the first that finds ids: `rf_id` = `Record function id` with the names checked;
`rf_id` = `External id` where those ids are absent or zero; else the order of names per thread.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from ..models.errors import JoinError
from ..models.graph import NONE, Int64s
from .execution_trace import ExecutionTrace, is_structural
from .kineto import KinetoTrace, Source

LEAST_COVERAGE = 0.8
# Sequences longer than this are aligned piece by piece, around names that occur once on each side.
ALIGN_AT_ONCE = 2_000


class JoinKey(StrEnum):
    """What the two traces were joined by."""

    RECORD_FUNCTION = "Record function id"
    EXTERNAL = "External id"
    ORDER = "order of names"


@dataclass(frozen=True, slots=True, eq=False)
class Join:
    """The result of joining one rank's pair.

    Attributes:
        node_of_event: execution-trace node for each host event, shape (host events,), -1 for none.
        et_nodes, matched: nodes that ran (structural ones left out) and how many were found.
        kineto_events: operators and annotations of the profile.
        name_mismatches: equal ids with different names; these are not joined.
        covered_ns, total_ns: time of the matched and of all outermost operators.
        unmatched_names: the commonest names left over in the execution trace.
    """

    key: JoinKey
    node_of_event: Int64s
    et_nodes: int
    matched: int
    kineto_events: int
    name_mismatches: int
    covered_ns: int
    total_ns: int
    unmatched_names: tuple[str, ...]

    @property
    def coverage(self) -> float:
        """Give the smaller of the shares matched: of nodes, and of time."""
        nodes = self.matched / self.et_nodes if self.et_nodes else 0.0
        time = self.covered_ns / self.total_ns if self.total_ns else nodes
        return min(nodes, time)


def join(et: ExecutionTrace, trace: KinetoTrace, *, allow_partial: bool = False) -> Join:
    """Join a pair.

    Raises:
        JoinError: less than 80 % joined, unless `allow_partial`; it tells the likely cause.
    """
    joined = best_join(et, trace)
    if joined.coverage < LEAST_COVERAGE and not allow_partial:
        raise _too_little(et, trace, joined)
    return joined


def best_join(et: ExecutionTrace, trace: KinetoTrace) -> Join:
    """Join by the best key there is, whatever it yields."""
    pair = _Pair.of(et, trace)
    if (trace.host.rf_id[pair.events] > 0).any():
        by_id = pair.report(JoinKey.RECORD_FUNCTION, *_by_id(pair, trace.host.rf_id))
        if by_id.matched:
            return by_id
    by_external = pair.report(JoinKey.EXTERNAL, *_by_id(pair, trace.host.external_id))
    if by_external.coverage >= LEAST_COVERAGE:
        return by_external
    by_order = pair.report(JoinKey.ORDER, _by_order(pair), 0)
    return max(by_order, by_external, key=lambda result: result.matched)


@dataclass(frozen=True, slots=True, eq=False)
class _Pair:
    """The two sides: nodes that ran (a flag each), and the events that can be their like."""

    et: ExecutionTrace
    trace: KinetoTrace
    nodes: NDArray[np.bool_]
    events: Int64s

    @classmethod
    def of(cls, et: ExecutionTrace, trace: KinetoTrace) -> "_Pair":
        ran = np.array([not is_structural(name) for name in et.name.table], dtype=bool)
        nodes = ran[et.name.code]
        source = trace.host.source
        events = np.flatnonzero((source == Source.OPERATOR) | (source == Source.ANNOTATION))
        return cls(et, trace, nodes, events)

    def report(self, key: JoinKey, found: Int64s, mismatches: int) -> Join:
        seen = np.zeros(len(self.et), dtype=bool)
        seen[found[found >= 0]] = True
        left_over = Counter(
            self.et.name[node] for node in np.flatnonzero(self.nodes & ~seen).tolist()
        )
        outermost = _outermost(self.trace, self.events)
        durations = self.trace.host.duration_ns[outermost]
        return Join(
            key=key,
            node_of_event=found,
            et_nodes=int(self.nodes.sum()),
            matched=int(seen.sum()),
            kineto_events=len(self.events),
            name_mismatches=mismatches,
            covered_ns=int(durations[found[outermost] >= 0].sum()),
            total_ns=int(durations.sum()),
            unmatched_names=tuple(name for name, _ in left_over.most_common(3)),
        )


def _by_id(pair: _Pair, id_of_event: Int64s) -> tuple[Int64s, int]:
    """Match equal ids, and keep those whose names are equal too."""
    et, trace, events = pair.et, pair.trace, pair.events
    candidates = np.flatnonzero(pair.nodes & (et.rf_id > 0))
    found = np.full(len(trace.host), NONE, dtype=np.int64)
    if not len(candidates) or not len(events):
        return found, 0
    order = candidates[np.argsort(et.rf_id[candidates], kind="stable")]
    ids = et.rf_id[order]
    wanted = id_of_event[events]
    place = np.minimum(np.searchsorted(ids, wanted), len(ids) - 1)
    hit = ids[place] == wanted
    matched = order[place[hit]]
    number_of = {name: number for number, name in enumerate(trace.names)}
    number = np.array([number_of.get(name, NONE) for name in et.name.table], dtype=np.int64)
    good = number[et.name.code[matched]] == trace.host.name[events[hit]]
    found[events[hit][good]] = matched[good]
    return found, int((~good).sum())


def _by_order(pair: _Pair) -> Int64s:
    """Align the names of each thread; the execution trace numbers threads its own way.

    Threads are paired by how much their name counts have in common, the largest first.
    """
    et, trace = pair.et, pair.trace
    found = np.full(len(trace.host), NONE, dtype=np.int64)
    of_tid: dict[int, list[int]] = defaultdict(list)
    for node in np.flatnonzero(pair.nodes).tolist():
        of_tid[int(et.tid[node])].append(node)
    of_thread: dict[int, list[int]] = defaultdict(list)
    for event in pair.events.tolist():
        of_thread[int(trace.host.thread[event])].append(event)
    name_of = trace.host.name.tolist()
    for tid, thread in _pair_threads(et, trace, of_tid, of_thread):
        left = [et.name[node] for node in of_tid[tid]]
        right = [trace.names[name_of[event]] for event in of_thread[thread]]
        for i, j in align(left, right):
            found[of_thread[thread][j]] = of_tid[tid][i]
    return found


def _pair_threads(
    et: ExecutionTrace,
    trace: KinetoTrace,
    of_tid: dict[int, list[int]],
    of_thread: dict[int, list[int]],
) -> list[tuple[int, int]]:
    left = {t: Counter(et.name[n] for n in rows) for t, rows in of_tid.items()}
    right = {
        t: Counter(trace.names[int(trace.host.name[e])] for e in rows)
        for t, rows in of_thread.items()
    }
    scored = sorted(
        (((left[a] & right[b]).total(), a, b) for a in left for b in right), reverse=True
    )
    pairs: list[tuple[int, int]] = []
    for score, a, b in scored:
        if score and all(a != p[0] and b != p[1] for p in pairs):
            pairs.append((a, b))
    return pairs


def align(left: list[str], right: list[str]) -> list[tuple[int, int]]:
    """Give index pairs of a common subsequence of two name sequences, in order."""
    pairs: list[tuple[int, int]] = []
    first = 0
    while first < len(left) and first < len(right) and left[first] == right[first]:
        pairs.append((first, first))
        first += 1
    rest = SequenceMatcher(None, left[first:], right[first:], autojunk=False)
    if max(len(left), len(right)) - first > ALIGN_AT_ONCE:
        return pairs + _align_around_unique(left, right, first)
    for block in rest.get_matching_blocks():
        pairs.extend((first + block.a + k, first + block.b + k) for k in range(block.size))
    return pairs


def _align_around_unique(left: list[str], right: list[str], first: int) -> list[tuple[int, int]]:
    """Walk both, skipping ahead on the side where the other's next name comes sooner."""
    window = 200
    pairs, i, j = [], first, first
    while i < len(left) and j < len(right):
        if left[i] == right[j]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
            continue
        ahead_right = _index(right, left[i], j, window)
        ahead_left = _index(left, right[j], i, window)
        if ahead_right <= ahead_left and ahead_right < window:
            j += ahead_right
        elif ahead_left < window:
            i += ahead_left
        else:
            i, j = i + 1, j + 1
    return pairs


def _index(names: list[str], wanted: str, first: int, window: int) -> int:
    try:
        return names.index(wanted, first, first + window) - first
    except ValueError:
        return window


def _outermost(trace: KinetoTrace, events: Int64s) -> Int64s:
    """Operators and annotations that no other of them encloses; steps' own marks left out."""
    host = trace.host
    step = np.array([name.startswith("ProfilerStep#") for name in trace.names], dtype=bool)
    events = events[~step[host.name[events]]]
    keep, thread, until = [], NONE, 0
    columns = (events, host.thread[events], host.start_ns[events], host.end_ns[events])
    for event, on, start, end in zip(*(column.tolist() for column in columns), strict=True):
        if on != thread:
            thread, until = on, -1
        if start >= until:
            keep.append(event)
            until = end
    return np.array(keep, dtype=np.int64)


def _too_little(et: ExecutionTrace, trace: KinetoTrace, joined: Join) -> JoinError:
    share = f"only {100 * joined.coverage:.0f} % of {et.path.name} is found in the trace"
    ids = trace.host.rf_id
    pids = {thread.process for thread in trace.host.threads}
    if not len(trace.host):
        cause = "the trace holds no host operators"
    elif not (ids > 0).any():
        cause = (
            "all its 'Record function id' values are 0 or absent: it was recorded without an "
            "active ExecutionTraceObserver; record both in one run with `etsim capture`"
        )
    elif et.pid not in pids:
        cause = (
            f"process {et.pid} recorded one, {min(pids)} the other: two runs? record both in one"
        )
    else:
        cause = "were they recorded in one run?"
    return JoinError(
        f"{share} (joined by {joined.key}, 80 % needed): {cause}",
        where=trace.path,
        remedy="--allow-partial converts what there is",
    )
