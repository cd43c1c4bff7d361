"""`etsim sweep`: span machines, their figures and what-ifs; find the best."""

from collections.abc import Iterable
from pathlib import Path

import click
import msgspec

from ..converters.atomic import write_atomically
from ..models.errors import InputError, UsageError
from ..simulator.farm import farm_of
from ..simulator.sweep import CLUSTER_WORKERS, Result, Run, block_size, blocks, pareto
from ..simulator.sweep_points import Point, parse_alternatives, parse_range, points_of
from .front_plot import write_front
from .inputs import load_graphs
from .machines import source_hardware
from .output import (
    csv_option,
    json_option,
    ms,
    note,
    print_csv,
    print_json,
    print_table,
    say,
    size,
    warn,
)
from .sweep_file import read_sweep

HEADER = (
    "", "machine", "figures", "what-ifs", "ranks", "predicted ms", "USD", "kJ at most", "memory",
)  # fmt: skip
LISTED = 40


@click.command(short_help="Span hardware, transforms and ranks; find the best.")
@click.option("--et", "et", multiple=True, required=True, metavar="FILE", help="As for predict.")
@click.option("--hw", multiple=True, metavar="NAME|FILE", help="Machines; repeatable, a,b,c too.")
@click.option(
    "--range", "ranges", multiple=True, metavar="KEY=FROM:TO:COUNT", help="Figures of a machine."
)
@click.option("--apply", "applied", multiple=True, metavar="WHATIF", help="In every point.")
@click.option("--vary", multiple=True, metavar="WHATIF", help="Spanned: 'ddp:ranks=2|4|8'.")
@click.option("--file", "file", type=click.Path(path_type=Path), help="All of these from a YAML.")
@click.option("--source-hw", metavar="NAME|FILE", help="What the run was recorded on.")
@click.option("--jobs", type=int, default=1, show_default=True, help="Processes to use.")
@click.option("--cluster", metavar="URL", help="dask://host:port or ray://host:port.")
@click.option("--resume", type=click.Path(path_type=Path), help="Keep results here; continue.")
@click.option("--plot", type=click.Path(path_type=Path), help="Draw time against price (.svg).")
@click.option("--block", type=int, help="Points a task; those of the same what-ifs share a pass.")
@json_option
@csv_option
def command(
    et: tuple[str, ...],
    hw: tuple[str, ...],
    ranges: tuple[str, ...],
    applied: tuple[str, ...],
    vary: tuple[str, ...],
    file: Path | None,
    source_hw: str | None,
    jobs: int,
    cluster: str | None,
    resume: Path | None,
    plot: Path | None,
    block: int | None,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Span machines, their figures and what-ifs; give all answers and the Pareto front."""
    if jobs < 1 or (block is not None and block < 1):
        raise UsageError("--jobs and --block are 1 or more")
    asked = read_sweep(file) if file else {}
    machines = [name for text in (*asked.get("hw", ()), *hw) for name in text.split(",") if name]
    if not machines:
        raise UsageError("no machine to try", remedy="--hw a100,h100 or `hw:` in the file")
    spans = dict(parse_range(text) for text in (*asked.get("range", ()), *ranges))
    versions = [[text] for text in (*asked.get("apply", ()), *applied)]
    versions += [parse_alternatives(text) for text in (*asked.get("vary", ()), *vary)]
    points = points_of(machines, spans, versions)
    graphs = load_graphs(et)
    run = Run(tuple(graphs), source_hardware(graphs, source_hw))
    farm = farm_of(jobs, cluster, warn)
    known = _known(resume)
    todo = [point for point in points if point.key not in known]
    size = block or block_size(len(todo), CLUSTER_WORKERS if cluster else jobs)
    for results in farm(run, blocks(todo, size)):
        known.update((result.key, result) for result in results)
        if resume is not None:
            _keep(resume, known.values())
    results = [known[point.key] for point in points]
    if plot is not None:
        write_front(plot, results, pareto(results))
    _show(results, as_json=as_json, as_csv=as_csv)


def _known(resume: Path | None) -> dict[str, Result]:
    """Give the results that an earlier sweep kept."""
    if resume is None or not resume.exists():
        return {}
    try:
        lines = resume.read_bytes().splitlines()
        kept = [msgspec.json.decode(line, type=Result) for line in lines if line.strip()]
    except msgspec.DecodeError as error:
        raise InputError(f"holds no results: {error}", where=resume, remedy="remove it") from None
    return {result.key: result for result in kept}


def _keep(resume: Path, results: Iterable[Result]) -> None:
    lines = [msgspec.json.encode(result) for result in results]
    write_atomically(resume, b"\n".join(lines) + b"\n")


def _show(results: list[Result], *, as_json: bool, as_csv: bool) -> None:
    front = pareto(results)
    if as_json:
        print_json({"points": results, "front": sorted(front)})
        return
    if as_csv:
        rows = [_csv_row(result, front) for result in results if not result.fault]
        print_csv(("on_front", *HEADER[1:-1], "memory bytes", "fits"), rows)
        return
    _print(results, front)


def _print(results: list[Result], front: set[str]) -> None:
    answered = [result for result in results if not result.fault]
    if not answered:
        raise UsageError(f"no point has an answer: {results[0].fault if results else 'no points'}")
    fitting = [result for result in answered if result.fits is not False]
    best = min(fitting or answered, key=lambda r: (r.predicted_ns, r.key not in front))
    said = ", ".join(part for part in (_figures(best), "; ".join(best.changes)) if part)
    say(
        f"Fastest of {len(answered):,}: {best.hardware}{' with ' + said if said else ''}, "
        f"{ms(best.predicted_ns)} ms. {len(front)} points are on the front of time against price."
    )
    shown = sorted(answered, key=lambda result: (result.key not in front, result.predicted_ns))
    print_table(HEADER, [_row(result, front) for result in shown[:LISTED]], title="Points")
    if len(shown) > LISTED:
        note(f"{len(shown) - LISTED:,} more points; all with --csv or --json")
    if len(fitting) < len(answered):
        many = f"{len(answered) - len(fitting):,} of {len(answered):,} points"
        warn(f"{many} do not fit into their machine's memory (!): not taken for the front")
    for result in results:
        if result.fault:
            warn(f"{result.key}: {result.fault}")
    unpriced = sorted({r.hardware for r in answered if r.price_usd is None})
    if unpriced and len(unpriced) < len({r.hardware for r in answered}):
        note(f"no price is known of {', '.join(unpriced)}: not compared for the front")
    note("price and power are the specs' own figures: see `etsim hw show`")


def _figures(result: Result | Point) -> str:
    return ", ".join(f"{key}={value}" for key, value in result.figures)


def _row(result: Result, front: set[str]) -> tuple[object, ...]:
    return (
        "*" if result.key in front else "",
        result.hardware,
        _figures(result),
        "; ".join(result.changes),
        result.ranks,
        ms(result.predicted_ns),
        f"{result.price_usd:.2e}" if result.price_usd is not None else "",
        f"{result.energy_j / 1000:.3g}",
        _memory(result),
    )


def _csv_row(result: Result, front: set[str]) -> tuple[object, ...]:
    bytes_and_fit = (result.memory_bytes, result.fits)
    return *_row(result, front)[:-1], *("" if known is None else known for known in bytes_and_fit)


def _memory(result: Result) -> str:
    """Give the peak of the fullest rank, marked where the machine cannot hold it."""
    if result.memory_bytes is None:
        return "?"
    return f"{size(result.memory_bytes)}{' (!)' if result.fits is False else ''}"
