"""Run the sessions shown in the docs: each `$ etsim ...` line and what it prints below it.

    ```console
    $ etsim predict --et run.et --hw a100
    Predicted ...
    ...                        stands for any number of lines that are not shown
    ```

`python tests/docs/console.py README.md docs/*.md` writes the real output into the pages.
"""

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
REST = "..."  # a line of its own: the rest of the output is not shown


@dataclass(frozen=True, slots=True)
class Session:
    """One command and the output shown for it; `cut` where only the first lines are shown."""

    command: str
    shown: tuple[str, ...]
    cut: bool


def sessions(page: str) -> list[Session]:
    """Give the sessions of a page in order."""
    found: list[Session] = []
    for block in BLOCK.findall(page):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            while command.endswith("\\"):
                more, _, output = output.partition("\n")
                command = f"{command[:-1].rstrip()} {more.strip()}"
            lines = output.rstrip("\n").split("\n") if output.strip() else []
            cut = bool(lines) and lines[-1].strip() == REST
            found.append(Session(command, tuple(lines[:-1] if cut else lines), cut))
    return found


def run(command: str, folder: Path) -> list[str]:
    """Run an etsim command in a folder that sees examples/; give stdout's lines.

    Raises:
        AssertionError: the command failed, or is not etsim's.
    """
    words = shlex.split(command)
    assert words[0] == "etsim", f"the docs show only etsim's own commands: {command}"
    if not (folder / "examples").exists():
        (folder / "examples").symlink_to(ROOT / "examples")
    environment = {**os.environ, "PYTHONPATH": str(ROOT / ".links"), "COLUMNS": "100"}
    done = subprocess.run(
        [sys.executable, "-m", "etsim", *words[1:]],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout.rstrip("\n").split("\n")


def refreshed(page: str, folder: Path) -> str:
    """Give the page with the real output of every session, cut where it was cut."""

    def block(match: re.Match[str]) -> str:
        lines: list[str] = []
        for part, session in zip(
            re.split(r"^\$ ", match[1], flags=re.MULTILINE)[1:],
            sessions(match[0]),
            strict=True,
        ):
            output = run(session.command, folder)
            lines += _command_lines(part)
            lines += [*output[: len(session.shown)], REST] if session.cut else output
        return "```console\n" + "\n".join(line.rstrip() for line in lines) + "\n```"

    return BLOCK.sub(block, page)


def _command_lines(part: str) -> list[str]:
    """The command as the page writes it, continuation lines included."""
    lines = part.split("\n")
    last = next(i for i, line in enumerate(lines) if not line.endswith("\\"))
    return [f"$ {lines[0]}", *lines[1 : last + 1]]


if __name__ == "__main__":
    import tempfile

    for name in sys.argv[1:]:
        path = Path(name)
        with tempfile.TemporaryDirectory() as scratch:
            path.write_text(refreshed(path.read_text(), Path(scratch)))
