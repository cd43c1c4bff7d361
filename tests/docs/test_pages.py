"""What the README and the docs show is what the commands print."""

import importlib.util
import sys
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("console", Path(__file__).with_name("console.py"))
assert _spec is not None
assert _spec.loader is not None
console = importlib.util.module_from_spec(_spec)
sys.modules["console"] = console
_spec.loader.exec_module(console)

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_shown_prints_what_the_page_says(page: Path, tmp_path: Path) -> None:
    for session in console.sessions(page.read_text()):
        output = [line.rstrip() for line in console.run(session.command, tmp_path)]
        shown = [line.rstrip() for line in session.shown]
        if session.cut:
            output = output[: len(shown)]
        assert output == shown, f"{page.name}: `{session.command}` prints something else"
