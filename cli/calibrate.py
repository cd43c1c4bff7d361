"""`etsim calibrate`: fit a hardware spec to measurements of the machine itself."""

import sys
from pathlib import Path

import click
import yaml

from ..converters.atomic import write_atomically
from ..converters.measure import measure
from ..converters.measured_kernels import kernels_of_graph, read_measured_kernels, read_nccl_log
from ..converters.ncu import read_ncu
from ..models.costs.calibration import SHARES, Calibration, calibrate
from ..models.costs.collective_law import CollectiveLaw
from ..models.costs.measured_kernel import MeasuredKernel, MeasuredMessage
from ..models.costs.residuals import KERNEL
from ..models.errors import AnalysisError, UsageError
from ..models.hardware import Hardware
from ..models.specs import load
from .inputs import load_graphs
from .output import json_option, percent, print_json, print_table, say, warn

HEADER = ("constants", "kernels", "error before", "error after", "held out")


@click.command(short_help="Fit a hardware spec to measurements.")
@click.option("--hw", metavar="NAME|FILE", help="The spec to start from.")
@click.option("--measure", "measured", metavar="FILE",
              help="Measure this machine with torch and write the table (.csv).")  # fmt: skip
@click.option("--csv", "tables", multiple=True, metavar="FILE",
              help="Measured operators: name, dtype, shapes (or m, n, k), us.")  # fmt: skip
@click.option("--nccl", "logs", multiple=True, metavar="FILE", help="Output of nccl-tests.")
@click.option("--ncu", "profiles", multiple=True, metavar="FILE",
              help="Nsight Compute's CSV: tells the bandwidth reached.")  # fmt: skip
@click.option("--trace", "traces", multiple=True, metavar="FILE",
              help="A run recorded on the machine, with shapes.")  # fmt: skip
@click.option("-o", "--output", metavar="FILE", help="Where to write the spec (.yaml).")
@json_option
def command(  # one parameter an option
    hw: str | None, measured: str | None, tables: tuple[str, ...], logs: tuple[str, ...],
    profiles: tuple[str, ...], traces: tuple[str, ...], output: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Fit a hardware spec to measured kernels, collectives or a trace of the machine."""
    if measured is not None:
        _measure(Path(measured))
        tables = (*tables, measured)
    if hw is None:
        if measured is not None:
            return
        raise UsageError("no spec to start from", remedy="add --hw, or --measure FILE")
    base = load(hw)
    kernels = _kernels(tables, traces)
    kernels += [kernel for profile in profiles for kernel in read_ncu(Path(profile))]
    messages = [message for log in logs for message in read_nccl_log(Path(log))]
    if not kernels and not messages:
        raise UsageError("nothing measured was given", remedy="add --csv, --nccl, --ncu or --trace")
    found = calibrate(base, kernels, messages)
    if not found.sets and not found.collectives:
        raise AnalysisError(
            "the measurements tell nothing: " + "; ".join(found.refused) if found.refused
            else "the measurements tell nothing"
        )  # fmt: skip
    if output:
        _write(Path(output), hw, base, found)
    if as_json:
        print_json(_calibration(found))
    else:
        _show(base, found, output, kernels, messages)


def _measure(path: Path) -> None:
    """Measure with a progress bar on a terminal."""
    with click.progressbar(length=1000, label="measuring", file=sys.stderr) as bar:
        text = measure(progress=lambda done, of: bar.update(1000 * done // of - bar.pos))
    write_atomically(path, text)
    say(f"Measured {len(text.splitlines()) - 1} operators; wrote {path}.")


def _kernels(tables: tuple[str, ...], traces: tuple[str, ...]) -> list[MeasuredKernel]:
    kernels = [kernel for table in tables for kernel in read_measured_kernels(Path(table))]
    for graph in load_graphs(traces) if traces else []:
        kernels += kernels_of_graph(graph)
    return kernels


def _write(path: Path, hw: str, base: Hardware, found: Calibration) -> None:
    if path.suffix.lower() not in {".yaml", ".yml"}:
        raise UsageError("a spec is written as .yaml", where=path)
    like = str(Path(hw).resolve()) if Path(hw).is_file() else base.name
    spec: dict[str, object] = {
        "name": path.stem,
        "like": like,
        "source": f"etsim calibrate, from {base.name}",
    }
    shares = {
        key: round(found.sets[name].constants[constant], 4)
        for name, (key, constant) in SHARES.items()
        if name in found.sets
    }
    if shares:
        spec["efficiency"] = shares
    spec["calibration"] = _calibration(found)
    text = yaml.safe_dump(spec, sort_keys=False, allow_unicode=True)
    write_atomically(path, "# Written by `etsim calibrate`.\n" + text)


def _calibration(found: Calibration) -> dict[str, object]:
    sets = {name: one for name, one in found.sets.items() if name not in SHARES}
    ends = {
        name: {key: [_short(end) for end in pair] for key, pair in one.intervals.items()}
        for name, one in found.sets.items()
    }
    return {
        "constants": {
            name: {key: _short(value) for key, value in one.constants.items()}
            for name, one in sets.items()
        },
        "intervals": ends,
        "residuals": {
            name: {
                "kernel": KERNEL,
                "features": [[_short(value) for value in row] for row in field.features.tolist()],
                "weights": [_short(value) for value in field.weights.tolist()],
            }
            for name, one in sets.items()
            if (field := one.residuals)
        },
        "kernels": {name: one.kernels for name, one in found.sets.items()},
        "held_out_error": {name: round(one.error_after, 4) for name, one in found.sets.items()},
        "collectives": {
            kind: {
                "start_ns": law.start_ns, "step_ns": law.step_ns, "root": law.root,
                "bytes_per_ns": law.bytes_per_ns, "growth": law.growth, "local": law.local,
                **_left(law),
            }
            for kind, law in found.collectives.items()
        },
        "refused": list(found.refused),
    }  # fmt: skip


def _left(law: CollectiveLaw) -> dict[str, object]:
    if law.left is None:
        return {}
    chunks, logs = (
        [_short(value) for value in row] for row in (law.left.chunk_bytes, law.left.logs)
    )
    return {"left": {"ranks": law.left.ranks, "chunk_bytes": chunks, "logs": logs}}


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def _show(
    base: Hardware, found: Calibration, output: str | None,
    kernels: list[MeasuredKernel], messages: list[MeasuredMessage],
) -> None:  # fmt: skip
    written = f"; wrote {output}" if output else ""
    measured = f"{len(kernels)} kernels and {len(messages)} messages"
    fitted = [*found.sets, *found.collectives]
    say(f"Fitted {', '.join(fitted)} of {base.name} to {measured}{written}.")
    rows = [
        (name, one.kernels, percent(one.error_before), percent(one.error_after),
         "no: one share" if name in SHARES else "each fifth from the others")
        for name, one in found.sets.items()
    ]  # fmt: skip
    if rows:
        print_table(HEADER, rows)
    if found.collectives:
        laws = [
            (kind, f"{law.start_ns / 1e3:.1f}", f"{law.step_ns / 1e3:.2f}",
             f"{law.bytes_per_ns:.0f}", f"{law.growth:+.1f}", f"{law.local:.2f}")
            for kind, law in found.collectives.items()
        ]  # fmt: skip
        print_table(("collective", "start us", "us a rank", "GB/s", "growth", "own step"), laws)
    for text in found.refused:
        warn(f"not fitted: {text}")
