"""`etsim report`: one page that can be mailed: how long, where, why, what would help, how sure."""

import shlex
from collections.abc import Sequence
from pathlib import Path

import click

from ..converters.atomic import write_atomically
from ..models.errors import UsageError
from ..models.graph import ExecutionGraph
from ..models.transforms.catalogue import parse_asked
from .inputs import load_graphs, need_times, salvage_option
from .machines import SOURCE, source_hardware, target_hardware
from .output import json_option, note, print_json, say, warn
from .page.page import page
from .report_content import Content, Machine, gather
from .report_headline import headline
from .report_json import document
from .whatif import with_second

SUFFIXES = (".html", ".htm")


@click.command(short_help="Write a page one can mail.")
@click.option("--et", "et", multiple=True, required=True, metavar="PATH",
              help="A .et file, a Kineto trace, a folder or a pattern; repeatable.")  # fmt: skip
@click.option("--hw", multiple=True, default=(SOURCE,), metavar="NAME|FILE",
              help="A machine to predict for; repeatable; `source` if left out.")  # fmt: skip
@click.option("--source-hw", metavar="NAME|FILE", help="What the run was recorded on.")
@click.option("--apply", "apply", multiple=True, metavar="NAME[:KEY=VALUE,...]",
              help="A what-if, stacked on each machine; see `etsim whatif --list`.")  # fmt: skip
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The page, an .html file.")
@salvage_option
@json_option
def command(  # one per option
    et: Sequence[str], hw: Sequence[str], source_hw: str | None, apply: Sequence[str],
    output: Path | None, salvage: bool, as_json: bool,
) -> None:  # fmt: skip
    """Write one HTML file about a run: nothing in it is loaded from elsewhere.

    How long it took and would take on each machine, where the time goes, the critical path, what
    would help, the largest operators, the modules, the memory, and how far to trust all that.
    """
    _check(output, as_json=as_json)
    asked = [parse_asked(text) for text in apply]
    graphs = load_graphs(et, salvage=salvage)
    for graph in graphs:
        need_times(graph, "a report")
    content = gather(
        graphs,
        _machines(graphs, hw, source_hw),
        [with_second(step, graphs) for step in asked],
        name=_name(et),
        command=_command(et, hw, source_hw, apply, output),
    )
    if output is not None:
        write_atomically(output, page(content))
    if as_json:
        print_json(document(content))
    else:
        _tell(content, output)


def _check(output: Path | None, *, as_json: bool) -> None:
    if output is None and not as_json:
        raise UsageError("nowhere to write the page", remedy="-o report.html, or --json")
    if output is not None and output.suffix.lower() not in SUFFIXES:
        raise UsageError("a report is a page", where=output, remedy="end its name with .html")


def _machines(
    graphs: Sequence[ExecutionGraph], names: Sequence[str], source_name: str | None
) -> list[Machine]:
    recorded_on = source_hardware(graphs, source_name)
    return [
        Machine(*target_hardware(name, recorded_on, graphs), self_check=name == SOURCE)
        for name in dict.fromkeys(names)
    ]


def _name(et: Sequence[str]) -> str:
    return ", ".join(Path(path).name or path for path in et)


def _command(
    et: Sequence[str],
    hw: Sequence[str],
    source_hw: str | None,
    apply: Sequence[str],
    output: Path | None,
) -> str:
    """Write the command as one would type it."""
    words = ["etsim", "report"]
    for option, values in (("--et", et), ("--hw", hw), ("--apply", apply)):
        for value in values:
            words += [option, value]
    words += ["--source-hw", source_hw] if source_hw is not None else []
    words += ["-o", str(output)] if output is not None else ["--json"]
    return shlex.join(words)


def _tell(content: Content, output: Path | None) -> None:
    for answer in content.answers:
        say(headline(answer))
    say(f"Written to {output}; it needs nothing but itself.")
    for text in dict.fromkeys(w for answer in content.answers for w in answer.summary.warnings):
        warn(text)
    for text in content.notes:
        note(text)
