"""The house: files of readable length, functions that fit a screen, one sentence on top of each."""

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
WINGS = ("cli", "converters", "models", "simulator")
FILES = sorted(
    path for wing in WINGS for path in (ROOT / wing).rglob("*.py") if "_pb2" not in path.name
)
LONGEST_FILE, LONGEST_FUNCTION = 450, 50
COMPILED = {"simulator/kernels.py"}  # a loop that numba compiles stands in one piece


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def functions(path: Path) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(parsed(path)) if isinstance(node, ast.FunctionDef)]


def length(node: ast.FunctionDef) -> int:
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1


def test_files_are_short() -> None:
    lengths = {relative(path): len(path.read_text("utf-8").splitlines()) for path in FILES}
    assert {path: lines for path, lines in lengths.items() if lines > LONGEST_FILE} == {}


def test_functions_fit_a_screen() -> None:
    too_long = {
        f"{relative(path)}: {node.name}": length(node)
        for path in FILES
        for node in functions(path)
        if length(node) > LONGEST_FUNCTION and relative(path) not in COMPILED
    }
    assert too_long == {}


def test_every_file_opens_with_a_sentence() -> None:
    silent = [path for path in FILES if not ast.get_docstring(parsed(path))]
    assert silent == []


@pytest.mark.parametrize("wing", ["models", "simulator", "converters"])
def test_only_the_command_line_prints(wing: str) -> None:
    for path in (ROOT / wing).rglob("*.py"):
        calls = [n for n in ast.walk(parsed(path)) if isinstance(n, ast.Call)]
        named = [call.func.id for call in calls if isinstance(call.func, ast.Name)]
        assert "print" not in named, relative(path)


def test_no_path_of_a_machine_is_in_the_code() -> None:
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        for place in ("/home/", "/work/", "/root/", "/Users/"):
            assert place not in text, f"{relative(path)}: {place}"
