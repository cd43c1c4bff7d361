"""Load hardware specs: a YAML of one's own, or one of the catalogue by name.

load("a100.yaml")        a file
load("a100-sxm-80gb")    models/catalogue/a100-sxm-80gb.yaml
load("a100")             an alias of it
"""

from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

from .errors import InputError, SpecError
from .hardware import Hardware
from .spec_build import build
from .spec_check import check
from .spec_defaults import COLLECTIVE_EFFICIENCY_DEFAULTS, EFFICIENCY_DEFAULTS
from .spec_figures import Figures, fill
from .spec_file import SpecFile, read_spec_file

__all__ = [
    "COLLECTIVE_EFFICIENCY_DEFAULTS",
    "EFFICIENCY_DEFAULTS",
    "aliases",
    "catalogue",
    "load",
    "match_device",
]

_CATALOGUE = Path(__file__).with_name("catalogue")
_SUFFIXES = (".yaml", ".yml")
CHANGED = "changed by the user"

# What a spec that is `like:` another does not take over: these describe one file.
_OF_ONE_FILE = frozenset({"name", "like", "aliases", "recorded_as", "source", "calibration"})

# A driver reports less memory than the datasheet (ECC takes up to 1/16, reserves up to 2 %) ...
_LEAST_REPORTED = 0.85
_MOST_REPORTED = 1.02


def load(path_or_name: str, changes: Mapping[str, object] | None = None) -> Hardware:
    """Load a spec from a file (it exists or ends in .yaml or .yml), else from the catalogue.

    Args:
        path_or_name: the file or the name.
        changes: figures to set instead of the spec's, `memory.bandwidth` -> "3 TB/s".

    Raises:
        InputError: no such file or name, or the file is no spec at all.
        SpecError: the spec or a change has faults; it tells all of them.
    """
    path = Path(path_or_name)
    if path.suffix.lower() in _SUFFIXES or path.is_file():
        return _load_file(_existing(path), changes or {})
    return _load_file(_catalogue_path(path_or_name), changes or {})


@cache
def catalogue() -> tuple[str, ...]:
    """Name the specs that come with etsim, sorted."""
    return tuple(sorted(path.stem for path in _CATALOGUE.glob("*.yaml")))


@cache
def aliases() -> Mapping[str, str]:
    """Give the catalogue's other names: alias -> name."""
    return {
        alias: name
        for name in catalogue()
        for alias in _catalogue_figures(name).lists.get("aliases", ())
    }


def match_device(recorded_name: str, memory_bytes: int) -> str | None:
    """Find the catalogue name of a device as a trace recorded it, or None.

    The specs' `recorded_as:` patterns decide by name, the memory between the sizes of one model
    and against partitions of one (MIG, CPX), to which the figures do not apply. Some ROCm
    builds record an empty name: then the memory decides alone, where it fits exactly one device.

    Args:
        recorded_name: such as `NVIDIA H100 80GB HBM3`.
        memory_bytes: as recorded; 0 where it is not known.
    """
    fits = [
        (misfit, name)
        for name in catalogue()
        for misfit in [_memory_misfit(_catalogue_figures(name), memory_bytes)]
        if misfit is not None and _is_recorded_as(_catalogue_figures(name), recorded_name)
    ]
    if not fits or (not recorded_name and len(fits) > 1):
        return None
    return min(fits)[1]


def _is_recorded_as(figures: Figures, recorded_name: str) -> bool:
    patterns = figures.lists.get("recorded_as", ())
    return any(fnmatchcase(recorded_name.lower(), pattern.lower()) for pattern in patterns)


def _memory_misfit(figures: Figures, memory_bytes: int) -> float | None:
    """Give how far recorded memory is from the spec's, None where it cannot be that device."""
    if memory_bytes <= 0:
        return 0.0
    share = memory_bytes / figures.numbers["memory.size"]
    return abs(1 - share) if _LEAST_REPORTED <= share <= _MOST_REPORTED else None


def _existing(path: Path) -> Path:
    """Check that a file is there; where the catalogue has its stem, say so."""
    if path.is_file():
        return path
    if path.is_dir():
        raise InputError("is a folder, not a hardware spec", where=path)
    known = path.stem.lower()
    in_catalogue = known in catalogue() or known in aliases()
    remedy = f"the catalogue has it: --hw {known}" if in_catalogue else "see `etsim hw list`"
    raise InputError("no such hardware spec", where=path, remedy=remedy)


def _catalogue_path(name: str) -> Path:
    wanted = name.strip().lower()
    if wanted not in catalogue():
        wanted = aliases().get(wanted, wanted)
    if wanted not in catalogue():
        names = sorted({*catalogue(), *aliases()})
        near = get_close_matches(wanted, names, n=3, cutoff=0.5)
        remedy = f"did you mean {' or '.join(near)}?" if near else "see `etsim hw list`"
        raise InputError(f"no device named '{name}' in the catalogue", remedy=remedy)
    return _CATALOGUE / f"{wanted}.yaml"


@cache
def _catalogue_figures(name: str) -> Figures:
    """Give a catalogue spec's figures as its file states them, without defaults."""
    spec = _read_with_base(_CATALOGUE / f"{name}.yaml", ())
    figures, faults = check(spec.leaves)
    if faults or spec.faults:
        raise SpecError(spec.path, {**spec.faults, **faults})
    return figures


def _load_file(path: Path, changes: Mapping[str, object]) -> Hardware:
    spec = _read_with_base(path, ())
    figures, faults = check({**spec.leaves, **changes})
    if faults or spec.faults:
        raise SpecError(path, {**spec.faults, **faults})
    reasons = fill(figures)
    sources = {**spec.sources, **reasons, **dict.fromkeys(changes, CHANGED)}
    return build(figures, sources, frozenset(reasons))


def _read_with_base(path: Path, above: tuple[Path, ...]) -> SpecFile:
    """Read a file over the spec that it says it is `like:`, if any."""
    spec = read_spec_file(path)
    base_name = spec.leaves.get("like")
    if not isinstance(base_name, str):
        return spec
    try:
        base = _read_base(path, base_name, (*above, path.resolve()))
    except SpecError:
        raise  # the base's own faults, told under its own path
    except InputError as error:
        return replace(spec, faults={**spec.faults, "like": f"{error.what} ({error.remedy})"})
    inherited = {key: value for key, value in base.leaves.items() if key not in _OF_ONE_FILE}
    return replace(
        spec,
        leaves={**inherited, **spec.leaves},
        sources={**base.sources, **spec.sources},
    )


def _read_base(path: Path, base_name: str, above: tuple[Path, ...]) -> SpecFile:
    """Read what a file is like: a catalogue name, or a path beside the file that says it."""
    beside = path.parent / base_name
    is_path = beside.suffix.lower() in _SUFFIXES
    base_path = _existing(beside) if is_path else _catalogue_path(base_name)
    if base_path.resolve() in above:
        raise InputError("leads back to this file", remedy="let one of them be like no other")
    base = _read_with_base(base_path, above)
    if base.faults:
        raise SpecError(base.path, base.faults)
    return base
