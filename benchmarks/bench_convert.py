"""Figures of the main job: speed and memory of a conversion, how soon one gets an answer.

    python benchmarks/bench_convert.py [--nodes 100000] [--run mlp]

A real recorded pair is repeated with shifted ids and times until it has that many nodes. Every
figure is taken from a process of its own (CPU time and peak memory as the system counts them), the
best of three. `--et` and `--trace` measure a pair as it was recorded instead.
Beside other work CPU time grows, too: the first row tells how fast the machine is meanwhile.
"""

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RECORDED = ROOT / "examples" / "recorded"
STRUCTURAL = ("[pytorch|", "## process_group")
RUNS = 3
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process took."""

    wall_s: float
    cpu_s: float
    peak_kb: int


def repeated(run: str, nodes: int, folder: Path) -> tuple[Path, Path, int]:
    """Write a pair of at least `nodes` nodes; gives the paths and how many nodes ran."""
    et, trace = (_load(RECORDED / f"{run}.{kind}.json.gz") for kind in ("et", "trace"))
    ran = sum(not node["name"].startswith(STRUCTURAL) for node in et["nodes"])
    copies = -(-nodes // ran)
    et_path, trace_path = folder / "et.json", folder / "trace.json"
    et_path.write_text(json.dumps({**et, "nodes": _repeated_nodes(et["nodes"], copies)}))
    events = _repeated_events(trace["traceEvents"], copies)
    trace_path.write_text(json.dumps({**trace, "traceEvents": events}))
    return et_path, trace_path, ran * copies


def _load(path: Path) -> Json:
    document: Json = json.loads(gzip.decompress(path.read_bytes()))
    return document


def _repeated_nodes(nodes: list[Json], copies: int) -> list[Json]:
    frames = [node for node in nodes if node["name"].startswith(STRUCTURAL)]
    fixed = {node["id"] for node in frames}
    step = max(node["id"] for node in nodes) + 1
    rf_step = _largest(nodes) + 1
    result = list(frames)
    for copy in range(copies):
        for node in nodes:
            if node["id"] in fixed:
                continue
            parent = node["ctrl_deps"]
            moved = [_moved_attribute(a, copy * step, copy * rf_step) for a in node["attrs"]]
            result.append(
                {**node, "id": node["id"] + copy * step, "attrs": moved,
                 "ctrl_deps": parent if parent in fixed else parent + copy * step}
            )  # fmt: skip
    return result


def _largest(nodes: list[Json]) -> int:
    return max(a["value"] for node in nodes for a in node["attrs"] if a["name"] == "rf_id")


def _moved_attribute(attribute: Json, ids: int, rf_ids: int) -> Json:
    shift = {"rf_id": rf_ids, "fw_parent": ids, "seq_id": rf_ids}.get(attribute["name"], 0)
    value = attribute["value"]
    return {**attribute, "value": value + shift} if shift and value > 0 else attribute


ID_ARGS = ("External id", "Record function id", "correlation", "Sequence number")


def _repeated_events(events: list[Json], copies: int) -> list[Json]:
    complete = [e for e in events if e.get("ph") == "X" and isinstance(e.get("pid"), int)]
    begin = min(e["ts"] for e in complete)
    span = max(e["ts"] + e["dur"] for e in complete) - begin + 1000
    shift = {key: max((e["args"].get(key, 0) for e in complete), default=0) + 1 for key in ID_ARGS}
    result = [e for e in events if e.get("ph") == "M"]
    for copy in range(copies):
        for event in complete:
            args = dict(event["args"])
            for key in ID_ARGS:
                if args.get(key, 0) > 0:
                    args[key] += copy * shift[key]
            result.append({**event, "ts": round(event["ts"] + copy * span, 3), "args": args})
    return result


def measured(*command: str) -> Cost:
    """Run a command `RUNS` times; give the least of each figure."""
    costs = [_once(command) for _ in range(RUNS)]
    return Cost(
        min(c.wall_s for c in costs), min(c.cpu_s for c in costs), min(c.peak_kb for c in costs)
    )


# Linux counts the memory of whoever starts a process into its peak: so a small one starts it.
_METER = """
import json, os, resource, subprocess, sys
begin = os.times().elapsed
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
took = resource.getrusage(resource.RUSAGE_CHILDREN)
wall_s = os.times().elapsed - begin
print(json.dumps([code, wall_s, took.ru_utime + took.ru_stime, took.ru_maxrss]))
"""


def _once(command: tuple[str, ...]) -> Cost:
    links = ROOT / ".links"
    links.mkdir(exist_ok=True)
    if not (links / "etsim").exists():
        (links / "etsim").symlink_to("..", target_is_directory=True)
    meter = [sys.executable, "-c", _METER, sys.executable, *command]
    environment = {**os.environ, "PYTHONPATH": str(links)}
    done = subprocess.run(meter, env=environment, stdout=subprocess.PIPE, check=True)
    code, wall_s, cpu_s, peak_kb = json.loads(done.stdout)
    if code:
        raise SystemExit(f"{' '.join(command)} failed with {code}")
    return Cost(wall_s, cpu_s, peak_kb)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=100_000)
    parser.add_argument("--run", default="mlp", help="mlp or transformer")
    parser.add_argument("--et", type=Path, help="an execution trace of your own, not gzipped")
    parser.add_argument("--trace", type=Path, help="its Kineto trace")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if asked.et and asked.trace:
            pair = asked.et, asked.trace, len(json.loads(asked.et.read_bytes())["nodes"])
            print_table(measure_conversion(pair, folder))
        else:
            print_table(measure(asked.run, asked.nodes, folder))


def measure_conversion(pair: tuple[Path, Path, int], folder: Path) -> list[tuple[str, str, str]]:
    """Give (figure, measured, wanted) rows of a pair and its number of nodes."""
    et, trace, count = pair
    out = str(folder / "run.et")
    loop = measured("-c", "s = 0\nfor i in range(10_000_000): s += i")
    base = measured("-m", "etsim", "convert", "--help")
    full = measured("-m", "etsim", "convert", "--et", str(et), "--trace", str(trace), "-o", out)
    rate = count / (full.cpu_s - base.cpu_s)
    memory = (full.peak_kb - base.peak_kb) / count
    return [
        ("an empty loop of 10 million turns", f"{loop.cpu_s:.2f} s CPU", "(the machine)"),
        (f"convert, {count:,} nodes", f"{rate:,.0f} nodes/s", ">= 50,000"),
        ("its peak memory", f"{memory:.2f} KB/node", "<= 4"),
    ]


def measure(run: str, nodes: int, folder: Path) -> list[tuple[str, str, str]]:
    """Give (figure, measured, wanted) rows."""
    conversion = measure_conversion(repeated(run, nodes, folder), folder)
    small_et, small_trace, small = repeated(run, 10_000, folder)
    small_out = str(folder / "small.et")
    pair = ("--et", str(small_et), "--trace", str(small_trace))
    measured("-m", "etsim", "convert", *pair, "-o", small_out)
    numpy = measured("-c", "import numpy")
    helped = measured("-m", "etsim", "--help")
    source = measured("-m", "etsim", "predict", "--et", small_out, "--hw", "source")
    target = measured("-m", "etsim", "predict", "--et", small_out, "--hw", "a100")
    return [
        *conversion,
        ("etsim --help beyond import numpy", f"{helped.wall_s - numpy.wall_s:+.3f} s", "<= 0.15"),
        (f"predict --hw source, {small:,} nodes, cold", _times(source), "<= 1 s"),
        (f"predict --hw a100, {small:,} nodes, cold", _times(target), "<= 1 s"),
    ]


def _times(cost: Cost) -> str:
    return f"{cost.wall_s:.2f} s ({cost.cpu_s:.2f} CPU)"


def print_table(rows: list[tuple[str, str, str]]) -> None:
    """Print the rows in columns."""
    for figure, found, wanted in [("figure", "measured", "wanted"), *rows]:
        print(f"{figure:<45} {found:>20}  {wanted}")


if __name__ == "__main__":
    main()
