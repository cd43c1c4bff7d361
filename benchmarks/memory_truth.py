"""Memory followed through what-ifs against the memory of runs recorded with the change.

    python -m etsim.benchmarks.memory_truth [--runs DIR] [--write]

Both are the peak of the tensors' lives in an execution trace, one edited, one recorded; beside
them what PyTorch's allocator says of the run with the change. Without --runs the pairs are
recorded first (benchmarks/memory_runs.py, CPU). --write puts the table into docs/whatif.md.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from etsim.benchmarks.page_table import write_table
from etsim.converters.convert import Sources, convert
from etsim.models.graph import ExecutionGraph
from etsim.models.specs import load
from etsim.models.transforms.catalogue import parse_asked
from etsim.models.transforms.scenario import Scenario
from etsim.models.transforms.sizes import paired, second_run
from etsim.simulator.memory import Memory, memory_after, with_memory

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "whatif.md"
MACHINE = "cpu-cloud-2core"


@dataclass(frozen=True)
class Case:
    """A change: from one variant of memory_runs.py to another; `second=` names a variant too."""

    told: str
    source: str
    target: str
    asked: tuple[str, ...]


CASES = (
    Case("batch 16 → 48", "large", "batch", ("batch:from=16,to=48",)),
    Case("batch 48 → 16", "batch", "large", ("batch:from=48,to=16",)),
    Case("length 64 → 192", "large", "length", ("length:from=64,to=192",)),
    Case("length 192 → 64", "length", "large", ("length:from=192,to=64",)),
    Case(
        "batch 16 → 48, told by a run of 4", "large", "batch",
        ("batch:from=16,to=48,second=quarter,at=4",),
    ),
    Case(
        "length 64 → 192, told by a run of 32", "large", "length",
        ("length:from=64,to=192,second=half_length,at=32",),
    ),
    Case("layers 2 → 5", "large", "layers", ("layers:to=5",)),
    Case("layers 5 → 2", "layers", "large", ("layers:to=2",)),
    Case("accumulation 1 → 3", "large", "accumulate", ("accumulate:steps=3",)),
    Case(
        "batch 16 → 4 times 4", "large", "split", ("batch:from=16,to=4", "accumulate:steps=4")
    ),
    Case("AdamW by parameter → fused", "large", "fused", ("fused-optimizer",)),
    Case("checkpointing, 2 layers", "large", "checkpoint", ("checkpoint",)),
    Case("checkpointing, 5 layers", "layers", "deep_checkpoint", ("checkpoint",)),
    Case("2 → 5 layers, checkpointing", "large", "deep_checkpoint", ("layers:to=5", "checkpoint")),
)  # fmt: skip


@dataclass(frozen=True)
class Truth:
    """Peaks in bytes: of the run without the change, as followed, and as recorded with it.

    Attributes:
        allocated: what the allocator says of the run with the change.
    """

    case: Case
    before: int
    followed: Memory
    recorded: Memory
    allocated: int

    @property
    def error(self) -> float:
        """Give the followed peak's error."""
        return self.followed.peak_bytes / self.recorded.peak_bytes - 1


def record(folder: Path, only: Sequence[str] = ()) -> None:
    """Record all variants, or some."""
    environment = {
        **os.environ, "PYTHONPATH": str(HERE.parent / ".links"), "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    chosen = ["--only", *only] if only else []
    subprocess.run(
        [sys.executable, "-m", "etsim.benchmarks.memory_runs", folder, *chosen],
        env=environment, check=True, capture_output=True,
    )  # fmt: skip


@cache
def graph(folder: Path, variant: str) -> ExecutionGraph:
    """Read a variant's graph."""
    name = f"{variant}.0"
    sources = Sources(0, folder / f"{name}.et.json", folder / f"{name}.trace.json")
    return convert(sources).graph


def scenario(folder: Path, variant: str) -> Scenario:
    """Give a variant as recorded, with its memory."""
    machine, recorded = load(MACHINE), graph(folder, variant)
    return with_memory(Scenario(recorded, machine, machine), [recorded.meta.properties])


def truth(folder: Path, case: Case) -> Truth:
    """Follow a case's changes from its source; compare with its target."""
    followed = scenario(folder, case.source)
    before = memory_after(followed).peak_bytes
    for text in case.asked:
        asked = parse_asked(text)
        if second := second_run(asked):
            asked = paired(asked, graph(folder, case.source), graph(folder, second))
        followed = asked(followed)
    recorded = memory_after(scenario(folder, case.target))
    allocated = int(json.loads((folder / f"{case.target}.allocated.json").read_text()))
    return Truth(case, before, memory_after(followed), recorded, allocated)


def table(found: Sequence[Truth]) -> str:
    """Give the table as markdown."""
    rows = [
        f"| {t.case.told} | `{' '.join(t.case.asked)}` | {t.before / 1e6:.1f} "
        f"| {t.allocated / 1e6:.1f} | {t.recorded.peak_bytes / 1e6:.1f} "
        f"| {t.followed.peak_bytes / 1e6:.1f} | {100 * t.error:+.1f} % |"
        for t in found
    ]
    head = (
        "| change | `--apply` | without, MB | allocated with, MB | recorded, MB | followed, MB "
        "| error |\n"
        "|---|---|--:|--:|--:|--:|--:|"
    )
    return "\n".join((head, *rows))


def main() -> None:
    """Print the table of all cases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, help="a folder of recorded pairs")
    parser.add_argument("--write", action="store_true", help="put the table into docs/whatif.md")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = args.runs or Path(made)
        if args.runs is None:
            record(folder)
        text = table([truth(folder, case) for case in CASES])
    if args.write:
        write_table(PAGE, "memory", text)
    print(text)


if __name__ == "__main__":
    main()
