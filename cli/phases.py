"""`etsim phases`: the prefill and decode steps in a serving engine's trace, and their laws."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median

import click

from ..converters.atomic import write_atomically
from ..models.graph import ExecutionGraph
from ..models.serving.step_fit import DecodeLaw, FitStep, PrefillLaw, StepFit, fit_steps, write_fit
from ..models.serving.step_names import StepPhase
from ..models.specs import match_device
from ..simulator.phases import EngineStep, Evidence, Part, find_steps
from ..simulator.predict import predict
from .inputs import load_graphs
from .machines import source_hardware, target_hardware
from .output import (
    csv_option,
    json_option,
    ms,
    note,
    percent,
    print_csv,
    print_json,
    print_table,
    say,
    warn,
)

HEADER = (
    "step", "phase", "time ms", "fit off by", "prompts", "tokens in", "decoding", "KV", "span ms",
    "busy ms", "host ms", *(part.value for part in Part), "graphs", "told by",
)  # fmt: skip


@click.command(short_help="Find prefill and decode steps in a serving engine's trace.")
@click.argument("traces", nargs=-1, required=True, metavar="TRACE...")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="FIT",
    help="Write the steps and their laws as YAML, for `serve --steps` and `plan --steps`.",
)  # fmt: skip
@click.option("--hw", metavar="NAME|FILE", help="What it ran on; else as the trace says.")
@click.option(
    "--on", metavar="NAME|FILE",
    help="Carry every kernel to this machine by the cost model and tell the steps there.",
)  # fmt: skip
@click.option("--tp", type=click.IntRange(min=1), help="Devices of the group; else as recorded.")
@click.option("--model", default="", help="The model's card, noted in the fit.")
@json_option
@csv_option
def command(
    traces: tuple[str, ...],
    output: Path | None,
    hw: str | None,
    on: str | None,
    tp: int | None,
    model: str,
    *,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Find the steps of vLLM, SGLang or a plain generate() in a trace; fit their laws.

    \b
    etsim phases rank0.pt.trace.json.gz
    etsim phases rank0.pt.trace.json.gz --hw h100-sxm --tp 4 -o steps.yaml
    """  # noqa: D301  # click reads \b as "keep these lines"
    graphs = load_graphs(traces)
    graph = graphs[0]  # the ranks of a group step together
    steps = find_steps(graph) if on is None else _predicted(graph, hw, on)
    fit = _fit(graph, steps, hw=hw, on=on, tp=tp, model=model)
    if output is not None:
        write_atomically(output, write_fit(fit))
    if as_json:
        print_json(_json(steps, fit))
    elif as_csv:
        print_csv(HEADER, [_row(step, fit) for step in steps])
    else:
        _print(steps, fit)
    if len(graphs) > 1:
        note(f"{len(graphs)} ranks given: the steps are those of rank {graph.meta.rank}")


def _predicted(graph: ExecutionGraph, hw: str | None, on: str) -> list[EngineStep]:
    """Give the steps on another machine; what the prediction doubts is noted."""
    source, target = target_hardware(on, source_hardware([graph], hw), [graph])
    prediction = predict([graph], source, target)
    for text in prediction.warnings:
        warn(text)
    steps = find_steps(prediction.graph, timeline=prediction.timeline)
    if not prediction.offloaded:
        before, after = (sum(s.step_ns for s in of) for of in (find_steps(graph), steps))
        note(f"carried to {target.name}: {ms(before)} ms of steps become {ms(after)} ms")
    return steps


def _fit(
    graph: ExecutionGraph,
    steps: Sequence[EngineStep],
    *,
    hw: str | None,
    on: str | None,
    tp: int | None,
    model: str,
) -> StepFit:
    meta = graph.meta
    known = match_device(meta.source_device, meta.device_memory_bytes) if hw is None else hw
    measured_on = known or meta.source_device
    usable = [fitted for step in steps if (fitted := step.fit_step()) is not None]
    decode, prefill, notes = _laws(usable)
    if len(usable) < len(steps):
        notes.append(f"{len(steps) - len(usable)} steps do not tell their tokens: not fitted")
    return StepFit(
        source=meta.property("source") or f"a trace of rank {meta.rank}",
        hardware=on or known or "",
        carried_from="" if on is None else (measured_on or "unknown hardware"),
        tp=tp or meta.world_size,
        model=model,
        decode=decode,
        prefill=prefill,
        steps=tuple(usable),
        notes=tuple(notes),
    )


def _laws(usable: list[FitStep]) -> tuple[DecodeLaw | None, PrefillLaw | None, list[str]]:
    return fit_steps(usable) if usable else (None, None, [])


def _print(steps: Sequence[EngineStep], fit: StepFit) -> None:
    say(_headline(steps))
    print_table(HEADER, [_row(step, fit) for step in steps], title="Steps")
    say("")
    if fit.decode is not None:
        d = fit.decode
        say(
            f"TBT = {d.gamma_ms:.4g} ms + {d.alpha_batch_us:.4g} us x batch + "
            f"{d.alpha_kv_ns:.4g} ns x KV; {d.steps} steps, "
            f"error {percent(d.mean_error)} mean, {percent(d.worst_error)} worst"
        )
    if fit.prefill is not None:
        p = fit.prefill
        say(
            f"prefill = {p.base_ms:.4g} ms + {p.token_us:.4g} us x tokens + "
            f"{p.pair_ps:.4g} ps x pairs; {p.steps} steps, "
            f"error {percent(p.mean_error)} mean, {percent(p.worst_error)} worst"
        )
    for text in fit.notes:
        note(text)
    if any(step.evidence is Evidence.GUESS for step in steps):
        note("no engine annotation: phases and counts are told by kernels, grids and shapes; "
             "a prompt beside decoding sequences counts as prefill")  # fmt: skip
    if any(step.graph_launches for step in steps):
        note("layers inside a graph launch have no operators: replayed kernels carry none")


def _headline(steps: Sequence[EngineStep]) -> str:
    counts = {phase: [s for s in steps if s.label.phase is phase] for phase in StepPhase}
    told = ", ".join(f"{len(found)} {phase}" for phase, found in counts.items() if found)
    text = f"{len(steps)} steps ({told})"
    prompts = [s.step_ns for s in steps if s.label.phase in {StepPhase.PREFILL, StepPhase.MIXED}]
    decodes = [s.step_ns for s in counts[StepPhase.DECODE]]
    if prompts:
        text += f"; TTFT without a queue {ms(median(prompts))} ms"
    if decodes:
        text += f"; TBT {ms(median(decodes))} ms"
    return text


def _row(step: EngineStep, fit: StepFit) -> list[str]:
    fitted = _fitted_ms(step, fit)
    c, g = step.label.context, step.label.generation
    kv = [share.kv for share in (c, g) if share.requests]
    return [
        step.name if len(step.name) <= 28 else step.name[:27] + "…",
        step.label.phase,
        ms(step.step_ns),
        "" if fitted is None else percent(fitted * 1e6 / max(step.step_ns, 1) - 1),
        str(c.requests),
        _known(c.tokens),
        str(g.requests),
        _known(None if None in kv else sum(v for v in kv if v is not None)),
        ms(step.span_ns),
        ms(step.busy_ns),
        ms(step.host_ns),
        *(percent(step.split[part] / max(step.step_ns, 1)) for part in Part),
        str(step.graph_launches),
        step.evidence,
    ]


def _known(value: int | None) -> str:
    return "?" if value is None else f"{value:,}"


def _fitted_ms(step: EngineStep, fit: StepFit) -> float | None:
    """Give the laws' time of a step; what it is off by is the residual."""
    known = step.fit_step()
    if known is None or (known.prefill_tokens and fit.prefill is None):
        return None
    if known.decode_batch and fit.decode is None and not known.prefill_tokens:
        return None
    return fit.cost().step_ns(known.work()) / 1e6


def _json(steps: Sequence[EngineStep], fit: StepFit) -> dict[str, object]:
    return {
        "steps": [
            {
                "name": step.name,
                "phase": step.label.phase,
                "prefill": step.label.context,
                "decode": step.label.generation,
                "told_by": step.evidence,
                "start_ns": step.start_ns,
                "step_ns": step.step_ns,
                "span_ns": step.span_ns,
                "busy_ns": step.busy_ns,
                "host_ns": step.host_ns,
                "split_ns": {part.value: ns for part, ns in step.split.items()},
                "graph_launches": step.graph_launches,
                "kernels": step.kernels,
                "fitted_ms": _fitted_ms(step, fit),
            }
            for step in steps
        ],
        "fit": fit,
    }
