"""Measure the replay on real traces: itself, changed costs, and what each kind of edge is worth.

    python -m etsim.benchmarks.edge_ablation TRACES [--write docs/replay.md]

TRACES is a folder of Kineto traces (`*.json.gz`; a `*.tar.gz` of traces is one job of many ranks).
With --write the tables go between the marks of the page.
"""

import argparse
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import numpy as np

from etsim.cli.inputs import load_graphs
from etsim.cli.machines import SOURCE, source_hardware, target_hardware
from etsim.converters.link import assemble
from etsim.converters.link.settle import Settled, settle
from etsim.models.errors import EtsimError
from etsim.models.graph import EdgeKind, ExecutionGraph, Int64s
from etsim.simulator.critical_path import critical_path
from etsim.simulator.path_kinds import PathKind, PathKinds
from etsim.simulator.predict import Prediction, predict, region, total_ns
from etsim.simulator.replay import replay
from etsim.simulator.scaling import Mask, apply_scales, parse_scale
from etsim.simulator.summary import Summary, summarise

KINDS = (
    EdgeKind.SYNC, EdgeKind.STREAM_WAIT, EdgeKind.HANDOVER, EdgeKind.STREAM_ORDER,
    EdgeKind.LAUNCH, EdgeKind.QUEUE_DEPTH, EdgeKind.EXTERNAL, EdgeKind.RENDEZVOUS,
    EdgeKind.HOST_ORDER,
)  # fmt: skip
KERNELS, HOST = "kernel=0.5", "host=0.5"


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """One job, replayed as recorded; `unexplained_ns` by rank: what no edge explains, per row."""

    name: str
    graphs: list[ExecutionGraph]
    prediction: Prediction
    summary: Summary
    unexplained_ns: list[Int64s]


@contextmanager
def settled_remainders() -> Iterator[list[Settled]]:
    """Collect what the linker's settling gives while traces are read."""
    seen: list[Settled] = []

    def recording(
        edge_start: Int64s, source: Int64s, lag_ns: Int64s, start_ns: Int64s, end_ns: Int64s
    ) -> Settled:
        seen.append(settle(edge_start, source, lag_ns, start_ns, end_ns))
        return seen[-1]

    vars(assemble)["settle"] = recording
    try:
        yield seen
    finally:
        vars(assemble)["settle"] = settle


def jobs(folder: Path) -> Iterator[Job]:
    """Give every job of a folder that holds a Kineto trace."""
    for path in sorted(folder.rglob("*.gz")):
        if path.name.endswith(".tar.gz"):
            with tempfile.TemporaryDirectory() as place, tarfile.open(path) as archive:
                archive.extractall(place, filter="data")
                traces = sorted(map(str, Path(place).rglob("*.pt.trace.json")))
                if traces:
                    yield job(path.parent.name, traces)
        else:
            alone = len(list(path.parent.glob("*.gz"))) == 1
            yield job(path.parent.name if alone else path.name.split(".json")[0], [str(path)])


def job(name: str, paths: Sequence[str]) -> Job:
    """Read and replay one job on its own machine."""
    with settled_remainders() as seen:
        graphs = load_graphs(paths)
    of_lags = {id(settled.lag_ns): settled.unexplained_ns for settled in seen}
    source, target = target_hardware(SOURCE, source_hardware(graphs, None), graphs)
    prediction = predict(graphs, source, target)
    remainders = [of_lags[id(graph.edge_lag_ns)] for graph in graphs]
    return Job(name, graphs, prediction, summarise(prediction), remainders)


def changed(job: Job, scale: str) -> float:
    """Give new time over old with some costs scaled."""
    graph = job.prediction.graph
    costs = apply_scales(graph, graph.nodes.duration_ns, graph.edge_lag_ns, [parse_scale(scale)])
    return total_ns(replay(graph, *costs)) / max(1, total_ns(job.prediction.timeline))


def unexplained(job: Job) -> float:
    """Give the share of the critical paths, each rank's own, that no edge explains."""
    part = whole = 0
    for graph, by_row in zip(job.graphs, job.unexplained_ns, strict=True):
        timeline = replay(graph)
        begin, end = region(timeline)
        last = int(np.flatnonzero(timeline.end_ns == end)[-1])
        kinds = PathKinds(graph, np.zeros(len(graph), dtype=np.uint8))
        for stretch in critical_path(timeline, graph.edge_lag_ns, kinds, last, begin_ns=begin):
            if stretch.is_lag and stretch.kind is not PathKind.EXTERNAL:
                part += min(stretch.duration_ns, int(by_row[stretch.row]))
        whole += end - begin
    return part / max(1, whole)


def outside(job: Job) -> float:
    """Give the share of the job's critical path that is work outside the window."""
    timeline = job.prediction.timeline
    begin, end = region(timeline)
    kinds = PathKinds(timeline.graph, job.prediction.priced.bound)
    last = int(np.flatnonzero(timeline.end_ns == end)[-1])
    lags = job.prediction.priced.lag_ns
    path = critical_path(timeline, lags, kinds, last, begin_ns=begin)
    external = sum(s.duration_ns for s in path if s.kind is PathKind.EXTERNAL)
    return external / max(1, end - begin)


def errors(job: Job, graph: ExecutionGraph) -> float:
    """Give the error of a changed graph's replay: of the total, a rank or a step, the worst."""
    timeline, recorded = replay(graph), job.prediction.measured
    pairs = [(total_ns(timeline), total_ns(recorded))]
    for step in graph.steps:
        now, then = (
            int(t.end_ns[step.end_row] - t.start_ns[step.begin_row]) for t in (timeline, recorded)
        )
        pairs.append((max(0, now), then))
    return max((now / max(1, then) - 1 for now, then in pairs), key=abs)


def without(graph: ExecutionGraph, removed: Mask, lag_ns: Int64s | None = None) -> ExecutionGraph:
    """Remove edges."""
    kept = ~removed
    counts = np.bincount(graph.edge_target()[kept], minlength=len(graph))
    lags = graph.edge_lag_ns if lag_ns is None else lag_ns
    return replace(
        graph,
        edge_start=np.concatenate(([0], np.cumsum(counts))).astype(np.int64),
        edge_source=graph.edge_source[kept],
        edge_kind=graph.edge_kind[kept],
        edge_lag_ns=lags[kept],
    )


def resettled(graph: ExecutionGraph) -> ExecutionGraph:
    """Settle again, as the linker would had it never known the removed kind."""
    ends = graph.nodes.start_ns + graph.nodes.duration_ns
    source = graph.edge_source.astype(np.int64)
    start = graph.nodes.start_ns
    settled = settle(graph.edge_start, source, graph.edge_lag_ns, start, ends)
    return replace(graph, edge_lag_ns=settled.lag_ns)


def halved_without(job: Job, kind: EdgeKind) -> float:
    """Give kernels x0.5 where a kind was never linked: its waits are copied."""
    graph = resettled(without(job.prediction.graph, job.prediction.graph.edge_kind == kind))
    costs = apply_scales(graph, graph.nodes.duration_ns, graph.edge_lag_ns, [parse_scale(KERNELS)])
    return total_ns(replay(graph, *costs)) / max(1, total_ns(replay(graph)))


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Give a Markdown table."""
    lines = [header, ["---"] + ["--:"] * (len(header) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def self_replay_table(found: Sequence[Job]) -> str:
    """Give the table of replays, one row a job, and a line of what they come to."""
    rows, all_errors = [], []
    for entry in found:
        summary = entry.summary
        error = summary.predicted_ns / max(1, summary.measured_ns) - 1
        parts = [(s.predicted_ns, s.measured_ns) for s in summary.steps]
        parts += [(r.predicted_ns, r.measured_ns) for r in summary.ranks]
        worst = max((abs(now / max(1, then) - 1) for now, then in parts), default=0.0)
        busy = [sum(r.measured_busy_ns for r in summary.ranks),
                sum(r.predicted_busy_ns for r in summary.ranks)]  # fmt: skip
        all_errors.append(abs(error))
        rows.append(
            [entry.name, f"{summary.measured_ns / 1e6:.2f}", f"{summary.predicted_ns / 1e6:.2f}",
             f"{100 * error:+.2f} %", f"{100 * worst:.2f} %", f"{busy[0] / 1e6:.2f}",
             f"{busy[1] / 1e6:.2f}", f"{100 * unexplained(entry):.2f} %",
             f"{100 * outside(entry):.1f} %", f"{changed(entry, KERNELS):.3f}",
             f"{changed(entry, HOST):.3f}"]
        )  # fmt: skip
    header = (
        "trace", "measured ms", "replayed ms", "error", "worst step or rank", "busy ms",
        "busy replayed", "unexplained", "outside window", "kernels x0.5", "host x0.5",
    )  # fmt: skip
    total = f"Median error {100 * median(all_errors):.2f} %, worst {100 * max(all_errors):.2f} %."
    return f"{table(header, rows)}\n\n{total}"


def ablation_table(found: Sequence[Job]) -> str:
    """Give what removing one kind of edge does to the replay: the worst of total and steps."""
    rows = []
    for entry in found:
        graph = entry.prediction.graph
        cells = []
        for kind in KINDS:
            removed = graph.edge_kind == kind
            error = errors(entry, without(graph, removed)) if removed.any() else 0.0
            cells.append(f"{100 * error:+.1f} %" if removed.any() else "")
        rows.append([entry.name, *cells])
    return table(("without", *(kind.name.lower() for kind in KINDS)), rows)


def blind_table(found: Sequence[Job]) -> str:
    """Give kernels x0.5 where a kind of edge is not known and its waits are copied instead."""
    rows = []
    for entry in found:
        graph = entry.prediction.graph
        cells = [
            f"{halved_without(entry, kind):.3f}" if np.any(graph.edge_kind == kind) else ""
            for kind in KINDS
        ]
        rows.append([entry.name, f"{changed(entry, KERNELS):.3f}", *cells])
    return table(("not known", "all known", *(kind.name.lower() for kind in KINDS)), rows)


def main() -> None:
    """Print the tables, and write them into a page if asked."""
    parser = argparse.ArgumentParser()
    parser.add_argument("traces", type=Path)
    parser.add_argument("--write", type=Path)
    arguments = parser.parse_args()
    try:
        found = list(jobs(arguments.traces))
    except EtsimError as error:
        parser.error(error.line())
    tables = {
        "self-replay": self_replay_table(found),
        "ablation": ablation_table(found),
        "blind": blind_table(found),
    }
    for name, text in tables.items():
        print(f"\n{name}\n\n{text}")
    if arguments.write:
        page = arguments.write.read_text(encoding="utf-8")
        for name, text in tables.items():
            before, _, rest = page.partition(f"<!-- {name} -->\n")
            _, end, after = rest.partition(f"<!-- end of {name} -->")
            page = f"{before}<!-- {name} -->\n{text}\n{end}{after}"
        arguments.write.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
