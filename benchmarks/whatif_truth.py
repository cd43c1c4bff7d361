"""What-ifs against the truth: each change predicted from a run without it, and recorded with it.

    python -m etsim.benchmarks.whatif_truth [--runs DIR] [--rounds 5] [--write]

Without --runs the pairs are recorded first (benchmarks/whatif_runs.py, CPU, gloo). A change is the
ratio of step times with and without, each the fastest step of all rounds: other load only ever
adds time. Between runs of one process it is CPU time, from which other load takes little. --write
puts the table into docs/whatif.md.
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
from etsim.cli.machines import SOURCE, target_hardware
from etsim.converters.convert import Sources, convert
from etsim.models.graph import ExecutionGraph
from etsim.models.transforms.catalogue import parse_asked
from etsim.simulator.whatif import whatif

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "whatif.md"
# Of a small machine shared with others; two ranks on its two cores wait for each other's rivals.
NOISE, NOISE_OF_RANKS = 0.1, 0.25
WALL = ("wall", "wall.0")  # of one process, of the first of several


@dataclass(frozen=True)
class Case:
    """A change: from one variant of whatif_runs.py to another."""

    told: str
    source: str
    target: str
    asked: tuple[str, ...]
    ranks: int = 1  # of the source
    target_ranks: int = 1


CASES = (
    Case("batch 4 → 16", "base", "batch", ("batch:from=4,to=16",)),
    Case("sequence length 32 → 128", "base", "length", ("length:from=32,to=128",)),
    Case("layers 2 → 6", "base", "layers", ("layers:to=6",)),
    Case("layers 6 → 2", "layers", "base", ("layers:to=2",)),
    Case("gradient accumulation 1 → 3", "base", "accumulate", ("accumulate:steps=3",)),
    Case("AdamW by parameter → fused", "base", "fused", ("fused-optimizer",)),
    Case("activation checkpointing", "base", "checkpoint", ("checkpoint",)),
    Case("one rank → DDP on 2 (gloo)", "base", "ddp", ("ddp:ranks=2",), 1, 2),
    Case("DDP on 2 → one rank", "ddp", "base", ("ranks:ranks=1",), 2, 1),
    Case("DDP, one bucket → one a gradient", "deep", "buckets", ("buckets:bucket=100B",), 2, 2),
    Case("DDP fp16 compression hook", "ddp", "hook", ("compress",), 2, 2),
)


@dataclass(frozen=True)
class Truth:
    """Step time with the change over that without, predicted and measured."""

    case: Case
    predicted: float
    measured: float

    @property
    def error(self) -> float:
        """Give the prediction's error."""
        return self.predicted / self.measured - 1

    @property
    def sign_is_right(self) -> bool:
        """Tell whether both go the same way, or neither far enough to be told from noise."""
        noise = NOISE_OF_RANKS if self.case.ranks > 1 else NOISE
        near = all(abs(ratio - 1) < noise for ratio in (self.predicted, self.measured))
        return near or (self.predicted > 1) == (self.measured > 1)


def record(folder: Path, rounds: int, steps: int, first: int = 0) -> None:
    """Record all pairs, rounds numbered from `first`."""
    environment = {
        **os.environ, "PYTHONPATH": str(HERE.parent / ".links"), "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    subprocess.run(
        [sys.executable, HERE / "whatif_runs.py", folder, "--rounds", str(rounds),
         "--steps", str(steps), "--first", str(first)],
        env=environment, check=True, capture_output=True,
    )  # fmt: skip


def rounds_in(folder: Path) -> range:
    """Give the rounds that were recorded."""
    return range(len(list(folder.glob("base.*.wall.json"))))


@cache
def graphs(folder: Path, variant: str, round_: int, ranks: int) -> list[ExecutionGraph]:
    """Read a variant's graphs."""
    name = f"{variant}.{round_}"
    if ranks == 1:
        sources = [Sources(0, folder / f"{name}.et.json", folder / f"{name}.trace.json")]
    else:
        sources = [
            Sources(rank, folder / f"{name}.et.{rank}.json", folder / f"{name}.trace.{rank}.json")
            for rank in range(ranks)
        ]
    return [convert(source).graph for source in sources]


def step_ns(folder: Path, variant: str, round_: int, clock: str) -> float:
    """Give the fastest step of a variant in one round by a clock: cpu, wall, wall.0 of rank 0."""
    file = folder / f"{variant}.{round_}.{clock}.json"
    return float(min(json.loads(file.read_text())["steps_ns"]))


def quietest(folder: Path, variant: str, clock: str) -> int:
    """Give the round in which a variant was fastest."""
    return min(rounds_in(folder), key=lambda round_: step_ns(folder, variant, round_, clock))


def clocks(case: Case) -> tuple[str, str]:
    """Give the clocks of a case's two runs: what ranks wait for each other is no CPU time."""
    if case.ranks == case.target_ranks == 1:
        return "cpu", "cpu"
    return WALL[case.ranks > 1], WALL[case.target_ranks > 1]


def truth(folder: Path, case: Case) -> Truth:
    """Predict a case from its source's quietest round; compare with its target's quietest."""
    before, after = clocks(case)
    round_ = quietest(folder, case.source, before)
    recorded = graphs(folder, case.source, round_, case.ranks)
    source, target = target_hardware(SOURCE, None, recorded)
    answer = whatif(recorded, source, target, [parse_asked(text) for text in case.asked])
    predicted = answer.stages[-1].predicted_ns / answer.stages[0].predicted_ns
    found = quietest(folder, case.target, after)
    measured = step_ns(folder, case.target, found, after)
    return Truth(case, predicted, measured / step_ns(folder, case.source, round_, before))


def table(found: Sequence[Truth]) -> str:
    """Give the table as markdown."""
    rows = [
        f"| {t.case.told} | `{' '.join(t.case.asked)}` | {t.measured:.2f} | {t.predicted:.2f} "
        f"| {100 * t.error:+.0f} % |"
        for t in found
    ]
    head = "| change | `--apply` | measured | predicted | error |\n|---|---|--:|--:|--:|"
    return "\n".join((head, *rows))


def main() -> None:
    """Record if asked, judge, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, help="recorded before")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--write", action="store_true", help="into docs/whatif.md")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as aside:
        folder = args.runs or Path(aside)
        if not args.runs:
            record(folder, args.rounds, args.steps)
        found = [truth(folder, case) for case in CASES]
    text = table(found)
    print(text)
    wrong = [t.case.told for t in found if not t.sign_is_right]
    print(f"\n{len(found) - len(wrong)} of {len(found)} signs right", *wrong, sep="; ")
    if args.write:
        write_table(PAGE, "truth", text)


if __name__ == "__main__":
    main()
