"""Time and memory of reading and linking a large Kineto file, against json.loads of the same bytes.

    python benchmarks/bench_ingest.py TRACE [--megabytes 500]

The trace is repeated (see big_trace.py). Every figure is of a process of its own: CPU seconds, and
peak memory beyond that of a bare interpreter with numpy. The ratios hold on another machine.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from etsim.benchmarks.big_trace import write_repeated

ROOT = Path(__file__).resolve().parents[1]
COUNT = b'"ph":'
BLOCK_BYTES = 16 << 20
TASKS = {
    "numpy alone": "import numpy",
    "json.loads": "import json; json.loads(PATH.read_bytes())",
    "read_kineto": "from etsim.converters.kineto import read_kineto; read_kineto(PATH)",
    "read and link": "from etsim.converters.convert import convert_kineto; convert_kineto(PATH)",
}


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process took."""

    cpu_s: float
    peak_mb: float


def cost_of(task: str, path: Path) -> Cost:
    """Run a task in a process of its own."""
    links = ROOT / ".links"
    links.mkdir(exist_ok=True)
    if not (links / "etsim").exists():
        (links / "etsim").symlink_to("..", target_is_directory=True)
    code = f"from pathlib import Path; PATH = Path({str(path)!r}); {TASKS[task]}"
    environment = {**os.environ, "PYTHONPATH": str(links)}
    child = subprocess.Popen([sys.executable, "-c", code], env=environment)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{task} failed with {child.returncode}")
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def events_in(path: Path) -> int:
    """Count the events of a file."""
    with path.open("rb") as file:
        return sum(block.count(COUNT) for block in iter(lambda: file.read(BLOCK_BYTES), b""))


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trace", type=Path)
    parser.add_argument("--megabytes", type=float, default=500)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "big.json"
        write_repeated(asked.trace, path, asked.megabytes)
        events = events_in(path)
        print(f"{path.stat().st_size / 1e6:,.0f} MB, {events:,} events")
        costs = {task: cost_of(task, path) for task in TASKS}
    bare, plain = costs["numpy alone"], costs["json.loads"]
    print(f"{'':16}{'CPU s':>8}{'json / it':>11}{'peak MB':>9}{'json / it':>11}{'B/event':>9}")
    for task, cost in costs.items():
        beyond = (cost.peak_mb - bare.peak_mb) * 2**20 / events
        print(
            f"{task:16}{cost.cpu_s:8.2f}{plain.cpu_s / cost.cpu_s:11.2f}{cost.peak_mb:9.0f}"
            f"{plain.peak_mb / cost.peak_mb:11.2f}{beyond:9.0f}"
        )


if __name__ == "__main__":
    main()
