"""What the wheel holds: every package of the checkout, every file of data that the code reads."""

import tomllib
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETUPTOOLS = PYPROJECT["tool"]["setuptools"]
NOT_SHIPPED = {"tests", "examples", "benchmarks", "docs"}
DATA_SUFFIXES = {".yaml", ".proto", ".json", ".csv", ".html", ".css", ".js", ".dot", ".typed"}


def shipped_folders() -> list[Path]:
    """Give every folder of the package, the checkout itself first."""
    inside = [
        folder
        for folder in sorted(ROOT.rglob("*"))
        if (folder / "__init__.py").is_file()
        and not any(
            part.startswith(".") or part in NOT_SHIPPED for part in folder.relative_to(ROOT).parts
        )
    ]
    return [ROOT, *inside]


def dotted(folder: Path) -> str:
    return ".".join(("etsim", *folder.relative_to(ROOT).parts))


def test_every_folder_with_an_init_is_a_listed_package_and_no_other() -> None:
    assert sorted(SETUPTOOLS["packages"]) == sorted(dotted(folder) for folder in shipped_folders())


def test_every_package_says_what_it_is() -> None:
    for folder in shipped_folders():
        first = (folder / "__init__.py").read_text(encoding="utf-8").lstrip()
        assert first.startswith('"""'), folder


def test_every_glob_of_data_matches_something() -> None:
    for package, patterns in SETUPTOOLS["package-data"].items():
        folder = ROOT.joinpath(*package.split(".")[1:])
        for pattern in patterns:
            assert list(folder.glob(pattern)), f"{package}: {pattern}"


def test_every_file_of_data_is_shipped() -> None:
    shipped = {
        path
        for package, patterns in SETUPTOOLS["package-data"].items()
        for pattern in patterns
        for path in ROOT.joinpath(*package.split(".")[1:]).glob(pattern)
    }
    there = {
        path
        for wing in ("cli", "converters", "models", "simulator")
        for path in (ROOT / wing).rglob("*")
        if path.suffix in DATA_SUFFIXES
    }
    assert there <= shipped, sorted(map(str, there - shipped))


def test_the_command_is_where_the_project_file_says() -> None:
    target = PYPROJECT["project"]["scripts"]["etsim"]
    module, function = target.split(":")
    assert callable(getattr(import_module(module), function))
