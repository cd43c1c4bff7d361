"""The engine formula without any measurement of the model, against measured serving points.

    python -m etsim.benchmarks.serving_formula [--data DIR]

Each row of the table leaves its model out: the multipliers come from the other models' points.
"default" are the constants in models/serving/step_cost.py, "roofline" is the bare corrected form.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from etsim.benchmarks.serving_accuracy import (
    DATA,
    at_peak,
    card_of,
    machine,
    precision_of,
    read,
    serving_points,
)
from etsim.models.serving.group import (
    COMPUTE_EFFICIENCY,
    MEMORY_EFFICIENCY,
)
from etsim.models.serving.step_cost import ENGINE
from etsim.models.serving.step_time import step_parts
from etsim.models.serving.transfer import Calibration, MeasuredStep, calibrate

LEAST_POINTS = 20  # a set of three points says nothing

Steps = list[MeasuredStep]


def measured_sets(data: Path) -> dict[tuple[str, str, str, str], Steps]:
    """Give the steps of every system, model, backend and precision; unpublished means bf16."""
    rows = [r for r in read(data / "serving_silicon.csv.gz") if r["mode"] == "agg"]
    kinds = sorted({(r["system"], r["model_path"], r["backend"], r["precision"]) for r in rows})
    sets: dict[tuple[str, str, str, str], Steps] = {}
    for kind in kinds:
        system, model, backend, told = kind
        card = card_of(model)
        if card is None:
            continue
        precision, hardware = precision_of(told), machine(system)
        chosen = [r for r in rows if r["precision"] == told]
        steps = []
        for point in serving_points(chosen, system, model, backend, precision):
            group = at_peak(hardware, point.tp, precision)
            work = point.work(group)
            steps.append(MeasuredStep(card, precision, work, group, point.seconds))
        if len(steps) >= LEAST_POINTS:
            sets[kind] = steps
    return sets


def roofline(step: MeasuredStep) -> float:
    """The bare corrected form with its two efficiencies."""
    group = replace(
        step.group,
        flops_per_s=step.group.flops_per_s * COMPUTE_EFFICIENCY,
        bytes_per_s=step.group.bytes_per_s * MEMORY_EFFICIENCY,
    )
    return step_parts(step.card, group, step.precision, step.work).total()


def predictor(engine: Calibration) -> Callable[[MeasuredStep], float]:
    """The engine form with these multipliers."""
    return lambda step: engine.seconds(step.parts())


def errors(steps: Sequence[MeasuredStep], seconds: Callable[[MeasuredStep], float]) -> list[float]:
    """Give |error| of each."""
    return [abs(seconds(step) / step.seconds - 1) for step in steps]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    sets = measured_sets(parser.parse_args().data)
    print("| system, model, backend | points | roofline | default | model left out | p90 |")
    print("|---|---|---|---|---|---|")
    for kind, steps in sets.items():
        others = [
            step
            for other in sets.values()
            for step in other
            if step.card.name != steps[0].card.name
            and (step.card.experts is None) == (steps[0].card.experts is None)
        ]
        engine = calibrate(others)
        left_out = errors(steps, predictor(engine))
        default = errors(steps, predictor(ENGINE))
        bare = errors(steps, roofline)
        system, model, backend, told = kind
        print(
            f"| {system} {model.split('/')[-1]} {told or 'bf16?'} {backend} | {len(steps)} "
            f"| {np.mean(bare):.1%} | {np.mean(default):.1%} | **{np.mean(left_out):.1%}** "
            f"| {np.quantile(left_out, 0.9):.0%} |"
        )


if __name__ == "__main__":
    main()
