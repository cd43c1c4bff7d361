"""What came of the requests: times of each, percentiles, goodput, utilisation, cost."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from ..graph import Int64s
from .fleet import Slo

Floats = NDArray[np.float64]
NEVER = -1  # in a time column: it did not happen


@dataclass(frozen=True, slots=True, eq=False)
class RequestTimes:
    """What happened to each request, ns from the log's start; -1 where it never did.

    Attributes:
        start_ns: when an engine first took it up.
        first_token_ns, finish_ns: first and last token.
        kv_ready_ns: when its KV cache stood at the decode side; the first token's time where it
            never moved.
        preemptions: how often it lost its KV and was computed again.
        prefix_tokens: prompt tokens found in a cache.
        replica: index of the engine that finished it.
    """

    arrival_ns: Int64s
    prompt_tokens: Int64s
    output_tokens: Int64s
    start_ns: Int64s
    first_token_ns: Int64s
    kv_ready_ns: Int64s
    finish_ns: Int64s
    preemptions: Int64s
    prefix_tokens: Int64s
    replica: Int64s

    @property
    def done(self) -> NDArray[np.bool_]:
        """Tell which requests were served to the end."""
        return np.not_equal(self.finish_ns, NEVER)

    def ttft_s(self, *, with_kv: bool = False) -> Floats:
        """Time to first token of the served ones; optionally until the KV has moved as well."""
        seen = self.kv_ready_ns if with_kv else self.first_token_ns
        return ((seen - self.arrival_ns)[self.done]) / 1e9

    def tpot_s(self) -> Floats:
        """Mean time between tokens of each served request with more than one."""
        several = self.done & (self.output_tokens > 1)
        gaps = self.output_tokens[several] - 1
        return (self.finish_ns - self.first_token_ns)[several] / gaps / 1e9

    def e2e_s(self) -> Floats:
        """Time from arrival to last token of the served ones."""
        return (self.finish_ns - self.arrival_ns)[self.done] / 1e9

    def keeps(self, slo: Slo, *, with_kv: bool = False) -> NDArray[np.bool_]:
        """Tell for each served request whether it kept both promises."""
        gaps = np.maximum(self.output_tokens[self.done] - 1, 1)
        tpot = (self.finish_ns - self.first_token_ns)[self.done] / gaps / 1e9
        return (self.ttft_s(with_kv=with_kv) <= slo.ttft_s) & (tpot <= slo.tpot_s)

    def after_warmup(self, share: float) -> "RequestTimes":
        """Give the requests behind the first `share` of them."""
        cut = int(len(self.arrival_ns) * share)
        return RequestTimes(*(getattr(self, name)[cut:] for name in self.__slots__))


class SliceKind(StrEnum):
    """What an engine did in a slice of time."""

    PREFILL = "prefill"
    MIXED = "mixed"
    DECODE = "decode"


@dataclass(frozen=True, slots=True)
class EngineSlice:
    """A stretch of equal work on one engine, for the timeline."""

    engine: int
    kind: SliceKind
    start_ns: int
    end_ns: int
    steps: int
    prefill_tokens: int
    batch: int
    kv_tokens: int
    waiting: int


@dataclass(frozen=True, slots=True)
class EngineUse:
    """How one engine spent the run."""

    name: str
    devices: int
    busy_ns: int
    prefill_ns: int
    steps: int
    mean_batch: float
    peak_kv_share: float


@dataclass(frozen=True, slots=True)
class ClusterRun:
    """The whole outcome of a simulation.

    Attributes:
        events: arrivals, engine steps, completions and transfers that were simulated.
        loop_events: how many turns of the event loop that took (steps that change nothing but
            the clock are taken many at once, exactly).
        link_busy_ns: time at which some KV transfer was on the link.
    """

    times: RequestTimes
    engines: tuple[EngineUse, ...]
    span_ns: int
    events: int
    loop_events: int
    link_busy_ns: int = 0
    rejected: int = 0
    slices: tuple[EngineSlice, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Mean and percentiles of one measure, seconds."""

    mean: float
    p50: float
    p90: float
    p99: float


def percentiles(values: Floats) -> Percentiles:
    """Give mean, p50, p90, p99; zeros where there is nothing."""
    if not len(values):
        return Percentiles(0.0, 0.0, 0.0, 0.0)
    p50, p90, p99 = np.percentile(values, [50, 90, 99]).tolist()
    return Percentiles(float(values.mean()), p50, p90, p99)


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures people ask for."""

    requests: int
    served: int
    rejected: int
    ttft: Percentiles
    tpot: Percentiles
    e2e: Percentiles
    rate_in: float
    rate_served: float
    goodput: float | None
    slo_share: float | None
    tokens_per_s: float
    utilisation: float
    mean_queue: float
    preemptions: int
    prefix_share: float
    devices: int
    usd_per_hour: float | None
    usd_per_million_tokens: float | None
    falls_behind: bool
    pools: Mapping[str, float] = field(default_factory=dict)


def summarise(
    run: ClusterRun,
    *,
    slo: Slo | None = None,
    usd_per_hour: float | None = None,
    warmup: float = 0.0,
    with_kv: bool = False,
) -> Summary:
    """Reduce a run to its figures; requests of the warm-up share are left out of the times."""
    times = run.times.after_warmup(warmup)
    span_s = max(run.span_ns / 1e9, 1e-12)
    done = run.times.done
    tokens = int(np.sum((run.times.prompt_tokens + run.times.output_tokens)[done]))
    kept = None if slo is None else times.keeps(slo, with_kv=with_kv)
    share = None if kept is None or not len(times.done) else float(kept.sum()) / len(times.done)
    arrival = run.times.arrival_ns
    window_s = float(arrival[-1] - arrival[0]) / 1e9
    rate_in = (len(arrival) - 1) / window_s if window_s else 0.0
    waited = (run.times.start_ns - arrival)[done]
    return Summary(
        requests=len(arrival),
        served=int(done.sum()),
        rejected=run.rejected,
        ttft=percentiles(times.ttft_s(with_kv=with_kv)),
        tpot=percentiles(times.tpot_s()),
        e2e=percentiles(times.e2e_s()),
        rate_in=rate_in,
        rate_served=float(done.sum()) / span_s,
        goodput=None if share is None else share * (rate_in or float(done.sum()) / span_s),
        slo_share=share,
        tokens_per_s=tokens / span_s,
        utilisation=_utilisation(run.engines, run.span_ns),
        mean_queue=float(waited.sum()) / max(run.span_ns, 1),
        preemptions=int(run.times.preemptions.sum()),
        prefix_share=float(run.times.prefix_tokens.sum() / run.times.prompt_tokens.sum()),
        devices=sum(engine.devices for engine in run.engines),
        usd_per_hour=usd_per_hour,
        usd_per_million_tokens=_token_price(usd_per_hour, span_s, tokens),
        falls_behind=_falls_behind(run),
        pools=_pool_use(run),
    )


def _falls_behind(run: ClusterRun) -> bool:
    """Tell whether requests piled up: after the last arrival there was more left than at first."""
    times, first = run.times, 20
    if len(times.arrival_ns) <= first:
        return False
    window = int(times.arrival_ns[-1] - times.arrival_ns[0])
    drain = run.span_ns - int(times.arrival_ns[-1])
    early = int(np.max((times.finish_ns - times.arrival_ns)[:first]))
    return drain > 2 * early + window // 20


def _token_price(usd_per_hour: float | None, span_s: float, tokens: int) -> float | None:
    if usd_per_hour is None or not tokens:
        return None
    return usd_per_hour * span_s / 3600 / tokens * 1e6


def _utilisation(engines: tuple[EngineUse, ...], span_ns: int) -> float:
    devices = sum(engine.devices for engine in engines)
    busy = sum(engine.busy_ns * engine.devices for engine in engines)
    return busy / (devices * span_ns) if devices and span_ns else 0.0


def _pool_use(run: ClusterRun) -> dict[str, float]:
    pools: dict[str, list[EngineUse]] = {}
    for engine in run.engines:
        pools.setdefault(engine.name.rsplit(" ", 1)[0], []).append(engine)
    return {name: _utilisation(tuple(group), run.span_ns) for name, group in pools.items()}
