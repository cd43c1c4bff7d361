"""Let Graphviz's own `dot` lay a picture out, through pygraphviz, whose wheel brings Graphviz."""

import importlib.util
import subprocess
import sys
from pathlib import Path

from ...models.errors import AnalysisError, MissingToolError

_PROCESS = Path(__file__).with_name("graphviz_process.py")
TIMEOUT_S = 120.0


def lay_out(dot: str, form: str, *, timeout_s: float = TIMEOUT_S) -> bytes:
    """Give the PDF or SVG of a DOT graph.

    Raises:
        MissingToolError: pygraphviz is not installed.
        AnalysisError: the layout failed or takes too long.
    """
    if not _is_installed():
        raise MissingToolError(
            "Graphviz's layout needs pygraphviz, which is not installed",
            remedy="pip install pygraphviz; or leave out --layout dot; or write a .dot file",
        )
    command = [sys.executable, "-P", str(_PROCESS), form]
    try:
        done = subprocess.run(
            command, input=dot.encode(), capture_output=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired:
        raise AnalysisError(
            f"Graphviz was still laying out after {timeout_s:.0f} s",
            remedy="leave out --layout dot, or draw fewer boxes with --max-nodes",
        ) from None
    if done.returncode or not done.stdout:
        said = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise AnalysisError(
            f"Graphviz failed: {''.join(said) or f'exit code {done.returncode}'}",
            remedy="leave out --layout dot",
        )
    return done.stdout


def _is_installed() -> bool:
    return importlib.util.find_spec("pygraphviz") is not None


def lacks_text(pdf: bytes) -> bool:
    """Tell whether a PDF that Graphviz wrote has no fonts: there were none on the machine."""
    return b"/BaseFont" not in pdf
