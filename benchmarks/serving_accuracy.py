"""Step times carried from one system to another, against published measurements.

    python -m etsim.benchmarks.serving_accuracy [--data DIR] [--source S --target T]

Nothing measured on the target enters a prediction: the source's own steps calibrate the parts
(models/serving/transfer.py), the target's spec gives the ratios. Tables are markdown.
"""

import argparse
import csv
import gzip
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from etsim.models import specs
from etsim.models.errors import InputError
from etsim.models.hardware import Hardware
from etsim.models.serving.card_files import load_card
from etsim.models.serving.group import PRECISIONS, Group, Precision, group_of
from etsim.models.serving.memory_limit import budget_from_memory, mean_step
from etsim.models.serving.model_card import ModelCard
from etsim.models.serving.step_time import StepWork, decode_work
from etsim.models.serving.transfer import MeasuredStep, Transfer, calibrate

HERE = Path(__file__).resolve().parent
DATA = HERE.parent.parent / "shared" / "data" / "kernels"
# What an engine keeps for activations and its own buffers on each device, beside 10 % of memory.
ENGINE_BYTES = 2e9
# The tables' names of the machines -> our specs.
MACHINES = {
    "a100-80gb": str(HERE / "specs" / "nd-a100-v4.yaml"),
    "h100-80gb": str(HERE / "specs" / "nd-h100-v5.yaml"),
}

Row = dict[str, str]


def machine(name: str) -> Hardware:
    """Load the spec of a table's system: `h100_sxm`, `gb200_sxm`, ..."""
    plain = name.replace("_", "-")
    if plain not in specs.catalogue() and plain.removesuffix("-sxm") in specs.catalogue():
        plain = plain.removesuffix("-sxm")
    return specs.load(MACHINES.get(name, plain))


def card_of(model: str) -> ModelCard | None:
    """Load a table's model, None where there is no card of it."""
    try:
        return load_card(model)
    except InputError:
        return None


def precision_of(told: str) -> Precision:
    """Give the precision that a table tells; unpublished means bf16."""
    return PRECISIONS[{"nvfp4": "fp4", "int4": "w4a16"}.get(told, told or "bf16")]


def at_peak(hardware: Hardware, tp: int, precision: Precision) -> Group:
    """Give a group at its datasheet peaks, which is what the calibration is relative to."""
    return group_of(hardware, tp, precision, compute_efficiency=1.0, memory_efficiency=1.0)


@dataclass(frozen=True, slots=True)
class Point:
    """One measured step of one configuration on one system."""

    key: tuple[str, ...]
    tp: int
    seconds: float
    work: Callable[[Group], StepWork]  # the work may depend on the memory of the group


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a transfer did."""

    name: str
    pairs: int
    plain: float
    mape: float
    median: float
    p90: float
    worst: float


def fixed(work: StepWork) -> Callable[[Group], StepWork]:
    """Give a work that no memory limits."""
    return lambda _group: work


def read(path: Path) -> list[Row]:
    """Read a gzipped CSV."""
    with gzip.open(path, "rt") as file:
        return list(csv.DictReader(file))


def splitwise_points(rows: Iterable[Row], system: str, phase: str) -> list[Point]:
    """Give the steps of one phase ("prefill" or "decode") on one system; broken rows left out."""
    points = []
    for row in rows:
        if row["hardware"] != system or row["suspect"] == "True":
            continue
        tp, s, b, n = (
            int(row[k]) for k in ("tensor_parallel", "prompt_size", "batch_size", "token_size")
        )
        if phase == "prefill":
            work, column = StepWork(s * b, b * s * s / 2, 0, b), "prompt_time"
        else:
            work, column = decode_work(b, s + n / 2), "token_time"
        key = (row["model"], str(tp), str(s), str(b), str(n))
        points.append(Point(key, tp, float(row[column]) / 1e3, fixed(work)))
    return points


SETUP = (
    "backend", "model_path", "precision", "isl", "osl", "batch_size", "tp_size", "pp_size",
    "attention_dp_size", "moe_tp_size", "moe_ep_size",
)  # fmt: skip


def serving_points(
    rows: Iterable[Row], system: str, model: str, backend: str, precision: Precision
) -> list[Point]:
    """Give the TPOT of aggregated serving at steady concurrency, one system, model and backend."""
    card = load_card(model)
    points = []
    for row in rows:
        if (row["system"], row["model_path"], row["backend"]) != (system, model, backend):
            continue
        if row["mode"] != "agg":
            continue
        s, n, b = (int(row[k]) for k in ("isl", "osl", "batch_size"))

        def work(group: Group, s: int = s, n: int = n, b: int = b) -> StepWork:
            kept = ENGINE_BYTES * group.tp
            budget = budget_from_memory(card, group, precision, activation_bytes=kept)
            return mean_step(s, n, b, budget)

        key = tuple(row[k] for k in SETUP)
        points.append(Point(key, int(row["tp_size"]), float(row["silicon_tpot_ms"]) / 1e3, work))
    return points


@dataclass(frozen=True, slots=True)
class Question:
    """From which measured system to which other, for which model."""

    name: str
    card: ModelCard
    precision: Precision
    source: str
    target: str
    plain: Callable[[Hardware, Hardware], float]  # the ratio one would take without a model


def transfer(question: Question, here: Sequence[Point], there: Sequence[Point]) -> Outcome | None:
    """Carry every source step to the target and compare with what was measured there."""
    source, target = machine(question.source), machine(question.target)
    card, precision = question.card, question.precision

    def group(hardware: Hardware, tp: int) -> Group:
        return at_peak(hardware, tp, precision)

    steps = [
        MeasuredStep(card, precision, p.work(group(source, p.tp)), group(source, p.tp), p.seconds)
        for p in here
    ]
    truth = {p.key: p for p in there}
    pairs = [(p, truth[p.key]) for p in here if p.key in truth]
    if not pairs:
        return None
    calibration = calibrate(steps)
    errors, plain = [], []
    for p, measured in pairs:
        from_group, to_group = group(source, p.tp), group(target, p.tp)
        move = Transfer(card, precision, calibration, from_group, to_group)
        ratio = move.ratio(p.work(from_group), p.work(to_group))
        errors.append(abs(p.seconds * ratio / measured.seconds - 1))
        plain.append(abs(p.seconds * question.plain(source, target) / measured.seconds - 1))
    return Outcome(
        question.name,
        len(pairs),
        float(np.mean(plain)),
        float(np.mean(errors)),
        float(np.median(errors)),
        float(np.quantile(errors, 0.9)),
        float(np.max(errors)),
    )


def memory_ratio(source: Hardware, target: Hardware) -> float:
    """The plain bandwidth ratio."""
    return source.device.memory_bandwidth_gbps / target.device.memory_bandwidth_gbps


def flop_ratio(source: Hardware, target: Hardware) -> float:
    """The plain fp16 ratio."""
    return source.device.peak_tflops["fp16"] / target.device.peak_tflops["fp16"]


def splitwise(data: Path, source: str, target: str) -> list[Outcome]:
    """Give prefill and decode from one system of the Splitwise table to the other, each model."""
    rows = read(data / "splitwise_llm.csv.gz")
    outcomes = []
    for model in sorted({row["model"] for row in rows}):
        own = [row for row in rows if row["model"] == model]
        for phase, plain in (("decode", memory_ratio), ("prefill", flop_ratio)):
            name = f"{phase} {model} fp16, {source} -> {target}"
            card = load_card(model)
            question = Question(name, card, PRECISIONS["fp16"], source, target, plain)
            here = splitwise_points(own, source, phase)
            outcome = transfer(question, here, splitwise_points(own, target, phase))
            outcomes += [outcome] if outcome else []
    return outcomes


def serving(data: Path, source: str, target: str) -> list[Outcome]:
    """Give TPOT from one system of the serving table to another, each model and backend apart."""
    rows = read(data / "serving_silicon.csv.gz")
    kinds = sorted({(r["model_path"], r["backend"], r["precision"]) for r in rows})
    outcomes = []
    for model, backend, told in kinds:
        card = card_of(model)
        if card is None:
            continue
        precision = precision_of(told)
        name = f"TPOT {model.split('/')[-1]} {told} {backend}, {source} -> {target}"
        question = Question(name, card, precision, source, target, memory_ratio)
        own = [row for row in rows if row["precision"] == told]
        here = serving_points(own, source, model, backend, precision)
        there = serving_points(own, target, model, backend, precision)
        outcome = transfer(question, here, there)
        outcomes += [outcome] if outcome else []
    return outcomes


def table(outcomes: Sequence[Outcome]) -> str:
    """Lay outcomes out as markdown."""
    lines = [
        "| what | pairs | plain ratio | etsim mean | median | p90 | worst |",
        "|---|---|---|---|---|---|---|",
    ]
    for o in outcomes:
        figures = f"**{o.mape:.1%}** | {o.median:.1%} | {o.p90:.1%} | {o.worst:.1%}"
        lines.append(f"| {o.name} | {o.pairs} | {o.plain:.1%} | {figures} |")
    return "\n".join(lines)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the measured tables")
    parser.add_argument("--source", help="a system of the serving table, e.g. h100_sxm")
    parser.add_argument("--target", help="another one")
    told = parser.parse_args()
    if told.source and told.target:
        print(table(serving(told.data, told.source, told.target)))
        return
    print("Mean absolute error of steps carried to a system that no fit has seen\n")
    outcomes = splitwise(told.data, "a100-80gb", "h100-80gb")
    outcomes += serving(told.data, "h100_sxm", "h200_sxm")
    print(table(outcomes))
    print("\nThe other way round\n")
    outcomes = splitwise(told.data, "h100-80gb", "a100-80gb")
    print(table(outcomes + serving(told.data, "h200_sxm", "h100_sxm")))


if __name__ == "__main__":
    main()
