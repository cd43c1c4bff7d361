"""The errors a caller may catch: each names the place, what is wrong and how to mend it."""

from collections.abc import Mapping
from pathlib import Path


class EtsimError(Exception):
    """Base of all etsim errors; `exit_code` is what the command line returns for it."""

    exit_code = 1

    def __init__(self, what: str, *, where: str | Path = "", remedy: str = "") -> None:
        self.what = what
        self.where = str(where)
        self.remedy = remedy
        super().__init__(self.line())

    def line(self) -> str:
        """Say it in one line: where, what, remedy."""
        place = f"{self.where}: " if self.where else ""
        remedy = f" ({self.remedy})" if self.remedy else ""
        return " ".join(f"{place}{self.what}{remedy}".split())


class AnalysisError(EtsimError):
    """The input was good, the question has no answer."""

    exit_code = 1


class UsageError(EtsimError):
    """The command was asked for something contradictory."""

    exit_code = 2


class InputError(EtsimError):
    """A file is missing, damaged, or not what it was said to be."""

    exit_code = 3


class TraceFormatError(InputError):
    """A trace could not be read: not JSON, cut, or another kind of file."""


class JoinError(InputError):
    """Two files that should describe one run do not fit together."""


class RankError(InputError):
    """The ranks given collide, are missing or contradict each other."""


class NeedsRecordingError(InputError):
    """The trace lacks what the question needs; the remedy says what to record."""


class SpecError(InputError):
    """A YAML has faults; all of them are told at once, each with its key."""

    def __init__(self, path: str | Path, faults: Mapping[str, str]) -> None:
        self.faults = dict(faults)
        told = "; ".join(f"{key}: {fault}" for key, fault in self.faults.items())
        super().__init__(told, where=path)


class MissingToolError(EtsimError):
    """An optional package or program is not installed."""

    exit_code = 4
