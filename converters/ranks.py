"""Files of many ranks: expand patterns, find each file's rank, pair the traces."""

import glob
import re
from collections.abc import Sequence
from pathlib import Path

from ..models.errors import InputError, RankError
from ..models.graph import NONE
from .blocks import nearest_name

# As profilers and people write ranks into names; the first that matches tells.
RANK_PATTERNS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"rank[-_]?(\d+)",
        r"TP-(\d+)",
        r"(?<![a-z])tp(\d+)",
        r"worker[-_]?(\d+)",
        r"(?:^|[._-])r(\d+)(?=[._-])",
        r"[._-](\d+)\.(?:json|et|pt)(?:\.|$)",
        r"[._-](\d+)(?:\.trace)?\.json",
    )
)
SUFFIXES = (".et", ".json", ".json.gz")


def expand(patterns: Sequence[str], option: str) -> tuple[Path, ...]:
    """Give the files that paths, folders and patterns name, in natural order, each once.

    Raises:
        InputError: a path or pattern that matches nothing, or that the system refuses.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        try:
            found.update(dict.fromkeys(_matches(pattern, option)))
        except OSError as error:
            told = f"cannot be read: {error.strerror} (given with {option})"
            raise InputError(told, where=pattern) from None
    return tuple(found)


def _matches(pattern: str, option: str) -> list[Path]:
    path = Path(pattern)
    if path.is_dir():
        inside = [p for p in path.iterdir() if p.name.endswith(SUFFIXES)]
        if not inside:
            raise InputError("the folder holds no .et or .json file", where=path)
        return sorted(inside, key=_natural)
    if path.exists():
        return [path]
    # Path.glob takes no absolute pattern
    matched = [Path(name) for name in glob.glob(pattern)]  # noqa: PTH207
    if matched:
        return sorted(matched, key=_natural)
    what = "no such file" if not glob.has_magic(pattern) else "no file matches"
    raise InputError(f"{what} (given with {option})", where=path, remedy=nearest_name(path))


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sort key under which r10 follows r9."""
    parts = re.findall(r"\d+|\D+", str(path))
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def rank_in_name(path: Path) -> int:
    """Give the rank that a file's name tells, NONE where it tells none."""
    for pattern in RANK_PATTERNS:
        if match := pattern.search(path.name):
            return int(match[1])
    return NONE


def by_rank(paths: Sequence[Path], ranks: Sequence[int], option: str) -> dict[int, Path]:
    """Give the file of each rank; files that tell no rank are numbered where all are silent.

    Raises:
        RankError: two files of one rank, or only some files tell theirs.
    """
    told = [rank != NONE for rank in ranks]
    if not any(told):
        return dict(enumerate(paths))
    if not all(told):
        silent = paths[told.index(False)]
        raise RankError(
            f"{option}: some files tell their rank, this one does not",
            where=silent,
            remedy="put `rank<N>` into its name",
        )
    result: dict[int, Path] = {}
    for rank, path in zip(ranks, paths, strict=True):
        if rank in result:
            raise RankError(
                f"is of rank {rank}, as is {result[rank]}",
                where=path,
                remedy="give one file a rank",
            )
        result[rank] = path
    return result


def paired(et: dict[int, Path], trace: dict[int, Path]) -> list[tuple[int, Path, Path]]:
    """Pair execution traces and profiles by rank.

    Raises:
        RankError: a rank that only one side has.
    """
    lonely = sorted(set(et) ^ set(trace))
    if lonely:
        rank = lonely[0]
        side, path = ("--trace", et[rank]) if rank in et else ("--et", trace[rank])
        raise RankError(
            f"rank {rank} has no file among {side}",
            where=path,
            remedy=f"ranks of --et: {_listed(et)}; of --trace: {_listed(trace)}",
        )
    return [(rank, et[rank], trace[rank]) for rank in sorted(et)]


def _listed(ranks: dict[int, Path]) -> str:
    return ", ".join(str(rank) for rank in sorted(ranks))
