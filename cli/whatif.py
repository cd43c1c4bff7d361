"""`etsim whatif`: stack changes on a recorded run and see what each brings."""

from collections.abc import Sequence
from pathlib import Path

import click

from ..converters.chakra import write_graph
from ..models.errors import UsageError
from ..models.graph import ExecutionGraph
from ..models.transforms.catalogue import Asked, Transform, parse_asked, transforms
from ..models.transforms.sizes import paired, second_run
from ..simulator.events.contention import Contention, contention
from ..simulator.memory import told_again
from ..simulator.predict import price_all
from ..simulator.whatif import WhatIf, whatif
from .contention_text import contention_option, placement_option, print_basis, print_contention
from .inputs import load_graphs
from .machines import SOURCE, source_hardware, target_hardware
from .memory_text import memory_cell, memory_line
from .output import json_option, ms, note, percent, print_json, print_table, say, warn

HEADER = ("stage", "predicted ms", "change", "90 % between", "of the run", "memory")


@click.command(short_help="Stack changes on a run and see what each brings.")
@click.option("--et", "et", multiple=True, metavar="FILE", help="As for `etsim predict`.")
@click.option("--hw", default=SOURCE, metavar="NAME|FILE", help="The target; `source` if left out.")
@click.option("--source-hw", metavar="NAME|FILE", help="What the run was recorded on.")
@click.option(
    "--apply",
    "apply",
    multiple=True,
    metavar="NAME[:KEY=VALUE,...]",
    help="A change, applied in the order given; see --list.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Write the changed graph as .et."
)
@contention_option
@placement_option
@click.option("--list", "listed", is_flag=True, help="List all changes and leave.")
@json_option
def command(
    et: tuple[str, ...],
    hw: str,
    source_hw: str | None,
    apply: tuple[str, ...],
    output: Path | None,
    shared_links: bool,
    placement: str,
    listed: bool,
    as_json: bool,
) -> None:
    """Stack changes on a recorded run; the answer is a waterfall, one line a change."""
    if listed:
        _print_list(as_json=as_json)
        return
    if not et:
        raise UsageError("no run given", remedy="--et FILE, or --list for the changes there are")
    if placement and not shared_links:
        raise UsageError("--placement says where links are shared", remedy="add --contention")
    asked = [parse_asked(text) for text in apply]
    graphs = load_graphs(et)
    asked = [with_second(step, graphs) for step in asked]
    source, target = target_hardware(hw, source_hardware(graphs, source_hw), graphs)
    answer = whatif(graphs, source, target, asked)
    if output is not None:
        _write(told_again(answer.scenario.graph, answer.scenario.memory), output)
    shared = _on_shared_links(answer, placement) if shared_links else None
    if as_json:
        told = published(answer)
        print_json({**told, "contention": shared} if shared else told)
    else:
        _print(answer, shared)


def _on_shared_links(answer: WhatIf, placement: str) -> Contention:
    """Replay the changed run with links that its transfers share."""
    changed = answer.scenario
    priced = price_all(changed.graph, changed.source, changed.target)
    return contention(changed.graph, priced, changed.target, placement)


def with_second(asked: Asked, graphs: Sequence[ExecutionGraph]) -> Asked:
    """Read the second run that a change of size may name."""
    path = second_run(asked)
    if not path:
        return asked
    return paired(asked, graphs[0], load_graphs([path])[0])


def _write(graph: ExecutionGraph, path: Path) -> None:
    """Write a graph of one rank; durations are the source's, as in any recording."""
    ranks = sorted(set(graph.nodes.rank.tolist()))
    if len(ranks) > 1:
        raise UsageError(
            f"-o: the changed run has {len(ranks)} ranks, and a .et file holds one",
            remedy="leave -o out, or ask for one rank's change",
        )
    write_graph(graph, path)
    note(f"{path}: {len(graph):,} rows; what was never measured has duration 0")


def published(answer: WhatIf) -> dict[str, object]:
    """Give the published JSON."""
    return {
        "measured_ns": answer.measured_ns,
        "predicted_ns": answer.stages[-1].predicted_ns,
        "source": answer.source,
        "target": answer.target,
        "stages": answer.stages,
        "memory": answer.memory,
        "warnings": answer.warnings,
    }


def _print(answer: WhatIf, shared: Contention | None) -> None:
    first, last = answer.stages[0], answer.stages[-1]
    change = last.predicted_ns / first.predicted_ns - 1 if first.predicted_ns else 0.0
    low, high = last.interval_ns
    say(
        f"{ms(last.predicted_ns)} ms on {answer.target} with all changes, {100 * change:+.1f} % "
        f"against the run without them ({ms(first.predicted_ns)} ms; measured "
        f"{ms(answer.measured_ns)} ms on {answer.source}). 90 % of the doubt lies between "
        f"{ms(low)} and {ms(high)} ms."
    )
    rows = [
        (
            stage.name,
            ms(stage.predicted_ns),
            f"{stage.change_ns / 1e6:+.3f}" if stage.change_ns else "",
            f"{ms(stage.interval_ns[0])} - {ms(stage.interval_ns[1])}",
            percent(stage.predicted_ns / max(1, first.predicted_ns)),
            memory_cell(stage.memory),
        )
        for stage in answer.stages
    ]
    print_table(HEADER, rows, title="Waterfall")
    if shared is not None:
        print_contention(shared)
    for stage in answer.stages[1:]:
        say(f"\n{stage.name}: {stage.about} Assumes that {stage.assumes}.")
    say(f"\n{memory_line(answer.memory, answer.target)}")
    if shared is not None:
        print_basis(shared)
    for text in answer.warnings:
        warn(text)
    for text in answer.memory.notes:
        note(f"memory: {text}")
    for text in answer.scenario.graph.meta.notes:
        note(text)


def _print_list(*, as_json: bool) -> None:
    table = transforms()
    if as_json:
        print_json([_told(t) for t in table.values()])
        return
    say(f"{len(table)} changes, for --apply NAME:KEY=VALUE,...")
    for name in sorted(table):
        transform = table[name]
        keys = ", ".join(
            f"{p.name}={p.default if p.default is not None else '...'}"
            for p in transform.parameters
        )
        say(f"\n{name}{':' + keys if keys else ''}\n  {transform.about}")
        say(f"  Edit: {transform.edit}")
        say(f"  Assumes that {transform.assumes}.")
        say(f"  Memory: {transform.memory.about}.")
        if transform.needs:
            say(f"  Needs {transform.needs}.")


def _told(transform: Transform) -> dict[str, object]:
    """A transform without its function, which is no JSON."""
    published = ("name", "about", "edit", "assumes", "needs", "parameters")
    told = {key: getattr(transform, key) for key in published}
    return told | {"memory": transform.memory.about}
