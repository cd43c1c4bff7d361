"""`etsim inspect`: what files are, what they hold, what is missing, what can be done with them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np

from ..converters.ascend.convert import convert_ascend_path
from ..converters.chakra import read_graph
from ..converters.convert import convert_trace
from ..converters.execution_trace import ExecutionTrace, is_structural, read_execution_trace
from ..converters.files import FileKind, kind_of
from ..converters.kineto import KinetoTrace, Source, read_kineto
from ..converters.nsys.convert import convert_nsys
from ..models.graph import Category, ExecutionGraph
from .inputs import named_paths, salvage_option
from .output import json_option, ms, print_json, say


@dataclass(frozen=True, slots=True)
class Inspection:
    """What one file is.

    Attributes:
        facts: counts and figures by name.
        has, missing: features that other commands can use, or could have used.
        usable_for: commands that take the file.
        warnings: what will lower the worth of answers.
    """

    file: str
    kind: str
    about: str
    facts: dict[str, int | float | str]
    has: list[str]
    missing: list[str]
    usable_for: list[str]
    warnings: list[str]


@click.command(short_help="Tell what files are and what can be done with them.")
@click.argument("files", nargs=-1, required=True)
@salvage_option
@json_option
def command(files: tuple[str, ...], salvage: bool, as_json: bool) -> None:
    """Tell what files are, what they hold, what is missing and what can be done with them."""
    inspections = [inspect(path, salvage=salvage) for path in named_paths(files, "FILE")]
    if as_json:
        print_json(inspections)
        return
    for inspection in inspections:
        _print(inspection)


def inspect(path: Path, *, salvage: bool = False) -> Inspection:
    """Inspect one file; with `salvage` of one that is cut what stands before the cut.

    Raises:
        InputError: missing, empty or damaged.
    """
    kind = kind_of(path)
    match kind:
        case FileKind.EXECUTION_TRACE:
            return _execution_trace(path, read_execution_trace(path, salvage=salvage))
        case FileKind.KINETO:
            return _kineto(path, read_kineto(path, salvage=salvage))
    reader = READERS.get(kind)
    if reader is None:
        return Inspection(str(path), str(kind), "not a file that etsim reads", {}, [], [], [], [])
    return reader(path)


def _execution_trace(path: Path, et: ExecutionTrace) -> Inspection:
    ran = [name for name in et.name if not is_structural(name)]
    has = _present(
        {
            "record function ids": bool((et.rf_id > 0).any()),
            "operator schemas": any(et.op_schema),
            "autograd links": bool((et.fw_parent > 0).any()),
            "process groups": bool(et.process_groups),
        }
    )
    return Inspection(
        str(path),
        str(FileKind.EXECUTION_TRACE),
        f"schema {et.schema}, process {et.pid}",
        {"nodes": len(et), "nodes that ran": len(ran), "threads": _thread_count(et)},
        has[0],
        [*has[1], "times (they are in its Kineto trace)"],
        [f"convert --et {path.name} --trace KINETO"],
        list(et.notes),
    )


def _thread_count(et: ExecutionTrace) -> int:
    return len(np.unique(et.tid))


def _kineto(path: Path, trace: KinetoTrace) -> Inspection:
    graph = convert_trace(trace).graph
    features = _present(_kineto_features(trace, graph))
    about = ", ".join(
        part
        for part in (
            trace.device_name or ("no device work: a CPU run" if not len(trace.device) else ""),
            f"rank {trace.rank} of {trace.world_size}" if trace.rank >= 0 else "rank unknown",
            f"backend {trace.backend}" if trace.backend else "",
        )
        if part
    )
    return Inspection(
        str(path),
        str(FileKind.KINETO),
        about,
        _kineto_facts(trace, graph),
        *features,
        ["predict", "breakdown", "explain", "compare", "visualize", "timeline", "merge", "convert"],
        list(graph.meta.notes),
    )


def _kineto_features(trace: KinetoTrace, graph: ExecutionGraph) -> dict[str, bool]:
    return {
        "record function ids": bool((trace.host.rf_id > 0).any()),
        "shapes": any(bytes(args.input_dims) not in (b"", b"[]") for args in trace.host.sayings),
        "stack frames": bool(len(trace.python)),
        "cuda_sync events": bool(trace.sync_records),
        "marked steps": bool(graph.steps),
        "distributed info": trace.world_size > 1,
    }


def _kineto_facts(trace: KinetoTrace, graph: ExecutionGraph) -> dict[str, int | float | str]:
    count = dict.fromkeys(Source, 0)
    for table in (trace.host, trace.device, trace.python):
        for source in table.source.tolist():
            count[Source(source)] += 1
    end = graph.nodes.start_ns + graph.nodes.duration_ns
    return {
        "span ms": round(int(end.max()) / 1e6, 3),
        "operators": count[Source.OPERATOR],
        "annotations": count[Source.ANNOTATION],
        "runtime calls": count[Source.RUNTIME],
        "kernels": count[Source.KERNEL],
        "copies and fills": count[Source.MEMCPY] + count[Source.MEMSET],
        "threads": len(trace.host.threads),
        "streams": len(trace.device.threads),
        "steps": len(graph.steps),
    }


def _chakra(path: Path) -> Inspection:
    return _of_graph(path, FileKind.CHAKRA, read_graph(path))


def _nsys(path: Path) -> Inspection:
    """One rank a process; the first stands for all in what is there and missing."""
    graphs = [recording.graph for recording in convert_nsys(path)]
    return _of_many(path, FileKind.NSYS, graphs)


def _ascend(path: Path) -> Inspection:
    return _of_many(path, FileKind.ASCEND, convert_ascend_path(path))


def _of_many(path: Path, kind: FileKind, graphs: list[ExecutionGraph]) -> Inspection:
    first = _of_graph(path, kind, graphs[0])
    if len(graphs) == 1:
        return first
    facts: dict[str, int | float | str] = {"ranks": len(graphs)}
    for graph in graphs:
        rows = int(graph.on_device().sum())
        facts[f"device rows of rank {graph.meta.rank}"] = rows
    notes = [f"rank {g.meta.rank}: {text}" for g in graphs for text in g.meta.notes]
    return replace(first, facts={**facts, **first.facts}, warnings=notes)


def _of_graph(path: Path, kind: FileKind, graph: ExecutionGraph) -> Inspection:
    meta = graph.meta
    category = graph.nodes.category
    features = _present(
        {
            "times": meta.has_times,
            "shapes": any(operator.input_shapes for operator in graph.operators),
            "marked steps": bool(graph.steps),
            "modules": bool((graph.nodes.module >= 0).any()),
        }
    )
    facts: dict[str, int | float | str] = {
        "nodes": len(graph),
        "dependencies": graph.edge_count,
        "device rows": int(graph.on_device().sum()),
        "collectives": int((category == Category.COLLECTIVE).sum()),
        "steps": len(graph.steps),
        "span ms": ms(int((graph.nodes.start_ns + graph.nodes.duration_ns).max(initial=0))),
    }
    return Inspection(
        str(path),
        str(kind),
        f"rank {meta.rank} of {meta.world_size}, {_machine(graph)}",
        facts,
        *features,
        ["predict", "breakdown", "explain", "compare", "visualize", "timeline"],
        list(meta.notes),
    )


def _machine(graph: ExecutionGraph) -> str:
    if graph.meta.source_device:
        return graph.meta.source_device
    return "a device that is not named" if graph.on_device().any() else "a CPU run"


def _present(features: dict[str, bool]) -> tuple[list[str], list[str]]:
    return [k for k, there in features.items() if there], [
        k for k, there in features.items() if not there
    ]


READERS: dict[FileKind, Callable[[Path], Inspection]] = {
    FileKind.CHAKRA: _chakra,
    FileKind.NSYS: _nsys,
    FileKind.ASCEND: _ascend,
}


def _print(inspection: Inspection) -> None:
    say(f"{inspection.file}: {inspection.kind} ({inspection.about}).")
    if inspection.facts:
        say(
            "  holds: "
            + ", ".join(
                f"{v} {k}" if k != "span ms" else f"{v} ms" for k, v in inspection.facts.items()
            )
        )
    if inspection.has:
        say("  has: " + ", ".join(inspection.has))
    if inspection.missing:
        say("  missing: " + ", ".join(inspection.missing))
    if inspection.usable_for:
        say("  good for: etsim " + ", ".join(inspection.usable_for))
    for text in inspection.warnings:
        say(f"  ! {text}")
