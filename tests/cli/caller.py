"""Call `etsim` as a user does: in this process for speed, in one of its own to be sure."""

import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from etsim.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
RECORDED = ROOT / "examples" / "recorded"


def wall_ns(run: str) -> int:
    """Give what a clock outside the profiler measured of a recorded run (`mlp`, `ddp.0`)."""
    name, _, rank = run.partition(".")
    path = RECORDED / f"{name}.wall{'.' * bool(rank)}{rank}.json"
    return int(json.loads(path.read_text())["wall_ns"])


@dataclass(frozen=True, slots=True)
class Said:
    """What a call returned and printed."""

    code: int
    out: str
    err: str

    def fault(self, code: int) -> str:
        """Give the one line that a refused call says, after checking that it is one."""
        assert self.code == code, self
        assert self.out == ""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("error: ")
        assert "Traceback" not in self.err
        return lines[0]


def call(*arguments: str | Path) -> Said:
    """Run `etsim ...` in this process."""
    out, err = io.StringIO(), io.StringIO()
    argv = ["etsim", *map(str, arguments)]
    code = 0
    with patch.object(sys, "argv", argv), redirect_stdout(out), redirect_stderr(err):
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
    return Said(code, out.getvalue(), err.getvalue())


@dataclass(frozen=True, slots=True)
class Runner:
    """Calls one verb; gives exit code, stdout and stderr."""

    verb: str

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        said = call(self.verb, *arguments)
        return said.code, said.out, said.err


def call_apart(*arguments: str | Path, folder: Path | None = None) -> Said:
    """Run `python -m etsim ...` in a process of its own, on this checkout."""
    links = ROOT / ".links"
    links.mkdir(exist_ok=True)
    name = links / "etsim"
    if not name.exists():
        name.symlink_to("..", target_is_directory=True)
    done = subprocess.run(
        [sys.executable, "-m", "etsim", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(links)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)
