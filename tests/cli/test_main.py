"""The command itself: help, version, verbs, and what happens to errors."""

import sys
from importlib.metadata import version
from pathlib import Path
from unittest.mock import patch

import pytest

from etsim.cli.main import VERBS
from etsim.models.errors import AnalysisError, EtsimError, InputError, MissingToolError, UsageError
from etsim.tests.cli.caller import ROOT, call, call_apart

THERE = [verb for verb in VERBS if (ROOT / "cli" / f"{verb}.py").exists()]


def test_help_lists_every_verb_that_is_there_and_the_exit_codes() -> None:
    said = call("--help")
    assert said.code == 0
    listed = [line.split()[0] for line in said.out.splitlines() if line.startswith("  ")]
    assert [verb for verb in listed if verb in VERBS] == THERE
    assert "2 usage" in said.out
    assert said.err == ""


@pytest.mark.parametrize("verb", THERE)
def test_every_verb_has_help_and_examples_of_its_options(verb: str) -> None:
    said = call(verb, "--help")
    assert said.code == 0
    assert said.out.startswith(f"Usage: etsim {verb}")


def test_no_verb_shows_the_help() -> None:
    said = call()
    assert "Commands:" in said.err + said.out


def test_the_version_is_the_packages() -> None:
    assert call("--version").out.strip().endswith(version("etsim"))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("nonsense",), "No such command 'nonsense'"),
        (("predict", "--et", "x"), "Missing option '--hw'"),
        (("predict", "--nope"), "--nope"),
        (("predict", "--et", "x", "--hw"), "requires an argument"),
        (("convert", "--et", "x", "-o", "y", "--profile", "z"), "'z' is not one of"),
        (("convert", "-o", "x.et"), "nothing to convert"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments: tuple[str, ...], told: str) -> None:
    assert told in call(*arguments).fault(2)


@pytest.mark.parametrize(
    ("error", "code"),
    [(EtsimError, 1), (AnalysisError, 1), (UsageError, 2), (InputError, 3), (MissingToolError, 4)],
)
def test_each_error_has_its_exit_code_and_its_line(error: type[EtsimError], code: int) -> None:
    raised = error("what\nis wrong", where="here", remedy="do this")
    with patch("etsim.cli.main._etsim.main", side_effect=raised):
        assert call("predict").fault(code) == "error: here: what is wrong (do this)"


def test_an_interrupt_is_told_and_leaves_with_130() -> None:
    with patch("etsim.cli.main._etsim.main", side_effect=KeyboardInterrupt):
        assert call("predict").fault(130) == "error: interrupted"


def test_as_a_user_types_it(tmp_path: Path) -> None:
    said = call_apart("--help", folder=tmp_path)
    assert said.code == 0
    assert "predict" in said.out
    assert call_apart("predict", "--et", "none.et", "--hw", "a100").fault(3)


def test_help_imports_nothing_heavy() -> None:
    """Starting time is a promise: no numpy, no YAML, no protobuf before a verb needs them."""
    import subprocess  # noqa: PLC0415

    code = (
        "import sys; from etsim.cli.main import main; sys.argv = ['etsim', '--help']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([m for m in ('numpy', 'yaml', 'google.protobuf', 'networkx', 'torch', 'rich')"
        " if m in sys.modules], file=sys.stderr)"
    )
    call_apart("--help")  # makes the link
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(ROOT / ".links")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr.strip() == "[]"
