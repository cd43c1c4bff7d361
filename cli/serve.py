"""`etsim serve`: a serving cluster, request by request."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar, Unpack

import click

from ..converters.serving_files import write_requests, write_timeline
from ..models.errors import AnalysisError, UsageError
from ..models.serving.fleet import Slo
from ..models.serving.kv_transfer import TransferMode
from ..models.serving.outcome import ClusterRun, Percentiles, Summary, summarise
from ..models.serving.setup import Setup
from ..models.serving.workload import Workload
from ..simulator.serving.arrivals import Arrivals
from ..simulator.serving.cluster import simulate
from ..simulator.serving.doubt import NOT_MODELLED, Interval, intervals, spread_of
from ..simulator.serving.goodput import Goodput, find_goodput
from ..simulator.serving.settings import Policy, Routing
from .output import json_option, note, percent, print_json, print_table, say, warn
from .serve_inputs import Fleet, ServeOptions, read_fleet, read_slo, read_workload
from .serving_options import read_setup, serving_options

F = TypeVar("F", bound=Callable[..., None])

_REQUESTS = (
    click.option("--requests", type=click.Path(path_type=Path), metavar="LOG",
                 help="Azure CSV or Mooncake JSONL, .gz as it is."),
    click.option("--rate-scale", type=click.FloatRange(min=1e-6), default=1.0,
                 help="Let the requests come this much faster."),
    click.option("--first", type=click.IntRange(min=1), help="Only the first so many requests."),
    click.option("--rate", type=click.FloatRange(min=1e-9), help="Made requests a second."),
    click.option("--isl", type=click.IntRange(min=1), default=1024, show_default=True,
                 help="Prompt tokens of a made request (mean)."),
    click.option("--osl", type=click.IntRange(min=1), default=256, show_default=True,
                 help="Answer tokens of a made request (mean)."),
    click.option("--count", type=click.IntRange(min=1), default=2000, show_default=True,
                 help="How many are made."),
    click.option("--arrivals", type=click.Choice([a.value for a in Arrivals]),
                 default=Arrivals.POISSON.value, show_default=True, help="How they are spaced."),
    click.option("--gap-cv", type=click.FloatRange(min=0.01), default=2.0,
                 help="Variation of gamma gaps."),
    click.option("--burst", type=click.IntRange(min=1), default=8, help="Requests of a burst."),
    click.option("--length-cv", type=click.FloatRange(min=0), default=0.0,
                 help="Variation of lengths (lognormal), 0 for fixed ones."),
    click.option("--seed", type=int, default=0, help="Same seed, same bytes."),
)  # fmt: skip
_CLUSTER = (
    click.option("--tp", type=click.IntRange(min=1), default=1, show_default=True,
                 help="Devices of one replica."),
    click.option("--replicas", type=click.IntRange(min=1), default=1, show_default=True,
                 help="Replicas that prefill and decode."),
    click.option("--apart", metavar="X:Y", help="Instead X prefill and Y decode replicas."),
    click.option("--prefill-tp", type=click.IntRange(min=1), help="Of a prefill replica."),
    click.option("--decode-tp", type=click.IntRange(min=1), help="Of a decode replica."),
    click.option("--policy", type=click.Choice([p.value for p in Policy]),
                 default=Policy.DECODE_FIRST.value, show_default=True, help="What goes first."),
    click.option("--step-tokens", type=click.IntRange(min=1), default=8192, show_default=True,
                 help="Token budget of a step."),
    click.option("--max-sequences", type=click.IntRange(min=1), default=256, show_default=True,
                 help="Sequences a replica holds."),
    click.option("--chunks/--no-chunks", default=True, help="Spread long prompts over steps."),
    click.option("--kv-blocks", type=click.IntRange(min=1),
                 help="KV blocks of a replica, as the engine logs them; else from memory."),
    click.option("--block-tokens", type=click.IntRange(min=1), default=16, show_default=True,
                 help="Tokens of a KV block."),
    click.option("--prefix-cache/--no-prefix-cache", default=False, help="Reuse equal prefixes."),
    click.option("--routing", type=click.Choice([r.value for r in Routing]),
                 default=Routing.LEAST_REQUESTS.value, show_default=True,
                 help="Which replica gets a request."),
    click.option("--kv-transfer", type=click.Choice([m.value for m in TransferMode]),
                 default=TransferMode.LAYERED.value, show_default=True,
                 help="When KV leaves a prefill replica."),
    click.option("--link", metavar="BANDWIDTH", help="Of the whole KV link between the pools."),
)  # fmt: skip
_ANSWER = (
    click.option("--ttft", metavar="TIME", help="Promised time to first token, e.g. 1s."),
    click.option("--tpot", metavar="TIME", help="Promised time per output token, e.g. 50ms."),
    click.option("--ttft-includes-kv", is_flag=True, help="Count the KV transfer into TTFT."),
    click.option("--goodput", type=click.FloatRange(0.01, 1), metavar="SHARE",
                 help="Also find the highest rate at which this share keeps the promises."),
    click.option("--warmup", type=click.FloatRange(0, 0.9), default=0.0,
                 help="Share of the first requests left out of the times."),
    click.option("-o", "--output", type=click.Path(path_type=Path), metavar="CSV",
                 help="One line a request."),
    click.option("--timeline", type=click.Path(path_type=Path), metavar="JSON.GZ",
                 help="The cluster for Perfetto."),
)  # fmt: skip


def _options(function: F) -> F:
    for option in reversed((*_REQUESTS, *_CLUSTER, *_ANSWER)):
        function = option(function)
    return function


@click.command(short_help="Simulate a serving cluster request by request.")
@serving_options
@_options
@json_option
def command(**told: Unpack[ServeOptions]) -> None:
    """Simulate a serving cluster request by request.

    \b
    etsim serve --model llama3-70b --hw h100-sxm --tp 4 --replicas 2 --requests azure_conv.csv.gz
    etsim serve --model qwen3-32b --rate 10 --isl 4000 --osl 500 --apart 2:1 --ttft 1s --tpot 20ms
    """  # noqa: D301  # click reads \b as "keep these lines"
    workload = read_workload(told)
    setup = read_setup(told, workload.mean_prompt)
    fleet = read_fleet(told, setup)
    slo = read_slo(told["ttft"], told["tpot"])
    run = simulate(fleet.cluster, workload)
    if not run.times.done.any():
        raise AnalysisError(
            "no request fits the KV cache of a replica",
            remedy="memory binds; more --kv-blocks, a larger --tp or shorter requests would do",
        )
    summary = summarise(
        run,
        slo=slo,
        usd_per_hour=fleet.usd_per_hour,
        warmup=told["warmup"],
        with_kv=told["ttft_includes_kv"],
    )
    answer = Answer(
        summary,
        run,
        intervals(fleet.cluster, workload, slo=slo, nominal=summary),
        _goodput(told, fleet, workload, slo),
    )
    if told["output"] is not None:
        write_requests(told["output"], run.times, tuple(e.name for e in run.engines))
    if told["timeline"] is not None:
        write_timeline(told["timeline"], run)
    if told["as_json"]:
        print_json(_json(answer, setup, fleet))
    else:
        _print(answer, setup, fleet, slo)
    if workload.dropped:
        note(f"{workload.dropped} rows of the log have no tokens on one side: left out")


@dataclass(frozen=True, slots=True)
class Answer:
    """What is shown."""

    summary: Summary
    run: ClusterRun
    intervals: Mapping[str, Interval]
    goodput: Goodput | None = None


def _goodput(
    told: ServeOptions, fleet: Fleet, workload: Workload, slo: Slo | None
) -> Goodput | None:
    if told["goodput"] is None:
        return None
    if slo is None:
        raise UsageError("--goodput of what promise?", remedy="give --ttft and --tpot")
    return find_goodput(fleet.cluster, workload, slo, share=told["goodput"])


def _print(answer: Answer, setup: Setup, fleet: Fleet, slo: Slo | None) -> None:
    say(_headline(answer.summary, slo))
    _print_times(answer)
    _print_engines(answer)
    _print_totals(answer, fleet)
    _print_grounds(answer, setup, fleet)


def _headline(s: Summary, slo: Slo | None) -> str:
    text = (
        f"{s.served:,} of {s.requests:,} requests served, {s.rate_in:.2f}/s coming, on {s.devices} "
        f"devices: TTFT {_ms(s.ttft.p50)} (p99 {_ms(s.ttft.p99)}), "
        f"TPOT {_ms(s.tpot.p50)} (p99 {_ms(s.tpot.p99)})"
    )
    if slo is None or s.slo_share is None or s.goodput is None:
        return text
    return f"{text}; {percent(s.slo_share)} keep the SLO, goodput {s.goodput:.2f} requests/s"


def _print_times(answer: Answer) -> None:
    s = answer.summary
    measures: tuple[tuple[str, str, Percentiles], ...] = (
        ("time to first token", "ttft", s.ttft),
        ("time per output token", "tpot", s.tpot),
        ("arrival to last token", "e2e", s.e2e),
    )
    rows = [
        [name, *(_ms(v) for v in (p.mean, p.p50, p.p90, p.p99)), _range(answer.intervals.get(key))]
        for name, key, p in measures
    ]
    print_table(("ms", "mean", "p50", "p90", "p99", "90 % interval of p50"), rows, title="Times")


def _print_engines(answer: Answer) -> None:
    span = max(answer.run.span_ns, 1)
    rows = [
        [
            engine.name,
            engine.devices,
            percent(engine.busy_ns / span),
            percent(engine.prefill_ns / span),
            f"{engine.steps:,}",
            f"{engine.mean_batch:.1f}",
            percent(engine.peak_kv_share),
        ]
        for engine in answer.run.engines
    ]
    header = ("replica", "devices", "busy", "with prompts", "decode steps", "mean batch", "peak KV")
    print_table(header, rows, title="Replicas")


def _print_totals(answer: Answer, fleet: Fleet) -> None:
    s, run = answer.summary, answer.run
    rows = [
        ["tokens/s, in and out", f"{s.tokens_per_s:,.0f}"],
        ["mean queue", f"{s.mean_queue:.2f} requests"],
        ["preemptions", f"{s.preemptions:,}"],
    ]
    if s.prefix_share:
        rows.append(["prompt tokens found cached", percent(s.prefix_share)])
    if fleet.cluster.link is not None:
        rows.append(["KV link busy", percent(run.link_busy_ns / max(run.span_ns, 1))])
    if s.slo_share is not None and (doubt := answer.intervals.get("slo_share")):
        between = f"{percent(doubt.low)} to {percent(doubt.high)}"
        rows.append(["within the SLO", f"{percent(s.slo_share)} (90 %: {between})"])
    if answer.goodput is not None:
        found = answer.goodput
        rows.append(["goodput", f"{found.rate:.2f} requests/s with {percent(found.share)} kept"])
    if s.usd_per_hour is not None and s.usd_per_million_tokens is not None:
        price = f"{s.usd_per_hour:,.2f} USD/h, {s.usd_per_million_tokens:.3f} USD a million tokens"
        rows.append(["cost", price])
    rows.append(["simulated events", f"{run.events:,}"])
    print_table(("", ""), rows, title="In all")


def _print_grounds(answer: Answer, setup: Setup, fleet: Fleet) -> None:
    origins = {pool.engine.cost.origin for pool in fleet.cluster.pools}
    for origin in sorted(origins, key=lambda o: o.text):
        say(f"\nrests on: {origin.source}: {origin.text} (within {percent(origin.spread)})")
    say(f"not modelled: {', '.join(NOT_MODELLED)}")
    for text in (*setup.notes, *fleet.notes):
        note(text)
    for text in answer.run.notes:
        warn(text)
    s = answer.summary
    if s.falls_behind:
        warn(
            f"the cluster falls behind: {s.rate_in:.2f} requests/s come, {s.rate_served:.2f} are "
            "served; times grow with the log"
        )


def _json(answer: Answer, setup: Setup, fleet: Fleet) -> dict[str, object]:
    origins = [asdict(pool.engine.cost.origin) for pool in fleet.cluster.pools]
    return {
        "summary": answer.summary,
        "intervals_90": answer.intervals,
        "goodput": answer.goodput,
        "engines": answer.run.engines,
        "events": answer.run.events,
        "loop_events": answer.run.loop_events,
        "rests_on": origins,
        "spread": spread_of(fleet.cluster),
        "not_modelled": NOT_MODELLED,
        "notes": [*setup.notes, *fleet.notes, *answer.run.notes],
    }


def _ms(value_s: float) -> str:
    value = value_s * 1e3
    return f"{value:,.0f} ms" if value >= 100 else f"{value:.1f} ms"


def _range(interval: Interval | None) -> str:
    return f"{_ms(interval.low)} - {_ms(interval.high)}" if interval else ""
