"""How a plan is told: the verdict in a sentence, the tables, the arithmetic, the doubt."""

import numpy as np

from ..models.serving.candidates import Fleet
from ..models.serving.curves import Ask
from ..models.serving.setup import Setup
from ..models.serving.verdict import BreakEven
from ..simulator.serving.doubt import NOT_MODELLED
from ..simulator.serving.plan_check import Trial
from ..simulator.serving.planner import Plan
from .output import note, percent, print_table, say, warn


def print_plan(answer: Plan, setup: Setup, ask: Ask) -> None:
    """Print the verdict, the tables, what they rest on."""
    say(headline(answer))
    _print_trials(answer, ask)
    _print_arithmetic(answer, setup, ask)
    _print_front(answer, ask)
    for found in answer.break_evens:
        say(_break_even(found))
    _print_grounds(answer, setup)


def headline(answer: Plan) -> str:
    """Give the verdict in one sentence."""
    best = answer.best
    how, name = ("apart", "together") if best.apart else ("together", "apart")
    other = answer.together if best.apart else answer.apart
    text = f"{how}, {best.told()} = {_devices(best)}"
    if other is None:
        return f"{text}; {name}, no fleet that was tried keeps the promises"
    used = {c.hardware.name for f in (best, other) for c in (f.prefill, f.decode)}
    against = f"{other.told(machines=len(used) > 1)} = {other.devices}"
    ratio, unit = other.devices / best.devices, "fewer"
    if len(used) > 1 and best.usd_per_hour and other.usd_per_hour:
        ratio, unit = other.usd_per_hour / best.usd_per_hour, "cheaper"
    if abs(ratio - 1) < 0.005:
        return f"{text}, as many as {name} ({against})"
    return f"{text}, {ratio:.2g}x {unit} than {name} ({against})"


def _devices(fleet: Fleet) -> str:
    first, second = fleet.prefill, fleet.decode
    if not fleet.apart or first.hardware.name == second.hardware.name:
        return f"{fleet.devices} {first.hardware.name}"
    x, y = fleet.prefills * first.tp, fleet.decodes * second.tp
    return f"{x} {first.hardware.name} + {y} {second.hardware.name}"


def _print_trials(answer: Plan, ask: Ask) -> None:
    share = f"p{100 * ask.share:g}"
    header = ("fleet", "devices", "USD/h", "USD/Mtok", f"TTFT {share}: form", "simulated",
              f"TPOT {share}: form", "simulated", "keeps")  # fmt: skip
    title = (
        f"The {len(answer.trials)} tried of {answer.feasible:,} that keep the promises by the "
        f"closed forms, of {answer.candidates:,}"
    )
    used = {c.hardware.name for t in answer.trials for c in (t.fleet.prefill, t.fleet.decode)}
    rows = [_trial_row(trial, ask, machines=len(used) > 1) for trial in answer.trials]
    print_table(header, rows, title=title)


def _trial_row(trial: Trial, ask: Ask, *, machines: bool) -> list[str]:
    fleet = trial.fleet
    policy = "" if fleet.apart else (" prompts first" if fleet.prompts_first else " mixed")
    return [
        f"{'apart' if fleet.apart else 'together'} {fleet.told(machines=machines)}{policy}",
        fleet.arithmetic,
        "" if fleet.usd_per_hour is None else f"{fleet.usd_per_hour:,.2f}",
        "" if fleet.usd_per_hour is None else f"{_token_price(fleet, ask):.3f}",
        _ms(fleet.ttft_s),
        _ms(trial.ttft_s),
        _ms(fleet.tpot_s),
        _ms(trial.tpot_s),
        "yes" if trial.keeps else "no",
    ]


def _token_price(fleet: Fleet, ask: Ask) -> float:
    tokens = ask.rate * (ask.prompt + ask.output) * 3600
    return (fleet.usd_per_hour or 0.0) / tokens * 1e6


def _print_arithmetic(answer: Plan, setup: Setup, ask: Ask) -> None:
    best = answer.best
    say(f"\nhow it follows: {ask.rate:g} requests/s of {ask.prompt:,.0f} in, {ask.output:,.0f} out")
    t_p, n = best.prefill.prefill_s, ask.output
    busy = ask.rate * t_p / best.prefills
    say(
        f"  prefill: t_p = {_ms(t_p)} on tp {best.prefill.tp}, {ask.rate:g} x {t_p:.4g} / "
        f"{best.prefills} = {percent(busy)} of each replica's time"
    )
    each = ask.rate / best.decodes
    step = float(best.decode.step_s(np.array([best.batch + 1]))[0])
    say(
        f"  decode: b = rate x n x step, {each:.4g} x {n:,.0f} x {step * 1e3:.4g} ms"
        f"{'' if best.apart else ' and the prompts between'} -> {best.batch:.1f} sequences of "
        f"{best.decode.batch_limit:,.0f} that fit"
    )
    if best.apart:
        size = ask.prompt * setup.card.kv_bytes(setup.precision.kv_bytes)
        load = ask.rate * size / setup.network_bytes_per_s
        say(
            f"  KV: {size / 1e6:,.0f} MB a prompt, layer by layer: {_ms(best.kv_s)} added to the "
            f"second token; {load:.2f} devices' worth of network at "
            f"{setup.network_bytes_per_s / 1e9:g} GB/s"
        )


def _print_front(answer: Plan, ask: Ask) -> None:
    rows = [
        [
            f"{'apart' if f.apart else 'together'} {f.told()}",
            f.arithmetic,
            f"{1 / f.tpot_s:,.0f}",
            f"{ask.rate * ask.output / f.devices:,.1f}",
            _ms(f.ttft_s),
        ]
        for f in answer.front
    ]
    header = ("fleet", "devices", "tokens/s for a user", "tokens/s of a device", "TTFT")
    print_table(header, rows, title="Pareto front by the closed forms: cost against speed")
    say("")


def _break_even(found: BreakEven) -> str:
    def told(value: float) -> str:
        if found.what.startswith("bytes/s"):
            return f"{value / 1e9:.3g} GB/s a device"
        return f"{value:,.0f} {found.what}" if value >= 100 else f"{value:.3g} {found.what}"

    state = "costs less" if found.apart_wins_here else "does not cost less"
    start = f"break-even: apart {state} at {told(found.here)}"
    if found.at is None:
        return f"{start}, and from 1/32 to 32 times that"
    if found.apart_wins_here:
        side = "down to" if found.at < found.here else "up to"
        return f"{start}, and {side} about {told(found.at)}"
    side = "from" if found.at > found.here else "below"
    return f"{start}; it does {side} about {told(found.at)}"


def _print_grounds(answer: Plan, setup: Setup) -> None:
    doubt = answer.doubt
    say(
        f"90 % interval: {_size(doubt.fast)} to {_size(doubt.slow)}, with every step "
        f"{percent(doubt.spread)} faster or slower"
    )
    say(f"rests on: {answer.origin}; {len(answer.trials)} fleets simulated")
    smallest = min((trial.slice for trial in answer.trials), default=1.0)
    if smallest < 1.0:
        note(f"fleets this large were tried by slices, down to {percent(smallest)} of one")
    say(f"not modelled: {', '.join(NOT_MODELLED)}")
    if not answer.confirmed:
        warn("no simulated fleet kept the promises: the verdict rests on the closed forms alone")
    for text in setup.notes:
        note(text)


def as_json(answer: Plan, setup: Setup, ask: Ask) -> dict[str, object]:
    """Give the plan for `--json`."""
    return {
        "verdict": headline(answer),
        "best": _fleet_json(answer.best, ask),
        "together": answer.together and _fleet_json(answer.together, ask),
        "apart": answer.apart and _fleet_json(answer.apart, ask),
        "trials": [
            {
                **_fleet_json(trial.fleet, ask),
                "simulated_ttft_s": trial.ttft_s,
                "simulated_tpot_s": trial.tpot_s,
                "keeps": trial.keeps,
                "slice": trial.slice,
            }
            for trial in answer.trials
        ],
        "front": [_fleet_json(fleet, ask) for fleet in answer.front],
        "candidates": answer.candidates,
        "feasible": answer.feasible,
        "break_even": answer.break_evens,
        "devices_90": [
            None if end is None else end.devices for end in (answer.doubt.fast, answer.doubt.slow)
        ],
        "spread": answer.doubt.spread,
        "confirmed": answer.confirmed,
        "rests_on": answer.origin,
        "not_modelled": NOT_MODELLED,
        "notes": setup.notes,
    }


def _fleet_json(fleet: Fleet, ask: Ask) -> dict[str, object]:
    return {
        "apart": fleet.apart,
        "prefill": {
            "hw": fleet.prefill.hardware.name,
            "tp": fleet.prefill.tp,
            "replicas": fleet.prefills,
        },
        "decode": {
            "hw": fleet.decode.hardware.name,
            "tp": fleet.decode.tp,
            "replicas": fleet.decodes,
        },
        "devices": fleet.devices,
        "usd_per_hour": fleet.usd_per_hour,
        "usd_per_million_tokens": None if fleet.usd_per_hour is None else _token_price(fleet, ask),
        "ttft_s": fleet.ttft_s,
        "tpot_s": fleet.tpot_s,
        "kv_s": fleet.kv_s,
        "batch": fleet.batch,
    }


def _ms(value_s: float) -> str:
    return f"{value_s * 1e3:,.0f} ms" if value_s >= 0.1 else f"{value_s * 1e3:.1f} ms"


def _size(fleet: Fleet | None) -> str:
    if fleet is None:
        return "no fleet at all"
    price = "" if fleet.usd_per_hour is None else f" ({fleet.usd_per_hour:,.0f} USD/h)"
    return f"{fleet.devices} devices{price}"
