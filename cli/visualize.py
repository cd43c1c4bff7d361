"""`etsim visualize`: draw the dependency graph to PDF or SVG, or give it as DOT or GraphML."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, Unpack

import click

from ..converters.atomic import write_atomically
from ..converters.draw import (
    Detail,
    Form,
    Layout,
    Picture,
    Rendered,
    Selection,
    Wish,
    around,
    compose,
    edges_within,
    everything,
    form_of,
    of_step,
    render,
)
from ..models.errors import MissingToolError, UsageError
from ..models.graph import ExecutionGraph
from .inputs import load_graph
from .output import json_option, note, print_json, say


@dataclass(frozen=True, slots=True)
class Result:
    """What was drawn, for `--json`."""

    output: str
    format: str
    rows: int
    rows_chosen: int
    boxes: int
    arrows: int
    level: str
    collapsed: bool
    remarks: list[str]
    notes: list[str]


class _Asked(TypedDict):
    """The options that say what to draw."""

    collapse: str
    max_nodes: int
    step: str | None
    node: str | None
    hops: int
    layout: str


@click.command(name="visualize")
@click.option("--et", "specs", multiple=True, required=True, help=".et file, folder or pattern.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="The file to write; its suffix says what: .pdf, .svg, .dot or .graphml.",
)
@click.option(
    "--collapse",
    type=click.Choice([detail.value for detail in Detail]),
    default="auto",
    help="The finest that is drawn: every row, operators or modules. auto: the finest "
    "that leaves few enough boxes, and for .graphml every row.",
)
@click.option(
    "--max-nodes",
    type=click.IntRange(min=3),
    default=400,
    show_default=True,
    help="Draw at most so many boxes.",
)
@click.option("--step", help="Draw one step: its name, or its number on each rank, from 0.")
@click.option("--around", "node", help="Draw what is near a row: its number, or a name.")
@click.option(
    "--hops", type=click.IntRange(min=0), default=3, show_default=True, help="How near, in edges."
)
@click.option(
    "--layout",
    type=click.Choice([layout.value for layout in Layout]),
    default="lanes",
    help="Who places the boxes: etsim along its lanes, or Graphviz's dot.",
)
@json_option
def command(specs: tuple[str, ...], output: Path, as_json: bool, **asked: Unpack[_Asked]) -> None:
    """Draw the dependency graph of a run to PDF, SVG, DOT or GraphML.

    Lanes are frames, kinds of work are colours, reasons to wait are kinds of arrows. A run of more
    than --max-nodes rows is drawn more coarsely, and the picture says how.
    """
    form = form_of(output)
    graph = load_graph(specs)
    chosen = _choose(graph, asked["step"], asked["node"], asked["hops"])
    if form is Form.GRAPHML and asked["collapse"] == Detail.AUTO.value:
        picture, rendered = None, _whole_graph(graph, chosen)
    else:
        name = Path(specs[0]).name if len(specs) == 1 else f"{len(specs)} files"
        wish = Wish(Detail(asked["collapse"]), asked["max_nodes"])
        picture = compose(graph, chosen, wish, name=name)
        rendered = _rendered(picture, form, Layout(asked["layout"]), output)
    write_atomically(output, rendered.content)
    _tell(_result(graph, chosen, picture, rendered, output), as_json=as_json)


def _choose(graph: ExecutionGraph, step: str | None, node: str | None, hops: int) -> Selection:
    if step is not None and node is not None:
        raise UsageError("--step and --around exclude each other", remedy="give one of them")
    if step is not None:
        return of_step(graph, step)
    return everything(graph) if node is None else around(graph, node, hops)


def _whole_graph(graph: ExecutionGraph, chosen: Selection) -> Rendered:
    """Give every row as GraphML: that file is for programs, which do not mind how many."""
    from ..converters.draw.graphml import to_networkx, write_graphml  # noqa: PLC0415  # slow

    return Rendered(write_graphml(to_networkx(graph, chosen)))


def _rendered(picture: Picture, form: Form, layout: Layout, output: Path) -> Rendered:
    """Render; where Graphviz is missing, leave a DOT file for it and say so."""
    try:
        return render(picture, form, layout)
    except MissingToolError as error:
        beside = output.with_suffix(".dot")
        write_atomically(beside, render(picture, Form.DOT).content)
        raise MissingToolError(
            f"{error.what}; wrote {beside} instead", remedy=error.remedy
        ) from None


def _result(
    graph: ExecutionGraph,
    chosen: Selection,
    picture: Picture | None,
    rendered: Rendered,
    output: Path,
) -> Result:
    rows = int(chosen.rows.sum())
    remarks = picture.remarks if picture else (chosen.remark,) if chosen.remark else ()
    return Result(
        output=str(output),
        format=output.suffix.lower().removeprefix("."),
        rows=len(graph),
        rows_chosen=rows,
        boxes=len(picture.boxes) if picture else rows,
        arrows=len(picture.arrows) if picture else edges_within(graph, chosen),
        level=picture.level if picture else "rows",
        collapsed=picture is not None and len(picture.boxes) < rows,
        remarks=list(remarks),
        notes=list(rendered.notes),
    )


def _tell(result: Result, *, as_json: bool) -> None:
    if as_json:
        print_json(result)
    else:
        what = "nodes" if result.format == "graphml" else "boxes"
        say(f"wrote {result.output}: {result.boxes:,} {what}, {result.arrows:,} arrows")
    for remark in (*result.remarks, *result.notes):
        note(remark)
    if result.collapsed:
        note("for more detail draw less: --step N, or --around NODE; or allow more --max-nodes")
