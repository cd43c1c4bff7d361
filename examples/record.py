"""Record the examples anew into a folder, compressed and without the machine's names.

python examples/record.py examples/recorded

Each example is run a few times and the run that took least is kept: on a shared machine the
others are longer by what other work took. What is kept is one real run, not a mixture.
"""

import argparse
import gzip
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from etsim.converters.scrub import scrub

HERE = Path(__file__).parent
EXAMPLES = ("train_mlp", "train_ddp", "train_transformer")


def record_once(script: str, out: Path) -> int:
    """Run an example; give the longest wall time of its ranks."""
    subprocess.run([sys.executable, HERE / f"{script}.py", "--out", out], check=True)
    walls_ns: list[int] = [
        json.loads(path.read_text())["wall_ns"] for path in out.glob("*.wall*.json")
    ]
    return max(walls_ns)


def keep(path: Path, folder: Path) -> None:
    """Put a file into the folder: scrubbed and compressed, wall times as they are."""
    content = path.read_text(encoding="utf-8")
    if ".wall" in path.name:
        (folder / path.name).write_text(content, encoding="utf-8")
        return
    packed = gzip.compress(scrub(content).encode(), compresslevel=9, mtime=0)
    (folder / f"{path.name}.gz").write_bytes(packed)


def record_best(script: str, folder: Path, tries: int) -> None:
    """Record an example so many times and keep the quickest run."""
    with tempfile.TemporaryDirectory() as aside:
        runs = [Path(aside) / str(number) for number in range(tries)]
        walls = [record_once(script, run) for run in runs]
        best = runs[walls.index(min(walls))]
        for path in sorted(best.iterdir()):
            keep(path, folder)


def main() -> None:
    """Record all examples, or those named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tries", type=int, default=9)
    parser.add_argument("--only", choices=EXAMPLES, action="append")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    for script in args.only or EXAMPLES:
        record_best(script, args.folder, args.tries)


if __name__ == "__main__":
    main()
